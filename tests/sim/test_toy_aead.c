/* The toy cipher is what makes a forged byte visible in the simulator, so it is tested itself. */
#include "tests/sim/toy_aead.h"
#include "tests/unit/unit.h"

#include <string.h>

static const uint8_t nonce[HAUL_AEAD_NONCE_BYTES] = { 1, 2, 3 };
static uint8_t head[24] = { 1 };
static uint8_t clear[1408];
static uint8_t sealed[1408 + 16];
static uint8_t opened[1408];

static void seal(struct haul_aead_context *context, size_t bytes)
{
    static const uint8_t key[16] = { 7 };

    sim_toy_reset();
    sim_toy_aead.key(context, key);
    for (size_t i = 0; i < bytes; i++)
        clear[i] = (uint8_t)(i * 7);
    sim_toy_aead.seal(context, nonce, head, sizeof head, clear, bytes, sealed);
}

static void what_is_sealed_opens(void)
{
    static const size_t lengths[] = { 0, 1, 7, 8, 9, 60, 1408 };
    struct haul_aead_context context;

    for (size_t i = 0; i < HAUL_COUNT_OF(lengths); i++) {
        seal(&context, lengths[i]);
        CU_ASSERT_TRUE(
            sim_toy_aead.open(&context, nonce, head, sizeof head, sealed, lengths[i], opened));
        CU_ASSERT_EQUAL(memcmp(opened, clear, lengths[i]), 0);
        CU_ASSERT_PTR_NULL(sim_toy_broken());
    }
}

static void any_changed_bit_is_noticed(void)
{
    struct haul_aead_context context;
    unsigned accepted = 0;

    seal(&context, 200);
    for (size_t bit = 0; bit < 8 * (200 + 16); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        accepted += sim_toy_aead.open(&context, nonce, head, sizeof head, sealed, 200, opened);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof head; bit++) {
        head[bit / 8] ^= (uint8_t)(1u << bit % 8);
        accepted += sim_toy_aead.open(&context, nonce, head, sizeof head, sealed, 200, opened);
        head[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bytes = 0; bytes < 200; bytes++)
        accepted += sim_toy_aead.open(&context, nonce, head, sizeof head, sealed, bytes, opened);
    CU_ASSERT_EQUAL(accepted, 0);
}

static void a_failed_open_spoils_the_destination(void)
{
    struct haul_aead_context context;

    seal(&context, 200);
    memset(opened, 0, sizeof opened);
    sealed[0] ^= 1;
    CU_ASSERT_FALSE(sim_toy_aead.open(&context, nonce, head, sizeof head, sealed, 200, opened));
    CU_ASSERT_NOT_EQUAL(opened[0], 0);
    CU_ASSERT_NOT_EQUAL(opened[199], 0);
}

static void one_number_is_sealed_once(void)
{
    struct haul_aead_context context;

    seal(&context, 10);
    sim_toy_aead.seal(&context, nonce, head, sizeof head, clear, 10, sealed);
    CU_ASSERT_PTR_NOT_NULL(sim_toy_broken());
    sim_toy_reset();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what is sealed opens", what_is_sealed_opens },
        { "any changed bit is noticed", any_changed_bit_is_noticed },
        { "a failed open spoils the destination", a_failed_open_spoils_the_destination },
        { "one number is sealed once", one_number_is_sealed_once },
    };

    return unit_main("toy-aead", tests, HAUL_COUNT_OF(tests));
}
