/* The edge where protobuf ends: everything behind it is plain structs. A message is at most 4096
 * bytes, which bounds what the parser allocates. */
#include "controlplane/grants/offer_message.h"

#include "offer.pb-c.h"

#define IPV4_BYTES 6u /* address and port */
#define IPV6_BYTES 18u

/* --- candidates --- */

struct candidate_room {
    uint8_t bytes[HAUL_CANDIDATES_MAX][IPV6_BYTES];
    ProtobufCBinaryData list[HAUL_CANDIDATES_MAX];
};

static void candidates_pack(const struct haul_offer_side *side, struct candidate_room *room)
{
    haul_assert(side->candidate_count <= HAUL_CANDIDATES_MAX);
    for (size_t i = 0; i < side->candidate_count; i++) {
        const struct haul_addr *addr = &side->candidates[i];
        struct haul_out out = haul_out_to(room->bytes[i], IPV6_BYTES);

        haul_out_bytes(&out, addr->ip, addr->family == 4 ? 4 : 16);
        haul_out_be(&out, addr->port, 2);
        room->list[i].data = room->bytes[i];
        room->list[i].len = (size_t)(out.at - room->bytes[i]);
    }
}

static void candidates_read(const ProtobufCBinaryData *list, size_t count,
                            struct haul_offer_side *side)
{
    for (size_t i = 0; i < count && side->candidate_count < HAUL_CANDIDATES_MAX; i++) {
        struct haul_in in = haul_in_from(list[i].data, list[i].len);
        struct haul_addr addr = { .family = list[i].len == IPV4_BYTES ? 4 : 6 };

        if (list[i].len != IPV4_BYTES && list[i].len != IPV6_BYTES)
            continue;
        haul_in_copy(&in, addr.ip, list[i].len - 2);
        addr.port = (uint16_t)haul_in_be(&in, 2);
        side->candidates[side->candidate_count++] = addr;
    }
}

static bool side_read(ProtobufCBinaryData key, uint32_t receiver_id,
                      const ProtobufCBinaryData *candidates, size_t candidate_count,
                      struct haul_offer_side *side)
{
    if (key.len != sizeof side->key || receiver_id == 0)
        return false;
    memcpy(side->key, key.data, sizeof side->key);
    side->receiver_id = receiver_id;
    candidates_read(candidates, candidate_count, side);
    return true;
}

static void pack(const ProtobufCMessage *message, struct haul_out *out)
{
    size_t bytes = protobuf_c_message_get_packed_size(message);

    if (out->bad || bytes > haul_out_left(out)) {
        out->bad = true;
        return;
    }
    out->at += protobuf_c_message_pack(message, out->at);
}

/* --- Offer --- */

void haul_offer_write(struct haul_out *out, const struct haul_offer *offer)
{
    Haul__Offer message = HAUL__OFFER__INIT;
    struct haul_offer copy = *offer;
    struct candidate_room room;
    uint8_t root[HAUL_CID_BYTES];
    struct haul_out root_out = haul_out_to(root, sizeof root);

    haul_cid_encode(&root_out, &offer->root);
    candidates_pack(&offer->side, &room);
    message.version = offer->version;
    message.root = (ProtobufCBinaryData){ (size_t)(root_out.at - root), root };
    message.key = (ProtobufCBinaryData){ sizeof copy.side.key, copy.side.key };
    message.receiver_id = offer->side.receiver_id;
    message.n_wire_versions = offer->wire_version_count;
    message.wire_versions = copy.wire_versions;
    message.n_ciphers = offer->cipher_count;
    message.ciphers = copy.ciphers;
    message.payload_max = offer->side.payload_max;
    message.wants_max = offer->side.wants_max;
    message.rate_max = offer->side.rate_max;
    message.n_candidates = offer->side.candidate_count;
    message.candidates = room.list;
    message.net = offer->via;
    message.beside = offer->beside;
    pack(&message.base, out);
}

static uint8_t list_read(const uint32_t *from, size_t count, uint32_t to[HAUL_OFFER_LIST_MAX])
{
    size_t kept = count < HAUL_OFFER_LIST_MAX ? count : HAUL_OFFER_LIST_MAX;

    if (kept > 0)
        memcpy(to, from, kept * sizeof *to);
    return (uint8_t)kept;
}

bool haul_offer_read(const uint8_t *data, size_t bytes, struct haul_offer *offer)
{
    Haul__Offer *message =
        bytes <= HAUL_OFFER_BYTES_MAX ? haul__offer__unpack(NULL, bytes, data) : NULL;
    struct haul_offer read = { 0 };
    bool good;

    if (message == NULL)
        return false;
    read.version = message->version;
    read.via = message->net < HAUL_VIAS ? (uint8_t)message->net : (uint8_t)HAUL_VIA_KERNEL;
    read.beside = message->beside != 0;
    read.side.payload_max = message->payload_max;
    read.side.wants_max = message->wants_max;
    read.side.rate_max = message->rate_max;
    read.wire_version_count =
        list_read(message->wire_versions, message->n_wire_versions, read.wire_versions);
    read.cipher_count = list_read(message->ciphers, message->n_ciphers, read.ciphers);
    good = message->version > 0 &&
           haul_cid_decode(message->root.data, message->root.len, &read.root) &&
           side_read(message->key, message->receiver_id, message->candidates, message->n_candidates,
                     &read.side);
    haul__offer__free_unpacked(message, NULL);
    if (good)
        *offer = read;
    return good;
}

/* --- Grant --- */

void haul_offer_grant_write(struct haul_out *out, const struct haul_offer_grant *grant)
{
    Haul__Grant message = HAUL__GRANT__INIT;
    struct haul_offer_grant copy = *grant;
    struct candidate_room room;

    candidates_pack(&grant->side, &room);
    message.version = grant->version;
    message.wire_version = grant->wire_version;
    message.key = (ProtobufCBinaryData){ sizeof copy.side.key, copy.side.key };
    message.receiver_id = grant->side.receiver_id;
    message.cipher = grant->cipher;
    message.payload_max = grant->side.payload_max;
    message.wants_max = grant->side.wants_max;
    message.rate_max = grant->side.rate_max;
    message.n_candidates = grant->side.candidate_count;
    message.candidates = room.list;
    message.flows = grant->flows;
    pack(&message.base, out);
}

bool haul_offer_grant_read(const uint8_t *data, size_t bytes, struct haul_offer_grant *grant)
{
    Haul__Grant *message =
        bytes <= HAUL_OFFER_BYTES_MAX ? haul__grant__unpack(NULL, bytes, data) : NULL;
    struct haul_offer_grant read = { 0 };
    bool good;

    if (message == NULL)
        return false;
    read.version = message->version;
    read.wire_version = message->wire_version;
    read.cipher = message->cipher;
    read.flows = message->flows;
    read.side.payload_max = message->payload_max;
    read.side.wants_max = message->wants_max;
    read.side.rate_max = message->rate_max;
    good =
        message->version > 0 && side_read(message->key, message->receiver_id, message->candidates,
                                          message->n_candidates, &read.side);
    haul__grant__free_unpacked(message, NULL);
    if (good)
        *grant = read;
    return good;
}

/* --- Answer --- */

void haul_offer_answer_write(struct haul_out *out, const struct haul_offer_answer *answer)
{
    struct haul_offer_answer copy = *answer;
    Haul__Refusal refusal = HAUL__REFUSAL__INIT;
    Haul__Answer message;

    haul__answer__init(&message);
    if (answer->granted) {
        message.what_case = HAUL__ANSWER__WHAT_GRANT;
        message.grant = (ProtobufCBinaryData){ copy.grant_bytes, copy.grant };
        message.signature = (ProtobufCBinaryData){ sizeof copy.signature, copy.signature };
    } else {
        refusal.reason = (Haul__Refusal__Reason)answer->reason;
        refusal.retry_ms = answer->retry_ms;
        message.what_case = HAUL__ANSWER__WHAT_REFUSAL;
        message.refusal = &refusal;
    }
    pack(&message.base, out);
}

bool haul_offer_answer_read(const uint8_t *data, size_t bytes, struct haul_offer_answer *answer)
{
    Haul__Answer *message =
        bytes <= HAUL_OFFER_BYTES_MAX ? haul__answer__unpack(NULL, bytes, data) : NULL;
    struct haul_offer_answer read = { 0 };
    bool good = false;

    if (message == NULL)
        return false;
    if (message->what_case == HAUL__ANSWER__WHAT_GRANT && message->grant.len > 0 &&
        message->grant.len <= sizeof read.grant &&
        message->signature.len == sizeof read.signature) {
        memcpy(read.signature, message->signature.data, sizeof read.signature);
        memcpy(read.grant, message->grant.data, message->grant.len);
        read.grant_bytes = (uint16_t)message->grant.len;
        read.granted = true;
        good = true;
    } else if (message->what_case == HAUL__ANSWER__WHAT_REFUSAL && message->refusal != NULL) {
        int reason = (int)message->refusal->reason;

        /* A reason of a later version is a refusal all the same. */
        read.reason = reason >= HAUL_OFFER_UNKNOWN && reason <= HAUL_OFFER_UNAVAILABLE
                          ? (enum haul_offer_reason)reason
                          : HAUL_OFFER_UNAVAILABLE;
        read.retry_ms = message->refusal->retry_ms;
        good = true;
    }
    haul__answer__free_unpacked(message, NULL);
    if (good)
        *answer = read;
    return good;
}

/* --- Confirm --- */

void haul_offer_confirm_write(struct haul_out *out,
                              const uint8_t signature[HAUL_KEY_SIGNATURE_BYTES])
{
    Haul__Confirm message = HAUL__CONFIRM__INIT;
    uint8_t copy[HAUL_KEY_SIGNATURE_BYTES];

    memcpy(copy, signature, sizeof copy);
    message.signature = (ProtobufCBinaryData){ sizeof copy, copy };
    pack(&message.base, out);
}

bool haul_offer_confirm_read(const uint8_t *data, size_t bytes,
                             uint8_t signature[HAUL_KEY_SIGNATURE_BYTES])
{
    Haul__Confirm *message =
        bytes <= HAUL_OFFER_BYTES_MAX ? haul__confirm__unpack(NULL, bytes, data) : NULL;
    bool good;

    if (message == NULL)
        return false;
    good = message->signature.len == HAUL_KEY_SIGNATURE_BYTES;
    if (good)
        memcpy(signature, message->signature.data, HAUL_KEY_SIGNATURE_BYTES);
    haul__confirm__free_unpacked(message, NULL);
    return good;
}
