/* Candidates, challenges, answers and changes of address. */
#include "dataplane/flow/path.h"

#include <string.h>

#define TO_NEW 1u
#define TO_OLD 2u

static void add_candidate(struct haul_path *path, const struct haul_addr *addr, unsigned tries,
                          haul_time due)
{
    for (size_t i = 0; i < path->count; i++) {
        struct haul_candidate *candidate = &path->candidates[i];

        if (!haul_addr_equal(&candidate->addr, addr))
            continue;
        /* It is alive now: the next try need not wait (the first often goes out before the peer
         * has opened its side). */
        if (candidate->tries < HAUL_PATH_TRIES)
            candidate->due = haul_time_min(candidate->due, due);
        return;
    }
    if (path->count == HAUL_PATH_ADDRESSES)
        return;
    path->candidates[path->count++] =
        (struct haul_candidate){ .addr = *addr,
                                 .token = haul_rng_next(path->rng),
                                 .due = due,
                                 .tries = (uint8_t)(HAUL_PATH_TRIES - tries) };
}

void haul_path_init(struct haul_path *path, const struct haul_addr *candidates, size_t count,
                    struct haul_rng *rng, haul_time now)
{
    memset(path, 0, sizeof *path);
    path->rng = rng;
    for (size_t i = 0; i < count && i < HAUL_CANDIDATES_MAX; i++) {
        if (candidates[i].family != 0)
            add_candidate(path, &candidates[i], HAUL_PATH_TRIES, now);
    }
}

/* An answer that is owed to the address that a challenge is about to go to travels with it. */
static void add_reply(struct haul_path *path, struct haul_path_send *send)
{
    struct haul_reply *reply = &path->replies[path->reply_first];

    if (send->response || path->reply_count == 0 || !haul_addr_equal(&reply->addr, &send->addr))
        return;
    send->response = true;
    send->response_token = reply->token;
    path->reply_first = (uint8_t)((path->reply_first + 1) % HAUL_PATH_REPLIES);
    path->reply_count--;
}

static bool next_candidate(struct haul_path *path, haul_time now, struct haul_path_send *send)
{
    for (size_t i = 0; !path->proven && i < path->count; i++) {
        struct haul_candidate *candidate = &path->candidates[i];

        if (candidate->due > now)
            continue;
        candidate->tries++;
        candidate->last = now;
        candidate->due =
            candidate->tries == 1 ? now + HAUL_PATH_RETRY_FIRST : now + HAUL_PATH_RETRY;
        if (candidate->tries == HAUL_PATH_TRIES)
            candidate->due = HAUL_TIME_NEVER;
        send->addr = candidate->addr;
        send->challenge_token = candidate->token;
        return true;
    }
    return false;
}

static bool next_move(struct haul_path *path, struct haul_path_send *send)
{
    if (!path->moving || path->to_challenge == 0)
        return false;
    if ((path->to_challenge & TO_NEW) != 0) {
        path->to_challenge &= (uint8_t)~TO_NEW;
        send->addr = path->to;
        send->challenge_token = path->token_new;
    } else {
        path->to_challenge &= (uint8_t)~TO_OLD;
        send->addr = path->peer;
        send->challenge_token = path->token_old;
    }
    return true;
}

bool haul_path_next(struct haul_path *path, haul_time now, struct haul_path_send *send)
{
    memset(send, 0, sizeof *send);
    if (next_candidate(path, now, send) || next_move(path, send)) {
        send->challenge = true;
        add_reply(path, send);
        return true;
    }
    if (path->reply_count == 0)
        return false;
    send->addr = path->replies[path->reply_first].addr;
    add_reply(path, send);
    return true;
}

haul_time haul_path_due(const struct haul_path *path)
{
    haul_time due = HAUL_TIME_NEVER;

    if (path->reply_count > 0)
        return 0;
    for (size_t i = 0; !path->proven && i < path->count; i++)
        due = haul_time_min(due, path->candidates[i].due);
    if (path->moving)
        due = haul_time_min(due, path->to_challenge != 0 ? 0 : path->decide_at);
    return due;
}

void haul_path_challenged(struct haul_path *path, const struct haul_addr *from, uint64_t token,
                          bool newest, haul_time now)
{
    struct haul_reply *reply;

    if (!path->proven)
        add_candidate(path, from, HAUL_PATH_STRANGER_TRIES, now);
    else if (!newest && !haul_addr_equal(from, &path->peer))
        return;
    if (path->reply_count == HAUL_PATH_REPLIES)
        return;
    reply = &path->replies[(path->reply_first + path->reply_count) % HAUL_PATH_REPLIES];
    path->reply_count++;
    *reply = (struct haul_reply){ .addr = *from, .token = token };
}

static enum haul_path_news move(struct haul_path *path, haul_time now)
{
    path->moving = false;
    path->peer = path->to;
    path->next_move = now + HAUL_PATH_RETRY;
    return HAUL_PATH_MOVED;
}

enum haul_path_news haul_path_answered(struct haul_path *path, uint64_t token, haul_time now)
{
    for (size_t i = 0; !path->proven && i < path->count; i++) {
        if (path->candidates[i].tries == 0 || path->candidates[i].token != token)
            continue;
        path->proven = true;
        path->peer = path->candidates[i].addr;
        return HAUL_PATH_PROVEN;
    }
    if (!path->moving)
        return HAUL_PATH_SAME;
    if (token == path->token_old) {
        path->moving = false;
        path->next_move = now + HAUL_PATH_KEEP;
    } else if (token == path->token_new) {
        path->new_answered = true;
        return haul_path_tick(path, now);
    }
    return HAUL_PATH_SAME;
}

/* All challenges to it were lost, and here it speaks. */
static void try_again(struct haul_path *path, const struct haul_addr *from)
{
    for (size_t i = 0; i < path->count; i++) {
        struct haul_candidate *candidate = &path->candidates[i];

        if (candidate->tries < HAUL_PATH_TRIES || !haul_addr_equal(&candidate->addr, from))
            continue;
        candidate->tries = HAUL_PATH_TRIES - 1;
        candidate->due = candidate->last + HAUL_PATH_RETRY;
    }
}

void haul_path_heard(struct haul_path *path, const struct haul_addr *from, haul_time patience,
                     haul_time now)
{
    if (!path->proven)
        try_again(path, from);
    if (!path->proven || path->moving || now < path->next_move)
        return;
    path->moving = true;
    path->new_answered = false;
    path->to = *from;
    path->to_challenge = TO_NEW | TO_OLD;
    path->token_new = haul_rng_next(path->rng);
    path->token_old = haul_rng_next(path->rng);
    path->challenged = now;
    path->decide_at = haul_time_add(now, haul_time_min(patience, HAUL_PATH_RETRY));
}

enum haul_path_news haul_path_tick(struct haul_path *path, haul_time now)
{
    if (!path->moving || now < path->decide_at)
        return HAUL_PATH_SAME;
    if (path->new_answered)
        return move(path, now);
    if (haul_time_since(path->challenged, now) >= HAUL_PATH_RETRY)
        path->moving = false;
    else
        path->decide_at = path->challenged + HAUL_PATH_RETRY;
    return HAUL_PATH_SAME;
}

const char *haul_path_broken(const struct haul_path *path)
{
    if (path->count > HAUL_PATH_ADDRESSES || path->reply_count > HAUL_PATH_REPLIES)
        return "path: a table overflows";
    if (path->moving && !path->proven)
        return "path: moving before it was proven";
    for (size_t i = 0; i < path->count; i++) {
        if (path->candidates[i].tries > HAUL_PATH_TRIES)
            return "path: too many challenges to a candidate";
    }
    return NULL;
}
