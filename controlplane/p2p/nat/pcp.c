#include "controlplane/p2p/nat/pcp.h"

#include <string.h>

#define VERSION  2u
#define ANNOUNCE 0u
#define MAP      1u
#define ANSWER   0x80u
#define TCP      6u
#define UDP      17u
#define RESULTS  13u /* those that are defined */

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Every address is one of IPv6; one of IPv4 is mapped into it (section 5). */
static void write_address(struct haul_out *out, const struct haul_addr *addr)
{
    if (addr->family == 4)
        haul_out_bytes(out, v4_mapped, sizeof v4_mapped);
    haul_out_bytes(out, addr->ip, addr->family == 4 ? 4 : 16);
}

static void read_address(struct haul_in *in, struct haul_addr *addr)
{
    uint8_t ip[16] = { 0 };

    haul_in_copy(in, ip, sizeof ip);
    if (memcmp(ip, v4_mapped, sizeof v4_mapped) == 0) {
        addr->family = 4;
        memcpy(addr->ip, ip + sizeof v4_mapped, 4);
    } else {
        addr->family = 6;
        memcpy(addr->ip, ip, sizeof ip);
    }
}

void haul_pcp_write_map(struct haul_out *out, const struct haul_addr *client,
                        const struct haul_pcp_map *map)
{
    static const uint8_t none[3];

    haul_out_be(out, VERSION, 1);
    haul_out_be(out, MAP, 1);
    haul_out_be(out, 0, 2);
    haul_out_be(out, map->seconds, 4);
    write_address(out, client);
    haul_out_bytes(out, map->nonce, sizeof map->nonce);
    haul_out_be(out, map->tcp ? TCP : UDP, 1);
    haul_out_bytes(out, none, sizeof none);
    haul_out_be(out, map->inside, 2);
    haul_out_be(out, map->outside.port, 2);
    write_address(out, &map->outside);
}

/* What a server says that does not know this version: a PCP header alone, or the eight bytes of a
 * NAT-PMP answer (section 9, and RFC 6886, section 3.5). */
static bool is_other_version(const uint8_t *data, size_t bytes, uint64_t result)
{
    return bytes >= 8 && result == 1 && (data[0] != VERSION || bytes >= 24);
}

bool haul_pcp_decode(const uint8_t *data, size_t bytes, struct haul_pcp_answer *answer)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_pcp_answer read = { 0 };
    uint64_t version = haul_in_be(&in, 1);
    uint64_t op = haul_in_be(&in, 1);
    uint64_t result = haul_in_be(&in, 2) & (version == 0 ? 0xffff : 0xff);
    uint64_t protocol;

    if (in.bad || bytes > HAUL_PCP_BYTES_MAX || (op & ANSWER) == 0)
        return false;
    if (is_other_version(data, bytes, result)) {
        answer->result = HAUL_PCP_UNSUPPORTED_VERSION;
        return true;
    }
    read.map.seconds = (uint32_t)haul_in_be(&in, 4);
    read.epoch = (uint32_t)haul_in_be(&in, 4);
    (void)haul_in_bytes(&in, 12);
    haul_in_copy(&in, read.map.nonce, sizeof read.map.nonce);
    protocol = haul_in_be(&in, 1);
    (void)haul_in_bytes(&in, 3);
    read.map.inside = (uint16_t)haul_in_be(&in, 2);
    read.map.outside.port = (uint16_t)haul_in_be(&in, 2);
    read_address(&in, &read.map.outside);
    if (in.bad || version != VERSION || op != (ANSWER | MAP) || result > RESULTS ||
        bytes % 4 != 0 || (protocol != TCP && protocol != UDP))
        return false;
    read.map.tcp = protocol == TCP;
    read.result = result == 0 ? HAUL_PCP_SUCCESS : HAUL_PCP_REFUSED;
    *answer = read;
    return true;
}

bool haul_pcp_announce_decode(const uint8_t *data, size_t bytes, uint32_t *epoch)
{
    struct haul_in in = haul_in_from(data, bytes);
    uint64_t version = haul_in_be(&in, 1);
    uint64_t op = haul_in_be(&in, 1);
    uint64_t result = haul_in_be(&in, 2) & 0xff;
    uint32_t told;

    (void)haul_in_be(&in, 4); /* of no mapping */
    told = (uint32_t)haul_in_be(&in, 4);
    (void)haul_in_bytes(&in, 12);
    if (in.bad || version != VERSION || op != (ANSWER | ANNOUNCE) || result != 0 ||
        bytes > HAUL_PCP_BYTES_MAX || bytes % 4 != 0)
        return false;
    *epoch = told;
    return true;
}
