/* Key agreement: the vectors of RFC 7748 and RFC 5869, and every point of small order. */
#include "controlplane/p2p/kex.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <string.h>

static void x25519_holds_the_vector_of_the_rfc(void)
{
    uint8_t scalar[32], point[32], expected[32], shared[32];

    unit_hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", scalar, 32);
    unit_hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", point, 32);
    unit_hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552", expected, 32);
    CU_ASSERT_TRUE(haul_kex_shared(scalar, point, shared));
    CU_ASSERT_EQUAL(memcmp(shared, expected, 32), 0);
}

static void both_sides_make_the_same_secret(void)
{
    uint8_t a[32] = { 1 }, b[32] = { 2 }, public_a[32], public_b[32], one[32], two[32];

    haul_kex_public(a, public_a);
    haul_kex_public(b, public_b);
    CU_ASSERT_TRUE(haul_kex_shared(a, public_b, one));
    CU_ASSERT_TRUE(haul_kex_shared(b, public_a, two));
    CU_ASSERT_EQUAL(memcmp(one, two, 32), 0);
}

static void a_point_of_small_order_yields_nothing(void)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t scalar[32] = { 77 }, point[32], shared[32] = { 5 };

    for (size_t i = 0; i < HAUL_COUNT_OF(points); i++) {
        unit_hex(points[i], point, 32);
        CU_ASSERT_FALSE(haul_kex_shared(scalar, point, shared));
        CU_ASSERT_EQUAL(shared[0], 5);
    }
}

static void hkdf_holds_the_vector_of_the_rfc(void)
{
    uint8_t secret[22], salt[13], info[10], key[32], expected[42], made[42];

    memset(secret, 0x0b, sizeof secret);
    for (uint8_t i = 0; i < sizeof salt; i++)
        salt[i] = i;
    for (uint8_t i = 0; i < sizeof info; i++)
        info[i] = (uint8_t)(0xf0 + i);
    haul_hkdf_extract(salt, sizeof salt, secret, sizeof secret, key);
    unit_hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", expected, 32);
    CU_ASSERT_EQUAL(memcmp(key, expected, 32), 0);
    haul_hkdf_expand(key, info, sizeof info, made, sizeof made);
    unit_hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
             expected, sizeof expected);
    CU_ASSERT_EQUAL(memcmp(made, expected, sizeof made), 0);
}

static void a_hash_of_two_pieces_is_that_of_both_in_one(void)
{
    uint8_t one[32], two[32], expected[32];

    unit_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", expected, 32);
    haul_kex_hash("abc", 3, NULL, 0, one);
    haul_kex_hash("a", 1, "bc", 2, two);
    CU_ASSERT_EQUAL(memcmp(one, expected, 32), 0);
    CU_ASSERT_EQUAL(memcmp(two, expected, 32), 0);
    haul_kex_wipe(one, sizeof one);
    CU_ASSERT_EQUAL(one[0] | one[31], 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "X25519 holds the vector of the RFC", x25519_holds_the_vector_of_the_rfc },
        { "both sides make the same secret", both_sides_make_the_same_secret },
        { "a point of small order yields nothing", a_point_of_small_order_yields_nothing },
        { "HKDF holds the vector of the RFC", hkdf_holds_the_vector_of_the_rfc },
        { "a hash of two pieces is that of both in one",
          a_hash_of_two_pieces_is_that_of_both_in_one },
    };

    return unit_main("kex", tests, HAUL_COUNT_OF(tests));
}
