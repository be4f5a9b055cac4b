/* Names against a DNS server that is a function of this test: what it says leads to addresses, to
 * other names, or in circles. */
#include "controlplane/dht/names.h"

#include "controlplane/host/loop.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER  "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define OTHER "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"

static struct haul_loop *loop;
static struct haul_names *names;
static struct haul_watch *watch;
static int server = -1;
static unsigned asked;

static struct {
    unsigned done;
    size_t count;
    struct haul_multiaddr addresses[HAUL_NAMES_ADDRESSES_MAX];
} seen;

/* --- the server --- */

static size_t put_answer(uint8_t *out, uint16_t type, const uint8_t *data, size_t bytes)
{
    uint8_t head[12] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60 };

    head[10] = (uint8_t)(bytes >> 8);
    head[11] = (uint8_t)bytes;
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, data, bytes);
    return sizeof head + bytes;
}

static size_t put_txt(uint8_t *out, const char *text)
{
    uint8_t data[256];
    size_t bytes = strlen(text);

    data[0] = (uint8_t)bytes;
    memcpy(data + 1, text, bytes);
    return put_answer(out, 16, data, bytes + 1);
}

/* The records of a name; returns how many. */
static unsigned records(const char *name, uint16_t type, uint8_t *out, size_t *bytes)
{
    static const char *const many[] = {
        "dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/" PEER,
        "dnsaddr=/ip4/192.0.2.2/tcp/2/p2p/" OTHER,
        "v=spf1 -all",
        "dnsaddr=nonsense",
        "dnsaddr=/dnsaddr/b.test/p2p/" PEER,
    };
    unsigned count = 0;

    if (strcmp(name, "_dnsaddr.a.test") == 0 && type == 16) {
        for (; count < HAUL_COUNT_OF(many); count++)
            *bytes += put_txt(out + *bytes, many[count]);
    } else if (strcmp(name, "_dnsaddr.b.test") == 0 && type == 16) {
        *bytes += put_txt(out + *bytes, "dnsaddr=/ip6/2001:db8::1/tcp/3/p2p/" PEER);
        count = 1;
    } else if (strcmp(name, "_dnsaddr.circle.test") == 0 && type == 16) {
        for (; count < 4; count++)
            *bytes += put_txt(out + *bytes, "dnsaddr=/dnsaddr/circle.test");
    } else if (strcmp(name, "host.test") == 0 && type == 1) {
        *bytes += put_answer(out + *bytes, 1, (const uint8_t *)"\xc0\x00\x02\x07", 4);
        count = 1;
    }
    return count;
}

static void on_question(void *context, unsigned ready)
{
    uint8_t packet[4096], name_text[256];
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    ssize_t got = recvfrom(server, packet, 512, 0, (struct sockaddr *)&from, &from_bytes);
    size_t at = 12, used = 0, bytes = 0;
    unsigned count;

    (void)context;
    (void)ready;
    if (got < 17)
        return;
    asked++;
    while (packet[at] != 0 && at + packet[at] < (size_t)got) {
        if (used > 0)
            name_text[used++] = '.';
        memcpy(name_text + used, packet + at + 1, packet[at]);
        used += packet[at];
        at += packet[at] + 1u;
    }
    name_text[used] = 0;
    at += 5;
    count = records((const char *)name_text, packet[at - 3], packet + at, &bytes);
    packet[2] = 0x84;
    packet[3] = count > 0 ? 0x80 : 0x83; /* no such name */
    packet[7] = (uint8_t)count;
    packet[11] = 0;
    (void)sendto(server, packet, at + bytes, 0, (struct sockaddr *)&from, from_bytes);
}

static void start(bool answering)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof address;
    char servers[64];

    memset(&seen, 0, sizeof seen);
    asked = 0;
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, NULL), 0);
    server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CU_ASSERT_EQUAL_FATAL(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(server, (struct sockaddr *)&address, &bytes), 0);
    if (answering)
        watch = haul_loop_watch(loop, server, HAUL_LOOP_READ, on_question, NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(address.sin_port));
    CU_ASSERT_EQUAL_FATAL(haul_names_open(&names, loop, servers, NULL), 0);
}

static void finish(void)
{
    haul_names_close(names);
    haul_loop_unwatch(watch);
    watch = NULL;
    close(server);
    haul_loop_close(loop);
}

static void on_done(void *context, const struct haul_multiaddr *addresses, size_t count)
{
    (void)context;
    seen.done++;
    seen.count = count;
    memcpy(seen.addresses, addresses, count * sizeof addresses[0]);
    haul_loop_stop(loop);
}

static void on_late(void *context)
{
    (void)context;
    haul_loop_stop(loop);
}

static void resolve(const char *text)
{
    struct haul_timer *timer = haul_loop_timer(loop, on_late, NULL);
    struct haul_multiaddr address;

    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(text, &address));
    haul_names_resolve(names, &address, on_done, NULL);
    CU_ASSERT_EQUAL(seen.done, 0);
    haul_loop_timer_set(timer, haul_loop_now(loop) + 10 * HAUL_SECOND);
    haul_loop_run(loop, NULL, NULL);
    haul_loop_timer_free(timer);
    CU_ASSERT_EQUAL(seen.done, 1);
}

static bool holds(const char *text)
{
    struct haul_multiaddr address;

    haul_assert(haul_multiaddr_parse(text, &address));
    for (size_t i = 0; i < seen.count; i++) {
        if (memcmp(&seen.addresses[i], &address, sizeof address) == 0)
            return true;
    }
    return false;
}

/* --- promises --- */

static void a_name_stands_for_the_addresses_of_its_peer(void)
{
    start(true);
    resolve("/dnsaddr/a.test/p2p/" PEER);
    CU_ASSERT_EQUAL(seen.count, 2);
    CU_ASSERT_TRUE(holds("/ip4/192.0.2.1/tcp/1/p2p/" PEER));
    CU_ASSERT_TRUE(holds("/ip6/2001:db8::1/tcp/3/p2p/" PEER));
    finish();
    start(true);
    resolve("/dnsaddr/a.test");
    CU_ASSERT_EQUAL(seen.count, 3);
    finish();
}

static void names_in_circles_end(void)
{
    start(true);
    resolve("/dnsaddr/circle.test");
    CU_ASSERT_EQUAL(seen.count, 0);
    CU_ASSERT(asked <= HAUL_NAMES_QUESTIONS_MAX + 8); /* a question may be sent again */
    finish();
}

static void a_host_name_becomes_its_address(void)
{
    start(true);
    resolve("/dns4/host.test/tcp/4001/p2p/" PEER);
    CU_ASSERT_EQUAL(seen.count, 1);
    CU_ASSERT_TRUE(holds("/ip4/192.0.2.7/tcp/4001/p2p/" PEER));
    finish();
}

static void what_is_no_name_comes_back_as_it_is(void)
{
    start(true);
    resolve("/ip4/192.0.2.9/tcp/1/p2p/" PEER);
    CU_ASSERT_EQUAL(seen.count, 1);
    CU_ASSERT_EQUAL(asked, 0);
    finish();
}

static void a_name_that_does_not_exist_gives_nothing(void)
{
    start(true);
    resolve("/dnsaddr/nobody.test");
    CU_ASSERT_EQUAL(seen.count, 0);
    finish();
}

static void closing_ends_what_is_under_way(void)
{
    struct haul_multiaddr address;

    start(false);
    CU_ASSERT_TRUE(haul_multiaddr_parse("/dnsaddr/a.test", &address));
    haul_names_resolve(names, &address, on_done, NULL);
    finish();
    CU_ASSERT_EQUAL(seen.done, 1);
    CU_ASSERT_EQUAL(seen.count, 0);
}

static void only_answers_that_end_as_asked_count(void)
{
    static const struct {
        const char *asked, *text;
        bool good;
    } cases[] = {
        { "/dnsaddr/x", "dnsaddr=/ip4/192.0.2.1/tcp/1", true },
        { "/dnsaddr/x/p2p/" PEER, "dnsaddr=/ip4/192.0.2.1/tcp/1", false },
        { "/dnsaddr/x/p2p/" PEER, "dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/" PEER, true },
        { "/dnsaddr/x/p2p/" PEER, "dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/" OTHER, false },
        { "/dnsaddr/x", "DNSADDR=/ip4/192.0.2.1/tcp/1", false },
        { "/dnsaddr/x", "dnsaddr=", false },
        { "/dnsaddr/x", "dnsaddr=/ip4/192.0.2.1/nonsense/1", false },
        { "/ip4/192.0.2.1/tcp/1", "dnsaddr=/ip4/192.0.2.1/tcp/1", false },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_multiaddr question, answer;

        CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(cases[i].asked, &question));
        CU_ASSERT_EQUAL(haul_names_answer(&question, (const uint8_t *)cases[i].text,
                                          strlen(cases[i].text), &answer),
                        cases[i].good);
    }
}

static const struct unit_test tests[] = {
    { "a name stands for the addresses of its peer", a_name_stands_for_the_addresses_of_its_peer },
    { "names in circles end", names_in_circles_end },
    { "a host name becomes its address", a_host_name_becomes_its_address },
    { "what is no name comes back as it is", what_is_no_name_comes_back_as_it_is },
    { "a name that does not exist gives nothing", a_name_that_does_not_exist_gives_nothing },
    { "closing ends what is under way", closing_ends_what_is_under_way },
    { "only answers that end as asked count", only_answers_that_end_as_asked_count },
};

int main(void)
{
    return unit_main("names", tests, HAUL_COUNT_OF(tests));
}
