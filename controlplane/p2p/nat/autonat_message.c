/* The codec: nested messages are read where they lie, and written inside out. */
#include "controlplane/p2p/nat/autonat_message.h"

#include "controlplane/p2p/fields.h"

enum { V1_TYPE = 1, V1_DIAL = 2, V1_RESPONSE = 3 };
enum { V1_DIAL_PEER = 1, V1_PEER_ID = 1, V1_PEER_ADDRESS = 2 };
enum { V1_STATUS = 1, V1_ADDRESS = 3 };
enum { V2_DIAL = 1, V2_RESPONSE = 2, V2_PAY = 3, V2_PAID = 4 };
enum { V2_DIAL_ADDRESS = 1, V2_DIAL_NONCE = 2 };
enum { V2_RESPONSE_STATUS = 1, V2_RESPONSE_INDEX = 2, V2_RESPONSE_DIAL = 3 };
enum { V2_PAY_INDEX = 1, V2_PAY_BYTES = 2, V2_PAID_DATA = 1 };
enum { BACK_NONCE = 1, BACK_STATUS = 1 };

static uint32_t small(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void address_add(struct haul_autonat_message *message, const struct haul_field *field)
{
    struct haul_multiaddr *address = &message->addresses[message->address_count];

    if (message->address_count == HAUL_AUTONAT_ADDRESSES_MAX)
        return;
    if (!haul_multiaddr_decode(field->data, field->bytes, address))
        memset(address, 0, sizeof *address);
    message->address_count++;
}

/* --- version 1 --- */

static bool v1_peer(const struct haul_field *outer, struct haul_autonat_message *message)
{
    struct haul_in in = haul_in_from(outer->data, outer->bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (!field.is_bytes)
            continue;
        if (field.number == V1_PEER_ID) {
            if (!haul_peer_id_decode(field.data, field.bytes, &message->peer))
                return false;
            message->peer_named = true;
        } else if (field.number == V1_PEER_ADDRESS) {
            address_add(message, &field);
        }
    }
    return !in.bad;
}

static bool v1_dial(const struct haul_field *outer, struct haul_autonat_message *message)
{
    struct haul_in in = haul_in_from(outer->data, outer->bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (field.number == V1_DIAL_PEER && field.is_bytes && !v1_peer(&field, message))
            return false;
    }
    return !in.bad;
}

static bool v1_response(const struct haul_field *outer, struct haul_autonat_message *message)
{
    struct haul_in in = haul_in_from(outer->data, outer->bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (field.number == V1_STATUS && !field.is_bytes)
            message->status = small(field.value);
        else if (field.number == V1_ADDRESS && field.is_bytes)
            address_add(message, &field);
    }
    return !in.bad;
}

bool haul_autonat_decode(const uint8_t *data, size_t bytes, struct haul_autonat_message *message)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field;
    uint64_t type = 0; /* DIAL, which a writer may leave out */
    bool dial = false, response = false;

    memset(message, 0, sizeof *message);
    while (haul_field_next(&in, &field)) {
        if (field.number == V1_TYPE && !field.is_bytes) {
            type = field.value;
        } else if (field.number == V1_DIAL && field.is_bytes) {
            dial = true;
            if (!v1_dial(&field, message))
                return false;
        } else if (field.number == V1_RESPONSE && field.is_bytes) {
            response = true;
            if (!v1_response(&field, message))
                return false;
        }
    }
    if (type == 0 && dial && !response)
        message->kind = HAUL_AUTONAT_DIAL;
    else if (type == 1 && response && !dial)
        message->kind = HAUL_AUTONAT_RESPONSE;
    return !in.bad;
}

/* A message with its length in front. */
static void frame(struct haul_out *out, const uint8_t *body, const struct haul_out *written)
{
    size_t bytes = (size_t)(written->at - body);

    out->bad |= written->bad;
    haul_out_uvarint(out, bytes);
    haul_out_bytes(out, body, bytes);
}

void haul_autonat_write_dial(struct haul_out *out, const struct haul_peer_id *own,
                             const struct haul_multiaddr *addresses, size_t count)
{
    uint8_t info[HAUL_AUTONAT_MESSAGE_MAX / 2], dial[HAUL_AUTONAT_MESSAGE_MAX / 2 + 8];
    uint8_t body[HAUL_AUTONAT_MESSAGE_MAX / 2 + 16];
    struct haul_out to_info = haul_out_to(info, sizeof info);
    struct haul_out to_dial = haul_out_to(dial, sizeof dial);
    struct haul_out to_body = haul_out_to(body, sizeof body);

    haul_field_write_bytes(&to_info, V1_PEER_ID, own->bytes, own->length);
    for (size_t i = 0; i < count; i++)
        haul_field_write_bytes(&to_info, V1_PEER_ADDRESS, addresses[i].bytes, addresses[i].length);
    haul_field_write_bytes(&to_dial, V1_DIAL_PEER, info, (size_t)(to_info.at - info));
    haul_field_write_value(&to_body, V1_TYPE, 0);
    haul_field_write_bytes(&to_body, V1_DIAL, dial, (size_t)(to_dial.at - dial));
    to_body.bad |= to_info.bad || to_dial.bad;
    frame(out, body, &to_body);
}

void haul_autonat_write_response(struct haul_out *out, uint32_t status,
                                 const struct haul_multiaddr *reached)
{
    uint8_t response[HAUL_MULTIADDR_BYTES_MAX + 32], body[sizeof response + 16];
    struct haul_out to_response = haul_out_to(response, sizeof response);
    struct haul_out to_body = haul_out_to(body, sizeof body);

    haul_field_write_value(&to_response, V1_STATUS, status);
    if (reached != NULL)
        haul_field_write_bytes(&to_response, V1_ADDRESS, reached->bytes, reached->length);
    haul_field_write_value(&to_body, V1_TYPE, 1);
    haul_field_write_bytes(&to_body, V1_RESPONSE, response, (size_t)(to_response.at - response));
    to_body.bad |= to_response.bad;
    frame(out, body, &to_body);
}

/* --- version 2 --- */

static void v2_dial(const struct haul_field *field, struct haul_autonat_message *message)
{
    if (field->number == V2_DIAL_ADDRESS && field->is_bytes)
        address_add(message, field);
    else if (field->number == V2_DIAL_NONCE && !field->is_bytes)
        message->nonce = field->value;
}

static void v2_response(const struct haul_field *field, struct haul_autonat_message *message)
{
    if (field->is_bytes)
        return;
    if (field->number == V2_RESPONSE_STATUS)
        message->status = small(field->value);
    else if (field->number == V2_RESPONSE_INDEX)
        message->index = field->value;
    else if (field->number == V2_RESPONSE_DIAL)
        message->dial_status = small(field->value);
}

static void v2_pay(const struct haul_field *field, struct haul_autonat_message *message)
{
    if (field->is_bytes)
        return;
    if (field->number == V2_PAY_INDEX)
        message->index = field->value;
    else if (field->number == V2_PAY_BYTES)
        message->bytes = field->value;
}

static void v2_paid(const struct haul_field *field, struct haul_autonat_message *message)
{
    if (field->number == V2_PAID_DATA && field->is_bytes)
        message->bytes = field->bytes;
}

bool haul_autonat2_decode(const uint8_t *data, size_t bytes, struct haul_autonat_message *message)
{
    static const struct {
        enum haul_autonat_kind kind;
        void (*take)(const struct haul_field *, struct haul_autonat_message *);
    } kinds[] = {
        [V2_DIAL] = { HAUL_AUTONAT_DIAL, v2_dial },
        [V2_RESPONSE] = { HAUL_AUTONAT_RESPONSE, v2_response },
        [V2_PAY] = { HAUL_AUTONAT_PAY, v2_pay },
        [V2_PAID] = { HAUL_AUTONAT_PAID, v2_paid },
    };
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field, inner;

    memset(message, 0, sizeof *message);
    while (haul_field_next(&in, &field)) {
        struct haul_in inside;

        if (!field.is_bytes || field.number == 0 || field.number >= HAUL_COUNT_OF(kinds))
            continue;
        memset(message, 0, sizeof *message); /* one of them: the last one holds */
        message->kind = kinds[field.number].kind;
        inside = haul_in_from(field.data, field.bytes);
        while (haul_field_next(&inside, &inner))
            kinds[field.number].take(&inner, message);
        if (inside.bad)
            return false;
    }
    return !in.bad;
}

/* One field that holds a whole message, framed. */
static void wrap(struct haul_out *out, uint32_t number, const uint8_t *inner,
                 const struct haul_out *written)
{
    size_t bytes = (size_t)(written->at - inner);

    out->bad |= written->bad;
    haul_out_uvarint(out, haul_field_bytes(number, bytes));
    haul_field_write_bytes(out, number, inner, bytes);
}

void haul_autonat2_write_dial(struct haul_out *out, const struct haul_multiaddr *addresses,
                              size_t count, uint64_t nonce)
{
    uint8_t inner[HAUL_AUTONAT_MESSAGE_MAX / 2];
    struct haul_out to = haul_out_to(inner, sizeof inner);

    for (size_t i = 0; i < count; i++)
        haul_field_write_bytes(&to, V2_DIAL_ADDRESS, addresses[i].bytes, addresses[i].length);
    haul_field_write_fixed64(&to, V2_DIAL_NONCE, nonce);
    wrap(out, V2_DIAL, inner, &to);
}

void haul_autonat2_write_response(struct haul_out *out, uint32_t status, uint32_t index,
                                  uint32_t dial_status)
{
    uint8_t inner[32];
    struct haul_out to = haul_out_to(inner, sizeof inner);

    haul_field_write_value(&to, V2_RESPONSE_STATUS, status);
    haul_field_write_value(&to, V2_RESPONSE_INDEX, index);
    haul_field_write_value(&to, V2_RESPONSE_DIAL, dial_status);
    wrap(out, V2_RESPONSE, inner, &to);
}

void haul_autonat2_write_pay(struct haul_out *out, uint32_t index, uint64_t bytes)
{
    uint8_t inner[32];
    struct haul_out to = haul_out_to(inner, sizeof inner);

    haul_field_write_value(&to, V2_PAY_INDEX, index);
    haul_field_write_value(&to, V2_PAY_BYTES, bytes);
    wrap(out, V2_PAY, inner, &to);
}

void haul_autonat2_write_paid(struct haul_out *out, size_t bytes)
{
    static const uint8_t zeros[HAUL_AUTONAT_PAY_PART_MAX];
    uint8_t inner[HAUL_AUTONAT_PAY_PART_MAX + 8];
    struct haul_out to = haul_out_to(inner, sizeof inner);

    haul_assert(bytes <= sizeof zeros);
    haul_field_write_bytes(&to, V2_PAID_DATA, zeros, bytes);
    wrap(out, V2_PAID, inner, &to);
}

/* --- the dial back --- */

bool haul_autonat_back_decode(const uint8_t *data, size_t bytes, uint64_t *nonce)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field;
    uint64_t read = 0;

    while (haul_field_next(&in, &field)) {
        if (field.number == BACK_NONCE && !field.is_bytes)
            read = field.value;
    }
    if (in.bad)
        return false;
    *nonce = read;
    return true;
}

void haul_autonat_back_write(struct haul_out *out, uint64_t nonce)
{
    haul_out_uvarint(out, 9);
    haul_field_write_fixed64(out, BACK_NONCE, nonce);
}

void haul_autonat_back_write_response(struct haul_out *out)
{
    haul_out_uvarint(out, 2);
    haul_field_write_value(out, BACK_STATUS, 0);
}
