/* Asking a peer to dial us, and judging its answer. An ask lives until its stream has closed and
 * whoever asked has been told. */
#include "controlplane/behaviours/autonat_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void autonat_ask_free(struct autonat_ask *ask)
{
    LIST_REMOVE(ask, link);
    ask->autonat->asks--;
    haul_loop_timer_free(ask->timer);
    free(ask);
}

/* Tells once; the ask goes with its stream, or now if that is gone. */
static void tell(struct autonat_ask *ask, enum haul_autonat_outcome outcome)
{
    struct haul_autonat *autonat = ask->autonat;

    if (!ask->told) {
        ask->told = true;
        if (ask->proven)
            outcome = HAUL_AUTONAT_PROVEN;
        if (outcome != HAUL_AUTONAT_UNANSWERED)
            haul_counter_add(&autonat->counters.autonat_answered, 1);
        ask->done(ask->context, &ask->address, &ask->server, outcome);
    }
    if (ask->stream == NULL)
        autonat_ask_free(ask);
    else
        haul_stream_close(ask->stream);
}

static void on_timer(void *context)
{
    struct autonat_ask *ask = context;

    if (ask->stream != NULL)
        haul_stream_reset(ask->stream);
    tell(ask, HAUL_AUTONAT_UNANSWERED);
}

/* Whether a connection that came in did so at the address in question, as far as can be seen from
 * inside: at that very socket; or, where a gateway translates, at one that is not public itself. */
static bool came_through(const struct haul_multiaddr *address,
                         const struct haul_connection_facts *facts)
{
    struct haul_addr asked;

    if (!facts->inbound || facts->relayed || !haul_multiaddr_tcp(address, &asked) ||
        asked.family != facts->local.family)
        return false;
    if (memcmp(asked.ip, facts->local.ip, sizeof asked.ip) == 0)
        return asked.port == facts->local.port;
    return haul_addr_scope(&facts->local) != HAUL_ADDR_PUBLIC &&
           haul_addr_scope(&asked) == HAUL_ADDR_PUBLIC;
}

bool autonat_ask_proven(struct haul_autonat *autonat, struct haul_host *host, uint64_t connection,
                        uint64_t nonce)
{
    struct haul_connection_facts facts;
    struct autonat_ask *ask;

    LIST_FOREACH(ask, &autonat->ask_list, link)
    {
        if (!ask->second || ask->told || ask->proven || ask->nonce != nonce)
            continue;
        if (ask->connection == connection || !haul_host_facts(host, connection, &facts) ||
            !came_through(&ask->address, &facts))
            return false;
        ask->proven = true;
        haul_counter_add(&autonat->counters.autonat_proofs, 1);
        /* With the answer still to come the server is given the time to say it. */
        if (ask->claimed || ask->stream == NULL)
            haul_loop_timer_set(ask->timer, autonat_now(host));
        return true;
    }
    return false;
}

/* --- payment --- */

static void pay(struct autonat_ask *ask)
{
    while (ask->stream != NULL) {
        struct haul_out out = haul_out_to(ask->part, sizeof ask->part);
        size_t took, part;

        if (ask->part_at == ask->part_bytes) {
            if (ask->pay_left == 0)
                return;
            part = ask->pay_left < HAUL_AUTONAT_PAY_PART_MAX ? (size_t)ask->pay_left
                                                             : HAUL_AUTONAT_PAY_PART_MAX;
            haul_autonat2_write_paid(&out, part);
            haul_assert(!out.bad);
            ask->part_bytes = (size_t)(out.at - ask->part);
            ask->part_at = 0;
            ask->pay_left -= part;
        }
        took = haul_stream_write(ask->stream, ask->part + ask->part_at,
                                 ask->part_bytes - ask->part_at);
        if (took == 0)
            return;
        ask->part_at += took;
    }
}

void autonat_ask_writable(struct autonat_ask *ask)
{
    pay(ask);
}

/* --- answers --- */

static void first_answered(struct autonat_ask *ask, const struct haul_autonat_message *message)
{
    if (message->kind == HAUL_AUTONAT_RESPONSE && message->status == HAUL_AUTONAT_OK)
        tell(ask, HAUL_AUTONAT_CLAIMED);
    else if (message->kind == HAUL_AUTONAT_RESPONSE && message->status == HAUL_AUTONAT_DIAL_ERROR)
        tell(ask, HAUL_AUTONAT_FAILED);
    else
        tell(ask, HAUL_AUTONAT_UNANSWERED);
}

static void second_answered(struct autonat_ask *ask, const struct haul_autonat_message *message)
{
    bool dialled = message->kind == HAUL_AUTONAT_RESPONSE && message->index == 0 &&
                   message->status == HAUL_AUTONAT2_OK;

    if (ask->told || ask->claimed)
        return;
    if (message->kind == HAUL_AUTONAT_PAY && message->index == 0 && ask->part_bytes == 0 &&
        message->bytes <= HAUL_AUTONAT_PAY_MAX) {
        ask->pay_left = message->bytes;
        pay(ask);
    } else if (dialled && message->dial_status == HAUL_AUTONAT2_DIAL_ERROR) {
        tell(ask, HAUL_AUTONAT_FAILED);
    } else if (dialled && message->dial_status == HAUL_AUTONAT2_DIAL_OK && !ask->proven) {
        /* The number may be under way on the other connection. */
        ask->claimed = true;
        haul_loop_timer_set(ask->timer,
                            haul_time_add(autonat_now(ask->host), HAUL_AUTONAT_BACK_MAX));
    } else {
        tell(ask, HAUL_AUTONAT_UNANSWERED);
    }
}

void autonat_ask_answered(struct autonat_ask *ask, const struct haul_autonat_message *message)
{
    if (ask->second)
        second_answered(ask, message);
    else if (!ask->told)
        first_answered(ask, message);
}

void autonat_ask_closed(struct autonat_ask *ask)
{
    ask->stream = NULL;
    if (ask->told)
        autonat_ask_free(ask);
    else if (!ask->claimed)
        tell(ask, HAUL_AUTONAT_UNANSWERED);
    /* Otherwise its timer is still to run. */
}

bool haul_autonat_ask(struct haul_autonat *autonat, struct haul_host *host, uint64_t connection,
                      const struct haul_multiaddr *address, haul_autonat_fn *done, void *context)
{
    bool second = haul_host_speaks(host, connection, autonat->second);
    struct haul_connection_facts facts;
    struct autonat_ask *ask;

    if ((!second && !haul_host_speaks(host, connection, autonat->first)) ||
        autonat->asks == HAUL_AUTONAT_ASKS_MAX || !haul_host_facts(host, connection, &facts))
        return false;
    ask = calloc(1, sizeof *ask);
    if (ask == NULL)
        return false;
    *ask = (struct autonat_ask){ .autonat = autonat,
                                 .host = host,
                                 .second = second,
                                 .connection = connection,
                                 .address = *address,
                                 .server = facts.remote,
                                 .done = done,
                                 .context = context };
    autonat->asks++;
    LIST_INSERT_HEAD(&autonat->ask_list, ask, link);
    ask->timer = haul_loop_timer(haul_host_loop(host), on_timer, ask);
    if (ask->timer == NULL ||
        getrandom(&ask->nonce, sizeof ask->nonce, 0) != (ssize_t)sizeof ask->nonce ||
        (ask->stream = haul_host_stream(host, connection, second ? autonat->second : autonat->first,
                                        ask)) == NULL) {
        autonat_ask_free(ask);
        return false;
    }
    haul_loop_timer_set(ask->timer, haul_time_add(autonat_now(host), HAUL_AUTONAT_ASK_MAX));
    haul_counter_add(&autonat->counters.autonat_asked, 1);
    return true;
}
