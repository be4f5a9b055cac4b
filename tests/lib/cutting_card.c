/* The card: what it offers, what its driver takes, how it cuts, and what waits in its ring. */
#include "tests/lib/cutting_card.h"

#include <dlfcn.h>
#include <errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_net.h>
#include <rte_udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTS       4u
#define QUEUES      8u
#define RING        1024u /* frames that wait for the driver behind */
#define POOL_FRAMES 4096u
#define FRAME_BYTES 9728u
#define LONG_BYTES  4000u

#define ADDED                                                                                      \
    (RTE_ETH_TX_OFFLOAD_UDP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |  \
     RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define KNOWN_FLAGS                                                                                \
    (RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_IP_CKSUM |    \
     RTE_MBUF_F_TX_L4_MASK)

struct cutting_card cutting_card = { .buffers_max = 64, .buffers_datagram_max = 8 };

struct queue {
    struct rte_mbuf *waiting[RING];
    uint32_t at;
    uint32_t count;
};

static struct port {
    uint64_t offloads; /* asked for when it was configured */
    struct rte_mempool *pool;
    eth_tx_burst_t send; /* of the driver behind */
    eth_rx_burst_t receive;
    struct queue queues[QUEUES];
    struct rte_mbuf *kept[RING]; /* of whom it serves, while it stands still */
    uint32_t kept_count;
} ports[PORTS];
static const char *still_file;
static uint64_t prepared; /* the flag of packets that the driver was shown */

__attribute__((constructor)) static void environment_read(void)
{
    const char *how = getenv("CUTTING_CARD");

    still_file = getenv("CUTTING_CARD_STILL");
    if (how == NULL)
        return;
    cutting_card.refuses_all = strcmp(how, "refuses-all") == 0;
    if (sscanf(how, "long-each=%u", &cutting_card.long_each) != 1)
        cutting_card.long_each = 0;
    if (sscanf(how, "refuses-each=%u", &cutting_card.refuses_each) != 1)
        cutting_card.refuses_each = 0;
}

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "cutting card: %s\n", what);
    abort();
}

static void *behind(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    demand(function != NULL, name);
    return function;
}

/* --- what it offers --- */

int rte_eth_dev_info_get(uint16_t id, struct rte_eth_dev_info *info)
{
    int (*real)(uint16_t, struct rte_eth_dev_info *);
    int code;

    *(void **)&real = behind("rte_eth_dev_info_get");
    code = real(id, info);
    if (code == 0 && !cutting_card.absent) {
        info->tx_offload_capa |= ADDED | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
        info->tx_desc_lim.nb_seg_max = cutting_card.buffers_max;
        info->tx_desc_lim.nb_mtu_seg_max = cutting_card.buffers_datagram_max;
    }
    return code;
}

/* The driver behind hears of what it has itself. */
int rte_eth_dev_configure(uint16_t id, uint16_t receive, uint16_t send,
                          const struct rte_eth_conf *conf)
{
    int (*real)(uint16_t, uint16_t, uint16_t, const struct rte_eth_conf *);
    int (*real_info)(uint16_t, struct rte_eth_dev_info *);
    struct rte_eth_dev_info info;
    struct rte_eth_conf rest = *conf;

    demand(id < PORTS && send <= QUEUES && receive <= QUEUES, "more ports or queues than it has");
    demand((conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) == 0 ||
               (conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) == 0,
           "buffers are to be given back fast, and have others behind them");
    *(void **)&real = behind("rte_eth_dev_configure");
    *(void **)&real_info = behind("rte_eth_dev_info_get");
    if (real_info(id, &info) != 0)
        return -EIO;
    ports[id].offloads = conf->txmode.offloads;
    if (!cutting_card.absent)
        rest.txmode.offloads &= info.tx_offload_capa;
    return real(id, receive, send, &rest);
}

/* --- whose queue it is --- */

static struct port *port_of(const void *handle, bool sends, struct queue **queue)
{
    for (uint32_t id = 0; id < PORTS; id++) {
        const struct rte_ethdev_qdata *all =
            sends ? &rte_eth_fp_ops[id].txq : &rte_eth_fp_ops[id].rxq;

        for (uint32_t i = 0; i < QUEUES && ports[id].send != NULL; i++) {
            if (all->data != NULL && all->data[i] == handle) {
                *queue = &ports[id].queues[i];
                return &ports[id];
            }
        }
    }
    demand(false, "a queue that is nobody's");
    return NULL;
}

/* --- what its driver takes --- */

static int driver_look(const struct port *port, const struct rte_mbuf *packet)
{
    uint64_t flags = packet->ol_flags;

    if ((flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~KNOWN_FLAGS) != 0)
        return -ENOTSUP;
    if ((flags & RTE_MBUF_F_TX_UDP_SEG) == 0)
        return rte_validate_tx_offload(packet);
    cutting_card.asked++;
    demand((port->offloads & ADDED) == ADDED, "it was not configured to cut");
    if (cutting_card.refuses_all)
        return -ENOTSUP;
    if (cutting_card.refuses_each != 0 && cutting_card.asked % cutting_card.refuses_each == 0)
        return -EINVAL;
    if (cutting_card.segment_max != 0 && packet->tso_segsz > cutting_card.segment_max)
        return -EINVAL;
    return rte_validate_tx_offload(packet);
}

static uint16_t card_prepare(void *handle, struct rte_mbuf **packets, uint16_t count)
{
    struct queue *queue;
    const struct port *port = port_of(handle, true, &queue);

    for (uint16_t i = 0; i < count; i++) {
        int code = driver_look(port, packets[i]);

        if (code == 0)
            code = rte_net_intel_cksum_prepare(packets[i]);
        if (code != 0) {
            cutting_card.refused += (packets[i]->ol_flags & RTE_MBUF_F_TX_UDP_SEG) != 0;
            rte_errno = -code;
            return i;
        }
        packets[i]->ol_flags |= prepared;
    }
    return count;
}

/* --- what it demands of a packet --- */

struct headers {
    uint8_t *ip;
    struct rte_udp_hdr *udp;
    uint32_t bytes; /* of all of them */
};

static void buffers_check(const struct rte_mbuf *packet)
{
    uint32_t bytes = 0, count = 0;

    for (const struct rte_mbuf *at = packet; at != NULL; at = at->next) {
        demand(at->data_len > 0, "an empty buffer");
        demand(rte_mbuf_refcnt_read(at) == 1, "a buffer that somebody else has as well");
        demand(at->data_off + at->data_len <= at->buf_len, "more bytes than the buffer has");
        bytes += at->data_len;
        count++;
    }
    demand(count == packet->nb_segs, "nb_segs is not the count of its buffers");
    demand(bytes == packet->pkt_len, "pkt_len is not the sum of its buffers");
    demand(cutting_card.buffers_max == 0 || count <= cutting_card.buffers_max,
           "more buffers than it can have");
}

/* The lengths of the headers are told beside them, and must be theirs. */
static struct headers headers_check(const struct rte_mbuf *packet)
{
    uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);
    bool tagged = frame[12] == 0x81 && frame[13] == 0x00;
    uint32_t ip_at = tagged ? 18 : 14;
    bool four = (packet->ol_flags & RTE_MBUF_F_TX_IPV4) != 0;
    struct headers found = { .ip = frame + ip_at, .bytes = ip_at + (four ? 20u : 40u) + 8u };

    demand(four != ((packet->ol_flags & RTE_MBUF_F_TX_IPV6) != 0), "IPv4 and IPv6, or neither");
    demand(packet->l2_len == ip_at, "l2_len is not that of the Ethernet header");
    demand(packet->l3_len == (four ? 20u : 40u), "l3_len is not that of the IP header");
    demand(packet->data_len >= found.bytes, "headers in several buffers");
    demand(frame[ip_at - 2] == (four ? 0x08 : 0x86) && frame[ip_at - 1] == (four ? 0x00 : 0xdd),
           "the Ethernet type says otherwise than the flags");
    demand(found.ip[0] >> 4 == (four ? 4 : 6), "the IP version says otherwise than the flags");
    demand(!four || found.ip[0] == 0x45, "IPv4 options");
    demand(found.ip[four ? 9 : 6] == 17, "it is no UDP");
    found.udp = (struct rte_udp_hdr *)(found.ip + (four ? 20 : 40));
    return found;
}

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void lengths_check(const struct rte_mbuf *packet, const struct headers *found)
{
    bool four = (packet->ol_flags & RTE_MBUF_F_TX_IPV4) != 0;
    uint32_t bytes = packet->pkt_len - packet->l2_len;

    demand(bytes <= 65535, "an IP packet of more than 64 KiB");
    demand(number(found->ip + (four ? 2 : 4)) == (four ? bytes : bytes - 40),
           "the length in the IP header is not the packet's");
    demand(rte_be_to_cpu_16(found->udp->dgram_len) == bytes - packet->l3_len,
           "the length in the UDP header is not the packet's");
}

static struct headers packet_check(const struct port *port, const struct rte_mbuf *packet)
{
    bool four = (packet->ol_flags & RTE_MBUF_F_TX_IPV4) != 0;
    struct headers found;

    demand((packet->ol_flags & prepared) != 0, "a packet that its driver was not shown");
    demand((port->offloads & ADDED) == ADDED, "it was not configured to cut");
    buffers_check(packet);
    found = headers_check(packet);
    lengths_check(packet, &found);
    demand(packet->l4_len == 8, "l4_len is not that of the UDP header");
    demand(four == ((packet->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0),
           "the sum of IPv4 headers is to be asked for, and of IPv6 there is none");
    demand(packet->tso_segsz > 0, "tso_segsz is zero");
    demand(packet->pkt_len - found.bytes > packet->tso_segsz, "there is nothing to cut");
    demand(!four || (number(found.ip + 6) & 0xbfff) == 0, "a fragment");
    demand(cutting_card.mtu == 0 || packet->l3_len + 8u + packet->tso_segsz <= cutting_card.mtu,
           "datagrams larger than the MTU");
    return found;
}

/* --- how it cuts --- */

struct cursor {
    const struct rte_mbuf *buffer;
    uint32_t at;
};

/* Returns how many buffers the bytes came from. */
static uint32_t bytes_take(struct cursor *cursor, uint8_t *to, uint32_t bytes)
{
    uint32_t buffers = 0;

    while (bytes > 0) {
        uint32_t here = cursor->buffer->data_len - cursor->at;

        here = here < bytes ? here : bytes;
        memcpy(to, rte_pktmbuf_mtod_offset(cursor->buffer, const uint8_t *, cursor->at), here);
        to += here;
        bytes -= here;
        cursor->at += here;
        buffers++;
        if (cursor->at == cursor->buffer->data_len)
            *cursor = (struct cursor){ .buffer = cursor->buffer->next };
    }
    return buffers;
}

/* The sum over datagram and field begins with what the field holds; the length of the pseudo header
 * the card adds itself where it is the one that knows it. */
static void udp_sum(struct rte_udp_hdr *udp, uint32_t bytes, bool cut)
{
    uint32_t sum = rte_raw_cksum(udp, bytes);

    if (cut)
        sum += rte_cpu_to_be_16((uint16_t)bytes);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    udp->dgram_cksum = (uint16_t)~sum;
    if (udp->dgram_cksum == 0)
        udp->dgram_cksum = 0xffff;
}

static void ipv4_sum(uint8_t *ip)
{
    uint16_t sum;

    memset(ip + 10, 0, 2);
    sum = (uint16_t)~rte_raw_cksum(ip, 20);
    memcpy(ip + 10, &sum, 2);
}

/* The header of the packet becomes that of its datagram number `index`. */
static void header_cut(const struct rte_mbuf *packet, uint8_t *frame, uint32_t bytes,
                       uint32_t index)
{
    uint8_t *ip = frame + packet->l2_len;
    struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + packet->l3_len);
    uint16_t udp_bytes = rte_cpu_to_be_16((uint16_t)(8 + bytes));

    udp->dgram_len = udp_bytes;
    if ((packet->ol_flags & RTE_MBUF_F_TX_IPV4) != 0) {
        uint16_t all = rte_cpu_to_be_16((uint16_t)(28 + bytes));
        uint16_t id = rte_cpu_to_be_16((uint16_t)(number(ip + 4) + index));

        memcpy(ip + 2, &all, 2);
        memcpy(ip + 4, &id, 2);
        ipv4_sum(ip);
    } else {
        memcpy(ip + 4, &udp_bytes, 2);
    }
    udp_sum(udp, 8 + bytes, true);
}

static uint32_t datagrams_of(const struct rte_mbuf *packet)
{
    uint32_t payload;

    if ((packet->ol_flags & RTE_MBUF_F_TX_UDP_SEG) == 0)
        return 1;
    demand(packet->tso_segsz > 0, "tso_segsz is zero");
    payload = packet->pkt_len - packet->l2_len - packet->l3_len - packet->l4_len;
    return (payload + packet->tso_segsz - 1) / packet->tso_segsz;
}

static void waits(struct queue *queue, struct rte_mbuf *frame)
{
    queue->waiting[(queue->at + queue->count++) % RING] = frame;
}

static void packet_cut(struct port *port, struct queue *queue, struct rte_mbuf *packet)
{
    struct headers found = packet_check(port, packet);
    uint32_t left = packet->pkt_len - found.bytes, count = datagrams_of(packet);
    struct cursor cursor = { .buffer = packet };
    uint8_t header[128];

    bytes_take(&cursor, header, found.bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = left < packet->tso_segsz ? left : packet->tso_segsz, buffers;
        struct rte_mbuf *frame = rte_pktmbuf_alloc(port->pool);
        uint8_t *to;

        demand(frame != NULL, "no buffer in the card");
        to = (uint8_t *)rte_pktmbuf_append(frame, (uint16_t)(found.bytes + bytes));
        demand(to != NULL, "a datagram larger than the card's buffers");
        memcpy(to, header, found.bytes);
        buffers = (cursor.buffer != packet) + bytes_take(&cursor, to + found.bytes, bytes);
        demand(cutting_card.buffers_datagram_max == 0 ||
                   buffers <= cutting_card.buffers_datagram_max,
               "a datagram from more buffers than it can join");
        header_cut(packet, to, bytes, i);
        left -= bytes;
        waits(queue, frame);
    }
    cutting_card.packets++;
    cutting_card.datagrams += count;
    rte_pktmbuf_free(packet);
}

/* A frame of its own, with the sums that are asked for. */
static void frame_sum(const struct port *port, struct rte_mbuf *frame)
{
    struct headers found;

    demand(frame->nb_segs == 1, "a frame in several buffers");
    if ((frame->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK) == 0)
        return;
    demand((frame->ol_flags & prepared) != 0, "a frame that its driver was not shown");
    demand((frame->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~KNOWN_FLAGS) == 0, "unknown flags");
    found = headers_check(frame);
    lengths_check(frame, &found);
    if ((frame->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0) {
        demand((port->offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0, "no sums of IPv4");
        ipv4_sum(found.ip);
    }
    if ((frame->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM) {
        demand((port->offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0, "no sums of UDP");
        udp_sum(found.udp, (uint32_t)(frame->data_len - frame->l2_len - frame->l3_len), false);
    }
    frame->ol_flags = 0; /* it is done */
}

/* --- its ring --- */

static bool stands_still(void)
{
    return cutting_card.stands_still || (still_file != NULL && access(still_file, F_OK) == 0);
}

/* One worker alone is served when it does so. */
static void buffers_keep(struct port *port, struct rte_mempool *pool)
{
    while (still_file != NULL && stands_still() && port->kept_count < RING) {
        port->kept[port->kept_count] = rte_pktmbuf_alloc(pool);
        if (port->kept[port->kept_count] == NULL)
            return;
        port->kept_count++;
    }
}

static void ring_send(struct port *port, struct queue *queue, void *handle)
{
    if (port->kept_count > 0 && !stands_still()) {
        rte_pktmbuf_free_bulk(port->kept, port->kept_count);
        port->kept_count = 0;
    }
    while (queue->count > 0 && !stands_still()) {
        uint32_t at = queue->at % RING, ahead = RING - at;
        uint32_t count = queue->count < ahead ? queue->count : ahead;
        uint16_t taken;

        count = count < 32 ? count : 32;
        taken = port->send(handle, &queue->waiting[at], (uint16_t)count);
        queue->at += taken;
        queue->count -= taken;
        if (taken < count)
            return;
    }
}

/* A frame like this one, with bytes behind it that nobody asked for. */
static void long_one(struct port *port, struct queue *queue, const struct rte_mbuf *like)
{
    static uint32_t count;
    struct rte_mbuf *frame;
    uint8_t *to;

    if (cutting_card.long_each == 0 || ++count % cutting_card.long_each != 0)
        return;
    frame = rte_pktmbuf_alloc(port->pool);
    demand(frame != NULL && queue->count < RING, "no room for a long frame");
    to = (uint8_t *)rte_pktmbuf_append(frame, LONG_BYTES);
    memset(to, 0x55, LONG_BYTES);
    memcpy(to, rte_pktmbuf_mtod(like, const uint8_t *),
           like->data_len < LONG_BYTES ? like->data_len : LONG_BYTES);
    waits(queue, frame);
}

static uint16_t card_send(void *handle, struct rte_mbuf **packets, uint16_t count)
{
    struct queue *queue;
    struct port *port = port_of(handle, true, &queue);
    uint16_t taken = 0;

    ring_send(port, queue, handle);
    if (count > 0)
        buffers_keep(port, packets[0]->pool);
    for (; taken < count; taken++) {
        struct rte_mbuf *packet = packets[taken];
        uint32_t frames = datagrams_of(packet);

        if (queue->count + frames >= RING || rte_mempool_avail_count(port->pool) <= frames)
            break;
        if ((packet->ol_flags & RTE_MBUF_F_TX_UDP_SEG) != 0) {
            packet_cut(port, queue, packet);
        } else {
            frame_sum(port, packet);
            long_one(port, queue, packet);
            waits(queue, packet);
        }
    }
    ring_send(port, queue, handle);
    return taken;
}

/* What waits is sent whether or not more is given: whoever receives lets it. */
static uint16_t card_receive(void *handle, struct rte_mbuf **frames, uint16_t count)
{
    struct queue *queue;
    struct port *port = port_of(handle, false, &queue);
    uint32_t number_of = (uint32_t)(queue - port->queues);

    ring_send(port, queue, rte_eth_fp_ops[port - ports].txq.data[number_of]);
    return port->receive(handle, frames, count);
}

static int flag_register(void)
{
    static const struct rte_mbuf_dynflag flag = { .name = "cutting_card_prepared" };
    int bit;

    if (prepared != 0)
        return 0;
    bit = rte_mbuf_dynflag_register(&flag);
    if (bit < 0)
        return -1;
    prepared = UINT64_C(1) << bit;
    return 0;
}

int rte_eth_dev_start(uint16_t id)
{
    int (*real)(uint16_t);
    struct rte_eth_fp_ops *functions = &rte_eth_fp_ops[id];
    struct port *port = &ports[id];
    char name[32];
    int code;

    *(void **)&real = behind("rte_eth_dev_start");
    code = real(id);
    if (code != 0 || cutting_card.absent)
        return code;
    snprintf(name, sizeof name, "cutting-card-%u", id);
    if (port->pool == NULL)
        port->pool = rte_pktmbuf_pool_create(name, POOL_FRAMES, 0, 0, FRAME_BYTES, SOCKET_ID_ANY);
    demand(port->pool != NULL && flag_register() == 0, "no memory (it wants 40 MiB of DPDK's)");
    port->receive = functions->rx_pkt_burst;
    port->send = functions->tx_pkt_burst;
    functions->rx_pkt_burst = card_receive;
    functions->tx_pkt_prepare = card_prepare;
    functions->tx_pkt_burst = card_send;
    return 0;
}
