/* Ethernet ends against each other, through the frames that they write. */
#include "dataplane/ethernet/ethernet.h"

#include "dataplane/ethernet/icmp.h"
#include "dataplane/ethernet/neighbour.h"
#include "dataplane/ethernet/rss.h"
#include "dataplane/ethernet/solicit.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define PORT  4501u
#define FRAME 2048u

static const struct haul_ether_found nothing_found = { .vlan_stripped = -1 };

struct end {
    struct haul_ether *ether;
    void *memory;
    struct haul_addr ip4;
    struct haul_addr ip6;
};

static struct haul_addr addr(const char *text)
{
    struct haul_addr parsed = { 0 };

    CU_ASSERT_TRUE_FATAL(haul_addr_parse(text, &parsed));
    return parsed;
}

static void end_open(struct end *end, uint8_t number, uint16_t vlan, haul_time now)
{
    struct haul_ether_conf conf = {
        .mac = { 2, 0, 0, 0, 0, number },
        .vlan = vlan,
        .mtu = 1500,
        .port = PORT,
        .address_count = 2,
        .gateway_ipv4 = addr("10.0.0.254:1"),
        .seed = number,
    };

    end->ip4 = addr("10.0.0.0:4501");
    end->ip4.ip[3] = number;
    end->ip6 = addr("[fd00::]:4501");
    end->ip6.ip[15] = number;
    conf.addresses[0] = (struct haul_ether_address){ .ip = end->ip4, .bits = 24 };
    conf.addresses[1] = (struct haul_ether_address){ .ip = end->ip6, .bits = 64 };
    end->memory = aligned_alloc(64, (haul_ether_bytes() + 63) / 64 * 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(end->memory);
    end->ether = haul_ether_init(end->memory, &conf, now);
}

static void end_close(struct end *end)
{
    free(end->memory);
}

/* Gives a frame to an end, and what that answers back to the other, until there is silence. */
static void deliver(struct end *to, struct end *from, const uint8_t *frame, size_t bytes,
                    haul_time now)
{
    struct haul_ether_datagram datagram;
    uint8_t reply[FRAME];
    size_t reply_bytes = 0;

    if (haul_ether_input(to->ether, frame, bytes, &nothing_found, now, &datagram, reply,
                         sizeof reply, &reply_bytes) == HAUL_ETHER_REPLY)
        deliver(from, to, reply, reply_bytes, now);
}

static void poll_all(struct end *from, struct end *to, haul_time now)
{
    uint8_t frame[HAUL_ETHER_ASK_BYTES];
    size_t bytes;

    while ((bytes = haul_ether_poll(from->ether, now, frame)) > 0)
        deliver(to, from, frame, bytes, now);
}

static void pass_a_datagram(struct end *a, struct end *b, const struct haul_addr *to,
                            const struct haul_addr *from, haul_time now)
{
    struct haul_ether_header header;
    struct haul_ether_datagram datagram;
    uint8_t frame[FRAME], reply[FRAME];
    size_t reply_bytes = 0;

    if (haul_ether_resolve(a->ether, to, now, &header) == HAUL_ETHER_PENDING)
        poll_all(a, b, now);
    CU_ASSERT_EQUAL_FATAL(haul_ether_resolve(a->ether, to, now, &header), HAUL_ETHER_READY);
    for (uint16_t bytes = 0; bytes <= header.payload_max; bytes = (uint16_t)(bytes + 7)) {
        for (uint16_t i = 0; i < bytes; i++)
            frame[header.length + i] = (uint8_t)(i * 7 + bytes);
        haul_ether_header_write(&header, frame, bytes, 2, 0);
        CU_ASSERT_EQUAL_FATAL(haul_ether_input(b->ether, frame, header.length + (size_t)bytes,
                                               &nothing_found, now, &datagram, reply, sizeof reply,
                                               &reply_bytes),
                              HAUL_ETHER_DATAGRAM);
        CU_ASSERT_EQUAL(datagram.bytes, bytes);
        CU_ASSERT_EQUAL(datagram.ecn, 2);
        CU_ASSERT_PTR_EQUAL(datagram.data, frame + header.length);
        CU_ASSERT_TRUE(haul_addr_equal(&datagram.peer, from));
    }
}

static void ends_find_each_other_and_pass_datagrams(void)
{
    for (uint16_t vlan = 0; vlan <= 7; vlan = (uint16_t)(vlan + 7)) {
        struct end a, b;

        end_open(&a, 1, vlan, HAUL_SECOND);
        end_open(&b, 2, vlan, HAUL_SECOND);
        pass_a_datagram(&a, &b, &b.ip4, &a.ip4, 2 * HAUL_SECOND);
        pass_a_datagram(&a, &b, &b.ip6, &a.ip6, 2 * HAUL_SECOND);
        pass_a_datagram(&b, &a, &a.ip4, &b.ip4, 2 * HAUL_SECOND);
        CU_ASSERT_EQUAL(haul_ether_counters(b.ether)->arp_answered, 1);
        CU_ASSERT_EQUAL(haul_ether_counters(b.ether)->ndp_answered, 1);
        CU_ASSERT_EQUAL(haul_ether_counters(a.ether)->confirmed, 2);
        end_close(&a);
        end_close(&b);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "ends find each other and pass datagrams, of both families, with and without a VLAN tag",
          ends_find_each_other_and_pass_datagrams },
    };

    return unit_main("ethernet", tests, HAUL_COUNT_OF(tests));
}
