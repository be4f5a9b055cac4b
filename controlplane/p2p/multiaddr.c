#include "controlplane/p2p/multiaddr.h"

#include "controlplane/p2p/multiaddr_value.h"

/* One component as a view. */
struct component {
    const struct haul_multiaddr_protocol *protocol;
    const uint8_t *value;
    size_t bytes;
};

/* The next component; false at the end, or with in->bad set when the code or a length is not good.
 */
static bool next_component(struct haul_in *in, struct component *component)
{
    struct component read = { 0 };

    if (in->bad || haul_in_left(in) == 0)
        return false;
    read.protocol = haul_multiaddr_protocol_find(haul_in_uvarint(in));
    if (in->bad || read.protocol == NULL) {
        in->bad = true;
        return false;
    }
    read.bytes = read.protocol->value_bytes;
    if (haul_multiaddr_has_length(read.protocol))
        read.bytes = haul_in_uvarint(in);
    read.value = haul_in_bytes(in, read.bytes);
    if (in->bad)
        return false;
    *component = read;
    return true;
}

/* Validates as it prints: text that does not fit is refused like a malformed value. */
static bool print(const uint8_t *data, size_t bytes, char text[HAUL_MULTIADDR_TEXT_BYTES])
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_out out = haul_out_to(text, HAUL_MULTIADDR_TEXT_BYTES - 1);
    struct component part;

    while (!out.bad && next_component(&in, &part)) {
        haul_out_be(&out, '/', 1);
        haul_out_bytes(&out, part.protocol->name, strlen(part.protocol->name));
        if (part.protocol->kind != HAUL_MULTIADDR_NONE)
            haul_out_be(&out, '/', 1);
        haul_multiaddr_value_print(part.protocol->kind, part.value, part.bytes, &out);
    }
    *out.at = '\0';
    return haul_in_done(&in) && !out.bad;
}

bool haul_multiaddr_decode(const uint8_t *data, size_t bytes, struct haul_multiaddr *addr)
{
    char text[HAUL_MULTIADDR_TEXT_BYTES];

    if (bytes == 0 || bytes > HAUL_MULTIADDR_BYTES_MAX || !print(data, bytes, text))
        return false;
    memset(addr, 0, sizeof *addr);
    memcpy(addr->bytes, data, bytes);
    addr->length = (uint16_t)bytes;
    return true;
}

void haul_multiaddr_print(const struct haul_multiaddr *addr, char text[HAUL_MULTIADDR_TEXT_BYTES])
{
    haul_assert(print(addr->bytes, addr->length, text));
}

/* The text up to the next '/' or the end. */
static size_t part_bytes(const char *text)
{
    size_t bytes = 0;

    while (text[bytes] != '\0' && text[bytes] != '/')
        bytes++;
    return bytes;
}

static void write_component(const struct haul_multiaddr_protocol *protocol, const char *text,
                            size_t bytes, struct haul_out *out)
{
    uint8_t data[HAUL_MULTIADDR_VALUE_TEXT];
    struct haul_out value = haul_out_to(data, sizeof data);

    haul_multiaddr_value_parse(protocol->kind, text, bytes, &value);
    out->bad |= value.bad;
    haul_out_uvarint(out, protocol->code);
    if (haul_multiaddr_has_length(protocol))
        haul_out_uvarint(out, (uint64_t)(value.at - data));
    haul_out_bytes(out, data, (size_t)(value.at - data));
}

bool haul_multiaddr_parse(const char *text, struct haul_multiaddr *addr)
{
    uint8_t data[HAUL_MULTIADDR_BYTES_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);

    while (*text == '/' && text[1] != '\0' && !out.bad) {
        size_t bytes = part_bytes(++text);
        const struct haul_multiaddr_protocol *protocol = haul_multiaddr_protocol_named(text, bytes);
        const char *value;

        if (protocol == NULL)
            return false;
        text += bytes;
        value = text;
        bytes = 0;
        if (protocol->kind != HAUL_MULTIADDR_NONE) {
            if (*text != '/')
                return false;
            value = ++text;
            bytes = part_bytes(text);
            text += bytes;
        }
        write_component(protocol, value, bytes, &out);
    }
    if (*text == '/')
        text++; /* one at the very end is harmless */
    if (out.bad || *text != '\0')
        return false;
    return haul_multiaddr_decode(data, (size_t)(out.at - data), addr);
}

static void from_socket(struct haul_multiaddr *addr, const struct haul_addr *socket_addr,
                        uint32_t code)
{
    struct haul_out out = haul_out_to(addr->bytes, sizeof addr->bytes);

    haul_assert(socket_addr->family == 4 || socket_addr->family == 6);
    memset(addr, 0, sizeof *addr);
    haul_out_uvarint(&out,
                     socket_addr->family == 4 ? HAUL_MULTIADDR_CODE_IP4 : HAUL_MULTIADDR_CODE_IP6);
    haul_out_bytes(&out, socket_addr->ip, socket_addr->family == 4 ? 4 : 16);
    haul_out_uvarint(&out, code);
    haul_out_be(&out, socket_addr->port, 2);
    addr->length = (uint16_t)(out.at - addr->bytes);
}

void haul_multiaddr_from_tcp(struct haul_multiaddr *addr, const struct haul_addr *socket_addr)
{
    from_socket(addr, socket_addr, HAUL_MULTIADDR_CODE_TCP);
}

void haul_multiaddr_from_udp(struct haul_multiaddr *addr, const struct haul_addr *socket_addr)
{
    from_socket(addr, socket_addr, HAUL_MULTIADDR_CODE_UDP);
}

bool haul_multiaddr_tcp(const struct haul_multiaddr *addr, struct haul_addr *socket_addr)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    struct haul_addr found = { 0 };
    struct component part;

    if (!next_component(&in, &part))
        return false;
    if (part.protocol->kind != HAUL_MULTIADDR_IP4 && part.protocol->kind != HAUL_MULTIADDR_IP6)
        return false;
    found.family = part.protocol->kind == HAUL_MULTIADDR_IP4 ? 4 : 6;
    memcpy(found.ip, part.value, part.bytes);
    if (!next_component(&in, &part) || part.protocol->code != HAUL_MULTIADDR_CODE_TCP)
        return false;
    found.port = (uint16_t)(part.value[0] << 8 | part.value[1]);
    if (next_component(&in, &part) && part.protocol->kind != HAUL_MULTIADDR_PEER)
        return false;
    if (!haul_in_done(&in))
        return false;
    *socket_addr = found;
    return true;
}

bool haul_multiaddr_peer(const struct haul_multiaddr *addr, struct haul_peer_id *id)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    struct component part;
    bool found = false;

    while (next_component(&in, &part)) {
        if (part.protocol->kind == HAUL_MULTIADDR_PEER)
            found = haul_peer_id_decode(part.value, part.bytes, id);
    }
    return found;
}

bool haul_multiaddr_add_peer(struct haul_multiaddr *addr, const struct haul_peer_id *id)
{
    struct haul_multiaddr longer = *addr;
    struct haul_out out =
        haul_out_to(longer.bytes + longer.length, sizeof longer.bytes - longer.length);

    haul_out_uvarint(&out, HAUL_MULTIADDR_CODE_P2P);
    haul_out_uvarint(&out, id->length);
    haul_out_bytes(&out, id->bytes, id->length);
    return !out.bad && haul_multiaddr_decode(longer.bytes, (size_t)(out.at - longer.bytes), addr);
}

void haul_multiaddr_strip_peer(struct haul_multiaddr *addr)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    const uint8_t *start = in.at, *peer = NULL;
    struct component part;

    for (; next_component(&in, &part); start = in.at)
        peer = part.protocol->kind == HAUL_MULTIADDR_PEER ? start : NULL;
    if (peer == NULL)
        return;
    addr->length = (uint16_t)(peer - addr->bytes);
    memset(addr->bytes + addr->length, 0, sizeof addr->bytes - addr->length);
}

bool haul_multiaddr_relayed(const struct haul_multiaddr *addr)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    struct component part;

    while (next_component(&in, &part)) {
        if (part.protocol->code == HAUL_MULTIADDR_CODE_P2P_CIRCUIT)
            return true;
    }
    return false;
}

bool haul_multiaddr_circuit(const struct haul_multiaddr *addr, struct haul_multiaddr *where,
                            struct haul_peer_id *relay)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    struct haul_multiaddr before = { 0 };
    struct component part;
    struct haul_peer_id id;
    bool named = false, found = false;

    while (!found && next_component(&in, &part)) {
        found = part.protocol->code == HAUL_MULTIADDR_CODE_P2P_CIRCUIT;
        if (found)
            break;
        named = part.protocol->kind == HAUL_MULTIADDR_PEER &&
                haul_peer_id_decode(part.value, part.bytes, &id);
        if (!named)
            before.length = (uint16_t)(in.at - addr->bytes);
    }
    if (!found || !named)
        return false;
    if (!haul_in_done(&in) && (!next_component(&in, &part) ||
                               part.protocol->kind != HAUL_MULTIADDR_PEER || !haul_in_done(&in)))
        return false;
    memcpy(before.bytes, addr->bytes, before.length);
    *where = before;
    *relay = id;
    return true;
}

bool haul_multiaddr_add_circuit(struct haul_multiaddr *addr, const struct haul_peer_id *relay)
{
    struct haul_multiaddr longer = *addr;
    struct haul_out out;

    if (!haul_multiaddr_add_peer(&longer, relay))
        return false;
    out = haul_out_to(longer.bytes + longer.length, sizeof longer.bytes - longer.length);
    haul_out_uvarint(&out, HAUL_MULTIADDR_CODE_P2P_CIRCUIT);
    return !out.bad && haul_multiaddr_decode(longer.bytes, (size_t)(out.at - longer.bytes), addr);
}

bool haul_multiaddr_ip(const struct haul_multiaddr *addr, struct haul_addr *ip)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    struct haul_addr found = { 0 };
    struct component part;

    if (!next_component(&in, &part) ||
        (part.protocol->kind != HAUL_MULTIADDR_IP4 && part.protocol->kind != HAUL_MULTIADDR_IP6))
        return false;
    found.family = part.protocol->kind == HAUL_MULTIADDR_IP4 ? 4 : 6;
    memcpy(found.ip, part.value, part.bytes);
    *ip = found;
    return true;
}

bool haul_multiaddr_name(const struct haul_multiaddr *addr, struct haul_multiaddr_name *name)
{
    struct haul_in in = haul_in_from(addr->bytes, addr->length);
    struct component part;

    if (!next_component(&in, &part) || part.protocol->code < HAUL_MULTIADDR_CODE_DNS ||
        part.protocol->code > HAUL_MULTIADDR_CODE_DNSADDR)
        return false;
    *name = (struct haul_multiaddr_name){ .code = part.protocol->code,
                                          .text = (const char *)part.value,
                                          .bytes = part.bytes,
                                          .rest = in.at,
                                          .rest_bytes = haul_in_left(&in) };
    return true;
}
