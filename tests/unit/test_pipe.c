/* The pipes of the rate tests, on small areas and for moments. */
#include "common/synthetic.h"
#include "common/time.h"
#include "dataplane/aead/tables.h"
#include "perf/ceiling.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AREA (2 * HAUL_BLOCK_BYTES_MAX)
#define SPAN (30 * HAUL_MILLISECOND)

/* Waits for the first byte; false where this machine cannot. */
static bool carries(const char *name)
{
    const struct haul_ceiling *ceiling = haul_ceiling_find(name);
    struct haul_pipe_result result = { 0 };
    struct haul_ceilings *ceilings = NULL;
    struct haul_error error = { 0 };
    int failed = 0;

    CU_ASSERT_FATAL(ceiling != NULL);
    CU_ASSERT_FATAL(haul_ceilings_open(&ceilings, &error) == 0);
    /* A loaded machine may give an end no time at all within the span. */
    for (unsigned i = 0; i < 50 && result.bytes == 0 && failed == 0; i++)
        failed = haul_ceiling_measure(ceilings, ceiling, AREA, SPAN, NULL, &result, &error);
    haul_ceilings_close(ceilings);
    if (failed < 0 && error.code == HAUL_E_NOT_POSSIBLE)
        return false;
    CU_ASSERT_EQUAL_FATAL(failed, 0);
    CU_ASSERT(result.bytes > 0);
    CU_ASSERT(result.bytes_per_second > 0);
    CU_ASSERT_EQUAL(result.wrong, 0);
    return true;
}

static void a_verified_pipe_over_udp_carries_undamaged(void)
{
    CU_ASSERT(carries("sealed-udp-1408-verified"));
    CU_ASSERT(carries("sealed-udp-8192-verified"));
}

static void a_verified_pipe_over_a_stream_carries_undamaged(void)
{
    CU_ASSERT(carries("sealed-stream-verified"));
}

static void a_raw_pipe_counts_what_came(void)
{
    CU_ASSERT(carries("udp-8192"));
    CU_ASSERT(carries("tcp"));
}

/* Drivers may be missing; virtio-user may want huge pages. */
static void a_pipe_over_a_port_of_dpdk_carries_undamaged_or_says_why_not(void)
{
    (void)carries("sealed-memif-1408-verified");
    (void)carries("sealed-vhost-1408");
}

static void one_core_alone_has_a_rate(void)
{
    static const char *const names[] = { "copy",        "aead-1408",   "aead-8192",
                                         "aead-stream", "hash-blake3", "hash-sha2-256" };
    struct haul_ceilings *ceilings = NULL;
    struct haul_error error;

    CU_ASSERT_FATAL(haul_ceilings_open(&ceilings, &error) == 0);
    for (size_t i = 0; i < HAUL_COUNT_OF(names); i++) {
        struct haul_pipe_result result = { 0 };

        CU_ASSERT_EQUAL(haul_ceiling_measure(ceilings, haul_ceiling_find(names[i]), AREA,
                                             HAUL_MILLISECOND, NULL, &result, &error),
                        0);
        CU_ASSERT(result.bytes_per_second > 0);
    }
    haul_ceilings_close(ceilings);
}

static void the_table_names_each_row_once_and_its_limit_is_a_row(void)
{
    for (size_t i = 0; i < haul_ceiling_count; i++) {
        const struct haul_ceiling *row = &haul_ceiling_table[i];

        CU_ASSERT_PTR_EQUAL(haul_ceiling_find(row->name), row);
        CU_ASSERT(row->of == NULL || haul_ceiling_find(row->of) != NULL);
        CU_ASSERT((row->pipe == NULL) == (row->alone != NULL));
    }
    CU_ASSERT_PTR_NULL(haul_ceiling_find("none-such"));
}

/* --- the two ends in one process --- */

struct ends {
    struct haul_pipe_shared shared;
    struct haul_pipe_end sender, receiver;
    uint8_t datagram[HAUL_PIPE_PAYLOAD_MAX + HAUL_PIPE_OVERHEAD];
};

static uint8_t *area_make(size_t bytes, bool filled)
{
    uint8_t *area = calloc(1, bytes + HAUL_PIPE_PAYLOAD_MAX);

    CU_ASSERT_FATAL(area != NULL);
    for (size_t at = 0; filled && at < bytes; at += HAUL_BLOCK_BYTES_MAX)
        haul_synthetic_fill(area + at, HAUL_BLOCK_BYTES_MAX, 0);
    if (filled)
        memcpy(area + bytes, area, HAUL_PIPE_PAYLOAD_MAX);
    return area;
}

static struct ends *ends_open(uint32_t payload)
{
    static const uint8_t key[32] = { 7 };
    struct ends *ends = calloc(1, sizeof *ends);
    struct haul_pipe_end end = { .shape = { .payload = payload,
                                            .cipher = HAUL_CIPHER_AES_128_GCM,
                                            .hash = HAUL_HASH_BLAKE3 },
                                 .aead = &haul_aead_openssl_aes_128_gcm,
                                 .shared = &ends->shared,
                                 .area_bytes = AREA };

    CU_ASSERT_FATAL(ends != NULL);
    ends->sender = ends->receiver = end;
    ends->sender.area = area_make(AREA, true);
    ends->receiver.area = area_make(AREA, false);
    haul_hash_of(HAUL_HASH_BLAKE3, ends->sender.area, HAUL_BLOCK_BYTES_MAX,
                 &ends->receiver.expected);
    end.aead->key(&ends->sender.key, key);
    end.aead->key(&ends->receiver.key, key);
    return ends;
}

static void ends_close(struct ends *ends)
{
    ends->sender.aead->wipe(&ends->sender.key);
    ends->receiver.aead->wipe(&ends->receiver.key);
    free(ends->sender.area);
    free(ends->receiver.area);
    free(ends);
}

static void every_block_is_hashed_round_after_round(void)
{
    struct ends *ends = ends_open(1408);
    unsigned datagrams = 3 * (AREA / 1408 + 1);

    for (unsigned i = 0; i < datagrams; i++) {
        size_t bytes = haul_pipe_seal(&ends->sender, ends->datagram);

        CU_ASSERT_EQUAL_FATAL(haul_pipe_open(&ends->receiver, ends->datagram, bytes), 1408);
        CU_ASSERT_EQUAL_FATAL(ends->receiver.at, ends->sender.at);
    }
    CU_ASSERT_EQUAL(ends->receiver.at, 0); /* whole rounds */
    CU_ASSERT_EQUAL(ends->receiver.hashed, AREA);
    CU_ASSERT_EQUAL(ends->shared.wrong, 0);
    CU_ASSERT_EQUAL(memcmp(ends->sender.area, ends->receiver.area, AREA), 0);
    ends_close(ends);
}

static void what_is_damaged_is_counted_and_not_placed_as_good(void)
{
    struct ends *ends = ends_open(8192);
    size_t bytes = haul_pipe_seal(&ends->sender, ends->datagram);

    ends->datagram[bytes - 1] ^= 1;
    CU_ASSERT_EQUAL(haul_pipe_open(&ends->receiver, ends->datagram, bytes), 0);
    CU_ASSERT_EQUAL(ends->shared.wrong, 1);
    CU_ASSERT_EQUAL(haul_pipe_open(&ends->receiver, ends->datagram, bytes - 1), 0);
    memset(ends->datagram + 8, 0xff, 8); /* an offset outside the sink */
    CU_ASSERT_EQUAL(haul_pipe_open(&ends->receiver, ends->datagram, bytes), 0);
    CU_ASSERT_EQUAL(ends->shared.wrong, 3);
    ends_close(ends);
}

static void a_block_with_a_hole_is_not_hashed_and_the_next_one_is(void)
{
    struct ends *ends = ends_open(8192);

    for (unsigned i = 0; i < AREA / 8192; i++) {
        size_t bytes = haul_pipe_seal(&ends->sender, ends->datagram);

        if (i != 40)
            CU_ASSERT_EQUAL_FATAL(haul_pipe_open(&ends->receiver, ends->datagram, bytes), 8192);
    }
    CU_ASSERT_EQUAL(ends->shared.lost, 1);
    CU_ASSERT_EQUAL(ends->shared.wrong, 0); /* the first block holds zeros: hashed, it would be 1 */
    CU_ASSERT_EQUAL(ends->receiver.hashed, AREA);
    ends_close(ends);
}

static void a_block_of_other_bytes_is_counted(void)
{
    struct ends *ends = ends_open(8192);

    ends->sender.area[100000] ^= 1;
    for (unsigned i = 0; i < AREA / 8192; i++) {
        size_t bytes = haul_pipe_seal(&ends->sender, ends->datagram);

        CU_ASSERT_EQUAL_FATAL(haul_pipe_open(&ends->receiver, ends->datagram, bytes), 8192);
    }
    CU_ASSERT_EQUAL(ends->shared.wrong, 1);
    ends_close(ends);
}

/* --- pipes that fail --- */

static int fail_early(struct haul_pipe_end *end, struct haul_error *error)
{
    return haul_fail(error, HAUL_E_NOT_POSSIBLE, "nothing to carry with, role %d", (int)end->role);
}

static int idle(struct haul_pipe_end *end, struct haul_error *error)
{
    (void)error;
    if (haul_pipe_ready(end)) {
        while (haul_pipe_running(end))
            usleep(1000);
    }
    return 0;
}

static int die(struct haul_pipe_end *end, struct haul_error *error)
{
    (void)error;
    (void)haul_pipe_ready(end);
    _exit(3);
}

static int try(const struct haul_pipe *pipe, const int *stop, struct haul_error *error)
{
    const struct haul_pipe_shape shape = { .payload = 1408 };
    struct haul_pipe_result result;

    return haul_pipe_measure(pipe, &shape, &haul_aead_none, AREA, HAUL_SECOND, stop, &result,
                             error);
}

static void the_reason_of_an_end_that_fails_is_told(void)
{
    const struct haul_pipe early = { "early", fail_early, idle, idle };
    const struct haul_pipe receiver = { "receiver", NULL, fail_early, idle };
    const struct haul_pipe sender = { "sender", NULL, idle, fail_early };
    struct haul_error error = { 0 };

    CU_ASSERT_EQUAL(try(&early, NULL, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_NOT_POSSIBLE);
    CU_ASSERT_EQUAL(try(&receiver, NULL, &error), -1);
    CU_ASSERT_STRING_EQUAL(error.text, "nothing to carry with, role 0");
    CU_ASSERT_EQUAL(try(&sender, NULL, &error), -1);
    CU_ASSERT_STRING_EQUAL(error.text, "nothing to carry with, role 1");
}

static void an_end_that_dies_ends_the_run(void)
{
    const struct haul_pipe receiver = { "receiver", NULL, die, idle };
    const struct haul_pipe sender = { "sender", NULL, idle, die };
    struct haul_error error = { 0 };

    CU_ASSERT_EQUAL(try(&receiver, NULL, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_SYSTEM);
    CU_ASSERT_EQUAL(try(&sender, NULL, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_SYSTEM);
}

static void an_interrupt_ends_the_run(void)
{
    const struct haul_pipe pipe = { "idle", NULL, idle, idle };
    struct haul_error error = { 0 };
    int stop = 1;

    CU_ASSERT_EQUAL(try(&pipe, &stop, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_CANCELLED);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a verified pipe over udp carries undamaged",
          a_verified_pipe_over_udp_carries_undamaged },
        { "a verified pipe over a stream carries undamaged",
          a_verified_pipe_over_a_stream_carries_undamaged },
        { "a raw pipe counts what came", a_raw_pipe_counts_what_came },
        { "a pipe over a port of DPDK carries undamaged, or says why not",
          a_pipe_over_a_port_of_dpdk_carries_undamaged_or_says_why_not },
        { "one core alone has a rate", one_core_alone_has_a_rate },
        { "the table names each row once and its limit is a row",
          the_table_names_each_row_once_and_its_limit_is_a_row },
        { "every block is hashed round after round", every_block_is_hashed_round_after_round },
        { "what is damaged is counted and not placed as good",
          what_is_damaged_is_counted_and_not_placed_as_good },
        { "a block with a hole is not hashed and the next one is",
          a_block_with_a_hole_is_not_hashed_and_the_next_one_is },
        { "a block of other bytes is counted", a_block_of_other_bytes_is_counted },
        { "the reason of an end that fails is told", the_reason_of_an_end_that_fails_is_told },
        { "an end that dies ends the run", an_end_that_dies_ends_the_run },
        { "an interrupt ends the run", an_interrupt_ends_the_run },
    };

    return unit_main("pipe", tests, HAUL_COUNT_OF(tests));
}
