/* Keys of peers: signatures of all four kinds, published ones among them, and keys that must be
 * refused before any arithmetic. */
#include "common/bytes.h"
#include "controlplane/p2p/key.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static void our_signature_verifies_and_any_change_fails(void)
{
    uint8_t seed[32] = { 9 }, signature[64], public[HAUL_KEY_PUBLIC_BYTES];
    uint8_t said[5] = "hello";
    struct haul_key key;

    haul_key_from_seed(&key, seed);
    haul_key_public(&key, public);
    haul_key_sign(&key, said, sizeof said, signature);
    CU_ASSERT_TRUE(haul_key_verify(public, sizeof public, said, sizeof said, signature, 64));
    CU_ASSERT_FALSE(haul_key_verify(public, sizeof public, said, sizeof said, signature, 63));
    CU_ASSERT_FALSE(haul_key_verify(public, sizeof public - 1, said, sizeof said, signature, 64));
    for (size_t bit = 0; bit < 512; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT_FALSE(haul_key_verify(public, sizeof public, said, sizeof said, signature, 64));
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    said[0] = 'j';
    CU_ASSERT_FALSE(haul_key_verify(public, sizeof public, said, sizeof said, signature, 64));
}

static void keys_of_small_order_verify_nothing(void)
{
    static const char *const keys[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };

    for (size_t i = 0; i < 2 * HAUL_COUNT_OF(keys); i++) {
        uint8_t public[36] = { 0x08, 0x01, 0x12, 0x20 }, signature[64] = { 1 };
        bool verified = false;

        unit_hex(keys[i / 2], public + 4, 32);
        public[35] |= (uint8_t)(i % 2 << 7);
        /* R is the neutral point and S is zero: holds for such a key whenever 8 divides the hash.
         */
        for (uint8_t said = 0; said < 64; said++)
            verified |= haul_key_verify(public, sizeof public, &said, 1, signature, 64);
        CU_ASSERT_FALSE(verified);
    }
}

/* The keys and certificates of the libp2p TLS specification: the signature of a peer's key over
 * "libp2p-tls-handshake:" and the certificate's SubjectPublicKeyInfo. */
static void published_signatures_of_other_kinds_verify(void)
{
    static const char spki[] =
        "3059301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721b"
        "b9d7a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e38156"
        "9e";
    static const struct {
        const char *key, *signature;
    } cases[] = {
        { "08011220a77f1d92fedb59dddaea5a1c4abd1ac2fbde7d7b879ed364501809923d7c11b9",
          "d90d2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a435519941cac215a8207792e42849cccc6c"
          "d8136c6e4bde92a58c5e08cfd4206eb5fe0bf909" },
        { "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004bf30511f909414ebdd3242178f"
          "d290f093a551cf75c973155de0bb5a96fedf6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980"
          "d205e8a1ad29f2",
          "30450220064ea8124774caf8f50e57f436aa62350ce652418c019df5d98a3ac666c9386a022100aa59d704a9"
          "31b5f72fb9222cb6cc51f954d04a4e2e5450f8805fe8918f71eaae" },
        { "080212210206dc6968726765b820f050263ececf7f71e4955892776c0970542efd689d2382",
          "30440220145e15a991961f0d08cd15425bb95ec93f6ffa03c5a385eedc34ecf464c7a8ab022026b3109b8a3f"
          "40ef833169777eb2aa337cfb6282f188de0666d1bcec2a4690dd" },
    };
    uint8_t said[128] = "libp2p-tls-handshake:";
    size_t said_bytes = 21 + unit_hex(spki, said + 21, sizeof said - 21);

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        uint8_t key[128], signature[80];
        size_t key_bytes, signature_bytes;

        key_bytes = unit_hex(cases[i].key, key, sizeof key);
        signature_bytes = unit_hex(cases[i].signature, signature, sizeof signature);
        CU_ASSERT_TRUE(
            haul_key_verify(key, key_bytes, said, said_bytes, signature, signature_bytes));
        said[0] ^= 1;
        CU_ASSERT_FALSE(
            haul_key_verify(key, key_bytes, said, said_bytes, signature, signature_bytes));
        said[0] ^= 1;
    }
}

static size_t rsa_message(EVP_PKEY *pkey, uint8_t *data, size_t capacity)
{
    struct haul_out out = haul_out_to(data, capacity);
    unsigned char *der = NULL;
    int bytes = i2d_PUBKEY(pkey, &der);

    haul_out_bytes(&out, "\x08\x00\x12", 3);
    haul_out_uvarint(&out, (uint64_t)bytes);
    haul_out_bytes(&out, der, (size_t)bytes);
    OPENSSL_free(der);
    haul_assert(!out.bad);
    return (size_t)(out.at - data);
}

static void rsa_is_verified_within_its_limits(void)
{
    static const struct {
        unsigned bits;
        bool good;
    } cases[] = { { 1024, false }, { 2047, false }, { 2048, true }, { 3072, true } };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        EVP_PKEY *pkey = EVP_RSA_gen(cases[i].bits);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint8_t key[HAUL_KEY_PUBLIC_BYTES_MAX], signature[512];
        size_t bytes = rsa_message(pkey, key, sizeof key), signature_bytes = sizeof signature;
        struct haul_peer_id id;

        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey);
        EVP_DigestSign(context, signature, &signature_bytes, (const uint8_t *)"said", 4);
        CU_ASSERT_EQUAL(haul_key_verify(key, bytes, "said", 4, signature, signature_bytes),
                        cases[i].good);
        CU_ASSERT_FALSE(haul_key_verify(key, bytes, "sale", 4, signature, signature_bytes));
        CU_ASSERT_EQUAL(haul_key_peer_id(key, bytes, &id), cases[i].good);
        for (size_t cut = 0; cut < bytes; cut++)
            CU_ASSERT_FALSE(haul_key_peer_id(key, cut, &id));
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(pkey);
    }
}

/* SubjectPublicKeyInfo with a modulus of the given bits; it need not be a product of primes. */
static size_t rsa_of_bits(size_t bits, uint8_t *data, size_t capacity)
{
    struct haul_out out = haul_out_to(data, capacity);
    size_t modulus = (bits + 7) / 8;
    size_t sign = bits % 8 == 0;
    size_t rsa = 4 + sign + modulus + 5;
    size_t string = 1 + 4 + rsa;
    size_t spki = 15 + 4 + string;

    haul_out_bytes(&out, "\x08\x00\x12", 3);
    haul_out_uvarint(&out, 4 + spki);
    haul_out_be(&out, 0x3082, 2);
    haul_out_be(&out, spki, 2);
    haul_out_bytes(&out, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15);
    haul_out_be(&out, 0x0382, 2);
    haul_out_be(&out, string, 2);
    haul_out_be(&out, 0, 1);
    haul_out_be(&out, 0x3082, 2);
    haul_out_be(&out, rsa, 2);
    haul_out_be(&out, 0x0282, 2);
    haul_out_be(&out, sign + modulus, 2);
    if (sign)
        haul_out_be(&out, 0, 1);
    haul_out_be(&out, 1u << ((bits - 1) % 8), 1);
    for (size_t i = 1; i < modulus; i++)
        haul_out_be(&out, 1, 1);
    haul_out_bytes(&out, "\x02\x03\x01\x00\x01", 5);
    haul_assert(!out.bad);
    return (size_t)(out.at - data);
}

static void a_huge_rsa_key_is_refused_before_any_arithmetic(void)
{
    static const struct {
        size_t bits;
        bool good;
    } cases[] = { { 2040, false }, { 2047, false }, { 2048, true },  { 8191, true },
                  { 8192, true },  { 8193, false }, { 16384, false } };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        uint8_t key[4096];
        size_t bytes = rsa_of_bits(cases[i].bits, key, sizeof key);
        struct haul_peer_id id;

        CU_ASSERT_EQUAL(haul_key_peer_id(key, bytes, &id), cases[i].good);
        CU_ASSERT_FALSE(haul_key_verify(key, bytes, "x", 1, key, 256));
        if (!cases[i].good)
            continue;
        CU_ASSERT_TRUE(bytes <= HAUL_KEY_PUBLIC_BYTES_MAX);
        key[5] ^= 1; /* any length that contradicts another is refused */
        CU_ASSERT_FALSE(haul_key_peer_id(key, bytes, &id));
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "our signature verifies and any change fails",
          our_signature_verifies_and_any_change_fails },
        { "keys of small order verify nothing", keys_of_small_order_verify_nothing },
        { "published signatures of other kinds verify",
          published_signatures_of_other_kinds_verify },
        { "RSA is verified within its limits", rsa_is_verified_within_its_limits },
        { "a huge RSA key is refused before any arithmetic",
          a_huge_rsa_key_is_refused_before_any_arithmetic },
    };

    return unit_main("key_verify", tests, HAUL_COUNT_OF(tests));
}
