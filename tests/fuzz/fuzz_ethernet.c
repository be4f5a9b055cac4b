/* Whatever frames arrive, and whatever peers are sent to meanwhile: each frame moves one counter or
 * is taken, answers fit their buffer and can be read again, the table stays whole. Input: records
 * of a kind, a length and that many bytes. */
#include "common/bytes.h"
#include "dataplane/ethernet/ethernet_parts.h"

#include <stdlib.h>

#define FRAME_BYTES_MAX 1600u

static struct haul_ether *opened(void *memory, uint8_t number, uint16_t vlan)
{
    struct haul_ether_conf conf = {
        .mac = { 2, 0, 0, 0, 0, number },
        .vlan = vlan,
        .mtu = 1500,
        .port = 4501,
        .address_count = 2,
        .gateway_ipv4 = { .family = 4, .ip = { 10, 0, 0, 254 } },
        .seed = number,
    };

    conf.addresses[0].ip = (struct haul_addr){ .family = 4, .ip = { 10, 0, 0, number } };
    conf.addresses[0].bits = 24;
    conf.addresses[1].ip = (struct haul_addr){ .family = 6, .ip = { 0xfd, [15] = number } };
    conf.addresses[1].bits = 64;
    return haul_ether_init(memory, &conf, HAUL_SECOND);
}

static uint64_t drops(const struct haul_ether_counters *counters)
{
    uint64_t sum = 0;

#define X(name, help) sum += counters->name;
    HAUL_ETHER_DROPS(X)
#undef X
    return sum;
}

static void poll_all(struct haul_ether *ether, haul_time now)
{
    uint8_t frame[HAUL_ETHER_ASK_BYTES];
    struct haul_ether_event event;
    struct haul_packet packet;

    for (unsigned i = 0; haul_ether_poll(ether, now, frame) > 0; i++) {
        haul_assert(i < 1000);
        haul_assert(haul_packet_read(frame, sizeof frame, ether->conf.vlan, -1, false, &packet) ==
                    HAUL_ETHER_NO_DROP);
    }
    while (haul_ether_event(ether, &event))
        continue;
}

static void arrive(struct haul_ether *ether, uint8_t kind, const uint8_t *data, size_t bytes,
                   haul_time now)
{
    struct haul_ether_found found = { (kind & 2) != 0, (kind & 4) != 0, (kind & 8) != 0 ? 7 : -1 };
    uint64_t before = drops(&ether->counters);
    uint8_t *frame = malloc(bytes > 0 ? bytes : 1), *reply = malloc(FRAME_BYTES_MAX);
    struct haul_ether_datagram datagram;
    enum haul_ether_verdict verdict;
    struct haul_packet packet;
    size_t reply_bytes = 0;

    haul_assert(frame != NULL && reply != NULL);
    memcpy(frame, data, bytes);
    verdict = haul_ether_input(ether, frame, bytes, &found, now, &datagram, reply, FRAME_BYTES_MAX,
                               &reply_bytes);
    haul_assert(drops(&ether->counters) - before == (verdict == HAUL_ETHER_DROPPED));
    if (verdict == HAUL_ETHER_DATAGRAM)
        haul_assert(datagram.data >= frame && datagram.data + datagram.bytes <= frame + bytes);
    if (verdict == HAUL_ETHER_REPLY) {
        haul_assert(reply_bytes >= HAUL_FRAME_BYTES_MIN && reply_bytes <= FRAME_BYTES_MAX);
        haul_assert(haul_packet_read(reply, reply_bytes, ether->conf.vlan, -1, false, &packet) ==
                    HAUL_ETHER_NO_DROP);
    }
    free(frame);
    free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(64) uint8_t memory[1 << 17];
    struct haul_in in = haul_in_from(data, size);
    struct haul_ether *ether;
    haul_time now = HAUL_SECOND;

    haul_assert(haul_ether_bytes() <= sizeof memory);
    ether = opened(memory, 2, (uint16_t)(haul_in_be(&in, 1) % 2 * 7));
    while (haul_in_left(&in) >= 3) {
        uint8_t kind = (uint8_t)haul_in_be(&in, 1);
        size_t bytes = (size_t)haul_in_be(&in, 2) % FRAME_BYTES_MAX;
        const uint8_t *frame;

        bytes = bytes < haul_in_left(&in) ? bytes : haul_in_left(&in);
        frame = haul_in_bytes(&in, bytes);
        now += (haul_time)kind * 20 * HAUL_MILLISECOND;
        if ((kind & 1) == 0) {
            arrive(ether, kind, frame, bytes, now);
        } else {
            struct haul_addr peer = { .family = (kind & 2) != 0 ? 4 : 6, .port = 4501 };
            struct haul_ether_header header;

            memcpy(peer.ip, frame, bytes < (kind & 2 ? 4 : 16) ? bytes : (kind & 2 ? 4u : 16u));
            (void)haul_ether_resolve(ether, &peer, now, &header);
        }
        poll_all(ether, now);
        haul_assert(haul_neighbours_broken(&ether->neighbours) == NULL);
    }
    return 0;
}
