/* Keys of peers: the four kinds of libp2p, parsed strictly and by hand so that no general decoder
 * of certificates meets what a stranger sent. Sizes are checked before any arithmetic is done: a
 * huge RSA modulus costs nothing. */
#include "controlplane/p2p/der.h"
#include "controlplane/p2p/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

enum key_type { KEY_RSA, KEY_ED25519, KEY_SECP256K1, KEY_ECDSA };

#define ED25519_BYTES          32u
#define SECP256K1_BYTES        33u
#define POINT_BYTES            65u /* uncompressed point of P-256 */
#define RSA_MODULUS_BYTES_MAX  1024u
#define RSA_BITS_MIN           2048u
#define RSA_BITS_MAX           8192u
#define RSA_EXPONENT_BYTES_MAX 8u

struct public_key {
    enum key_type type;
    const uint8_t *data; /* Ed25519 key, or a point on its curve */
    size_t bytes;
    const uint8_t *modulus; /* RSA, big-endian without leading zeros */
    size_t modulus_bytes;
    const uint8_t *exponent;
    size_t exponent_bytes;
};

/* SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480). */
static const uint8_t p256_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                       0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                       0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

/* AlgorithmIdentifier of an RSA key (RFC 3279). */
static const uint8_t rsa_algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };

/* The points of small order in every encoding, but for the sign of x in the last bit: under such a
 * key one signature fits many messages. */
static const uint8_t weak_points[][ED25519_BYTES] = {
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 },
    { 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 },
    { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
      0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
      0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
    { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
      0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
      0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
    { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    { 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
};

static bool ed25519_is_weak(const uint8_t *key)
{
    uint8_t masked[ED25519_BYTES];

    memcpy(masked, key, sizeof masked);
    masked[ED25519_BYTES - 1] &= 0x7f;
    for (size_t i = 0; i < HAUL_COUNT_OF(weak_points); i++) {
        if (memcmp(masked, weak_points[i], sizeof masked) == 0)
            return true;
    }
    return false;
}

/* A positive INTEGER, without the zero byte that keeps it positive. */
static const uint8_t *read_der_number(struct haul_in *in, size_t *bytes)
{
    struct haul_in number = haul_der_read(in, HAUL_DER_INTEGER);
    const uint8_t *at = number.at;
    size_t count = haul_in_left(&number);

    if (number.bad || count == 0 || (at[0] & 0x80) != 0) {
        in->bad = true;
        return NULL;
    }
    if (at[0] == 0) {
        if (count == 1 || (at[1] & 0x80) == 0) { /* zero, or padded */
            in->bad = true;
            return NULL;
        }
        at++;
        count--;
    }
    *bytes = count;
    return at;
}

static bool read_rsa(struct public_key *key)
{
    struct haul_in in = haul_in_from(key->data, key->bytes);
    struct haul_in spki = haul_der_read(&in, HAUL_DER_SEQUENCE);
    const uint8_t *algorithm = haul_in_bytes(&spki, sizeof rsa_algorithm);
    struct haul_in bits = haul_der_read(&spki, HAUL_DER_BITS);
    uint64_t unused = haul_in_be(&bits, 1);
    struct haul_in rsa = haul_der_read(&bits, HAUL_DER_SEQUENCE);
    size_t modulus_bits;

    key->modulus = read_der_number(&rsa, &key->modulus_bytes);
    key->exponent = read_der_number(&rsa, &key->exponent_bytes);
    if (!haul_in_done(&in) || !haul_in_done(&spki) || !haul_in_done(&bits) || !haul_in_done(&rsa))
        return false;
    if (unused != 0 || memcmp(algorithm, rsa_algorithm, sizeof rsa_algorithm) != 0)
        return false;
    if (key->modulus_bytes > RSA_MODULUS_BYTES_MAX || key->exponent_bytes > RSA_EXPONENT_BYTES_MAX)
        return false;
    modulus_bits = 8 * key->modulus_bytes;
    for (unsigned top = key->modulus[0]; top < 0x80; top <<= 1)
        modulus_bits--;
    return modulus_bits >= RSA_BITS_MIN && modulus_bits <= RSA_BITS_MAX;
}

/* The message: both fields, in order, minimal, nothing else (peer-ids, "deterministic"). */
static bool read_public(struct public_key *key, const uint8_t *data, size_t bytes)
{
    struct haul_in in = haul_in_from(data, bytes);
    uint64_t type, length;

    if (bytes > HAUL_KEY_PUBLIC_BYTES_MAX || haul_in_be(&in, 1) != 0x08)
        return false;
    type = haul_in_uvarint(&in);
    if (haul_in_be(&in, 1) != 0x12 || type > KEY_ECDSA)
        return false;
    length = haul_in_uvarint(&in);
    if (in.bad || length != haul_in_left(&in))
        return false;
    *key = (struct public_key){ .type = (enum key_type)type, .data = in.at, .bytes = length };
    switch (key->type) {
    case KEY_RSA:
        return read_rsa(key);
    case KEY_ED25519:
        return length == ED25519_BYTES && !ed25519_is_weak(key->data);
    case KEY_SECP256K1:
        return length == SECP256K1_BYTES && (key->data[0] == 2 || key->data[0] == 3);
    case KEY_ECDSA:
        if (length != sizeof p256_prefix + POINT_BYTES ||
            memcmp(key->data, p256_prefix, sizeof p256_prefix) != 0)
            return false;
        key->data += sizeof p256_prefix;
        key->bytes = POINT_BYTES;
        return key->data[0] == 4;
    }
    return false;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static EVP_PKEY *pkey_on_curve(const struct public_key *key, const char *curve)
{
    uint8_t point[POINT_BYTES];
    char name[16] = { 0 };
    OSSL_PARAM params[] = {
        { OSSL_PKEY_PARAM_GROUP_NAME, OSSL_PARAM_UTF8_STRING, name, strlen(curve), 0 },
        { OSSL_PKEY_PARAM_PUB_KEY, OSSL_PARAM_OCTET_STRING, point, key->bytes, 0 },
        OSSL_PARAM_END,
    };

    memcpy(name, curve, strlen(curve));
    memcpy(point, key->data, key->bytes);
    return pkey_from("EC", params);
}

/* The library takes integers in the machine's own order. */
static void reverse(uint8_t *to, const uint8_t *from, size_t bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (size_t i = 0; i < bytes; i++)
        to[i] = from[bytes - 1 - i];
#else
    memcpy(to, from, bytes);
#endif
}

static EVP_PKEY *pkey_rsa(const struct public_key *key)
{
    uint8_t modulus[RSA_MODULUS_BYTES_MAX], exponent[RSA_EXPONENT_BYTES_MAX];
    OSSL_PARAM params[] = {
        { OSSL_PKEY_PARAM_RSA_N, OSSL_PARAM_UNSIGNED_INTEGER, modulus, key->modulus_bytes, 0 },
        { OSSL_PKEY_PARAM_RSA_E, OSSL_PARAM_UNSIGNED_INTEGER, exponent, key->exponent_bytes, 0 },
        OSSL_PARAM_END,
    };

    reverse(modulus, key->modulus, key->modulus_bytes);
    reverse(exponent, key->exponent, key->exponent_bytes);
    return pkey_from("RSA", params);
}

static EVP_PKEY *pkey_of(const struct public_key *key)
{
    switch (key->type) {
    case KEY_RSA:
        return pkey_rsa(key);
    case KEY_ED25519:
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->data, key->bytes);
    case KEY_SECP256K1:
        return pkey_on_curve(key, "secp256k1");
    case KEY_ECDSA:
        return pkey_on_curve(key, "prime256v1");
    }
    return NULL;
}

bool haul_key_verify(const uint8_t *public_key, size_t public_bytes, const void *data, size_t bytes,
                     const uint8_t *signature, size_t signature_bytes)
{
    struct public_key key;
    EVP_MD_CTX *context;
    EVP_PKEY *pkey;
    bool holds;

    if (!read_public(&key, public_key, public_bytes))
        return false;
    pkey = pkey_of(&key);
    context = EVP_MD_CTX_new();
    holds = pkey != NULL && context != NULL &&
            EVP_DigestVerifyInit(context, NULL, key.type == KEY_ED25519 ? NULL : EVP_sha256(), NULL,
                                 pkey) == 1 &&
            EVP_DigestVerify(context, signature, signature_bytes, data, bytes) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return holds;
}

bool haul_key_peer_id(const uint8_t *public_key, size_t public_bytes, struct haul_peer_id *id)
{
    struct public_key key;
    struct haul_peer_id made = { 0 };

    if (!read_public(&key, public_key, public_bytes))
        return false;
    if (public_bytes + 2 <= sizeof made.bytes) {
        made.bytes[0] = 0x00; /* identity */
        made.bytes[1] = (uint8_t)public_bytes;
        memcpy(made.bytes + 2, public_key, public_bytes);
        made.length = (uint8_t)(public_bytes + 2);
    } else {
        made.bytes[0] = 0x12; /* sha2-256 */
        made.bytes[1] = 32;
        haul_assert(
            EVP_Digest(public_key, public_bytes, made.bytes + 2, NULL, EVP_sha256(), NULL) == 1);
        made.length = 34;
    }
    *id = made;
    return true;
}
