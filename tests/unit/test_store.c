/* store.h: one contract, run on the file backend over io_uring, the file backend over plain calls,
 * the memory backend, and over a post to another thread that owns one; then what only files can do:
 * survive, fail and be damaged. */
#include "common/counters.h"
#include "tests/unit/store_rig.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define BLOCKS 60u

struct backend {
    enum haul_store_kind kind;
    enum haul_io_kind io;
    const char *name;
    bool posted; /* another thread owns it */
};

static const struct backend backends[] = {
    { HAUL_STORE_FILE, HAUL_IO_URING, "file/uring" },
    { HAUL_STORE_FILE, HAUL_IO_POSIX, "file/posix" },
    { HAUL_STORE_MEMORY, HAUL_IO_POSIX, "memory" },
    { HAUL_STORE_FILE, HAUL_IO_URING, "file/uring", true },
    { HAUL_STORE_MEMORY, HAUL_IO_POSIX, "memory", true },
};

static struct rig rig;

/* --- the thread that owns a store, as a worker does --- */

static struct owner {
    struct haul_io *io;
    struct haul_store *store;
    struct haul_post *post;
    int fd;
    int client_fd;
    uint64_t stop;
    uint64_t foreign; /* results of nobody's */
    pthread_t thread;
} owner;

static void owner_turn(void)
{
    struct haul_store_result results[16];
    struct haul_io_result done[16];
    size_t count = haul_io_reap(owner.io, done, HAUL_COUNT_OF(done));

    for (size_t i = 0; i < count; i++)
        haul_store_on_io(owner.store, &done[i]);
    while ((count = haul_store_reap(owner.store, results, HAUL_COUNT_OF(results))) > 0) {
        for (size_t i = 0; i < count; i++) {
            if ((results[i].tag & HAUL_POST_TAG_BIT) == 0 || haul_post_number(&results[i]) != 7)
                owner.foreign++;
            else
                haul_post_result(owner.post, owner.store, &results[i]);
        }
    }
}

static void *owner_run(void *context)
{
    while (haul_counter_read(&owner.stop) == 0) {
        struct pollfd fds[2] = { { .fd = owner.fd, .events = POLLIN },
                                 { .fd = haul_io_fd(owner.io), .events = POLLIN } };
        uint64_t count;
        bool busy;

        owner_turn();
        busy = haul_post_work(owner.post, owner.store);
        haul_io_kick(owner.io);
        if (busy || !haul_post_rest(owner.post, HAUL_POST_OWNER))
            continue;
        (void)poll(fds, 2, 1000);
        haul_post_rested(owner.post, HAUL_POST_OWNER);
        (void)!read(owner.fd, &count, sizeof count);
    }
    return context;
}

/* The rig's store becomes the thread's, and the rig a client of it. */
static void owner_start(void)
{
    struct haul_store_conf conf = { .kind = HAUL_STORE_POST };

    owner = (struct owner){ .io = rig.io, .store = rig.store };
    rig.io = NULL;
    owner.fd = eventfd(0, EFD_NONBLOCK);
    owner.client_fd = eventfd(0, EFD_NONBLOCK);
    rig.wake_fd = owner.client_fd;
    CU_ASSERT_EQUAL_FATAL(
        haul_post_open(&owner.post, 7, owner.fd, owner.client_fd, owner.store, NULL), 0);
    conf.post = rig.post = owner.post;
    CU_ASSERT_EQUAL_FATAL(haul_store_open(&rig.store, &conf, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&owner.thread, NULL, owner_run, NULL), 0);
}

static void close_backend(const struct backend *backend)
{
    uint64_t one = 1;

    if (backend->posted) {
        haul_counter_set(&owner.stop, 1);
        CU_ASSERT_EQUAL(write(owner.fd, &one, sizeof one), sizeof one);
        pthread_join(owner.thread, NULL);
        CU_ASSERT_EQUAL(owner.foreign, 0);
        haul_store_close(owner.store);
        haul_io_close(owner.io);
    }
    rig_close(&rig);
    if (backend->posted) {
        haul_post_close(owner.post);
        close(owner.fd);
        close(owner.client_fd);
    }
}

/* False where io_uring is refused. */
static bool open_backend(const struct backend *backend)
{
    struct haul_io *io = NULL;

    if (haul_io_open(&io, backend->io, 32, NULL) != 0)
        return false;
    CU_ASSERT_EQUAL_FATAL(rig_open(&rig, backend->kind, io), 0);
    if (backend->posted)
        owner_start();
    return true;
}

static void reopen(const struct backend *backend)
{
    haul_store_close(rig.store);
    memset(rig.done, 0, sizeof rig.done);
    CU_ASSERT_EQUAL_FATAL(rig_open_store(&rig, backend->kind), 0);
}

static void write_all(uint64_t first, uint64_t last)
{
    struct haul_hash hash;

    for (uint64_t n = first; n < last; n++) {
        if (n >= first + RIG_SLOTS)
            rig_wait(&rig, n - RIG_SLOTS);
        rig_write(&rig, n, n, &hash);
    }
    for (uint64_t n = first; n < last; n++)
        CU_ASSERT_EQUAL(rig_wait(&rig, n)->error, 0);
}

static void a_block_is_read_at_once_and_after_sync_whole(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(backends); k++) {
        struct haul_store_facts facts;

        if (!open_backend(&backends[k]))
            continue;
        write_all(0, BLOCKS);
        for (uint64_t n = 0; n < BLOCKS; n++)
            CU_ASSERT_EQUAL(rig_check(&rig, n, 1000 + n), 0);
        CU_ASSERT_EQUAL(rig_sync(&rig, 2000), 0);
        for (uint64_t n = 0; n < BLOCKS; n++)
            CU_ASSERT_EQUAL(rig_check(&rig, n, 3000 + n), 0);
        CU_ASSERT_EQUAL(rig_check(&rig, BLOCKS, 4000), -ENOENT);
        haul_store_facts(rig.store, &facts);
        CU_ASSERT_STRING_EQUAL(facts.backend, backends[k].name);
        CU_ASSERT_EQUAL(facts.blocks, BLOCKS);
        CU_ASSERT_EQUAL(rig.surplus, 0);
        close_backend(&backends[k]);
    }
}

static void the_empty_block_is_a_block(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(backends); k++) {
        struct haul_hash hash;

        if (!open_backend(&backends[k]))
            continue;
        haul_hash_of(HAUL_HASH_SHA2_256, "", 0, &hash);
        CU_ASSERT_TRUE(haul_store_write(rig.store, &hash, rig_slot(&rig, 0), 0, 0));
        CU_ASSERT_EQUAL(rig_wait(&rig, 0)->error, 0);
        CU_ASSERT_EQUAL(rig_sync(&rig, 1), 0);
        if (backends[k].kind == HAUL_STORE_FILE && !backends[k].posted)
            reopen(&backends[k]);
        CU_ASSERT_TRUE(haul_store_read(rig.store, &hash, rig_slot(&rig, 0), 2));
        CU_ASSERT_EQUAL(rig_wait(&rig, 2)->error, 0);
        CU_ASSERT_EQUAL(rig_wait(&rig, 2)->length, 0);
        close_backend(&backends[k]);
    }
}

static void writing_a_block_twice_keeps_one_copy(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(backends); k++) {
        struct haul_store_facts facts;
        struct haul_hash hash;

        if (!open_backend(&backends[k]))
            continue;
        rig_write(&rig, 5, 0, &hash); /* both at once, then again, then after the sync */
        CU_ASSERT_TRUE(haul_store_write(rig.store, &hash, rig_slot(&rig, 5), rig_length(5), 1));
        CU_ASSERT_EQUAL(rig_wait(&rig, 0)->error, 0);
        CU_ASSERT_EQUAL(rig_wait(&rig, 1)->error, 0);
        rig_write(&rig, 5, 2, &hash);
        CU_ASSERT_EQUAL(rig_wait(&rig, 2)->error, 0);
        CU_ASSERT_EQUAL(rig_sync(&rig, 3), 0);
        rig_write(&rig, 5, 4, &hash);
        CU_ASSERT_EQUAL(rig_wait(&rig, 4)->error, 0);
        haul_store_facts(rig.store, &facts);
        CU_ASSERT_EQUAL(facts.blocks, 1);
        CU_ASSERT_EQUAL(facts.bytes, rig_length(5));
        CU_ASSERT_EQUAL(rig_check(&rig, 5, 5), 0);
        close_backend(&backends[k]);
    }
}

static void a_full_queue_refuses_and_recovers(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(backends); k++) {
        uint32_t taken = 0;
        struct haul_hash hash;

        if (!open_backend(&backends[k]))
            continue;
        rig_write(&rig, 1, 0, &hash);
        rig_wait(&rig, 0);
        CU_ASSERT_EQUAL(rig_sync(&rig, 1), 0);
        while (taken <= HAUL_STORE_QUEUE &&
               haul_store_read(rig.store, &hash, rig_slot(&rig, taken), 2 + taken))
            taken++;
        CU_ASSERT_TRUE(taken > 0 && taken <= HAUL_STORE_QUEUE);
        for (uint32_t i = 0; i < taken; i++)
            CU_ASSERT_EQUAL(rig_wait(&rig, 2 + i)->error, 0);
        CU_ASSERT_EQUAL(rig_check(&rig, 1, 2 + taken), 0);
        close_backend(&backends[k]);
    }
}

static void memory_beyond_its_capacity_is_refused(void)
{
    struct haul_store_conf conf = { .kind = HAUL_STORE_MEMORY, .capacity_bytes = 1u << 20 };
    struct haul_hash hash;

    CU_ASSERT_TRUE_FATAL(open_backend(&backends[2]));
    haul_store_close(rig.store);
    CU_ASSERT_EQUAL_FATAL(haul_store_open(&rig.store, &conf, NULL), 0);
    rig_write(&rig, 5, 0, &hash);
    CU_ASSERT_EQUAL(rig_wait(&rig, 0)->error, 0);
    rig_write(&rig, 0, 1, &hash);
    CU_ASSERT_EQUAL(rig_wait(&rig, 1)->error, -ENOSPC);
    CU_ASSERT_EQUAL(rig_check(&rig, 0, 2), -ENOENT);
    rig_close(&rig);
}

/* --- files --- */

static void synced_blocks_are_there_after_reopening_and_open_packs_are_not(void)
{
    for (size_t k = 0; k < 2; k++) {
        char stray[128];

        if (!open_backend(&backends[k]))
            continue;
        write_all(0, BLOCKS);
        CU_ASSERT_EQUAL(rig_sync(&rig, 1000), 0);
        haul_store_close(rig.store);
        snprintf(stray, sizeof stray, "%s/00000000000000aa.open", rig.directory);
        close(open(stray, O_CREAT | O_WRONLY, 0600));
        memset(rig.done, 0, sizeof rig.done);
        CU_ASSERT_EQUAL_FATAL(rig_open_store(&rig, HAUL_STORE_FILE), 0);
        CU_ASSERT_EQUAL(access(stray, F_OK), -1);
        for (uint64_t n = 0; n < BLOCKS; n++)
            CU_ASSERT_EQUAL(rig_check(&rig, n, n), 0);
        rig_close(&rig);
    }
}

static void closing_seals_what_is_open(void)
{
    for (size_t k = 0; k < 2; k++) {
        if (!open_backend(&backends[k]))
            continue;
        write_all(0, 12);
        CU_ASSERT_EQUAL(rig_count_files(rig.directory, ".pack"), 0);
        reopen(&backends[k]);
        CU_ASSERT_EQUAL(rig_count_files(rig.directory, ".pack"), 1);
        for (uint64_t n = 0; n < 12; n++)
            CU_ASSERT_EQUAL(rig_check(&rig, n, n), 0);
        rig_close(&rig);
    }
}

/* 6,000 files of a few bytes: 2 packs, not 6,000 flushes, and little more than their bytes. */
static void many_small_blocks_cost_few_packs(void)
{
    struct haul_store_facts facts;
    uint8_t *slot;

    CU_ASSERT_TRUE_FATAL(open_backend(&backends[1]));
    slot = rig_slot(&rig, 0);
    for (uint32_t n = 0; n < 6000; n++) {
        struct haul_hash hash;

        memset(slot, (int)(n & 0xff), 100);
        memcpy(slot, &n, sizeof n);
        haul_hash_of(HAUL_HASH_BLAKE3, slot, 100, &hash);
        while (!haul_store_write(rig.store, &hash, slot, 100, n))
            rig_turn(&rig);
        rig_turn(&rig);
    }
    CU_ASSERT_EQUAL(rig_sync(&rig, 7000), 0);
    CU_ASSERT_EQUAL(rig_count_files(rig.directory, ".pack"), 2);
    haul_store_facts(rig.store, &facts);
    CU_ASSERT_EQUAL(facts.blocks, 6000);
    CU_ASSERT_EQUAL(facts.bytes, 600000);
    rig_close(&rig);
}

static void a_full_pack_is_sealed_and_the_next_one_goes_on(void)
{
    CU_ASSERT_TRUE_FATAL(open_backend(&backends[1]));
    write_all(0, 300);
    CU_ASSERT_TRUE(rig_count_files(rig.directory, ".pack") >= 1);
    CU_ASSERT_EQUAL(rig_sync(&rig, 1000), 0);
    reopen(&backends[1]);
    for (uint64_t n = 0; n < 300; n++)
        CU_ASSERT_EQUAL(rig_check(&rig, n, n), 0);
    rig_close(&rig);
}

static void a_damaged_footer_costs_its_own_pack_only(void)
{
    struct haul_store_facts facts;
    char path[128];
    int fd;

    CU_ASSERT_TRUE_FATAL(open_backend(&backends[1]));
    write_all(0, 12);
    CU_ASSERT_EQUAL(rig_sync(&rig, 1000), 0);
    write_all(12, 24);
    CU_ASSERT_EQUAL(rig_sync(&rig, 1001), 0);
    haul_store_close(rig.store);
    snprintf(path, sizeof path, "%s/0000000000000001.pack", rig.directory);
    fd = open(path, O_RDWR);
    CU_ASSERT_EQUAL(pwrite(fd, "!", 1, lseek(fd, -4096, SEEK_END)), 1);
    close(fd);
    memset(rig.done, 0, sizeof rig.done);
    CU_ASSERT_EQUAL_FATAL(rig_open_store(&rig, HAUL_STORE_FILE), 0);
    haul_store_facts(rig.store, &facts);
    CU_ASSERT_EQUAL(facts.damaged_packs, 1);
    CU_ASSERT_EQUAL(rig_check(&rig, 3, 0), -ENOENT);
    CU_ASSERT_EQUAL(rig_check(&rig, 15, 1), 0);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    rig_close(&rig);
}

static void a_store_in_use_is_not_opened_twice(void)
{
    struct haul_store_conf conf = { .kind = HAUL_STORE_FILE, .io_tag_bit = RIG_TAG_BIT };
    struct haul_store *second = NULL;
    struct haul_error error;

    CU_ASSERT_TRUE_FATAL(open_backend(&backends[1]));
    conf.directory = rig.directory;
    conf.io = rig.io;
    CU_ASSERT_EQUAL(haul_store_open(&second, &conf, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_NODE_BUSY);
    CU_ASSERT_PTR_NULL(second);
    rig_close(&rig);
}

/* --- faults: the k-th I/O fails --- */

struct faulty_io {
    struct haul_io base;
    struct haul_io *inner;
    uint64_t count;
    uint64_t fail_at;
    int error; /* 1: a short transfer instead */
    bool pending;
    struct haul_io_result failed;
};

static bool faulty_submit(struct haul_io *base, const struct haul_io_request *request)
{
    struct faulty_io *io = (struct faulty_io *)base;

    if (++io->count != io->fail_at)
        return haul_io_submit(io->inner, request);
    io->pending = true;
    io->failed.tag = request->tag;
    io->failed.result = io->error == 1 ? (int64_t)(request->bytes / 2) : io->error;
    return true;
}

static void faulty_kick(struct haul_io *base)
{
    haul_io_kick(((struct faulty_io *)base)->inner);
}

static size_t faulty_reap(struct haul_io *base, struct haul_io_result *results, size_t capacity)
{
    struct faulty_io *io = (struct faulty_io *)base;

    if (!io->pending)
        return haul_io_reap(io->inner, results, capacity);
    io->pending = false;
    results[0] = io->failed;
    return 1;
}

static int faulty_fd(const struct haul_io *base)
{
    return haul_io_fd(((const struct faulty_io *)base)->inner);
}

static void faulty_close(struct haul_io *base)
{
    haul_io_close(((struct faulty_io *)base)->inner);
}

static const struct haul_io_backend faulty_backend = {
    "faulty", faulty_submit, faulty_kick, faulty_reap, faulty_fd, faulty_close,
};

/* Two parties write and sync; true when the fault was met. Whatever a sync called durable, with no
 * pack lost since its first write, must be there after reopening; nothing may be wrong. */
static bool run_with_fault(struct faulty_io *faulty)
{
    bool durable[18] = { false };
    bool written[18];
    uint64_t tag = 0;
    bool met;

    CU_ASSERT_EQUAL_FATAL(rig_open(&rig, HAUL_STORE_FILE, &faulty->base), 0);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t lost = UINT32_MAX;
        bool same = true;

        for (uint64_t n = round * 6; n < round * 6 + 6; n++) {
            struct haul_hash hash;
            const struct haul_store_result *result;

            rig_write(&rig, n, tag, &hash);
            result = rig_wait(&rig, tag++);
            written[n] = result->error == 0;
            same = same && (lost == UINT32_MAX || lost == result->length);
            lost = result->length;
        }
        if (rig_sync(&rig, tag++) == 0 && rig.results[tag - 1].length == lost && same) {
            for (uint64_t n = round * 6; n < round * 6 + 6; n++)
                durable[n] = written[n];
        }
        for (uint64_t n = round * 6; n < round * 6 + 6; n++) {
            int seen = rig_check(&rig, n, tag++);

            CU_ASSERT_TRUE(seen == 0 || seen == -ENOENT || seen == -EIO || seen == faulty->error);
        }
    }
    haul_store_close(rig.store);
    met = faulty->count >= faulty->fail_at;
    faulty->fail_at = 0;
    memset(rig.done, 0, sizeof rig.done);
    CU_ASSERT_EQUAL(rig_count_files(rig.directory, ".open"), 0);
    CU_ASSERT_EQUAL_FATAL(rig_open_store(&rig, HAUL_STORE_FILE), 0);
    for (uint64_t n = 0; n < 18; n++) {
        int seen = rig_check(&rig, n, n);

        CU_ASSERT_TRUE(seen == 0 || (seen == -ENOENT && !durable[n]));
    }
    CU_ASSERT_EQUAL(rig.surplus, 0);
    rig_close(&rig);
    return met;
}

/* A run for each I/O of the sequence, some 45, and each flushes and removes files in earnest: that
 * is what the seconds of this test are, together a thousand flushes. In memory the room that a pack
 * reserves costs more than the flushes do on a disk. */
static void sweep(enum haul_io_kind kind, int error)
{
    for (uint64_t k = 1;; k++) {
        struct faulty_io faulty = { .base = { &faulty_backend }, .fail_at = k, .error = error };

        if (haul_io_open(&faulty.inner, kind, 32, NULL) != 0)
            return;
        if (!run_with_fault(&faulty))
            break;
        CU_ASSERT_TRUE_FATAL(k < 1000);
    }
}

static void no_single_failed_io_loses_a_synced_block_or_yields_a_wrong_one(void)
{
    sweep(HAUL_IO_POSIX, -EIO);
    sweep(HAUL_IO_POSIX, -ENOSPC);
    sweep(HAUL_IO_URING, -EIO);
}

static void no_short_transfer_loses_a_synced_block_or_yields_a_wrong_one(void)
{
    sweep(HAUL_IO_POSIX, 1);
}

static void a_failed_flush_fails_the_sync_and_forgets_its_blocks(void)
{
    struct faulty_io faulty = { .base = { &faulty_backend }, .error = -EIO };
    struct haul_store_facts facts;

    CU_ASSERT_EQUAL_FATAL(haul_io_open(&faulty.inner, HAUL_IO_POSIX, 32, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(rig_open(&rig, HAUL_STORE_FILE, &faulty.base), 0);
    write_all(0, 1);
    faulty.fail_at = faulty.count + 3; /* the gathered block, the footer, the flush */
    CU_ASSERT_EQUAL(rig_sync(&rig, 1), -EIO);
    CU_ASSERT_EQUAL(rig.results[1].length, 1);
    CU_ASSERT_EQUAL(rig_check(&rig, 0, 2), -ENOENT);
    haul_store_facts(rig.store, &facts);
    CU_ASSERT_EQUAL(facts.failed_packs, 1);
    CU_ASSERT_EQUAL(facts.blocks, 0);
    CU_ASSERT_EQUAL(facts.bytes, 0);
    CU_ASSERT_EQUAL(rig_count_files(rig.directory, ".open"), 0);
    CU_ASSERT_EQUAL(rig_sync(&rig, 3), 0);
    rig_close(&rig);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a block is read at once, and after a sync, whole",
          a_block_is_read_at_once_and_after_sync_whole },
        { "the empty block is a block", the_empty_block_is_a_block },
        { "writing a block twice keeps one copy", writing_a_block_twice_keeps_one_copy },
        { "a full queue refuses and recovers", a_full_queue_refuses_and_recovers },
        { "memory beyond its capacity is refused", memory_beyond_its_capacity_is_refused },
        { "synced blocks are there after reopening, and stray open packs are removed",
          synced_blocks_are_there_after_reopening_and_open_packs_are_not },
        { "closing seals what is open", closing_seals_what_is_open },
        { "many small blocks cost few packs", many_small_blocks_cost_few_packs },
        { "a full pack is sealed and the next one goes on",
          a_full_pack_is_sealed_and_the_next_one_goes_on },
        { "a damaged footer costs its own pack only", a_damaged_footer_costs_its_own_pack_only },
        { "a store in use is not opened twice", a_store_in_use_is_not_opened_twice },
        { "no single failed I/O loses a synced block or yields a wrong one",
          no_single_failed_io_loses_a_synced_block_or_yields_a_wrong_one },
        { "no short transfer loses a synced block or yields a wrong one",
          no_short_transfer_loses_a_synced_block_or_yields_a_wrong_one },
        { "a failed flush fails the sync and forgets its blocks",
          a_failed_flush_fails_the_sync_and_forgets_its_blocks },
    };

    return unit_main("store", tests, HAUL_COUNT_OF(tests));
}
