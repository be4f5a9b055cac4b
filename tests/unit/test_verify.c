/* The hashing thread of the worker. */
#include "dataplane/verify.h"

#include "tests/unit/unit.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BLOCKS 40u
#define BYTES  300000u

static uint8_t *memory_make(uint32_t blocks)
{
    uint8_t *memory = malloc((size_t)blocks * BYTES);

    for (size_t i = 0; i < (size_t)blocks * BYTES; i++)
        memory[i] = (uint8_t)(i * 31 >> 7);
    return memory;
}

static struct haul_verify_block block_of(const uint8_t *memory, uint32_t number)
{
    return (struct haul_verify_block){
        .memory = memory + (size_t)number * BYTES,
        .length = BYTES - number,
        .job = (uint16_t)number,
        .code = number % 2 == 0 ? HAUL_HASH_BLAKE3 : HAUL_HASH_SHA2_256,
    };
}

/* Takes one, asleep until there is one. */
static bool take(struct haul_verify *verify, int wake_fd, struct haul_verify_block *block)
{
    while (!haul_verify_take(verify, block)) {
        struct pollfd ready = { .fd = wake_fd, .events = POLLIN };
        uint64_t count;

        if (poll(&ready, 1, 20000) != 1 || read(wake_fd, &count, sizeof count) < 0)
            return false;
    }
    return true;
}

static void every_block_comes_back_in_order_with_its_hash(void)
{
    int wake_fd = eventfd(0, EFD_CLOEXEC);
    uint8_t *memory = memory_make(BLOCKS);
    struct haul_verify *verify = NULL;
    struct haul_error error;
    uint32_t given = 0;

    CU_ASSERT_EQUAL_FATAL(haul_verify_open(&verify, wake_fd, &error), 0);
    for (uint32_t taken = 0; taken < BLOCKS; taken++) {
        struct haul_verify_block block = { 0 };
        struct haul_hash hash;

        while (given < BLOCKS && haul_verify_room(verify)) {
            block = block_of(memory, given++);
            CU_ASSERT_TRUE_FATAL(haul_verify_give(verify, &block));
        }
        CU_ASSERT_TRUE_FATAL(take(verify, wake_fd, &block));
        CU_ASSERT_EQUAL(block.job, taken);
        haul_hash_of(block.code, block.memory, block.length, &hash);
        CU_ASSERT_TRUE(haul_hash_equal(&block.hash, &hash));
    }
    haul_verify_close(verify);
    close(wake_fd);
    free(memory);
}

static void no_more_blocks_than_the_depth_are_taken_and_the_end_waits_for_them(void)
{
    int wake_fd = eventfd(0, EFD_CLOEXEC);
    uint8_t *memory = memory_make(HAUL_VERIFY_DEPTH + 1);
    struct haul_verify *verify = NULL;
    struct haul_verify_block block;
    struct haul_error error;

    CU_ASSERT_EQUAL_FATAL(haul_verify_open(&verify, wake_fd, &error), 0);
    for (uint32_t i = 0; i < HAUL_VERIFY_DEPTH; i++) {
        block = block_of(memory, i);
        CU_ASSERT_TRUE(haul_verify_give(verify, &block));
    }
    block = block_of(memory, HAUL_VERIFY_DEPTH);
    CU_ASSERT_FALSE(haul_verify_room(verify));
    CU_ASSERT_FALSE(haul_verify_give(verify, &block));
    haul_verify_close(verify);
    close(wake_fd);
    free(memory);
}

static void without_a_thread_there_is_never_room(void)
{
    struct haul_verify_block block;

    CU_ASSERT_FALSE(haul_verify_room(NULL));
    CU_ASSERT_FALSE(haul_verify_take(NULL, &block));
    haul_verify_close(NULL);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every block comes back in order with its hash",
          every_block_comes_back_in_order_with_its_hash },
        { "no more blocks than the depth are taken, and the end waits for them",
          no_more_blocks_than_the_depth_are_taken_and_the_end_waits_for_them },
        { "without a thread there is never room", without_a_thread_there_is_never_room },
    };

    return unit_main("verify", tests, sizeof tests / sizeof tests[0]);
}
