/* Ethernet ends against each other, through the frames that they write. */
#include "dataplane/ethernet/ethernet.h"

#include "dataplane/ethernet/ethernet_parts.h"
#include "dataplane/ethernet/icmp.h"
#include "dataplane/ethernet/solicit.h"
#include "tests/unit/ethernet_vectors.h"
#include "tests/unit/hex.h"
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

/* Frames that begin as the last datagram did take a shorter way. */
static void headers_that_repeat_are_no_way_past_a_check(void)
{
    uint8_t frames[2][FRAME] = { { 0 } };
    struct haul_ether_header header;
    struct haul_ether_datagram datagram;
    size_t none = 0, bytes = 1400;
    struct end a, b;

    end_open(&a, 1, 0, HAUL_SECOND);
    end_open(&b, 2, 0, HAUL_SECOND);
    pass_a_datagram(&a, &b, &b.ip4, &a.ip4, 2 * HAUL_SECOND);
    CU_ASSERT_EQUAL_FATAL(haul_ether_resolve(a.ether, &b.ip4, 2 * HAUL_SECOND, &header),
                          HAUL_ETHER_READY);
    for (unsigned sums = 0; sums <= HAUL_ETHER_SUM_UDP_NONE; sums += HAUL_ETHER_SUM_UDP_NONE) {
        for (unsigned i = 0; i < 2; i++) {
            haul_ether_header_write(&header, frames[i], (uint16_t)bytes, 2, sums);
            CU_ASSERT_EQUAL(haul_ether_input(b.ether, frames[i], header.length + bytes,
                                             &nothing_found, 2 * HAUL_SECOND, &datagram, NULL, 0,
                                             &none),
                            HAUL_ETHER_DATAGRAM);
            CU_ASSERT_PTR_EQUAL(datagram.data, frames[i] + header.length);
            CU_ASSERT_EQUAL(datagram.bytes, bytes);
        }
        frames[1][header.length + 700] ^= 1; /* seen where there is a sum, else by the cipher */
        CU_ASSERT_EQUAL(haul_ether_input(b.ether, frames[1], header.length + bytes, &nothing_found,
                                         2 * HAUL_SECOND, &datagram, NULL, 0, &none),
                        sums == 0 ? HAUL_ETHER_DROPPED : HAUL_ETHER_DATAGRAM);
        frames[1][header.length + 700] ^= 1;
        for (unsigned bit = 8u * header.ip_at; bit < 8u * header.udp_at; bit++) {
            frames[1][bit / 8] ^= (uint8_t)(1u << bit % 8);
            CU_ASSERT_EQUAL(haul_ether_input(b.ether, frames[1], header.length + bytes,
                                             &nothing_found, 2 * HAUL_SECOND, &datagram, NULL, 0,
                                             &none),
                            HAUL_ETHER_DROPPED);
            frames[1][bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        CU_ASSERT_EQUAL(haul_ether_input(b.ether, frames[1], header.length + bytes - 1,
                                         &nothing_found, 2 * HAUL_SECOND, &datagram, NULL, 0,
                                         &none),
                        HAUL_ETHER_DROPPED);
    }
    end_close(&a);
    end_close(&b);
}

/* --- foreign frames, given to the end 2 --- */

static struct end two;
static uint8_t answered[FRAME];
static size_t answered_bytes;
static struct haul_ether_datagram received;

static enum haul_ether_verdict give(const uint8_t *frame, size_t bytes, haul_time now)
{
    answered_bytes = 0;
    return haul_ether_input(two.ether, frame, bytes, &nothing_found, now, &received, answered,
                            sizeof answered, &answered_bytes);
}

static enum haul_ether_verdict give_hex(const char *text, haul_time now)
{
    static uint8_t frame[FRAME];

    return give(frame, unit_hex(text, frame, sizeof frame), now);
}

static bool answer_is(const char *text)
{
    uint8_t expected[FRAME];
    size_t bytes = unit_hex(text, expected, sizeof expected);

    return answered_bytes == bytes && memcmp(answered, expected, bytes) == 0;
}

#define COUNT(name) (haul_ether_counters(two.ether)->name)

static void foreign_datagrams_are_taken(void)
{
    static const char *vectors[] = { vector_udp4, vector_udp6, vector_udp6_ext };

    end_open(&two, 2, 0, HAUL_SECOND);
    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        CU_ASSERT_EQUAL(give_hex(vectors[i], HAUL_SECOND), HAUL_ETHER_DATAGRAM);
        CU_ASSERT_EQUAL(received.bytes, 7);
        CU_ASSERT_EQUAL(memcmp(received.data, "sealed!", 7), 0);
        CU_ASSERT_EQUAL(received.peer.port, 4501);
    }
    end_close(&two);
}

static void questions_are_answered_byte_for_byte(void)
{
    end_open(&two, 2, 0, HAUL_SECOND);
    CU_ASSERT_EQUAL(give_hex(vector_arp_ask, HAUL_SECOND), HAUL_ETHER_REPLY);
    CU_ASSERT_TRUE(answer_is(vector_arp_answer));
    CU_ASSERT_EQUAL(give_hex(vector_ns, HAUL_SECOND), HAUL_ETHER_REPLY);
    CU_ASSERT_TRUE(answer_is(vector_na));
    CU_ASSERT_EQUAL(give_hex(vector_echo4, HAUL_SECOND), HAUL_ETHER_REPLY);
    CU_ASSERT_TRUE(answer_is(vector_echo4_answer));
    CU_ASSERT_EQUAL(give_hex(vector_echo6, HAUL_SECOND), HAUL_ETHER_REPLY);
    CU_ASSERT_TRUE(answer_is(vector_echo6_answer));
    CU_ASSERT_EQUAL(COUNT(echo_answered), 2);
    end_close(&two);
}

/* Whatever single bit is wrong behind the MAC addresses, the frame is dropped and one counter
 * moves; only the IPv6 fields that no checksum covers may differ. */
static void a_wrong_bit_never_passes(void)
{
    static const char *vectors[] = { vector_udp4, vector_echo4, vector_echo6, vector_ns };

    end_open(&two, 2, 0, HAUL_SECOND);
    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        uint8_t frame[FRAME];
        size_t bytes = unit_hex(vectors[i], frame, sizeof frame);
        bool old = vectors[i] == vector_udp4 || vectors[i] == vector_echo4;

        for (size_t bit = 8 * 12; bit < 8 * bytes; bit++) {
            if (!old &&
                (bit / 8 == 14 || bit / 8 == 15 || bit / 8 == 16 || bit / 8 == 17 || bit / 8 == 21))
                continue; /* traffic class, flow label, hop limit */
            frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 1 << bit % 8);
            if (give(frame, bytes, HAUL_SECOND + bit * HAUL_SECOND) != HAUL_ETHER_DROPPED)
                CU_FAIL("a wrong bit passed");
            frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 1 << bit % 8);
        }
    }
    end_close(&two);
}

static void a_sum_that_a_sender_left_to_its_card_is_taken(void)
{
    uint8_t frame[FRAME];
    size_t bytes = unit_hex(vector_udp4, frame, sizeof frame);
    uint16_t partial =
        haul_checksum_fold(haul_checksum_pseudo(frame + 26, frame + 30, 4, HAUL_IP_UDP, 15));

    end_open(&two, 2, 0, HAUL_SECOND);
    memcpy(frame + 40, &partial, 2);
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DATAGRAM);
    CU_ASSERT_EQUAL(COUNT(rx_udp_partial), 1);
    memset(frame + 40, 0, 2);
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DATAGRAM);
    frame[41] = 1;
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_udp_checksum), 1);
    bytes = unit_hex(vector_udp6, frame, sizeof frame);
    memset(frame + 60, 0, 2);
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_udp_checksum), 2);
    end_close(&two);
}

static void what_is_not_for_haul_is_counted_by_cause(void)
{
    uint8_t frame[FRAME];
    size_t bytes = unit_hex(vector_udp4, frame, sizeof frame);

    end_open(&two, 2, 0, HAUL_SECOND);
    frame[5] = 9;
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_not_for_us), 1);
    memset(frame, 0xff, 6); /* broadcast of a unicast packet (RFC 1122 section 3.3.6) */
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_not_for_us), 2);
    bytes = unit_hex(vector_udp4, frame, sizeof frame);
    frame[37] = 1;
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_udp_port), 1);
    CU_ASSERT_EQUAL(give_hex(vector_arp_answer, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_not_for_us), 3);
    CU_ASSERT_EQUAL(give_hex(vector_udp4_frag, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_fragment), 1);
    end_close(&two);
}

static uint64_t drops_of_two(void)
{
    const struct haul_ether_counters *counters = haul_ether_counters(two.ether);
    uint64_t sum = 0;

#define X(name, help) sum += counters->name;
    HAUL_ETHER_DROPS(X)
#undef X
    return sum;
}

static void frames_that_end_anywhere_are_dropped_and_counted(void)
{
    static const char *const vectors[] = { vector_udp4,    vector_udp6, vector_udp6_ext,
                                           vector_arp_ask, vector_ns,   vector_echo4,
                                           vector_echo6,   vector_big4, vector_big6 };
    uint64_t given = 0;

    end_open(&two, 2, 0, HAUL_SECOND);
    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        uint8_t frame[FRAME];
        size_t whole = unit_hex(vectors[i], frame, sizeof frame);

        for (size_t bytes = 0; bytes < whole; bytes++) {
            uint8_t *copy = malloc(bytes > 0 ? bytes : 1); /* what lies behind it is nobody's */

            CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
            memcpy(copy, frame, bytes);
            CU_ASSERT_EQUAL(give(copy, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
            CU_ASSERT_EQUAL(answered_bytes, 0);
            CU_ASSERT_EQUAL(drops_of_two(), ++given);
            free(copy);
        }
    }
    CU_ASSERT(COUNT(rx_short) > 0 && COUNT(rx_arp_malformed) > 0);
    end_close(&two);
}

static void sources_that_nobody_may_send_from_are_dropped(void)
{
    static const uint8_t sources[][4] = {
        { 0, 0, 0, 0 }, { 127, 0, 0, 1 }, { 224, 0, 0, 1 }, { 255, 255, 255, 255 }, { 10, 0, 0, 2 }
    };

    end_open(&two, 2, 0, HAUL_SECOND);
    for (size_t i = 0; i < HAUL_COUNT_OF(sources); i++) {
        struct haul_ether_found checked = { true, true, -1 };
        uint8_t frame[FRAME];
        size_t bytes = unit_hex(vector_udp4, frame, sizeof frame);

        memcpy(frame + 26, sources[i], 4);
        CU_ASSERT_EQUAL(haul_ether_input(two.ether, frame, bytes, &checked, HAUL_SECOND, &received,
                                         answered, sizeof answered, &answered_bytes),
                        HAUL_ETHER_DROPPED);
        CU_ASSERT_EQUAL(COUNT(rx_source), i + 1);
    }
    end_close(&two);
}

static void echoes_and_questions_have_a_rate(void)
{
    unsigned echoes = 0, answers = 0;

    end_open(&two, 2, 0, HAUL_SECOND);
    for (haul_time now = HAUL_SECOND; now < 2 * HAUL_SECOND; now += 100 * HAUL_MICROSECOND) {
        echoes += give_hex(vector_echo4, now) == HAUL_ETHER_REPLY;
        answers += give_hex(vector_arp_ask, now) == HAUL_ETHER_REPLY;
    }
    CU_ASSERT_TRUE(echoes >= 1000 && echoes <= 1064);
    CU_ASSERT_TRUE(answers >= 500 && answers <= 564);
    CU_ASSERT_EQUAL(COUNT(rx_rate), 20000 - echoes - answers);
    CU_ASSERT_EQUAL(two.ether->neighbours.count, 0);
    end_close(&two);
}

/* Asks for 10.0.0.1 and takes the answer of MAC ...:01. */
static void meet_one(haul_time now)
{
    static const uint8_t answer[] = { 2,  0, 0, 0, 0, 2, 2, 0, 0, 0, 0,  1, 8, 6,
                                      0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 1,
                                      10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2 };
    struct haul_addr peer = addr("10.0.0.1:4501");
    struct haul_ether_header header;
    uint8_t frame[HAUL_ETHER_ASK_BYTES];

    CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &peer, now, &header), HAUL_ETHER_PENDING);
    while (haul_ether_poll(two.ether, now, frame) > 0)
        continue;
    CU_ASSERT_EQUAL(give(answer, sizeof answer, now), HAUL_ETHER_HANDLED);
    CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &peer, now, &header), HAUL_ETHER_READY);
}

static void a_flood_does_not_keep_a_neighbour_from_its_answer(void)
{
    uint8_t stranger[FRAME];
    size_t bytes = unit_hex(vector_arp_ask, stranger, sizeof stranger);

    end_open(&two, 2, 0, HAUL_SECOND);
    meet_one(2 * HAUL_SECOND);
    for (unsigned i = 0; i < 2000; i++) {
        stranger[11] = stranger[27] = (uint8_t)(3 + i % 200); /* MAC addresses */
        stranger[31] = (uint8_t)(3 + i % 200);                /* IP address */
        (void)give(stranger, bytes, 3 * HAUL_SECOND);
    }
    CU_ASSERT_EQUAL(COUNT(arp_answered), 64);
    CU_ASSERT_EQUAL(give_hex(vector_arp_ask, 3 * HAUL_SECOND), HAUL_ETHER_REPLY);
    CU_ASSERT_EQUAL(give_hex(vector_arp_ask, 3 * HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(give_hex(vector_arp_ask, 3 * HAUL_SECOND + 50 * HAUL_MILLISECOND),
                    HAUL_ETHER_REPLY);
    CU_ASSERT_EQUAL(two.ether->neighbours.count, 1);
    end_close(&two);
}

static void a_spoofed_answer_is_challenged_refused_and_told(void)
{
    struct haul_addr peer = addr("10.0.0.1:4501");
    struct haul_ether_header header;
    struct haul_ether_event event;
    uint8_t frame[HAUL_ETHER_ASK_BYTES], spoof[FRAME];
    size_t bytes = unit_hex(vector_arp_ask, spoof, sizeof spoof);

    end_open(&two, 2, 0, HAUL_SECOND);
    while (haul_ether_deadline(two.ether) != HAUL_TIME_NEVER) /* announcements */
        (void)haul_ether_poll(two.ether, haul_ether_deadline(two.ether), frame);
    meet_one(30 * HAUL_SECOND);
    spoof[11] = spoof[27] = 0x66; /* 10.0.0.1 is at ...:66, it says */
    (void)give(spoof, bytes, 31 * HAUL_SECOND);
    CU_ASSERT_EQUAL(COUNT(challenges), 1);
    CU_ASSERT_EQUAL(haul_ether_poll(two.ether, 31 * HAUL_SECOND, frame), 60);
    CU_ASSERT_EQUAL(frame[5], 1); /* the old address alone is asked */
    CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &peer, 31 * HAUL_SECOND, &header),
                    HAUL_ETHER_READY);
    CU_ASSERT_EQUAL(header.bytes[5], 1);
    CU_ASSERT_FALSE(haul_ether_event(two.ether, &event));
    {
        uint8_t answer[FRAME];

        unit_hex(vector_arp_answer, answer, sizeof answer);
        memcpy(answer, frame + 6, 6); /* the answer to it, from one to two */
        memcpy(answer + 6, frame, 6);
        memcpy(answer + 22, frame, 6);
        memcpy(answer + 28, frame + 38, 4);
        memcpy(answer + 32, frame + 22, 10);
        CU_ASSERT_EQUAL(give(answer, 60, 31 * HAUL_SECOND + 1), HAUL_ETHER_HANDLED);
    }
    CU_ASSERT_TRUE_FATAL(haul_ether_event(two.ether, &event));
    CU_ASSERT_EQUAL(event.type, HAUL_ETHER_REFUSED);
    CU_ASSERT_EQUAL(event.mac[5], 0x66);
    CU_ASSERT_EQUAL(COUNT(refused), 1);
    CU_ASSERT_EQUAL(COUNT(moved), 0);
    end_close(&two);
}

static void addresses_are_probed_then_announced_and_defended(void)
{
    struct haul_ether_event event;
    uint8_t frame[HAUL_ETHER_ASK_BYTES], rival[FRAME];
    size_t bytes, rival_bytes = unit_hex(vector_arp_ask, rival, sizeof rival);
    unsigned probes = 0, announcements = 0;
    haul_time now = HAUL_SECOND;

    end_open(&two, 2, 0, now);
    while (haul_ether_deadline(two.ether) != HAUL_TIME_NEVER) {
        now = haul_ether_deadline(two.ether);
        bytes = haul_ether_poll(two.ether, now, frame);
        CU_ASSERT_TRUE_FATAL(bytes >= 60);
        if (haul_be16(frame + 12) == HAUL_ETHER_TYPE_ARP) {
            probes += frame[28] == 0;
            announcements += frame[28] == 10 && memcmp(frame + 28, frame + 38, 4) == 0;
        }
    }
    CU_ASSERT_EQUAL(probes, 3);
    CU_ASSERT_EQUAL(announcements, 2);
    CU_ASSERT_EQUAL(COUNT(announced), 15); /* and two addresses of IPv6 */
    rival[31] = 2;                         /* 10.0.0.2 is at ...:01, it says */
    for (unsigned i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(give(rival, rival_bytes, now + i), HAUL_ETHER_HANDLED);
    CU_ASSERT_EQUAL(haul_ether_poll(two.ether, now + 100, frame), 60);
    CU_ASSERT_EQUAL(haul_ether_poll(two.ether, now + 100, frame), 0);
    CU_ASSERT_EQUAL(COUNT(conflicts), 100);
    CU_ASSERT_TRUE(haul_ether_event(two.ether, &event));
    CU_ASSERT_EQUAL(event.type, HAUL_ETHER_CONFLICT);
    CU_ASSERT_FALSE(haul_ether_event(two.ether, &event));
    end_close(&two);
}

static void another_ones_probe_for_our_address_is_answered(void)
{
    end_open(&two, 2, 0, HAUL_SECOND);
    CU_ASSERT_EQUAL(give_hex(vector_ns_probe, HAUL_SECOND), HAUL_ETHER_REPLY);
    CU_ASSERT_EQUAL(answered[0], 0x33); /* to all nodes: the prober has no address */
    CU_ASSERT_EQUAL(answered[58] & 0x40, 0);
    CU_ASSERT_EQUAL(COUNT(conflicts), 1);
    end_close(&two);
}

static void a_smaller_mtu_is_believed_only_about_packets_of_ours(void)
{
    struct haul_addr far = addr("192.0.2.9:7777"), near6 = addr("[fd00::9]:7777");
    struct haul_ether_header header;
    struct haul_ether_event event;

    end_open(&two, 2, 0, HAUL_SECOND);
    CU_ASSERT_EQUAL(give_hex(vector_big4, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_quote_foreign), 1);
    CU_ASSERT_FALSE(haul_ether_event(two.ether, &event));
    {
        /* The way there leads through the gateway, which is then known. */
        struct haul_addr gateway = addr("10.0.0.254:4501");
        struct haul_neighbour *entry;

        CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &far, HAUL_SECOND, &header),
                        HAUL_ETHER_PENDING);
        entry = haul_neighbours_find(&two.ether->neighbours, &gateway);
        CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
        entry->state = HAUL_NEIGHBOUR_LIVE;
        entry->stale = HAUL_TIME_NEVER;
        CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &far, HAUL_SECOND, &header),
                        HAUL_ETHER_READY);
        CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &near6, HAUL_SECOND, &header),
                        HAUL_ETHER_PENDING);
    }
    CU_ASSERT_EQUAL(give_hex(vector_big4, HAUL_SECOND), HAUL_ETHER_HANDLED);
    CU_ASSERT_TRUE_FATAL(haul_ether_event(two.ether, &event));
    CU_ASSERT_EQUAL(event.type, HAUL_ETHER_TOO_BIG);
    CU_ASSERT_EQUAL(event.mtu, 1400);
    CU_ASSERT_TRUE(haul_addr_equal(&event.ip, &far));
    CU_ASSERT_EQUAL(event.quote_bytes, 10);
    CU_ASSERT_EQUAL(memcmp(event.quote, "0123456789", 10), 0);
    CU_ASSERT_EQUAL(give_hex(vector_big6, HAUL_SECOND), HAUL_ETHER_DROPPED); /* nothing was sent */
    end_close(&two);
}

/* The second of two workers sees what is the first one's. */
static void what_is_for_another_worker_is_told_as_such(void)
{
    uint8_t frame[FRAME];
    size_t bytes = unit_hex(vector_udp4, frame, sizeof frame);
    struct haul_ether_event event;

    end_open(&two, 2, 0, HAUL_SECOND);
    two.ether->conf.port = PORT + 1;
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_udp_port), 1);
    two.ether->conf.port_first = PORT;
    two.ether->conf.port_count = 2;
    for (unsigned i = 0; i < 2; i++) { /* the second time by its headers alone */
        CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DATAGRAM);
        CU_ASSERT_EQUAL(received.port, PORT);
        CU_ASSERT_EQUAL(memcmp(received.data, "sealed!", 7), 0);
    }
    frame[37] += 2; /* nobody's, and the one before the first */
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    frame[37] -= 3;
    CU_ASSERT_EQUAL(give(frame, bytes, HAUL_SECOND), HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_udp_port), 3);
    CU_ASSERT_EQUAL(give_hex(vector_big4, HAUL_SECOND), HAUL_ETHER_HANDLED);
    CU_ASSERT_FALSE(haul_ether_event(two.ether, &event)); /* the first knows what it sent */
    CU_ASSERT_EQUAL(COUNT(too_big), 0);
    end_close(&two);
}

static void a_peer_without_a_route_costs_nothing(void)
{
    static const char *nowhere[] = { "[2001:db8::1]:4501", "127.0.0.1:4501", "224.0.0.1:4501",
                                     "10.0.0.2:4501",      "[ff02::1]:4501", "[::1]:4501" };
    struct haul_ether_header header;

    end_open(&two, 2, 0, HAUL_SECOND);
    for (size_t i = 0; i < HAUL_COUNT_OF(nowhere); i++) {
        struct haul_addr peer = addr(nowhere[i]);

        CU_ASSERT_EQUAL(haul_ether_resolve(two.ether, &peer, HAUL_SECOND, &header),
                        HAUL_ETHER_NO_WAY);
        CU_ASSERT_EQUAL(COUNT(no_route), i + 1);
    }
    CU_ASSERT_EQUAL(two.ether->neighbours.count, 0);
    end_close(&two);
}

/* Peers propose candidate addresses: asking for as many as they like is bounded in entries and in
 * questions a second. */
static void many_addresses_are_asked_for_at_a_bounded_rate(void)
{
    struct haul_ether_header header;
    uint8_t frame[HAUL_ETHER_ASK_BYTES];
    unsigned asked = 0;

    end_open(&two, 2, 0, HAUL_SECOND);
    for (haul_time now = HAUL_SECOND; now < 11 * HAUL_SECOND; now += HAUL_MILLISECOND) {
        struct haul_addr peer = addr("[fd00::1:0]:4501");

        peer.ip[13] = (uint8_t)(now / HAUL_MILLISECOND >> 8);
        peer.ip[14] = (uint8_t)(now / HAUL_MILLISECOND);
        (void)haul_ether_resolve(two.ether, &peer, now, &header);
        while (haul_ether_poll(two.ether, now, frame) > 0)
            asked++;
        CU_ASSERT_PTR_NULL(haul_neighbours_broken(&two.ether->neighbours));
    }
    CU_ASSERT_TRUE(asked <= 2000 + 64 + 15);
    CU_ASSERT_TRUE(COUNT(table_full) > 0);
    end_close(&two);
}

static void events_beyond_those_kept_are_counted(void)
{
    struct haul_ether_event event = { .type = HAUL_ETHER_LOST };
    unsigned kept = 0;

    end_open(&two, 2, 0, HAUL_SECOND);
    for (unsigned i = 0; i < 40; i++)
        haul_ether_tell(two.ether, &event);
    CU_ASSERT_EQUAL(COUNT(events_lost), 8);
    while (haul_ether_event(two.ether, &event))
        kept++;
    CU_ASSERT_EQUAL(kept, 32);
    end_close(&two);
}

static void an_answer_without_room_is_counted(void)
{
    uint8_t frame[FRAME];
    size_t bytes = unit_hex(vector_echo4, frame, sizeof frame);

    end_open(&two, 2, 0, HAUL_SECOND);
    CU_ASSERT_EQUAL(haul_ether_input(two.ether, frame, bytes, &nothing_found, HAUL_SECOND,
                                     &received, answered, 50, &answered_bytes),
                    HAUL_ETHER_DROPPED);
    CU_ASSERT_EQUAL(COUNT(rx_no_room), 1);
    end_close(&two);
}

static void the_card_is_told_which_groups_to_let_through(void)
{
    static const uint8_t all[6] = { 0x33, 0x33, 0, 0, 0, 1 };
    uint8_t groups[HAUL_ETHER_GROUPS_MAX][HAUL_MAC_BYTES];

    end_open(&two, 2, 0, HAUL_SECOND);
    CU_ASSERT_EQUAL(haul_ether_groups(two.ether, groups), 3);
    CU_ASSERT_EQUAL(memcmp(groups[0], all, 6), 0);
    CU_ASSERT_EQUAL(groups[1][5], 2);
    end_close(&two);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "ends find each other and pass datagrams, of both families, with and without a VLAN tag",
          ends_find_each_other_and_pass_datagrams },
        { "what is for another worker is told as such",
          what_is_for_another_worker_is_told_as_such },
        { "headers that repeat are no way past a check",
          headers_that_repeat_are_no_way_past_a_check },
        { "foreign datagrams are taken", foreign_datagrams_are_taken },
        { "questions are answered byte for byte", questions_are_answered_byte_for_byte },
        { "a wrong bit never passes", a_wrong_bit_never_passes },
        { "a sum that a sender left to its card is taken, a wrong one is not",
          a_sum_that_a_sender_left_to_its_card_is_taken },
        { "what is not for haul is counted by cause", what_is_not_for_haul_is_counted_by_cause },
        { "frames that end anywhere are dropped and counted",
          frames_that_end_anywhere_are_dropped_and_counted },
        { "sources that nobody may send from are dropped",
          sources_that_nobody_may_send_from_are_dropped },
        { "echoes and questions have a rate", echoes_and_questions_have_a_rate },
        { "a flood does not keep a neighbour from its answer",
          a_flood_does_not_keep_a_neighbour_from_its_answer },
        { "a spoofed claim is challenged, refused and told",
          a_spoofed_answer_is_challenged_refused_and_told },
        { "addresses are probed for, announced and defended",
          addresses_are_probed_then_announced_and_defended },
        { "another's probe for our address is answered",
          another_ones_probe_for_our_address_is_answered },
        { "a smaller MTU is believed only about packets of ours",
          a_smaller_mtu_is_believed_only_about_packets_of_ours },
        { "a peer without a route costs nothing", a_peer_without_a_route_costs_nothing },
        { "many addresses are asked for at a bounded rate",
          many_addresses_are_asked_for_at_a_bounded_rate },
        { "events beyond those kept are counted", events_beyond_those_kept_are_counted },
        { "an answer without room is counted", an_answer_without_room_is_counted },
        { "the card is told which groups to let through",
          the_card_is_told_which_groups_to_let_through },
    };

    return unit_main("ethernet", tests, HAUL_COUNT_OF(tests));
}
