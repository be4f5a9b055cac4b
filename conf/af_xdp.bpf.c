/* An XDP filter for a card that the kernel goes on using: packets to haul's own IP addresses go to
 * haul, all others (ssh, libp2p, everything) to the kernel as before. The addresses are given when
 * it is compiled; either may be left out:
 *
 *   clang -O2 -g -target bpf -DIPV4='{10,0,0,7}' \
 *       -DIPV6='{0xfd,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7}' -c af_xdp.bpf.c -o af_xdp.o
 *
 * The kernel must not have these addresses itself. docs/DPDK.md, "My only card", says the rest. The
 * program refers to no header but the compiler's, so that it compiles where no kernel headers are.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define SECTION(name) __attribute__((section(name), used))

struct xdp_md {
    u32 data;
    u32 data_end;
    u32 data_meta;
    u32 ingress_ifindex;
    u32 rx_queue_index;
    u32 egress_ifindex;
};

#define XDP_PASS 2

/* The sockets of DPDK's driver, one a queue: it finds this map by its name. */
struct {
    int (*type)[17]; /* BPF_MAP_TYPE_XSKMAP */
    int (*max_entries)[64];
    u32 *key;
    u32 *value;
} xsks_map SECTION(".maps");

static long (*const redirect_map)(void *map, unsigned long key, unsigned long flags) = (void *)51;

#define TYPE_IPV4 0x0800
#define TYPE_ARP  0x0806
#define TYPE_IPV6 0x86dd

static __attribute__((always_inline)) int same(const u8 *at, const u8 *address, u32 bytes)
{
    u8 differ = 0;

#pragma unroll
    for (u32 i = 0; i < bytes; i++)
        differ |= at[i] ^ address[i];
    return differ == 0;
}

/* Whether it is for haul: 1; for the kernel: 0. */
static __attribute__((always_inline)) int is_ours(const u8 *frame, const u8 *end)
{
    u16 type;

    if (frame + 42 > end) /* no ARP message and no packet of ours is shorter */
        return 0;
    type = (u16)(frame[12] << 8 | frame[13]);
#ifdef IPV4
    {
        const u8 ipv4[4] = IPV4;

        if (type == TYPE_IPV4)
            return same(frame + 30, ipv4, 4);
        if (type == TYPE_ARP)
            return same(frame + 38, ipv4, 4);
    }
#endif
#ifdef IPV6
    if (type == TYPE_IPV6 && frame + 54 <= end) {
        const u8 ipv6[16] = IPV6;
        const u8 solicited[13] = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff };

        return same(frame + 38, ipv6, 16) ||
               (same(frame + 38, solicited, 13) && same(frame + 51, ipv6 + 13, 3));
    }
#endif
    return 0;
}

SECTION("xdp") int haul(struct xdp_md *packet)
{
    const u8 *frame = (const u8 *)(unsigned long)packet->data;
    const u8 *end = (const u8 *)(unsigned long)packet->data_end;

    /* Without a socket on this queue the kernel gets the packet after all. */
    if (is_ours(frame, end))
        return (int)redirect_map(&xsks_map, packet->rx_queue_index, XDP_PASS);
    return XDP_PASS;
}

char terms[] SECTION("license") = "Apache-2.0";
