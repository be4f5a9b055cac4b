#include "controlplane/p2p/tls_certificate.h"

#include "controlplane/p2p/der.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define HOUR             3600
#define CENTURY          (INT64_C(100) * 365 * 86400)
#define RSA_BITS_MIN     2048
#define RSA_BITS_MAX     8192
#define STRENGTH_MIN     100 /* bits of security of the signature: SHA-1 has fewer */
#define EXTENSIONS_MAX   64
#define SPKI_MAX         2048u
#define SIGNED_KEY_BYTES 106u /* of an Ed25519 identity */

static const char signed_prefix[] = "libp2p-tls-handshake:";

/* 1.3.6.1.4.1.53594.1.1, the content of its DER. */
static const uint8_t extension_id[] = {
    0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xa2, 0x5a, 0x01, 0x01
};

/* What the identity key signs: the prefix and the certificate's SubjectPublicKeyInfo. Returns the
 * bytes, 0 when the key is longer than any that is accepted. */
static size_t what_is_signed(const X509 *certificate, uint8_t data[SPKI_MAX])
{
    size_t prefix = sizeof signed_prefix - 1;
    X509_PUBKEY *key = X509_get_X509_PUBKEY(certificate);
    uint8_t *at = data + prefix;
    int bytes = i2d_X509_PUBKEY(key, NULL);

    if (bytes <= 0 || (size_t)bytes > SPKI_MAX - prefix)
        return 0;
    memcpy(data, signed_prefix, prefix);
    if (i2d_X509_PUBKEY(key, &at) != bytes)
        return 0;
    return prefix + (size_t)bytes;
}

/* --- ours --- */

static bool add_extension(X509 *certificate, const struct haul_key *identity)
{
    uint8_t said[SPKI_MAX], value[SIGNED_KEY_BYTES];
    uint8_t key[HAUL_KEY_PUBLIC_BYTES], signature[HAUL_KEY_SIGNATURE_BYTES];
    struct haul_out out = haul_out_to(value, sizeof value);
    size_t bytes = what_is_signed(certificate, said);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *id = OBJ_txt2obj("1.3.6.1.4.1.53594.1.1", 1);
    X509_EXTENSION *extension = NULL;
    bool added;

    haul_key_public(identity, key);
    haul_key_sign(identity, said, bytes, signature);
    haul_out_be(&out, HAUL_DER_SEQUENCE, 1);
    haul_out_be(&out, sizeof key + sizeof signature + 4, 1);
    haul_out_be(&out, HAUL_DER_OCTETS, 1);
    haul_out_be(&out, sizeof key, 1);
    haul_out_bytes(&out, key, sizeof key);
    haul_out_be(&out, HAUL_DER_OCTETS, 1);
    haul_out_be(&out, sizeof signature, 1);
    haul_out_bytes(&out, signature, sizeof signature);
    added = bytes > 0 && !out.bad && octets != NULL && id != NULL &&
            ASN1_OCTET_STRING_set(octets, value, (int)(out.at - value)) == 1 &&
            (extension = X509_EXTENSION_create_by_OBJ(NULL, id, 0, octets)) != NULL &&
            X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OBJECT_free(id);
    ASN1_OCTET_STRING_free(octets);
    return added;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const struct haul_key *identity,
                 uint64_t unix_seconds)
{
    uint8_t serial[8];
    char text[sizeof serial * 2 + 1];
    BIGNUM *number;
    X509_NAME *name = X509_get_subject_name(certificate);
    bool good;

    if (RAND_bytes(serial, sizeof serial) != 1)
        return false;
    serial[0] &= 0x3f; /* positive, and below 2^62 */
    for (size_t i = 0; i < sizeof serial; i++) {
        text[2 * i] = "0123456789abcdef"[serial[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[serial[i] & 15];
    }
    text[sizeof text - 1] = '\0';
    number = BN_bin2bn(serial, sizeof serial, NULL);
    good =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL &&
        X509_set_version(certificate, X509_VERSION_3) == 1 &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)unix_seconds - HOUR) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(unix_seconds + CENTURY)) != NULL &&
        X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_ASC, (const uint8_t *)text, -1,
                                   -1, 0) == 1 &&
        X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
        add_extension(certificate, identity) && X509_sign(certificate, key, EVP_sha256()) > 0;
    BN_free(number);
    return good;
}

void haul_tls_certificate_make(const struct haul_key *identity, uint64_t unix_seconds,
                               EVP_PKEY **key, X509 **certificate)
{
    *key = EVP_EC_gen("P-256");
    *certificate = X509_new();
    if (*key != NULL && *certificate != NULL && fill(*certificate, *key, identity, unix_seconds))
        return;
    EVP_PKEY_free(*key);
    X509_free(*certificate);
    *key = NULL;
    *certificate = NULL;
}

/* --- a peer's --- */

/* Kinds and sizes that may cost us a verification: a huge modulus burns processor. */
static bool key_is_fit(const EVP_PKEY *key)
{
    int bits;

    if (key == NULL)
        return false;
    bits = EVP_PKEY_get_bits(key);
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    case EVP_PKEY_EC:
        return bits >= 256 && bits <= 521;
    case EVP_PKEY_ED25519:
        return true;
    default:
        return false;
    }
}

static bool self_signed(X509 *certificate, EVP_PKEY *key)
{
    int strength = 0;

    return X509_get_signature_info(certificate, NULL, NULL, &strength, NULL) == 1 &&
           strength >= STRENGTH_MIN && X509_verify(certificate, key) == 1;
}

static bool valid_at(const X509 *certificate, uint64_t unix_seconds)
{
    time_t now = (time_t)unix_seconds;

    /* Both functions answer 0 for what they cannot read. */
    return X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0;
}

/* The one extension that matters; NULL unless it is there exactly once, and also where a critical
 * one is not understood. */
static const ASN1_OCTET_STRING *extension_find(const X509 *certificate)
{
    const ASN1_OCTET_STRING *found = NULL;
    int count = X509_get_ext_count(certificate);

    if (count > EXTENSIONS_MAX)
        return NULL;
    for (int i = 0; i < count; i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        const ASN1_OBJECT *id = X509_EXTENSION_get_object(extension);

        if (OBJ_length(id) == sizeof extension_id &&
            memcmp(OBJ_get0_data(id), extension_id, sizeof extension_id) == 0) {
            if (found != NULL)
                return NULL;
            found = X509_EXTENSION_get_data(extension);
        } else if (X509_EXTENSION_get_critical(extension) && !X509_supported_extension(extension)) {
            return NULL;
        }
    }
    return found;
}

/* SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING } */
static bool vouched_for(const X509 *certificate, struct haul_peer_id *peer)
{
    const ASN1_OCTET_STRING *value = extension_find(certificate);
    struct haul_in in, signed_key, key, signature;
    uint8_t said[SPKI_MAX];
    size_t bytes = what_is_signed(certificate, said);

    if (value == NULL || bytes == 0)
        return false;
    in = haul_in_from(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    signed_key = haul_der_read(&in, HAUL_DER_SEQUENCE);
    key = haul_der_read(&signed_key, HAUL_DER_OCTETS);
    signature = haul_der_read(&signed_key, HAUL_DER_OCTETS);
    if (!haul_in_done(&in) || !haul_in_done(&signed_key) || key.bad || signature.bad)
        return false;
    return haul_key_verify(key.at, haul_in_left(&key), said, bytes, signature.at,
                           haul_in_left(&signature)) &&
           haul_key_peer_id(key.at, haul_in_left(&key), peer);
}

bool haul_tls_certificate_verify(const uint8_t *der, size_t bytes, uint64_t unix_seconds,
                                 struct haul_peer_id *peer)
{
    const uint8_t *at = der;
    struct haul_peer_id found;
    X509 *certificate;
    EVP_PKEY *key;
    bool good;

    if (bytes == 0 || bytes > HAUL_TLS_CERTIFICATE_MAX)
        return false;
    certificate = d2i_X509(NULL, &at, (long)bytes);
    if (certificate == NULL)
        return false;
    key = X509_get0_pubkey(certificate);
    good = at == der + bytes && key_is_fit(key) && valid_at(certificate, unix_seconds) &&
           self_signed(certificate, key) && vouched_for(certificate, &found);
    X509_free(certificate);
    if (good)
        *peer = found;
    return good;
}
