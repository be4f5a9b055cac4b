/* Noise: the cacophony vector byte by byte, then the libp2p handshake: every cut, every flipped
 * bit, wrong peers, muxers, and the transport's limits. */
#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/noise.h"
#include "controlplane/p2p/noise_cipher.h"
#include "controlplane/p2p/noise_payload.h"
#include "controlplane/p2p/noise_xx.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

static const char *const yamux[] = { "/yamux/1.0.0" };
static const char *const mplex[] = { "/mplex/6.7.0" };
static const char *const both[] = { "/mplex/6.7.0", "/yamux/1.0.0" };
static const char *const both_other_way[] = { "/yamux/1.0.0", "/mplex/6.7.0" };

static void the_published_vector_is_reproduced(void)
{
    static const struct {
        const char *payload, *message;
    } steps[] = {
        { "4c756477696720766f6e204d69736573",
          "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d"
          "69736573" },
        { "4d757272617920526f746862617264",
          "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffc"
          "e2b65285e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be"
          "9b5c412f8a0db50f8814c7194e83f23dbd8d162c9326ad" },
        { "462e20412e20486179656b",
          "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be"
          "0865b57f58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030" },
        { "4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df" },
        { "4a65616e2d426170746973746520536179",
          "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5" },
        { "457567656e2042f6686d20766f6e2042617765726b",
          "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f" },
    };
    uint8_t prologue[16], is[32], ie[32], rs[32], re[32], hash[32];
    size_t prologue_bytes = unit_hex("4a6f686e2047616c74", prologue, sizeof prologue);
    struct haul_noise_xx sides[2];
    struct haul_noise_cipher seal[2] = { 0 }, open[2] = { 0 };

    unit_hex("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1", is, 32);
    unit_hex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a", ie, 32);
    unit_hex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893", rs, 32);
    unit_hex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b", re, 32);
    unit_hex("c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e", hash, 32);
    haul_noise_xx_init(&sides[0], true, prologue, prologue_bytes, is, ie);
    haul_noise_xx_init(&sides[1], false, prologue, prologue_bytes, rs, re);
    for (size_t i = 0; i < HAUL_COUNT_OF(steps); i++) {
        uint8_t payload[64], message[256], made[256], got[256];
        size_t payload_bytes = unit_hex(steps[i].payload, payload, sizeof payload);
        size_t message_bytes = unit_hex(steps[i].message, message, sizeof message);
        struct haul_out out = haul_out_to(made, sizeof made);
        size_t got_bytes = 0;

        if (i < HAUL_NOISE_XX_MESSAGES) {
            CU_ASSERT_EQUAL(haul_noise_xx_overhead(&sides[i % 2]) + payload_bytes, message_bytes);
            CU_ASSERT_TRUE(haul_noise_xx_write(&sides[i % 2], payload, payload_bytes, &out));
            CU_ASSERT_EQUAL(out.at - made, message_bytes);
            CU_ASSERT_TRUE(
                haul_noise_xx_read(&sides[1 - i % 2], message, message_bytes, got, &got_bytes));
            CU_ASSERT_EQUAL(got_bytes, payload_bytes);
        } else { /* the responder sends first here */
            CU_ASSERT_TRUE(haul_noise_cipher_seal(&seal[i % 2], NULL, 0, payload, 5, payload + 5,
                                                  payload_bytes - 5, made));
            CU_ASSERT_TRUE(
                haul_noise_cipher_open(&open[1 - i % 2], NULL, 0, message, message_bytes, got));
        }
        CU_ASSERT_EQUAL(memcmp(made, message, message_bytes), 0);
        CU_ASSERT_EQUAL(memcmp(got, payload, payload_bytes), 0);
        if (i == 2) {
            CU_ASSERT_EQUAL(memcmp(sides[0].hash, hash, 32), 0);
            CU_ASSERT_EQUAL(memcmp(sides[1].hash, hash, 32), 0);
            haul_noise_xx_split(&sides[0], NULL, &seal[0], &open[0]);
            haul_noise_xx_split(&sides[1], haul_chacha_poly_ipsec_mb(), &seal[1], &open[1]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        haul_noise_xx_fini(&sides[i]);
        haul_noise_cipher_fini(&seal[i]);
        haul_noise_cipher_fini(&open[i]);
    }
}

/* --- the libp2p handshake between two of our machines --- */

struct side {
    struct haul_noise noise;
    struct haul_key key;
    struct haul_noise_conf conf;
    uint8_t random[2][32];
};

static void side_init(struct side *side, bool initiator, uint8_t seed)
{
    uint8_t bytes[32];

    memset(side, 0, sizeof *side);
    memset(bytes, seed, sizeof bytes);
    haul_key_from_seed(&side->key, bytes);
    memset(side->random[0], seed + 1, 32);
    memset(side->random[1], seed + 2, 32);
    side->conf = (struct haul_noise_conf){
        .initiator = initiator,
        .identity = &side->key,
        .muxers = yamux,
        .muxer_count = 1,
        .static_private = side->random[0],
        .ephemeral_private = side->random[1],
    };
}

static void pair_init(struct side *a, struct side *b)
{
    side_init(a, true, 0x11);
    side_init(b, false, 0x33);
}

static size_t step(struct side *side, const uint8_t *data, size_t bytes, uint8_t *to)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_out out = haul_out_to(to, HAUL_NOISE_OUT_BYTES);

    haul_noise_step(&side->noise, &in, &out);
    return (size_t)(out.at - to);
}

/* The three messages between two sides; stops where one of them writes nothing. */
static void shake(struct side *a, struct side *b)
{
    uint8_t one[HAUL_NOISE_OUT_BYTES], two[HAUL_NOISE_OUT_BYTES];
    size_t bytes;

    haul_noise_init(&a->noise, &a->conf);
    haul_noise_init(&b->noise, &b->conf);
    bytes = step(a, NULL, 0, one);
    CU_ASSERT_EQUAL(bytes, 34);
    bytes = step(b, one, bytes, two);
    bytes = step(a, two, bytes, one);
    if (bytes > 0)
        step(b, one, bytes, two);
}

static void pair_fini(struct side *a, struct side *b)
{
    haul_noise_fini(&a->noise);
    haul_noise_fini(&b->noise);
}

static void two_sides_agree_and_know_each_other(void)
{
    struct side a, b;

    pair_init(&a, &b);
    a.conf.expected = &b.key.id;
    shake(&a, &b);
    CU_ASSERT_EQUAL(a.noise.state, HAUL_NOISE_DONE);
    CU_ASSERT_EQUAL(b.noise.state, HAUL_NOISE_DONE);
    CU_ASSERT_TRUE(haul_peer_id_equal(&a.noise.peer, &b.key.id));
    CU_ASSERT_TRUE(haul_peer_id_equal(&b.noise.peer, &a.key.id));
    CU_ASSERT_EQUAL(memcmp(a.noise.hash, b.noise.hash, 32), 0);
    CU_ASSERT_EQUAL(a.noise.muxer, 0);
    CU_ASSERT_EQUAL(b.noise.muxer, 0);
    pair_fini(&a, &b);
}

static void another_peer_than_expected_is_refused(void)
{
    struct side a, b;

    pair_init(&a, &b);
    a.conf.expected = &a.key.id;
    shake(&a, &b);
    CU_ASSERT_EQUAL(a.noise.state, HAUL_NOISE_FAILED);
    CU_ASSERT_EQUAL(a.noise.fault, HAUL_NOISE_FAULT_OTHER_PEER);
    CU_ASSERT_EQUAL(b.noise.state, HAUL_NOISE_RUNNING);
    pair_fini(&a, &b);
    b.conf.expected = &b.key.id;
    a.conf.expected = NULL;
    shake(&a, &b);
    CU_ASSERT_EQUAL(b.noise.fault, HAUL_NOISE_FAULT_OTHER_PEER);
    pair_fini(&a, &b);
}

static void the_muxer_is_the_initiators_first_that_both_speak(void)
{
    static const struct {
        const char *const *mine, *const *theirs;
        size_t mine_count, theirs_count;
        size_t at_mine, at_theirs;
        bool good;
    } cases[] = {
        { both, both_other_way, 2, 2, 0, 1, true },
        { both, yamux, 2, 1, 1, 0, true },
        { yamux, both, 1, 2, 0, 1, true },
        { NULL, both, 0, 2, HAUL_NOISE_NO_MUXER, HAUL_NOISE_NO_MUXER, true },
        { both, NULL, 2, 0, HAUL_NOISE_NO_MUXER, HAUL_NOISE_NO_MUXER, true },
        { yamux, mplex, 1, 1, 0, 0, false },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct side a, b;

        pair_init(&a, &b);
        a.conf.muxers = cases[i].mine;
        a.conf.muxer_count = cases[i].mine_count;
        b.conf.muxers = cases[i].theirs;
        b.conf.muxer_count = cases[i].theirs_count;
        shake(&a, &b);
        if (cases[i].good) {
            CU_ASSERT_EQUAL(a.noise.state, HAUL_NOISE_DONE);
            CU_ASSERT_EQUAL(b.noise.state, HAUL_NOISE_DONE);
            CU_ASSERT_EQUAL(a.noise.muxer, cases[i].at_mine);
            CU_ASSERT_EQUAL(b.noise.muxer, cases[i].at_theirs);
        } else {
            CU_ASSERT_EQUAL(a.noise.fault, HAUL_NOISE_FAULT_MUXER);
        }
        pair_fini(&a, &b);
    }
}

static void every_cut_waits_and_every_flipped_bit_fails(void)
{
    uint8_t m1[HAUL_NOISE_OUT_BYTES], m2[HAUL_NOISE_OUT_BYTES], m3[HAUL_NOISE_OUT_BYTES];
    uint8_t bad[HAUL_NOISE_OUT_BYTES];
    struct side a, b;
    size_t bytes1, bytes2;

    pair_init(&a, &b);
    haul_noise_init(&b.noise, &b.conf);
    haul_noise_init(&a.noise, &a.conf);
    bytes1 = step(&a, NULL, 0, m1);
    for (size_t cut = 0; cut < bytes1; cut++)
        CU_ASSERT_EQUAL(step(&b, m1, cut, m2), 0);
    bytes2 = step(&b, m1, bytes1, m2);
    CU_ASSERT_EQUAL(b.noise.state, HAUL_NOISE_RUNNING);
    for (size_t cut = 0; cut < bytes2; cut++)
        CU_ASSERT_EQUAL(step(&a, m2, cut, m3), 0);
    CU_ASSERT_EQUAL(a.noise.state, HAUL_NOISE_RUNNING);
    for (size_t bit = 0; bit < 8 * bytes2; bit++) {
        struct side c;

        side_init(&c, true, 0x11);
        haul_noise_init(&c.noise, &c.conf);
        step(&c, NULL, 0, m3);
        memcpy(bad, m2, bytes2);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit >= 16 || haul_noise_frame(bad) + 2 <= bytes2) { /* else: waits for more */
            step(&c, bad, bytes2, m3);
            /* X25519 ignores the top bit of a public key, but the hash does not. */
            CU_ASSERT_EQUAL(c.noise.state, HAUL_NOISE_FAILED);
        }
        haul_noise_fini(&c.noise);
    }
    pair_fini(&a, &b);
}

static void a_handshake_frame_that_is_too_long_is_refused_at_once(void)
{
    static const uint8_t huge[] = { 0x20, 0x01 }; /* 8193 */
    uint8_t out[HAUL_NOISE_OUT_BYTES];
    struct side a, b;

    pair_init(&a, &b);
    haul_noise_init(&b.noise, &b.conf);
    step(&b, huge, sizeof huge, out);
    CU_ASSERT_EQUAL(b.noise.fault, HAUL_NOISE_FAULT_MALFORMED);
    haul_noise_fini(&b.noise);
}

static void a_point_of_small_order_is_refused(void)
{
    uint8_t zero[34] = { 0, 32 };
    uint8_t out[HAUL_NOISE_OUT_BYTES];
    struct side a, b;

    pair_init(&a, &b);
    haul_noise_init(&b.noise, &b.conf);
    CU_ASSERT_EQUAL(step(&b, zero, sizeof zero, out), 0);
    CU_ASSERT_EQUAL(b.noise.fault, HAUL_NOISE_FAULT_FORGED);
    haul_noise_fini(&b.noise);
}

static void transport_bytes_may_follow_the_last_message(void)
{
    uint8_t one[2 * HAUL_NOISE_OUT_BYTES], two[HAUL_NOISE_OUT_BYTES], clear[16];
    struct haul_in in;
    struct haul_out out;
    struct side a, b;
    size_t bytes;

    pair_init(&a, &b);
    haul_noise_init(&a.noise, &a.conf);
    haul_noise_init(&b.noise, &b.conf);
    bytes = step(&a, NULL, 0, one);
    bytes = step(&b, one, bytes, two);
    bytes = step(&a, two, bytes, one);
    bytes += haul_noise_seal(&a.noise, (const uint8_t *)"hello ", 6, (const uint8_t *)"haul", 4,
                             one + bytes);
    in = haul_in_from(one, bytes);
    out = haul_out_to(two, sizeof two);
    CU_ASSERT_EQUAL(haul_noise_step(&b.noise, &in, &out), HAUL_NOISE_DONE);
    CU_ASSERT_EQUAL(haul_in_left(&in), 10 + HAUL_NOISE_OVERHEAD);
    CU_ASSERT_EQUAL(haul_noise_frame(in.at), 26);
    CU_ASSERT_TRUE(haul_noise_open(&b.noise, in.at + 2, 26, clear));
    CU_ASSERT_EQUAL(memcmp(clear, "hello haul", 10), 0);
    pair_fini(&a, &b);
}

static void the_transport_carries_every_size_and_refuses_forgeries(void)
{
    static const size_t sizes[] = { 0, 1, 11, 12, 13, 4096, HAUL_NOISE_CLEAR_MAX - 12 };
    static uint8_t body[HAUL_NOISE_CLEAR_MAX], message[2 + HAUL_NOISE_MESSAGE_MAX];
    uint8_t head[12] = "yamux header", kept[64];
    struct side a, b;

    pair_init(&a, &b);
    shake(&a, &b);
    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++) {
        size_t bytes = sizes[i];
        size_t sealed;

        memset(body, (int)i + 1, bytes);
        sealed = haul_noise_seal(&b.noise, head, 12, body, bytes, message);
        CU_ASSERT_EQUAL(sealed, 12 + bytes + HAUL_NOISE_OVERHEAD);
        CU_ASSERT_EQUAL(haul_noise_frame(message), sealed - 2);
        CU_ASSERT_TRUE(haul_noise_open(&a.noise, message + 2, sealed - 2, message + 2));
        CU_ASSERT_EQUAL(memcmp(message + 2, head, 12), 0);
        CU_ASSERT_EQUAL(memcmp(message + 14, body, bytes), 0);
    }
    CU_ASSERT_EQUAL(haul_noise_seal(&a.noise, NULL, 0, NULL, 0, message), HAUL_NOISE_OVERHEAD);
    CU_ASSERT_TRUE(haul_noise_open(&b.noise, message + 2, 16, kept)); /* an empty one is legal */
    CU_ASSERT_EQUAL(haul_noise_seal(&a.noise, head, 12, NULL, 0, message), 30);
    message[5] ^= 1;
    CU_ASSERT_FALSE(haul_noise_open(&b.noise, message + 2, 28, kept));
    CU_ASSERT_EQUAL(b.noise.open.counter, 1); /* a forgery does not move the counter */
    message[5] ^= 1;
    CU_ASSERT_FALSE(haul_noise_open(&b.noise, message + 2, 28, kept)); /* ended for good */
    CU_ASSERT_FALSE(haul_noise_open(&a.noise, message + 2, 15, kept)); /* no room for a tag */
    pair_fini(&a, &b);
}

static void an_exhausted_counter_ends_the_connection(void)
{
    uint8_t message[64];
    struct side a, b;

    pair_init(&a, &b);
    shake(&a, &b);
    a.noise.seal.counter = UINT64_MAX - 2;
    CU_ASSERT_EQUAL(haul_noise_seal(&a.noise, NULL, 0, NULL, 0, message), HAUL_NOISE_OVERHEAD);
    CU_ASSERT_EQUAL(a.noise.seal.counter, UINT64_MAX - 1);
    CU_ASSERT_EQUAL(haul_noise_seal(&a.noise, NULL, 0, NULL, 0, message), 0);
    pair_fini(&a, &b);
}

/* --- the payload --- */

static void the_published_identity_signature_is_reproduced_and_verified(void)
{
    uint8_t private[68], static_public[32] = { 0 }, expected[64], data[512], wrong[32] = { 1 };
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_noise_payload payload;
    struct haul_peer_id peer;
    struct haul_key key;

    unit_hex(
        "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a1"
        "44b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        private, sizeof private);
    unit_hex(
        "96e76c387acf749074786157ff14a810e4d2f0de949691503813564f0168432bd51ecdcbec88090d8ba4c7"
        "01d3666be691b8f7d8c2e64924e78764a837568902",
        expected, sizeof expected);
    CU_ASSERT_TRUE_FATAL(haul_key_decode(&key, private, sizeof private));
    haul_noise_payload_write(&out, &key, static_public, yamux, 1);
    CU_ASSERT_TRUE_FATAL(
        haul_noise_payload_read(data, (size_t)(out.at - data), yamux, 1, &payload));
    CU_ASSERT_EQUAL(payload.signature_bytes, 64);
    CU_ASSERT_EQUAL(memcmp(payload.signature, expected, 64), 0);
    CU_ASSERT_EQUAL(payload.muxers_seen, 1);
    CU_ASSERT_EQUAL(payload.muxers_shared, 1);
    CU_ASSERT_TRUE(haul_noise_payload_verify(&payload, static_public, &peer));
    CU_ASSERT_TRUE(haul_peer_id_equal(&peer, &key.id));
    CU_ASSERT_FALSE(haul_noise_payload_verify(&payload, wrong, &peer));
}

static void every_prefix_of_a_payload_is_harmless(void)
{
    uint8_t data[512], static_public[32] = { 7 };
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_noise_payload payload;
    struct haul_peer_id peer;
    struct side a;
    size_t bytes;

    side_init(&a, true, 1);
    haul_noise_payload_write(&out, &a.key, static_public, both, 2);
    bytes = (size_t)(out.at - data);
    for (size_t cut = 0; cut <= bytes; cut++) {
        bool verified = haul_noise_payload_read(data, cut, both, 2, &payload) &&
                        haul_noise_payload_verify(&payload, static_public, &peer);

        CU_ASSERT_EQUAL(verified, cut == bytes || cut == 38 + 66);
    }
}

static void unknown_fields_are_skipped_and_too_many_muxers_refused(void)
{
    uint8_t data[4096], inner[2048];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_out extensions = haul_out_to(inner, sizeof inner);
    struct haul_noise_payload payload;

    haul_field_write_bytes(&out, 3, "old early data", 14);
    haul_field_write_value(&out, 1030, UINT64_MAX);
    haul_out_bytes(&out, "\x2d\x01\x02\x03\x04\x31\x01\x02\x03\x04\x05\x06\x07\x08", 14);
    for (unsigned i = 0; i < HAUL_NOISE_PEER_MUXERS_MAX; i++)
        haul_field_write_bytes(&extensions, 2, "/x", 2);
    haul_field_write_bytes(&extensions, 1, "certificate hash", 16);
    haul_field_write_bytes(&out, 4, inner, (size_t)(extensions.at - inner));
    CU_ASSERT_TRUE(haul_noise_payload_read(data, (size_t)(out.at - data), yamux, 1, &payload));
    CU_ASSERT_EQUAL(payload.muxers_seen, HAUL_NOISE_PEER_MUXERS_MAX);
    CU_ASSERT_PTR_NULL(payload.identity_key);
    haul_field_write_bytes(&out, 4, "\x12\x02/y", 4);
    CU_ASSERT_FALSE(haul_noise_payload_read(data, (size_t)(out.at - data), yamux, 1, &payload));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the published vector is reproduced", the_published_vector_is_reproduced },
        { "two sides agree and know each other", two_sides_agree_and_know_each_other },
        { "another peer than expected is refused", another_peer_than_expected_is_refused },
        { "the muxer is the initiator's first that both speak",
          the_muxer_is_the_initiators_first_that_both_speak },
        { "every cut waits and every flipped bit fails",
          every_cut_waits_and_every_flipped_bit_fails },
        { "a handshake frame that is too long is refused at once",
          a_handshake_frame_that_is_too_long_is_refused_at_once },
        { "a point of small order is refused", a_point_of_small_order_is_refused },
        { "transport bytes may follow the last message",
          transport_bytes_may_follow_the_last_message },
        { "the transport carries every size and refuses forgeries",
          the_transport_carries_every_size_and_refuses_forgeries },
        { "an exhausted counter ends the connection", an_exhausted_counter_ends_the_connection },
        { "the published identity signature is reproduced and verified",
          the_published_identity_signature_is_reproduced_and_verified },
        { "every prefix of a payload is harmless", every_prefix_of_a_payload_is_harmless },
        { "unknown fields are skipped and too many muxers refused",
          unknown_fields_are_skipped_and_too_many_muxers_refused },
    };

    return unit_main("noise", tests, HAUL_COUNT_OF(tests));
}
