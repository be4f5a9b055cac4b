/* A store, its io and a few slots in a fresh directory, for the tests of the store. Operations are
 * numbered by the caller; their results are kept by number. */
#pragma once

#include "dataplane/store/io_backend.h"
#include "dataplane/store/post.h"
#include "dataplane/store/store.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RIG_TAG_BIT (1ull << 63)
#define RIG_SLOTS   8u
#define RIG_RESULTS 8192u

struct rig {
    char directory[64];
    struct haul_io *io;
    struct haul_store *store;
    struct haul_post *post; /* instead of io: another thread owns the store, and wakes wake_fd */
    int wake_fd;
    uint8_t *slots;
    bool done[RIG_RESULTS];
    struct haul_store_result results[RIG_RESULTS];
    uint64_t surplus; /* results that came twice or for no operation */
};

static inline void rig_remove_directory(const char *path)
{
    DIR *listing = opendir(path);
    struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL)
        (void)unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing != NULL)
        closedir(listing);
    (void)rmdir(path);
}

static inline uint32_t rig_count_files(const char *path, const char *ending)
{
    DIR *listing = opendir(path);
    struct dirent *entry;
    uint32_t count = 0;

    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        size_t bytes = strlen(entry->d_name);

        if (bytes > strlen(ending) && strcmp(entry->d_name + bytes - strlen(ending), ending) == 0)
            count++;
    }
    if (listing != NULL)
        closedir(listing);
    return count;
}

/* Block n: n in front, then bytes that follow from n. Lengths mix small, odd, large and full. */
static inline uint32_t rig_length(uint64_t n)
{
    static const uint32_t lengths[] = { 1,     5000,  65536, 65537,  300001, 1u << 20,
                                        12345, 40000, 64,    262144, 65535,  1000000 };

    return lengths[n % HAUL_COUNT_OF(lengths)] + (n < 12 || n % 12 == 5 ? 0 : 8u);
}

static inline void rig_fill(uint8_t *slot, uint64_t n, uint32_t length)
{
    uint64_t x = n * 0x9e3779b97f4a7c15u + 1;

    memset(slot, (int)(n * 31 & 0xff), length);
    for (uint32_t at = 0; at + 8 <= length; at += 64) { /* a word in every cache line */
        x = x * 6364136223846793005u + 1442695040888963407u;
        memcpy(slot + at, &x, 8);
    }
    slot[0] = (uint8_t)n;
}

static inline uint8_t *rig_slot(struct rig *rig, uint32_t number)
{
    return rig->slots + (size_t)(number % RIG_SLOTS) * HAUL_BLOCK_BYTES_MAX;
}

static inline int rig_open_store(struct rig *rig, enum haul_store_kind kind)
{
    struct haul_store_conf conf = {
        .kind = kind, .directory = rig->directory, .io = rig->io, .io_tag_bit = RIG_TAG_BIT
    };
    struct haul_error error;

    return haul_store_open(&rig->store, &conf, &error);
}

/* `io` is taken over; NULL for the memory store. */
static inline int rig_open(struct rig *rig, enum haul_store_kind kind, struct haul_io *io)
{
    memset(rig, 0, sizeof *rig);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/haul-store-XXXXXX");
    rig->io = io;
    rig->slots = aligned_alloc(HAUL_BLOCK_BYTES_MAX, (size_t)RIG_SLOTS * HAUL_BLOCK_BYTES_MAX);
    if (mkdtemp(rig->directory) == NULL || rig->slots == NULL)
        return -1;
    memset(rig->slots, 0, (size_t)RIG_SLOTS * HAUL_BLOCK_BYTES_MAX);
    return rig_open_store(rig, kind);
}

static inline void rig_close(struct rig *rig)
{
    haul_store_close(rig->store);
    haul_io_close(rig->io);
    free(rig->slots);
    rig_remove_directory(rig->directory);
}

/* One turn of an owner's loop. */
static inline void rig_turn(struct rig *rig)
{
    struct haul_io_result io_results[16];
    struct haul_store_result results[16];
    size_t count = 0;

    if (rig->io != NULL) {
        haul_io_kick(rig->io);
        count = haul_io_reap(rig->io, io_results, HAUL_COUNT_OF(io_results));
    }
    for (size_t i = 0; i < count; i++)
        haul_store_on_io(rig->store, &io_results[i]);
    count = haul_store_reap(rig->store, results, HAUL_COUNT_OF(results));
    for (size_t i = 0; i < count; i++) {
        if (results[i].tag >= RIG_RESULTS || rig->done[results[i].tag]) {
            rig->surplus++;
            continue;
        }
        rig->done[results[i].tag] = true;
        rig->results[results[i].tag] = results[i];
    }
    if (rig->io != NULL)
        haul_io_kick(rig->io);
}

/* Until the owner of the store wakes us. */
static inline void rig_sleep(struct rig *rig)
{
    struct pollfd ready = { .fd = rig->wake_fd, .events = POLLIN };
    uint64_t count;

    if (!haul_post_rest(rig->post, HAUL_POST_CLIENT))
        return;
    (void)poll(&ready, 1, 10000);
    haul_post_rested(rig->post, HAUL_POST_CLIENT);
    (void)!read(rig->wake_fd, &count, sizeof count);
}

static inline const struct haul_store_result *rig_wait(struct rig *rig, uint64_t tag)
{
    for (uint64_t turn = 0; !rig->done[tag]; turn++) {
        rig_turn(rig);
        if (!rig->done[tag] && rig->io != NULL && haul_io_fd(rig->io) >= 0) {
            struct pollfd ready = { .fd = haul_io_fd(rig->io), .events = POLLIN };

            (void)poll(&ready, 1, 10);
        } else if (!rig->done[tag] && rig->post != NULL) {
            rig_sleep(rig);
        }
        haul_assert(turn < 100000); /* a result that never comes */
    }
    return &rig->results[tag];
}

static inline void rig_hash(uint64_t n, uint8_t *slot, uint32_t *length, struct haul_hash *hash)
{
    *length = rig_length(n);
    rig_fill(slot, n, *length);
    haul_hash_of(HAUL_HASH_BLAKE3, slot, *length, hash);
}

/* Submits the write of block n from slot n, under that tag; returns its hash. */
static inline void rig_write(struct rig *rig, uint64_t n, uint64_t tag, struct haul_hash *hash)
{
    uint8_t *slot = rig_slot(rig, (uint32_t)n);
    uint32_t length;

    rig_hash(n, slot, &length, hash);
    while (!haul_store_write(rig->store, hash, slot, length, tag))
        rig_turn(rig);
}

static inline int rig_sync(struct rig *rig, uint64_t tag)
{
    while (!haul_store_sync(rig->store, tag))
        rig_turn(rig);
    return rig_wait(rig, tag)->error;
}

/* Reads block n back: 0 when it is whole and right, its error, or 1 when it is wrong. */
static inline int rig_check(struct rig *rig, uint64_t n, uint64_t tag)
{
    uint8_t *slot = rig_slot(rig, 0);
    const struct haul_store_result *result;
    struct haul_hash hash;
    struct haul_hash found;
    uint32_t length;

    rig_hash(n, slot, &length, &hash);
    memset(slot, 0xee, HAUL_BLOCK_BYTES_MAX);
    while (!haul_store_read(rig->store, &hash, slot, tag))
        rig_turn(rig);
    result = rig_wait(rig, tag);
    if (result->error != 0)
        return result->error;
    haul_hash_of(HAUL_HASH_BLAKE3, slot, result->length, &found);
    return result->length == length && haul_hash_equal(&hash, &found) ? 0 : 1;
}
