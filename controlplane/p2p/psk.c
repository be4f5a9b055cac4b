#include "controlplane/p2p/psk.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#define BLOCK_BYTES 64u

static const char prefix[] = "/key/swarm/psk/1.0.0/";

/* The next line, without its end; false at the end of the file. */
static bool line_next(const uint8_t **at, const uint8_t *end, const uint8_t **line, size_t *bytes)
{
    const uint8_t *stop;

    if (*at == end)
        return false;
    stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *bytes = (size_t)((stop != NULL ? stop : end) - *at);
    *at = stop != NULL ? stop + 1 : end;
    if (*bytes > 0 && (*line)[*bytes - 1] == '\r')
        --*bytes;
    return true;
}

static bool line_is(const uint8_t *line, size_t bytes, const char *text)
{
    return bytes == strlen(text) && memcmp(line, text, bytes) == 0;
}

static bool hexadecimal(const uint8_t *text, size_t bytes, uint8_t *key)
{
    size_t made = 0;

    return bytes == 2 * HAUL_PSK_KEY_BYTES &&
           sodium_hex2bin(key, HAUL_PSK_KEY_BYTES, (const char *)text, bytes, NULL, &made, NULL) ==
               0 &&
           made == HAUL_PSK_KEY_BYTES;
}

static bool base64(const uint8_t *text, size_t bytes, uint8_t *key)
{
    size_t made = 0;

    return sodium_base642bin(key, HAUL_PSK_KEY_BYTES, (const char *)text, bytes, NULL, &made, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           made == HAUL_PSK_KEY_BYTES;
}

bool haul_psk_parse(const uint8_t *file, size_t bytes, struct haul_psk *psk)
{
    const uint8_t *at = file;
    const uint8_t *end = file + bytes;
    const uint8_t *line;
    struct haul_psk read;
    size_t length;
    bool good = false;

    if (sodium_init() < 0 || bytes > HAUL_PSK_FILE_MAX)
        return false;
    if (!line_next(&at, end, &line, &length) || !line_is(line, length, prefix) ||
        !line_next(&at, end, &line, &length))
        return false;
    if (line_is(line, length, "/bin/")) {
        good = (size_t)(end - at) == sizeof read.key;
        if (good)
            memcpy(read.key, at, sizeof read.key);
    } else if (line_is(line, length, "/base16/")) {
        good =
            line_next(&at, end, &line, &length) && at == end && hexadecimal(line, length, read.key);
    } else if (line_is(line, length, "/base64/")) {
        good = line_next(&at, end, &line, &length) && at == end && base64(line, length, read.key);
    }
    if (good)
        *psk = read;
    sodium_memzero(&read, sizeof read);
    return good;
}

void haul_psk_wipe(struct haul_psk *psk)
{
    sodium_memzero(psk, sizeof *psk);
}

void haul_psk_print(const struct haul_psk *psk, char text[HAUL_PSK_PRINT_BYTES])
{
    uint8_t hash[32];

    haul_assert(EVP_Digest(psk->key, sizeof psk->key, hash, NULL, EVP_sha256(), NULL) == 1);
    (void)sodium_bin2hex(text, HAUL_PSK_PRINT_BYTES, hash, (HAUL_PSK_PRINT_BYTES - 1) / 2);
}

void haul_psk_begin(struct haul_psk_stream *stream, const struct haul_psk *psk)
{
    *stream = (struct haul_psk_stream){ .psk = psk };
}

size_t haul_psk_nonce(struct haul_psk_stream *stream, const uint8_t *data, size_t bytes)
{
    size_t want = HAUL_PSK_NONCE_BYTES - stream->nonce_bytes;

    if (want > bytes)
        want = bytes;
    memcpy(stream->nonce + stream->nonce_bytes, data, want);
    stream->nonce_bytes = (uint8_t)(stream->nonce_bytes + want);
    return want;
}

static void apply_blocks(struct haul_psk_stream *stream, uint8_t *data, size_t bytes)
{
    haul_assert(crypto_stream_xsalsa20_xor_ic(data, data, bytes, stream->nonce,
                                              stream->at / BLOCK_BYTES, stream->psk->key) == 0);
    stream->at += bytes;
}

void haul_psk_apply(struct haul_psk_stream *stream, uint8_t *data, size_t bytes)
{
    size_t inside = (size_t)(stream->at % BLOCK_BYTES);
    uint8_t block[BLOCK_BYTES] = { 0 };
    size_t part = BLOCK_BYTES - inside;

    haul_assert(stream->nonce_bytes == HAUL_PSK_NONCE_BYTES);
    if (inside > 0) { /* the rest of a block that was begun */
        if (part > bytes)
            part = bytes;
        haul_assert(crypto_stream_xsalsa20_xor_ic(block, block, sizeof block, stream->nonce,
                                                  stream->at / BLOCK_BYTES, stream->psk->key) == 0);
        for (size_t i = 0; i < part; i++)
            data[i] ^= block[inside + i];
        sodium_memzero(block, sizeof block);
        stream->at += part;
        data += part;
        bytes -= part;
    }
    if (bytes > 0)
        apply_blocks(stream, data, bytes);
}
