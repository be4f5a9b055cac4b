/* Resolution as a counted tree of questions; when the last is answered, whoever asked is told. */
#include "controlplane/dht/names.h"

#include "controlplane/host/loop.h"
#include "controlplane/p2p/multiaddr_value.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define WATCHES_MAX  32u
#define TIMEOUT_MS   2000
#define TRIES        3
#define NAME_BYTES   256u
#define TXT_PREFIX   "dnsaddr="
#define ADDRESS_TEXT 600u

struct resolution {
    struct haul_names *names;
    haul_names_fn *done;
    void *context;
    uint32_t questions, under_way;
    size_t count;
    LIST_ENTRY(resolution) link;
    struct haul_multiaddr addresses[HAUL_NAMES_ADDRESSES_MAX];
};

struct question {
    struct resolution *resolution;
    unsigned depth;
    struct haul_multiaddr address;
};

struct name_watch {
    struct haul_names *names;
    int fd; /* -1: free */
    struct haul_watch *watch;
};

struct haul_names {
    struct haul_loop *loop;
    struct haul_timer *timer;
    ares_channel channel;
    bool channel_open;
    struct name_watch watches[WATCHES_MAX];
    LIST_HEAD(, resolution) resolutions;
};

static void resolve(struct resolution *resolution, const struct haul_multiaddr *address,
                    unsigned depth);

/* --- c-ares and the loop --- */

static void arm(struct haul_names *names)
{
    struct timeval most = { .tv_sec = 1 }, wait;
    const struct resolution *resolution;
    haul_time at = HAUL_TIME_NEVER, now = haul_loop_now(names->loop);

    LIST_FOREACH(resolution, &names->resolutions, link)
    {
        if (resolution->under_way == 0)
            at = now; /* to be told */
    }
    if (at != now && !LIST_EMPTY(&names->resolutions)) {
        ares_timeout(names->channel, &most, &wait);
        at = haul_time_add(now, (haul_time)wait.tv_sec * HAUL_SECOND +
                                    (haul_time)wait.tv_usec * HAUL_MICROSECOND + HAUL_MILLISECOND);
    }
    haul_loop_timer_set(names->timer, at);
}

static void on_ready(void *context, unsigned ready)
{
    struct name_watch *watch = context;
    struct haul_names *names = watch->names;
    ares_socket_t fd = watch->fd;

    ares_process_fd(names->channel, ready & HAUL_LOOP_READ ? fd : ARES_SOCKET_BAD,
                    ready & HAUL_LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    arm(names);
}

static void on_socket(void *context, ares_socket_t fd, int readable, int writable)
{
    struct haul_names *names = context;
    unsigned interest = (readable ? HAUL_LOOP_READ : 0u) | (writable ? HAUL_LOOP_WRITE : 0u);
    struct name_watch *place = NULL;

    for (size_t i = 0; i < WATCHES_MAX; i++) {
        if (names->watches[i].fd == fd) {
            place = &names->watches[i];
            break;
        }
        if (place == NULL && names->watches[i].fd < 0)
            place = &names->watches[i];
    }
    if (place == NULL)
        return; /* the timer still serves it */
    if (interest == 0) {
        haul_loop_unwatch(place->watch);
        place->watch = NULL;
        place->fd = -1;
    } else if (place->fd == fd && place->watch != NULL) {
        haul_loop_interest(place->watch, interest);
    } else {
        place->fd = fd;
        place->watch = haul_loop_watch(names->loop, fd, interest, on_ready, place);
    }
}

static void tell_done(struct haul_names *names)
{
    struct resolution *resolution, *next;

    for (resolution = LIST_FIRST(&names->resolutions); resolution != NULL; resolution = next) {
        next = LIST_NEXT(resolution, link);
        if (resolution->under_way > 0)
            continue;
        LIST_REMOVE(resolution, link);
        resolution->done(resolution->context, resolution->addresses, resolution->count);
        free(resolution);
        next = LIST_FIRST(&names->resolutions); /* that call may have begun or ended others */
    }
}

static void on_timer(void *context)
{
    struct haul_names *names = context;

    ares_process_fd(names->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    tell_done(names);
    arm(names);
}

int haul_names_open(struct haul_names **names, struct haul_loop *loop, const char *servers,
                    struct haul_error *error)
{
    struct haul_names *made = calloc(1, sizeof *made);
    struct ares_options options = { .timeout = TIMEOUT_MS, .tries = TRIES };
    int status = ARES_ENOMEM;

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for names");
    made->loop = loop;
    for (size_t i = 0; i < WATCHES_MAX; i++)
        made->watches[i] = (struct name_watch){ .names = made, .fd = -1 };
    made->timer = haul_loop_timer(loop, on_timer, made);
    options.sock_state_cb = on_socket;
    options.sock_state_cb_data = made;
    if (made->timer != NULL && ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS) {
        status = ares_init_options(&made->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
        made->channel_open = status == ARES_SUCCESS;
    }
    if (status == ARES_SUCCESS && servers != NULL && servers[0] != '\0')
        status = ares_set_servers_ports_csv(made->channel, servers);
    if (status != ARES_SUCCESS) {
        haul_names_close(made);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot resolve names: %s", ares_strerror(status));
    }
    *names = made;
    return 0;
}

void haul_names_close(struct haul_names *names)
{
    struct resolution *resolution;

    if (names == NULL)
        return;
    if (names->channel_open)
        ares_destroy(names->channel); /* every question ends */
    LIST_FOREACH(resolution, &names->resolutions, link)
    resolution->count = 0;
    tell_done(names);
    for (size_t i = 0; i < WATCHES_MAX; i++)
        haul_loop_unwatch(names->watches[i].watch);
    haul_loop_timer_free(names->timer);
    free(names);
}

/* --- answers --- */

static void keep(struct resolution *resolution, const struct haul_multiaddr *address)
{
    if (resolution->count < HAUL_NAMES_ADDRESSES_MAX)
        resolution->addresses[resolution->count++] = *address;
}

/* Does the address end with these components, bytes of a valid multiaddr? */
static bool ends_with(const struct haul_multiaddr *address, const uint8_t *rest, size_t bytes)
{
    return bytes <= address->length &&
           memcmp(address->bytes + address->length - bytes, rest, bytes) == 0;
}

bool haul_names_answer(const struct haul_multiaddr *asked, const uint8_t *text, size_t bytes,
                       struct haul_multiaddr *answer)
{
    const size_t prefix = strlen(TXT_PREFIX);
    struct haul_multiaddr_name name;
    struct haul_multiaddr found;
    char copy[ADDRESS_TEXT];

    if (bytes <= prefix || bytes - prefix >= sizeof copy || memcmp(text, TXT_PREFIX, prefix) != 0 ||
        memchr(text, 0, bytes) != NULL || !haul_multiaddr_name(asked, &name))
        return false;
    memcpy(copy, text + prefix, bytes - prefix);
    copy[bytes - prefix] = '\0';
    if (!haul_multiaddr_parse(copy, &found) || !ends_with(&found, name.rest, name.rest_bytes))
        return false;
    *answer = found;
    return true;
}

static void question_end(struct question *question)
{
    question->resolution->under_way--;
    free(question);
}

static void on_txt(void *context, int status, int timeouts, unsigned char *data, int bytes)
{
    struct question *question = context;
    struct ares_txt_reply *replies = NULL, *reply;
    struct haul_multiaddr answer;

    (void)timeouts;
    if (status == ARES_SUCCESS && ares_parse_txt_reply(data, bytes, &replies) == ARES_SUCCESS) {
        for (reply = replies; reply != NULL; reply = reply->next) {
            if (haul_names_answer(&question->address, reply->txt, reply->length, &answer))
                resolve(question->resolution, &answer, question->depth + 1);
        }
    }
    if (replies != NULL)
        ares_free_data(replies);
    question_end(question);
}

static void on_host(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *question = context;
    struct haul_multiaddr_name name;
    struct haul_multiaddr address;

    (void)timeouts;
    if (status != ARES_SUCCESS || !haul_multiaddr_name(&question->address, &name))
        info = NULL;
    for (struct ares_addrinfo_node *at = info != NULL ? info->nodes : NULL; at != NULL;
         at = at->ai_next) {
        uint8_t data[HAUL_MULTIADDR_BYTES_MAX];
        struct haul_out out = haul_out_to(data, sizeof data);

        if (at->ai_family == AF_INET) {
            haul_out_uvarint(&out, HAUL_MULTIADDR_CODE_IP4);
            haul_out_bytes(&out, &((struct sockaddr_in *)(void *)at->ai_addr)->sin_addr, 4);
        } else if (at->ai_family == AF_INET6) {
            haul_out_uvarint(&out, HAUL_MULTIADDR_CODE_IP6);
            haul_out_bytes(&out, &((struct sockaddr_in6 *)(void *)at->ai_addr)->sin6_addr, 16);
        }
        haul_out_bytes(&out, name.rest, name.rest_bytes);
        if (!out.bad && haul_multiaddr_decode(data, (size_t)(out.at - data), &address))
            keep(question->resolution, &address);
    }
    ares_freeaddrinfo(info);
    question_end(question);
}

/* --- questions --- */

static void ask(struct resolution *resolution, const struct haul_multiaddr *address,
                const struct haul_multiaddr_name *name, unsigned depth)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct question *question = malloc(sizeof *question);
    char text[NAME_BYTES + sizeof "_dnsaddr."];
    ares_channel channel = resolution->names->channel;

    if (question == NULL)
        return;
    *question = (struct question){ .resolution = resolution, .depth = depth, .address = *address };
    resolution->questions++;
    resolution->under_way++;
    if (name->code == HAUL_MULTIADDR_CODE_DNSADDR) {
        snprintf(text, sizeof text, "_dnsaddr.%.*s", (int)name->bytes, name->text);
        ares_search(channel, text, 1 /* IN */, 16 /* TXT */, on_txt, question);
        return;
    }
    if (name->code == HAUL_MULTIADDR_CODE_DNS4)
        hints.ai_family = AF_INET;
    else if (name->code == HAUL_MULTIADDR_CODE_DNS6)
        hints.ai_family = AF_INET6;
    snprintf(text, sizeof text, "%.*s", (int)name->bytes, name->text);
    ares_getaddrinfo(channel, text, NULL, &hints, on_host, question);
}

static void resolve(struct resolution *resolution, const struct haul_multiaddr *address,
                    unsigned depth)
{
    struct haul_multiaddr_name name;

    if (!haul_multiaddr_name(address, &name))
        keep(resolution, address);
    else if (name.bytes < NAME_BYTES && memchr(name.text, 0, name.bytes) == NULL &&
             depth < HAUL_NAMES_DEPTH_MAX && resolution->questions < HAUL_NAMES_QUESTIONS_MAX)
        ask(resolution, address, &name, depth);
}

void haul_names_resolve(struct haul_names *names, const struct haul_multiaddr *address,
                        haul_names_fn *done, void *context)
{
    struct resolution *resolution = calloc(1, sizeof *resolution);

    if (resolution == NULL)
        return;
    resolution->names = names;
    resolution->done = done;
    resolution->context = context;
    LIST_INSERT_HEAD(&names->resolutions, resolution, link);
    resolve(resolution, address, 0);
    arm(names);
}
