/* Block backends. Six operations, one contract, the same test for every backend.
 *
 * A block is written whole, after its hash held, and read whole. Writing a block that is there
 * already succeeds without a second copy. A written block can be read at once; it is durable when a
 * sync that was submitted after its write has completed. Publish order of the file backend: verify
 * (done by the caller), write, flush, rename, flush the directory, then acknowledge, in groups of
 * blocks: a pack. After a crash the store holds exactly the packs that were renamed.
 *
 * Errors are told per operation. Two of them reach further: a flush that fails is final for its
 * pack (a second flush would succeed without having written anything), and so is the failure of a
 * gathered write of small blocks. The blocks of that pack that were not yet durable are forgotten.
 * The next sync fails, and so does every sync outstanding; for callers that share a store, each
 * write and sync also reports how many packs have failed since open: whoever sees that count change
 * between its first write and its sync must write its blocks again.
 *
 * One owner thread; others reach it over a post (dataplane/store/post.h). Nothing blocks but open
 * and close where the kernel offers asynchronous I/O; the exceptions are the creation and the
 * renaming of a pack, once in 64 MiB. */
#pragma once

#include "common/error.h"
#include "common/hash.h"
#include "dataplane/store/io.h"

struct haul_store;

enum haul_store_kind { HAUL_STORE_FILE, HAUL_STORE_MEMORY, HAUL_STORE_POST };

struct haul_post;

struct haul_store_conf {
    enum haul_store_kind kind;
    const char *directory;   /* FILE: made 0700 when absent; the store opens nothing outside it */
    struct haul_io *io;      /* FILE: borrowed; its results with the store's tag bit come to us */
    uint64_t io_tag_bit;     /* tags with this bit set are the store's own */
    uint64_t capacity_bytes; /* MEMORY: how much it may hold; 0: no limit of its own */
    struct haul_post *post;  /* POST: the way to the thread whose store it is; borrowed */
};

enum haul_store_verb { HAUL_STORE_READ, HAUL_STORE_WRITE, HAUL_STORE_SYNC };

struct haul_store_result {
    enum haul_store_verb verb;
    uint64_t tag;
    int error;       /* 0, -ENOENT (read: no such block), or another -errno */
    uint32_t length; /* read: bytes of the block; write and sync: packs that failed since open */
};

#define HAUL_STORE_QUEUE      256u /* operations that may be outstanding */
#define HAUL_STORE_SLOT_ALIGN 4096u

HAUL_MUST_USE int haul_store_open(struct haul_store **store, const struct haul_store_conf *conf,
                                  struct haul_error *error);

/* Each returns false when the backend's queue is full: reap and try again. `slot` has 1 MiB, is
 * aligned to HAUL_STORE_SLOT_ALIGN and borrowed until the result; beyond the block's length its
 * content is ours to change. */
HAUL_MUST_USE bool haul_store_read(struct haul_store *store, const struct haul_hash *hash,
                                   uint8_t *slot, uint64_t tag);
HAUL_MUST_USE bool haul_store_write(struct haul_store *store, const struct haul_hash *hash,
                                    uint8_t *slot, uint32_t length, uint64_t tag);
HAUL_MUST_USE bool haul_store_sync(struct haul_store *store, uint64_t tag);

/* Hands in an io result that carries io_tag_bit, then takes finished operations. Both may submit
 * I/O, so haul_io_kick comes after them. */
void haul_store_on_io(struct haul_store *store, const struct haul_io_result *result);
size_t haul_store_reap(struct haul_store *store, struct haul_store_result *results,
                       size_t capacity);

struct haul_store_facts {
    const char *backend; /* "file/uring", "file/posix", "memory" */
    uint64_t blocks;
    uint64_t bytes;
    bool direct;            /* O_DIRECT in use */
    uint64_t failed_packs;  /* lost to I/O errors since open */
    uint64_t damaged_packs; /* found at open with a footer that does not hold; left alone */
};
void haul_store_facts(const struct haul_store *store, struct haul_store_facts *facts);

/* Seals what is open. Operations that are outstanding end without a result, and so do those of
 * others on the same io. NULL is welcome. */
void haul_store_close(struct haul_store *store);
