/* The choice among the ciphers: measured, ordered, and forced by configuration. */
#include "dataplane/aead/choose.h"

#include "tests/unit/unit.h"

#include <string.h>

static void auto_picks_the_faster_implementation(void)
{
    struct haul_aead_choice choice;
    struct haul_error error = { 0 };

    CU_ASSERT_EQUAL_FATAL(haul_aead_choose("auto", false, &choice, &error), 0);
    CU_ASSERT_TRUE(choice.ns_openssl > 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(choice.of[HAUL_CIPHER_AES_128_GCM]);
    CU_ASSERT_PTR_NOT_NULL(choice.of[HAUL_CIPHER_CHACHA20_POLY1305]);
    CU_ASSERT_PTR_NULL(choice.of[HAUL_CIPHER_NONE]);
    if (choice.ns_ipsec_mb > 0 && choice.ns_ipsec_mb < choice.ns_openssl)
        CU_ASSERT_STRING_EQUAL(choice.of[HAUL_CIPHER_AES_128_GCM]->name, "aes-128-gcm/ipsec-mb");
    CU_ASSERT_EQUAL(choice.order_count, 2);
    CU_ASSERT_TRUE(choice.ns[choice.order[0]] <= choice.ns[choice.order[1]]);
}

static void openssl_can_be_forced(void)
{
    struct haul_aead_choice choice;

    CU_ASSERT_EQUAL_FATAL(haul_aead_choose("openssl", false, &choice, NULL), 0);
    CU_ASSERT_STRING_EQUAL(choice.of[HAUL_CIPHER_AES_128_GCM]->name, "aes-128-gcm/openssl");
    CU_ASSERT_EQUAL(choice.ns[HAUL_CIPHER_AES_128_GCM], choice.ns_openssl);
    CU_ASSERT_STRING_EQUAL(choice.of[HAUL_CIPHER_CHACHA20_POLY1305]->name,
                           "chacha20-poly1305/openssl");
}

static void ipsec_mb_can_be_forced_or_is_an_error(void)
{
    struct haul_aead_choice choice;
    struct haul_error error = { 0 };

    if (haul_aead_choose("ipsec-mb", false, &choice, &error) == 0)
        CU_ASSERT_STRING_EQUAL(choice.of[HAUL_CIPHER_AES_128_GCM]->name, "aes-128-gcm/ipsec-mb")
    else
        CU_ASSERT_EQUAL(error.code, HAUL_E_CONFIG_KEY)
}

static void an_unknown_name_is_an_error(void)
{
    struct haul_aead_choice choice;
    struct haul_error error = { 0 };

    CU_ASSERT_EQUAL(haul_aead_choose("rot13", false, &choice, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_CONFIG_KEY);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "rot13"));
}

static void no_cipher_is_never_offered(void)
{
    struct haul_aead_choice choice;

    CU_ASSERT_EQUAL_FATAL(haul_aead_choose(NULL, true, &choice, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(choice.of[HAUL_CIPHER_NONE]);
    for (size_t i = 0; i < choice.order_count; i++)
        CU_ASSERT_NOT_EQUAL(choice.order[i], HAUL_CIPHER_NONE);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "auto picks the faster implementation", auto_picks_the_faster_implementation },
        { "OpenSSL can be forced", openssl_can_be_forced },
        { "ipsec-mb can be forced or is an error", ipsec_mb_can_be_forced_or_is_an_error },
        { "an unknown name is an error", an_unknown_name_is_an_error },
        { "no cipher is never offered", no_cipher_is_never_offered },
    };

    return unit_main("choose", tests, HAUL_COUNT_OF(tests));
}
