/* The messages of an offer: round trips, every prefix, what is left out and what is refused. */
#include "controlplane/grants/offer_message.h"
#include "controlplane/p2p/fields.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct haul_offer_side some_side(void)
{
    struct haul_offer_side side = { .receiver_id = 0x01020304,
                                    .payload_max = 8192,
                                    .wants_max = 64,
                                    .rate_max = UINT64_MAX,
                                    .candidate_count = 2 };

    memset(side.key, 0x5a, sizeof side.key);
    haul_assert(haul_addr_parse("10.0.0.7:4501", &side.candidates[0]));
    haul_assert(haul_addr_parse("[2606:4700::7]:4501", &side.candidates[1]));
    return side;
}

static struct haul_offer some_offer(void)
{
    struct haul_offer offer = { .version = 1,
                                .wire_version_count = 1,
                                .wire_versions = { 1 },
                                .cipher_count = 2,
                                .ciphers = { 1, 2 },
                                .beside = true };

    haul_assert(
        haul_cid_parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", &offer.root));
    offer.side = some_side();
    return offer;
}

static void every_message_is_read_as_it_was_written(void)
{
    struct haul_offer offer = some_offer(), offer_back;
    struct haul_offer_grant grant = { .version = 1, .wire_version = 1, .cipher = 2, .flows = 3 },
                            grant_back;
    struct haul_offer_answer answer = { .reason = HAUL_OFFER_BUSY, .retry_ms = 1500 }, answer_back;
    uint8_t data[HAUL_OFFER_BYTES_MAX], signature[64], signature_back[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_offer_write(&out, &offer);
    CU_ASSERT_TRUE_FATAL(haul_offer_read(data, (size_t)(out.at - data), &offer_back));
    CU_ASSERT_EQUAL(memcmp(&offer, &offer_back, sizeof offer), 0);

    grant.side = some_side();
    out = haul_out_to(data, sizeof data);
    haul_offer_grant_write(&out, &grant);
    CU_ASSERT_TRUE_FATAL(haul_offer_grant_read(data, (size_t)(out.at - data), &grant_back));
    CU_ASSERT_EQUAL(memcmp(&grant, &grant_back, sizeof grant), 0);

    out = haul_out_to(data, sizeof data);
    haul_offer_answer_write(&out, &answer);
    CU_ASSERT_TRUE_FATAL(haul_offer_answer_read(data, (size_t)(out.at - data), &answer_back));
    CU_ASSERT_EQUAL(memcmp(&answer, &answer_back, sizeof answer), 0);

    memset(&answer, 0, sizeof answer);
    answer.granted = true;
    answer.grant_bytes = HAUL_OFFER_GRANT_BYTES_MAX;
    memset(answer.grant, 7, sizeof answer.grant);
    memset(answer.signature, 9, sizeof answer.signature);
    out = haul_out_to(data, sizeof data);
    haul_offer_answer_write(&out, &answer);
    CU_ASSERT_TRUE_FATAL(haul_offer_answer_read(data, (size_t)(out.at - data), &answer_back));
    CU_ASSERT_EQUAL(memcmp(&answer, &answer_back, sizeof answer), 0);

    memset(signature, 3, sizeof signature);
    out = haul_out_to(data, sizeof data);
    haul_offer_confirm_write(&out, signature);
    CU_ASSERT_TRUE(haul_offer_confirm_read(data, (size_t)(out.at - data), signature_back));
    CU_ASSERT_EQUAL(memcmp(signature, signature_back, 64), 0);
    CU_ASSERT_FALSE(haul_offer_confirm_read(data, (size_t)(out.at - data) - 1, signature_back));
}

static void a_cut_message_is_refused_or_lacks_only_its_end(void)
{
    struct haul_offer offer = some_offer(), back;
    uint8_t data[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);
    size_t bytes, needed = 2 + 38 + 34 + 5; /* version, root, key and receiver id */

    haul_offer_write(&out, &offer);
    bytes = (size_t)(out.at - data);
    for (size_t cut = 0; cut < bytes; cut++) {
        bool read = haul_offer_read(data, cut, &back);

        CU_ASSERT_FALSE(read && cut < needed);
        if (read)
            CU_ASSERT_TRUE(haul_cid_equal(&back.root, &offer.root));
    }
}

static void what_is_needed_and_wrong_makes_it_malformed(void)
{
    struct haul_offer offer = some_offer(), back;
    uint8_t data[HAUL_OFFER_BYTES_MAX + 1];

    for (unsigned i = 0; i < 5; i++) {
        struct haul_out out = haul_out_to(data, sizeof data);
        uint8_t root[HAUL_CID_BYTES];
        struct haul_out root_out = haul_out_to(root, sizeof root);

        haul_cid_encode(&root_out, &offer.root);
        haul_field_write_value(&out, 1, i == 0 ? 0 : 1);
        haul_field_write_bytes(&out, 2, root, sizeof root - (i == 1));
        haul_field_write_bytes(&out, 3, offer.side.key, i == 2 ? 31 : 32);
        haul_out_le(&out, 4 << 3 | 5, 1);
        haul_out_le(&out, i == 3 ? 0 : 7, 4);
        CU_ASSERT_EQUAL(haul_offer_read(data, (size_t)(out.at - data), &back), i == 4);
    }
    memset(data, 0, sizeof data);
    CU_ASSERT_FALSE(haul_offer_read(data, sizeof data, &back)); /* longer than any message */
}

static void odd_candidates_and_too_many_are_left_out(void)
{
    struct haul_offer offer = some_offer(), back;
    uint8_t data[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);

    offer.side.candidate_count = 0;
    haul_offer_write(&out, &offer);
    haul_field_write_bytes(&out, 10, "12345", 5);
    haul_field_write_bytes(&out, 10, "", 0);
    haul_field_write_bytes(&out, 10, "1234567", 7);
    haul_field_write_value(&out, 99, 1); /* unknown */
    haul_field_write_bytes(&out, 100, "later", 5);
    for (unsigned i = 0; i < 20; i++) {
        haul_field_write_bytes(&out, 10, "\x0a\0\0\x01\x11\x95", 6);
        haul_field_write_value(&out, 6, i);
    }
    CU_ASSERT_TRUE_FATAL(haul_offer_read(data, (size_t)(out.at - data), &back));
    CU_ASSERT_EQUAL(back.side.candidate_count, HAUL_CANDIDATES_MAX);
    CU_ASSERT_EQUAL(back.cipher_count, HAUL_OFFER_LIST_MAX);
    CU_ASSERT_EQUAL(back.side.candidates[7].port, 4501);
}

static void a_reason_of_a_later_version_is_a_refusal(void)
{
    struct haul_offer_answer answer = { .reason = (enum haul_offer_reason)77 }, back;
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_offer_answer_write(&out, &answer);
    CU_ASSERT_TRUE(haul_offer_answer_read(data, (size_t)(out.at - data), &back));
    CU_ASSERT_FALSE(back.granted);
    CU_ASSERT_EQUAL(back.reason, HAUL_OFFER_UNAVAILABLE);
    CU_ASSERT_FALSE(haul_offer_answer_read(data, 0, &back)); /* neither grant nor refusal */
}

static void a_grant_without_its_signature_is_malformed(void)
{
    struct haul_offer_answer back;
    uint8_t data[128], signature[64] = { 0 };

    for (size_t bytes = 63; bytes <= 65; bytes++) {
        struct haul_out out = haul_out_to(data, sizeof data);

        haul_field_write_bytes(&out, 1, "grant", 5);
        haul_field_write_bytes(&out, 3, signature, bytes == 65 ? 60 : bytes);
        CU_ASSERT_EQUAL(haul_offer_answer_read(data, (size_t)(out.at - data), &back), bytes == 64);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every message is read as it was written", every_message_is_read_as_it_was_written },
        { "a cut message is refused or lacks only its end",
          a_cut_message_is_refused_or_lacks_only_its_end },
        { "what is needed and wrong makes it malformed",
          what_is_needed_and_wrong_makes_it_malformed },
        { "odd candidates and too many are left out", odd_candidates_and_too_many_are_left_out },
        { "a reason of a later version is a refusal", a_reason_of_a_later_version_is_a_refusal },
        { "a grant without its signature is malformed",
          a_grant_without_its_signature_is_malformed },
    };

    return unit_main("offer_message", tests, HAUL_COUNT_OF(tests));
}
