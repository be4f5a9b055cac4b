/* The messages of an offer: any bytes are safe to read as any of them; what is read writes to bytes
 * that read the same. */
#include "controlplane/grants/offer_message.h"

static void as_offer(const uint8_t *data, size_t size)
{
    static uint8_t again[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(again, sizeof again);
    struct haul_offer offer, back;

    if (!haul_offer_read(data, size, &offer))
        return;
    haul_offer_write(&out, &offer);
    haul_assert(!out.bad && haul_offer_read(again, (size_t)(out.at - again), &back));
    haul_assert(memcmp(&offer, &back, sizeof offer) == 0);
}

static void as_grant(const uint8_t *data, size_t size)
{
    static uint8_t again[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(again, sizeof again);
    struct haul_offer_grant grant, back;

    if (!haul_offer_grant_read(data, size, &grant))
        return;
    haul_offer_grant_write(&out, &grant);
    haul_assert(!out.bad && haul_offer_grant_read(again, (size_t)(out.at - again), &back));
    haul_assert(memcmp(&grant, &back, sizeof grant) == 0);
}

static void as_answer(const uint8_t *data, size_t size)
{
    static uint8_t again[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(again, sizeof again);
    struct haul_offer_answer answer, back;

    if (!haul_offer_answer_read(data, size, &answer))
        return;
    haul_offer_answer_write(&out, &answer);
    haul_assert(!out.bad && haul_offer_answer_read(again, (size_t)(out.at - again), &back));
    haul_assert(memcmp(&answer, &back, sizeof answer) == 0);
    if (answer.granted)
        as_grant(answer.grant, answer.grant_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t signature[HAUL_KEY_SIGNATURE_BYTES];

    as_offer(data, size);
    as_grant(data, size);
    as_answer(data, size);
    (void)!haul_offer_confirm_read(data, size, signature);
    return 0;
}
