#include "controlplane/p2p/multiaddr_value.h"

#include "common/addr.h"
#include "common/multibase.h"
#include "controlplane/p2p/peerid.h"

#define ONION_BYTES  10u
#define ONION3_BYTES 35u

/* multiformats/multiaddr, protocols.csv. I2P is left out: its addresses are longer than ours may
 * be. */
static const struct haul_multiaddr_protocol protocols[] = {
    { 4, 4, "ip4", HAUL_MULTIADDR_IP4 },
    { 6, 2, "tcp", HAUL_MULTIADDR_PORT },
    { 33, 2, "dccp", HAUL_MULTIADDR_PORT },
    { 41, 16, "ip6", HAUL_MULTIADDR_IP6 },
    { 42, 0, "ip6zone", HAUL_MULTIADDR_NAME },
    { 43, 1, "ipcidr", HAUL_MULTIADDR_BITS },
    { 53, 0, "dns", HAUL_MULTIADDR_NAME },
    { 54, 0, "dns4", HAUL_MULTIADDR_NAME },
    { 55, 0, "dns6", HAUL_MULTIADDR_NAME },
    { 56, 0, "dnsaddr", HAUL_MULTIADDR_NAME },
    { 132, 2, "sctp", HAUL_MULTIADDR_PORT },
    { 273, 2, "udp", HAUL_MULTIADDR_PORT },
    { 280, 0, "webrtc-direct", HAUL_MULTIADDR_NONE },
    { 281, 0, "webrtc", HAUL_MULTIADDR_NONE },
    { 290, 0, "p2p-circuit", HAUL_MULTIADDR_NONE },
    { 301, 0, "udt", HAUL_MULTIADDR_NONE },
    { 302, 0, "utp", HAUL_MULTIADDR_NONE },
    { 400, 0, "unix", HAUL_MULTIADDR_PATH },
    { 421, 0, "p2p", HAUL_MULTIADDR_PEER },
    { 443, 0, "https", HAUL_MULTIADDR_NONE },
    { 444, ONION_BYTES + 2, "onion", HAUL_MULTIADDR_ONION },
    { 445, ONION3_BYTES + 2, "onion3", HAUL_MULTIADDR_ONION3 },
    { 448, 0, "tls", HAUL_MULTIADDR_NONE },
    { 449, 0, "sni", HAUL_MULTIADDR_NAME },
    { 454, 0, "noise", HAUL_MULTIADDR_NONE },
    { 460, 0, "quic", HAUL_MULTIADDR_NONE },
    { 461, 0, "quic-v1", HAUL_MULTIADDR_NONE },
    { 465, 0, "webtransport", HAUL_MULTIADDR_NONE },
    { 466, 0, "certhash", HAUL_MULTIADDR_HASH },
    { 477, 0, "ws", HAUL_MULTIADDR_NONE },
    { 478, 0, "wss", HAUL_MULTIADDR_NONE },
    { 480, 0, "http", HAUL_MULTIADDR_NONE },
    { 481, 0, "http-path", HAUL_MULTIADDR_PATH },
    { 777, 0, "memory", HAUL_MULTIADDR_NAME },
    { 421, 0, "ipfs", HAUL_MULTIADDR_PEER }, /* the older name, never printed */
};

const struct haul_multiaddr_protocol *haul_multiaddr_protocol_find(uint64_t code)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(protocols); i++) {
        if (protocols[i].code == code)
            return &protocols[i];
    }
    return NULL;
}

const struct haul_multiaddr_protocol *haul_multiaddr_protocol_named(const char *name, size_t bytes)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(protocols); i++) {
        if (strlen(protocols[i].name) == bytes && memcmp(protocols[i].name, name, bytes) == 0)
            return &protocols[i];
    }
    return NULL;
}

bool haul_multiaddr_has_length(const struct haul_multiaddr_protocol *protocol)
{
    return protocol->value_bytes == 0 && protocol->kind != HAUL_MULTIADDR_NONE;
}

static void parse_number(const char *text, size_t bytes, uint32_t max, size_t width,
                         struct haul_out *out)
{
    uint32_t value = 0;

    if (bytes == 0 || (bytes > 1 && text[0] == '0'))
        out->bad = true;
    for (size_t i = 0; i < bytes && value <= max; i++) {
        if (text[i] < '0' || text[i] > '9')
            out->bad = true;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > max)
        out->bad = true;
    haul_out_be(out, value, width);
}

static void print_number(uint32_t value, struct haul_out *out)
{
    char digits[10];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    haul_out_bytes(out, digits + at, sizeof digits - at);
}

/* Through the socket address: "IP:0" or "[IP]:0". */
static void parse_ip(const char *text, size_t bytes, uint8_t family, struct haul_out *out)
{
    char whole[HAUL_ADDR_TEXT_BYTES];
    struct haul_out writer = haul_out_to(whole, sizeof whole);
    struct haul_addr addr;

    if (family == 6)
        haul_out_bytes(&writer, "[", 1);
    haul_out_bytes(&writer, text, bytes);
    haul_out_bytes(&writer, family == 6 ? "]:0" : ":0", family == 6 ? 3 : 2);
    haul_out_be(&writer, 0, 1);
    if (writer.bad || !haul_addr_parse(whole, &addr) || addr.family != family || addr.scope != 0) {
        out->bad = true;
        return;
    }
    haul_out_bytes(out, addr.ip, family == 4 ? 4 : 16);
}

static void print_ip(const uint8_t *data, size_t bytes, uint8_t family, struct haul_out *out)
{
    struct haul_addr addr = { .family = family };
    char text[HAUL_ADDR_TEXT_BYTES];
    size_t around = family == 6 ? 1 : 0; /* the brackets; behind them ":0" */

    memcpy(addr.ip, data, bytes);
    haul_addr_print(&addr, text);
    haul_out_bytes(out, text + around, strlen(text) - 2 - 2 * around);
}

/* Graphic ASCII without '/': what a peer calls a name reaches logs and terminals. */
static bool is_name(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] <= ' ' || data[i] > '~' || data[i] == '/')
            return false;
    }
    return bytes > 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static void parse_path(const char *text, size_t bytes, struct haul_out *out)
{
    if (bytes == 0)
        out->bad = true;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '%') {
            int high = i + 2 < bytes ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < bytes ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0) {
                out->bad = true;
                return;
            }
            haul_out_be(out, (uint64_t)(high << 4 | low), 1);
            i += 2;
        } else {
            haul_out_be(out, (uint8_t)text[i], 1);
        }
    }
}

/* Everything but RFC 3986's unreserved characters is encoded. */
static void print_path(const uint8_t *data, size_t bytes, struct haul_out *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < bytes; i++) {
        char c = (char)data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';

        if (plain) {
            haul_out_be(out, data[i], 1);
        } else {
            haul_out_be(out, '%', 1);
            haul_out_be(out, (uint8_t)digits[data[i] >> 4], 1);
            haul_out_be(out, (uint8_t)digits[data[i] & 15], 1);
        }
    }
    if (bytes == 0)
        out->bad = true;
}

/* "BASE32:PORT". */
static void parse_onion(const char *text, size_t bytes, size_t name_bytes, struct haul_out *out)
{
    char name[64] = "b";
    uint8_t data[ONION3_BYTES];
    size_t colon = (name_bytes * 8 + 4) / 5;

    if (bytes < colon + 2 || text[colon] != ':') {
        out->bad = true;
        return;
    }
    memcpy(name + 1, text, colon);
    if (haul_multibase_decode(name, data, sizeof data) != (ptrdiff_t)name_bytes)
        out->bad = true;
    haul_out_bytes(out, data, name_bytes);
    parse_number(text + colon + 1, bytes - colon - 1, UINT16_MAX, 2, out);
}

static void print_base(char base, size_t skip, const uint8_t *data, size_t bytes,
                       struct haul_out *out)
{
    char text[HAUL_MULTIADDR_VALUE_TEXT];
    ptrdiff_t count = haul_multibase_encode(base, data, bytes, text, sizeof text);

    if (count < (ptrdiff_t)skip)
        out->bad = true;
    else
        haul_out_bytes(out, text + skip, (size_t)count - skip);
}

static void print_onion(const uint8_t *data, size_t bytes, struct haul_out *out)
{
    print_base('b', 1, data, bytes - 2, out);
    haul_out_be(out, ':', 1);
    print_number((uint32_t)data[bytes - 2] << 8 | data[bytes - 1], out);
}

/* A multihash of any kind whose length agrees. */
static bool is_multihash(const uint8_t *data, size_t bytes)
{
    struct haul_in in = haul_in_from(data, bytes);
    uint64_t length;

    haul_in_uvarint(&in);
    length = haul_in_uvarint(&in);
    return !in.bad && length > 0 && length == haul_in_left(&in);
}

/* Text that needs an end mark: peer ids and multibase. */
static void parse_encoded(enum haul_multiaddr_kind kind, const char *text, size_t bytes,
                          struct haul_out *out)
{
    char whole[HAUL_MULTIADDR_VALUE_TEXT];
    uint8_t data[HAUL_MULTIADDR_VALUE_TEXT];
    struct haul_peer_id id;
    ptrdiff_t count = -1;

    if (bytes < sizeof whole) {
        memcpy(whole, text, bytes);
        whole[bytes] = '\0';
        if (kind == HAUL_MULTIADDR_PEER && haul_peer_id_parse(whole, &id)) {
            haul_out_bytes(out, id.bytes, id.length);
            return;
        }
        if (kind == HAUL_MULTIADDR_HASH)
            count = haul_multibase_decode(whole, data, sizeof data);
    }
    if (count < 0 || !is_multihash(data, (size_t)count))
        out->bad = true;
    else
        haul_out_bytes(out, data, (size_t)count);
}

void haul_multiaddr_value_parse(enum haul_multiaddr_kind kind, const char *text, size_t bytes,
                                struct haul_out *out)
{
    switch (kind) {
    case HAUL_MULTIADDR_NONE:
        return;
    case HAUL_MULTIADDR_IP4:
        parse_ip(text, bytes, 4, out);
        return;
    case HAUL_MULTIADDR_IP6:
        parse_ip(text, bytes, 6, out);
        return;
    case HAUL_MULTIADDR_PORT:
        parse_number(text, bytes, UINT16_MAX, 2, out);
        return;
    case HAUL_MULTIADDR_BITS:
        parse_number(text, bytes, 128, 1, out);
        return;
    case HAUL_MULTIADDR_NAME:
        out->bad |= !is_name((const uint8_t *)text, bytes);
        haul_out_bytes(out, text, bytes);
        return;
    case HAUL_MULTIADDR_PATH:
        parse_path(text, bytes, out);
        return;
    case HAUL_MULTIADDR_PEER:
    case HAUL_MULTIADDR_HASH:
        parse_encoded(kind, text, bytes, out);
        return;
    case HAUL_MULTIADDR_ONION:
        parse_onion(text, bytes, ONION_BYTES, out);
        return;
    case HAUL_MULTIADDR_ONION3:
        parse_onion(text, bytes, ONION3_BYTES, out);
        return;
    }
}

static void print_peer(const uint8_t *data, size_t bytes, struct haul_out *out)
{
    char text[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_peer_id id;

    if (!haul_peer_id_decode(data, bytes, &id)) {
        out->bad = true;
        return;
    }
    haul_peer_id_print(&id, text);
    haul_out_bytes(out, text, strlen(text));
}

void haul_multiaddr_value_print(enum haul_multiaddr_kind kind, const uint8_t *data, size_t bytes,
                                struct haul_out *out)
{
    switch (kind) {
    case HAUL_MULTIADDR_NONE:
        return;
    case HAUL_MULTIADDR_IP4:
        print_ip(data, bytes, 4, out);
        return;
    case HAUL_MULTIADDR_IP6:
        print_ip(data, bytes, 6, out);
        return;
    case HAUL_MULTIADDR_PORT:
        print_number((uint32_t)data[0] << 8 | data[1], out);
        return;
    case HAUL_MULTIADDR_BITS:
        out->bad |= data[0] > 128;
        print_number(data[0], out);
        return;
    case HAUL_MULTIADDR_NAME:
        out->bad |= !is_name(data, bytes);
        haul_out_bytes(out, data, bytes);
        return;
    case HAUL_MULTIADDR_PATH:
        print_path(data, bytes, out);
        return;
    case HAUL_MULTIADDR_PEER:
        print_peer(data, bytes, out);
        return;
    case HAUL_MULTIADDR_HASH:
        out->bad |= !is_multihash(data, bytes);
        print_base('u', 0, data, bytes, out);
        return;
    case HAUL_MULTIADDR_ONION:
    case HAUL_MULTIADDR_ONION3:
        print_onion(data, bytes, out);
        return;
    }
}
