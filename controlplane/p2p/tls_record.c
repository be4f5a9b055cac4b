#include "controlplane/p2p/tls_record.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum content { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };
enum message { NEW_SESSION_TICKET = 4, KEY_UPDATE = 24 };

#define CLOSE_NOTIFY  0u
#define TICKET_MAX    (64u << 10)
#define UPDATE_BYTES  5u
#define KEY_BYTES_MAX 32u
#define LABEL_MAX     32u

static const EVP_CIPHER *cipher_of(enum haul_tls_suite suite)
{
    switch (suite) {
    case HAUL_TLS_AES_128_GCM_SHA256:
        return EVP_aes_128_gcm();
    case HAUL_TLS_AES_256_GCM_SHA384:
        return EVP_aes_256_gcm();
    case HAUL_TLS_CHACHA20_POLY1305_SHA256:
        return EVP_chacha20_poly1305();
    }
    return NULL;
}

size_t haul_tls_secret_bytes(enum haul_tls_suite suite)
{
    return suite == HAUL_TLS_AES_256_GCM_SHA384 ? 48 : 32;
}

/* HKDF-Expand-Label without a context (RFC 8446, 7.1), for at most one block of the hash. */
static void expand(const struct haul_tls_record *record, const uint8_t *secret, const char *label,
                   uint8_t *to, size_t bytes)
{
    size_t block = haul_tls_secret_bytes(record->suite);
    uint8_t info[4 + LABEL_MAX + 2], made[64];
    struct haul_out out = haul_out_to(info, sizeof info);
    size_t made_bytes = 0;

    haul_out_be(&out, bytes, 2);
    haul_out_be(&out, 6 + strlen(label), 1);
    haul_out_bytes(&out, "tls13 ", 6);
    haul_out_bytes(&out, label, strlen(label));
    haul_out_be(&out, 0, 1);
    haul_out_be(&out, 1, 1); /* the first block */
    haul_assert(!out.bad && bytes <= block);
    haul_assert(EVP_Q_mac(NULL, "HMAC", NULL, block == 48 ? "SHA384" : "SHA256", NULL, secret,
                          block, info, (size_t)(out.at - info), made, sizeof made,
                          &made_bytes) != NULL);
    haul_assert(made_bytes == block);
    memcpy(to, made, bytes);
    OPENSSL_cleanse(made, sizeof made);
}

static void direction_key(const struct haul_tls_record *record,
                          struct haul_tls_direction *direction)
{
    const EVP_CIPHER *cipher = cipher_of(record->suite);
    uint8_t key[KEY_BYTES_MAX];
    size_t bytes = record->suite == HAUL_TLS_AES_128_GCM_SHA256 ? 16 : 32;

    expand(record, direction->secret, "key", key, bytes);
    expand(record, direction->secret, "iv", direction->iv, sizeof direction->iv);
    if (direction->context == NULL)
        direction->context = EVP_CIPHER_CTX_new();
    haul_assert(direction->context != NULL);
    haul_assert(EVP_CipherInit_ex(direction->context, cipher, NULL, key, NULL,
                                  direction == &record->seal) == 1);
    direction->number = 0;
    OPENSSL_cleanse(key, sizeof key);
}

static void direction_update(const struct haul_tls_record *record,
                             struct haul_tls_direction *direction)
{
    uint8_t next[sizeof direction->secret];
    size_t bytes = haul_tls_secret_bytes(record->suite);

    expand(record, direction->secret, "traffic upd", next, bytes);
    memcpy(direction->secret, next, bytes);
    OPENSSL_cleanse(next, sizeof next);
    direction_key(record, direction);
}

void haul_tls_record_init(struct haul_tls_record *record, enum haul_tls_suite suite, bool client,
                          const uint8_t *seal_secret, const uint8_t *open_secret)
{
    size_t bytes = haul_tls_secret_bytes(suite);

    memset(record, 0, sizeof *record);
    record->suite = suite;
    record->client = client;
    memcpy(record->seal.secret, seal_secret, bytes);
    memcpy(record->open.secret, open_secret, bytes);
    direction_key(record, &record->seal);
    direction_key(record, &record->open);
}

void haul_tls_record_fini(struct haul_tls_record *record)
{
    EVP_CIPHER_CTX_free(record->seal.context); /* clears the key */
    EVP_CIPHER_CTX_free(record->open.context);
    OPENSSL_cleanse(record, sizeof *record);
}

/* --- both directions --- */

static void direction_start(struct haul_tls_direction *direction, const uint8_t *header,
                            int sealing)
{
    uint8_t nonce[12];
    int written;

    memcpy(nonce, direction->iv, sizeof nonce);
    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(direction->number >> (8 * (7 - i)));
    haul_assert(EVP_CipherInit_ex(direction->context, NULL, NULL, NULL, nonce, sealing) == 1);
    haul_assert(EVP_CipherUpdate(direction->context, NULL, &written, header,
                                 (int)HAUL_TLS_HEADER_BYTES) == 1);
}

static void run(struct haul_tls_direction *direction, const uint8_t *from, size_t bytes,
                uint8_t *to)
{
    int written = 0;

    if (bytes == 0)
        return;
    haul_assert(EVP_CipherUpdate(direction->context, to, &written, from, (int)bytes) == 1);
    haul_assert((size_t)written == bytes);
}

/* --- sealing --- */

static size_t seal_one(struct haul_tls_record *record, enum content type, const uint8_t *head,
                       size_t head_bytes, const uint8_t *body, size_t body_bytes, uint8_t *to)
{
    struct haul_tls_direction *seal = &record->seal;
    size_t bytes = head_bytes + body_bytes + 1;
    uint8_t inner = (uint8_t)type;
    struct haul_out out = haul_out_to(to, HAUL_TLS_HEADER_BYTES);
    uint8_t *at = to + HAUL_TLS_HEADER_BYTES;
    int written = 0;

    haul_out_be(&out, DATA, 1);
    haul_out_be(&out, 0x0303, 2);
    haul_out_be(&out, bytes + HAUL_TLS_TAG_BYTES, 2);
    direction_start(seal, to, 1);
    run(seal, head, head_bytes, at);
    run(seal, body, body_bytes, at + head_bytes);
    run(seal, &inner, 1, at + head_bytes + body_bytes);
    haul_assert(EVP_CipherFinal_ex(seal->context, at + bytes, &written) == 1);
    haul_assert(EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_GET_TAG, HAUL_TLS_TAG_BYTES,
                                    at + bytes) == 1);
    seal->number++;
    return HAUL_TLS_HEADER_BYTES + bytes + HAUL_TLS_TAG_BYTES;
}

static size_t seal_update(struct haul_tls_record *record, uint8_t *to)
{
    static const uint8_t update[UPDATE_BYTES] = { KEY_UPDATE, 0, 0, 1, 0 /* none wanted back */ };
    size_t wrote = seal_one(record, HANDSHAKE, update, sizeof update, NULL, 0, to);

    direction_update(record, &record->seal);
    record->update_wanted = false;
    return wrote;
}

size_t haul_tls_seal(struct haul_tls_record *record, const uint8_t *head, size_t head_bytes,
                     const uint8_t *body, size_t body_bytes, uint8_t *to)
{
    uint8_t *at = to;

    if (record->update_wanted || record->seal.number >= HAUL_TLS_RECORDS_PER_KEY)
        at += seal_update(record, at);
    while (head_bytes + body_bytes > 0) {
        size_t first = head_bytes < HAUL_TLS_CLEAR_MAX ? head_bytes : HAUL_TLS_CLEAR_MAX;
        size_t second =
            body_bytes < HAUL_TLS_CLEAR_MAX - first ? body_bytes : HAUL_TLS_CLEAR_MAX - first;

        at += seal_one(record, DATA, head, first, body, second, at);
        head += first;
        head_bytes -= first;
        if (second > 0) { /* no body may have no address */
            body += second;
            body_bytes -= second;
        }
    }
    return (size_t)(at - to);
}

/* --- opening --- */

bool haul_tls_length(const uint8_t header[HAUL_TLS_HEADER_BYTES], size_t *bytes)
{
    size_t length = (size_t)header[3] << 8 | header[4];

    if (header[1] != 3 || length == 0 || length > HAUL_TLS_RECORD_MAX)
        return false;
    *bytes = length;
    return true;
}

/* Tickets are of no use to us; anything but these two is out of order. */
static bool read_messages(struct haul_tls_record *record, const uint8_t *at, size_t bytes)
{
    while (bytes > 0) {
        uint32_t length;

        if (record->skip > 0) {
            size_t over = record->skip < bytes ? record->skip : bytes;

            record->skip -= (uint32_t)over;
            at += over;
            bytes -= over;
            continue;
        }
        record->head[record->head_bytes++] = *at++;
        bytes--;
        if (record->head_bytes < sizeof record->head)
            continue;
        record->head_bytes = 0;
        length = (uint32_t)record->head[1] << 16 | (uint32_t)record->head[2] << 8 | record->head[3];
        if (record->head[0] == NEW_SESSION_TICKET && record->client && length <= TICKET_MAX) {
            record->skip = length;
            continue;
        }
        /* A key update ends its record: what follows is under the new key. */
        if (record->head[0] != KEY_UPDATE || length != 1 || bytes != 1 || *at > 1)
            return false;
        record->update_wanted |= *at == 1;
        direction_update(record, &record->open);
        return true;
    }
    return true;
}

static bool read_alert(struct haul_tls_record *record, const uint8_t *at, size_t bytes)
{
    if (bytes != 2 || at[1] != CLOSE_NOTIFY)
        return false;
    record->closed = true;
    return true;
}

/* The content's type is its last byte that is not zero. */
static bool read_content(struct haul_tls_record *record, uint8_t *at, size_t bytes, uint8_t **data,
                         size_t *data_bytes)
{
    while (bytes > 0 && at[bytes - 1] == 0)
        bytes--;
    if (bytes == 0 || bytes - 1 > HAUL_TLS_CLEAR_MAX || record->closed)
        return false;
    bytes--;
    *data = at;
    *data_bytes = 0;
    if (at[bytes] == DATA && bytes > 0 && record->head_bytes == 0 && record->skip == 0) {
        record->quiet = 0;
        *data_bytes = bytes;
        return true;
    }
    if (++record->quiet > HAUL_TLS_QUIET_MAX)
        return false;
    if (at[bytes] == HANDSHAKE)
        return bytes > 0 && read_messages(record, at, bytes);
    if (at[bytes] == ALERT)
        return read_alert(record, at, bytes);
    return at[bytes] == DATA && bytes == 0;
}

static bool open_one(struct haul_tls_record *record, uint8_t *at, size_t bytes, uint8_t **data,
                     size_t *data_bytes)
{
    struct haul_tls_direction *open = &record->open;
    uint8_t tag[HAUL_TLS_TAG_BYTES];
    uint8_t *body = at + HAUL_TLS_HEADER_BYTES;
    int written = 0;
    size_t length;

    if (open->context == NULL || bytes < HAUL_TLS_HEADER_BYTES + HAUL_TLS_TAG_BYTES + 1 ||
        at[0] != DATA || !haul_tls_length(at, &length) || length != bytes - HAUL_TLS_HEADER_BYTES)
        return false;
    length -= HAUL_TLS_TAG_BYTES;
    memcpy(tag, body + length, sizeof tag);
    direction_start(open, at, 0);
    haul_assert(EVP_CIPHER_CTX_ctrl(open->context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1);
    run(open, body, length, body);
    if (EVP_CipherFinal_ex(open->context, tag, &written) != 1)
        return false;
    open->number++;
    return read_content(record, body, length, data, data_bytes);
}

bool haul_tls_open(struct haul_tls_record *record, uint8_t *at, size_t bytes, uint8_t **data,
                   size_t *data_bytes)
{
    if (open_one(record, at, bytes, data, data_bytes))
        return true;
    EVP_CIPHER_CTX_free(record->open.context); /* never again */
    record->open.context = NULL;
    return false;
}
