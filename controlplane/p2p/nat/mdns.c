#include "controlplane/p2p/nat/mdns.h"

#define SERVICE      "\004_p2p\004_udp\005local" /* with the root label that ends the literal */
#define HEADER_BYTES 12u
#define FLAG_ANSWER  0x8000u
#define AUTHORITY    0x0400u
#define TYPE_PTR     12u
#define TYPE_TXT     16u
#define TYPE_ANY     255u
#define CLASS_IN     1u
#define NAME_MAX     255u
#define JUMPS_MAX    16u
#define PREFIX       "dnsaddr="
#define STRING_MAX   255u

/* --- names --- */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* A name at `at` into labels as on the wire, without pointers, in small letters. Returns where the
 * record goes on; 0 when it is malformed. */
static size_t name_read(const uint8_t *data, size_t bytes, size_t at, uint8_t name[NAME_MAX + 1],
                        size_t *name_bytes)
{
    size_t used = 0, behind = 0;
    unsigned jumps = 0;

    while (at < bytes) {
        size_t label = data[at];

        if ((label & 0xc0) == 0xc0) {
            size_t to;

            if (at + 1 >= bytes)
                return 0;
            to = (label & 0x3f) << 8 | data[at + 1];
            if (behind == 0)
                behind = at + 2;
            if (to >= at || ++jumps > JUMPS_MAX)
                return 0;
            at = to;
            continue;
        }
        if (label > 63 || at + 1 + label > bytes || used + 1 + label > NAME_MAX)
            return 0;
        name[used++] = (uint8_t)label;
        for (size_t i = 0; i < label; i++)
            name[used++] = lower(data[at + 1 + i]);
        at += 1 + label;
        if (label == 0) {
            *name_bytes = used;
            return behind != 0 ? behind : at;
        }
    }
    return 0;
}

static bool is_service(const uint8_t *name, size_t bytes)
{
    return bytes == sizeof SERVICE && memcmp(name, SERVICE, sizeof SERVICE) == 0;
}

/* NAME._p2p._udp.local */
static bool is_under_service(const uint8_t *name, size_t bytes)
{
    return bytes > sizeof SERVICE && name[0] + 1u + sizeof SERVICE == bytes &&
           memcmp(name + bytes - sizeof SERVICE, SERVICE, sizeof SERVICE) == 0;
}

/* --- reading --- */

static void string_take(const uint8_t *text, size_t bytes, struct haul_mdns_message *message)
{
    struct haul_multiaddr *address = &message->addresses[message->address_count];
    const size_t prefix = strlen(PREFIX);
    char copy[STRING_MAX + 1];
    struct haul_peer_id peer;

    if (message->address_count == HAUL_MDNS_ADDRESSES_MAX || bytes <= prefix ||
        memcmp(text, PREFIX, prefix) != 0 || memchr(text, 0, bytes) != NULL)
        return;
    memcpy(copy, text + prefix, bytes - prefix);
    copy[bytes - prefix] = '\0';
    message->address_count +=
        haul_multiaddr_parse(copy, address) && haul_multiaddr_peer(address, &peer);
}

static bool strings_take(const uint8_t *data, size_t bytes, struct haul_mdns_message *message)
{
    struct haul_in in = haul_in_from(data, bytes);

    while (haul_in_left(&in) > 0) {
        size_t length = (size_t)haul_in_be(&in, 1);
        const uint8_t *text = haul_in_bytes(&in, length);

        if (text == NULL)
            return false;
        string_take(text, length, message);
    }
    return true;
}

/* One record at `at`; returns where the next begins, 0 when it is malformed. */
static size_t record_take(const uint8_t *data, size_t bytes, size_t at, bool question,
                          struct haul_mdns_message *message)
{
    uint8_t name[NAME_MAX + 1];
    size_t name_bytes, length;
    uint64_t type;
    struct haul_in in;

    at = name_read(data, bytes, at, name, &name_bytes);
    if (at == 0)
        return 0;
    in = haul_in_from(data + at, bytes - at);
    type = haul_in_be(&in, 2);
    (void)haul_in_be(&in, 2); /* its class: nothing else is in use */
    if (question) {
        message->asks |= (type == TYPE_PTR || type == TYPE_ANY) && is_service(name, name_bytes);
        return in.bad ? 0 : at + 4;
    }
    (void)haul_in_be(&in, 4); /* how long it may be kept: we decide that */
    length = (size_t)haul_in_be(&in, 2);
    if (haul_in_bytes(&in, length) == NULL)
        return 0;
    if (type == TYPE_TXT && is_under_service(name, name_bytes) &&
        !strings_take(in.at - length, length, message))
        return 0;
    return at + 10 + length;
}

bool haul_mdns_decode(const uint8_t *data, size_t bytes, struct haul_mdns_message *message)
{
    struct haul_in in = haul_in_from(data, bytes);
    uint64_t flags, questions, records = 0;
    size_t at = HEADER_BYTES;

    memset(message, 0, sizeof *message);
    (void)haul_in_be(&in, 2);
    flags = haul_in_be(&in, 2);
    questions = haul_in_be(&in, 2);
    for (unsigned i = 0; i < 3; i++)
        records += haul_in_be(&in, 2);
    if (in.bad)
        return false;
    for (uint64_t i = 0; i < questions + records && i < HAUL_MDNS_RECORDS_MAX; i++) {
        at = record_take(data, bytes, at, i < questions, message);
        if (at == 0)
            return false;
    }
    if ((flags & FLAG_ANSWER) != 0)
        message->asks = false;
    else
        message->address_count = 0; /* what an asker knows already */
    return true;
}

/* --- writing --- */

static void header_write(struct haul_out *out, uint64_t flags, uint64_t questions, uint64_t answers,
                         uint64_t additional)
{
    haul_out_be(out, 0, 2);
    haul_out_be(out, flags, 2);
    haul_out_be(out, questions, 2);
    haul_out_be(out, answers, 2);
    haul_out_be(out, 0, 2);
    haul_out_be(out, additional, 2);
}

void haul_mdns_write_question(struct haul_out *out)
{
    header_write(out, 0, 1, 0, 0);
    haul_out_bytes(out, SERVICE, sizeof SERVICE);
    haul_out_be(out, TYPE_PTR, 2);
    haul_out_be(out, CLASS_IN, 2);
}

static void record_write(struct haul_out *out, uint64_t type, size_t bytes)
{
    haul_out_be(out, type, 2);
    haul_out_be(out, CLASS_IN, 2);
    haul_out_be(out, HAUL_MDNS_LIFE_SECONDS, 4);
    haul_out_be(out, bytes, 2);
}

void haul_mdns_write_answer(struct haul_out *out, const char name[HAUL_MDNS_NAME_BYTES],
                            const struct haul_peer_id *peer, const struct haul_multiaddr *addresses,
                            size_t count)
{
    uint8_t own[HAUL_MDNS_NAME_BYTES + sizeof SERVICE], strings[HAUL_MDNS_SENT_MAX];
    struct haul_out to_own = haul_out_to(own, sizeof own);
    struct haul_out to = haul_out_to(strings, sizeof strings);
    char text[HAUL_MULTIADDR_TEXT_BYTES];
    size_t own_bytes, room;

    haul_out_be(&to_own, strlen(name), 1);
    haul_out_bytes(&to_own, name, strlen(name));
    haul_out_bytes(&to_own, SERVICE, sizeof SERVICE);
    haul_assert(!to_own.bad);
    own_bytes = (size_t)(to_own.at - own);
    header_write(out, FLAG_ANSWER | AUTHORITY, 0, 1, 1);
    haul_out_bytes(out, SERVICE, sizeof SERVICE);
    record_write(out, TYPE_PTR, own_bytes);
    haul_out_bytes(out, own, own_bytes);
    haul_out_bytes(out, own, own_bytes);
    room = haul_out_left(out) > 10 ? haul_out_left(out) - 10 : 0;
    for (size_t i = 0; i < count; i++) {
        struct haul_multiaddr address = addresses[i];
        size_t bytes;

        if (!haul_multiaddr_add_peer(&address, peer))
            continue;
        haul_multiaddr_print(&address, text);
        bytes = strlen(PREFIX) + strlen(text);
        if (bytes > STRING_MAX || (size_t)(to.at - strings) + 1 + bytes > room)
            continue;
        haul_out_be(&to, bytes, 1);
        haul_out_bytes(&to, PREFIX, strlen(PREFIX));
        haul_out_bytes(&to, text, strlen(text));
    }
    record_write(out, TYPE_TXT, (size_t)(to.at - strings));
    haul_out_bytes(out, strings, (size_t)(to.at - strings));
    out->bad |= to.bad;
}
