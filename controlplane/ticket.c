#include "controlplane/ticket.h"

#include "common/bytes.h"
#include "common/multibase.h"

#include <string.h>
#include <strings.h>

#define PREFIX           "haul:"
#define PREFIX_BYTES     5u
#define VERSION          1u
#define CHECKSUM_BYTES   4u
#define TICKET_BYTES_MAX 300u /* 480 characters of base32 */

static void checksum(const uint8_t *data, size_t bytes, uint8_t sum[CHECKSUM_BYTES])
{
    struct haul_hash hash;

    haul_hash_of(HAUL_HASH_SHA2_256, data, bytes, &hash);
    memcpy(sum, hash.bytes + 2, CHECKSUM_BYTES);
}

/* How many of the addresses fit beside `used` bytes and their count. */
static size_t addresses_that_fit(const struct haul_ticket *ticket, size_t used)
{
    size_t room = TICKET_BYTES_MAX - CHECKSUM_BYTES - 1 - used;
    size_t count = 0;

    for (; count < ticket->address_count; count++) {
        size_t bytes = ticket->addresses[count].length;

        bytes += haul_uvarint_bytes(bytes);
        if (bytes > room)
            break;
        room -= bytes;
    }
    return count;
}

void haul_ticket_print(const struct haul_ticket *ticket, char text[HAUL_TICKET_TEXT_BYTES])
{
    uint8_t data[TICKET_BYTES_MAX], sum[CHECKSUM_BYTES];
    struct haul_out out = haul_out_to(data, sizeof data);
    char encoded[HAUL_TICKET_TEXT_BYTES];
    size_t count;

    haul_assert(ticket->address_count <= HAUL_TICKET_ADDRESSES_MAX);
    haul_out_be(&out, VERSION, 1);
    haul_cid_encode(&out, &ticket->root);
    haul_out_uvarint(&out, ticket->peer.length);
    haul_out_bytes(&out, ticket->peer.bytes, ticket->peer.length);
    count = addresses_that_fit(ticket, (size_t)(out.at - data));
    haul_out_uvarint(&out, count);
    for (size_t i = 0; i < count; i++) {
        haul_out_uvarint(&out, ticket->addresses[i].length);
        haul_out_bytes(&out, ticket->addresses[i].bytes, ticket->addresses[i].length);
    }
    checksum(data, (size_t)(out.at - data), sum);
    haul_out_bytes(&out, sum, sizeof sum);
    haul_assert(!out.bad);
    haul_assert(haul_multibase_encode('b', data, (size_t)(out.at - data), encoded,
                                      sizeof encoded - PREFIX_BYTES) > 0);
    memcpy(text, PREFIX, PREFIX_BYTES);
    memcpy(text + PREFIX_BYTES, encoded + 1, strlen(encoded)); /* without 'b', with the end mark */
}

static bool read_peer(struct haul_in *in, struct haul_ticket *ticket)
{
    size_t bytes = haul_in_uvarint(in);
    const uint8_t *data = haul_in_bytes(in, bytes);

    return data != NULL && haul_peer_id_decode(data, bytes, &ticket->peer);
}

/* An address of a kind that this version does not know is left out, the ticket still serves. */
static bool read_addresses(struct haul_in *in, struct haul_ticket *ticket)
{
    uint64_t count = haul_in_uvarint(in);

    if (count > HAUL_TICKET_ADDRESSES_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        size_t bytes = haul_in_uvarint(in);
        const uint8_t *data = haul_in_bytes(in, bytes);

        if (data == NULL)
            return false;
        if (haul_multiaddr_decode(data, bytes, &ticket->addresses[ticket->address_count]))
            ticket->address_count++;
    }
    return haul_in_done(in);
}

static int parse(const char *text, size_t length, struct haul_ticket *ticket,
                 struct haul_error *error)
{
    char encoded[HAUL_TICKET_TEXT_BYTES] = "b";
    uint8_t data[TICKET_BYTES_MAX], sum[CHECKSUM_BYTES];
    struct haul_ticket read = { 0 };
    const uint8_t *root;
    struct haul_in in;
    ptrdiff_t bytes;

    if (length < PREFIX_BYTES || strncasecmp(text, PREFIX, PREFIX_BYTES) != 0)
        return haul_fail(error, HAUL_E_TICKET_MALFORMED, "a ticket begins with '%s'", PREFIX);
    if (length - PREFIX_BYTES + 2 > sizeof encoded)
        return haul_fail(error, HAUL_E_TICKET_MALFORMED, "the ticket is too long");
    for (size_t i = PREFIX_BYTES; i < length; i++) {
        char c = text[i];

        encoded[i - PREFIX_BYTES + 1] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    bytes = haul_multibase_decode(encoded, data, sizeof data);
    if (bytes < (ptrdiff_t)CHECKSUM_BYTES + 1)
        return haul_fail(error, HAUL_E_TICKET_MALFORMED,
                         "the ticket is cut off or has a character that no ticket has");
    bytes -= (ptrdiff_t)CHECKSUM_BYTES;
    checksum(data, (size_t)bytes, sum);
    if (memcmp(data + bytes, sum, sizeof sum) != 0)
        return haul_fail(error, HAUL_E_TICKET_MALFORMED,
                         "the ticket is cut off or mistyped: its checksum does not hold");
    if (data[0] != VERSION)
        return haul_fail(error, HAUL_E_TICKET_MALFORMED,
                         "the ticket is of version %u, which this haul does not know", data[0]);
    in = haul_in_from(data + 1, (size_t)bytes - 1);
    root = haul_in_bytes(&in, HAUL_CID_BYTES);
    if (root == NULL || !haul_cid_decode(root, HAUL_CID_BYTES, &read.root))
        return haul_fail(error, HAUL_E_TICKET_MALFORMED, "the ticket names no dataset");
    if (!read_peer(&in, &read) || !read_addresses(&in, &read))
        return haul_fail(error, HAUL_E_TICKET_MALFORMED, "the ticket names its peer wrongly");
    *ticket = read;
    return 0;
}

int haul_ticket_parse(const char *text, struct haul_ticket *ticket, struct haul_error *error)
{
    return parse(text, strlen(text), ticket, error);
}

int haul_target_parse(const char *text, struct haul_target *target, struct haul_error *error)
{
    size_t length = strcspn(text, "/");
    struct haul_target read = { .path = text + length };
    char cid[HAUL_MULTIBASE_TEXT_MAX];

    if (*read.path == '/')
        read.path++;
    if (strncasecmp(text, PREFIX, PREFIX_BYTES) == 0) {
        if (parse(text, length, &read.ticket, error) < 0)
            return -1;
        read.has_ticket = true;
        read.root = read.ticket.root;
    } else {
        if (length >= sizeof cid)
            return haul_fail(error, HAUL_E_CID_MALFORMED, "the text is too long for a CID");
        memcpy(cid, text, length);
        cid[length] = '\0';
        if (!haul_cid_parse(cid, &read.root))
            return haul_fail(error, HAUL_E_CID_MALFORMED,
                             "'%.80s' is neither a CID nor a ticket ('%s...')", text, PREFIX);
    }
    *target = read;
    return 0;
}
