/* The inside of the file backend, shared by its four files: operations (store_file.c), packs under
 * construction (store_file_seal.c), descriptors (store_file_packs.c), opening (store_file_open.c).
 *
 * A pack under construction has a writer. Large blocks are written from the caller's slot straight
 * to their place; small ones are gathered in stages, 256 KiB at a time. The footer grows in memory
 * as blocks complete. Sealing goes through the states below, one I/O each; while one pack is being
 * sealed the next already takes blocks. */
#pragma once

#include "dataplane/store/index.h"
#include "dataplane/store/pack.h"
#include "dataplane/store/store_backend.h"

#define STORE_WRITERS     4u
#define STORE_STAGES      8u
#define STORE_STAGE_BYTES (256u << 10)
#define STORE_FILES       (HAUL_STORE_QUEUE + STORE_WRITERS) /* one for each operation */

/* An open pack file. Kept open until its place is needed. */
struct pack_file {
    uint64_t id;
    int fd;         /* -1: the place is empty */
    uint32_t users; /* reads in progress, and the writer */
    bool dead;      /* the pack failed: closed with the last user, never found again */
    uint64_t used_at;
};

enum writer_state {
    WRITER_FREE,
    WRITER_OPEN,     /* takes blocks */
    WRITER_DRAINING, /* sealed; waits for its writes */
    WRITER_FOOTER,   /* footer to be written */
    WRITER_FLUSH,    /* file to be flushed */
    WRITER_RENAMED,  /* has its final name; waits for the directory's flush */
    WRITER_NAMING,   /* that flush is under way */
    WRITER_FAILED,   /* forgotten; waits for what is in flight */
};

struct pack_writer {
    enum writer_state state;
    bool sent; /* the I/O of this state is in flight */
    int error; /* FAILED: why */
    uint64_t id;
    uint64_t end;    /* first byte not given away */
    uint32_t taken;  /* blocks accepted, in flight included */
    uint32_t count;  /* entries in the footer */
    uint32_t flying; /* I/O in flight */
    uint32_t footer_bytes;
    uint8_t *footer;
    struct pack_file *file;
    struct pack_stage *stage; /* the one that is being filled, or NULL */
};

enum stage_state { STAGE_FREE, STAGE_FILLING, STAGE_WAITING, STAGE_FLYING };

/* Small blocks on their way: readable here until they are written. */
struct pack_stage {
    enum stage_state state;
    struct pack_writer *writer;
    uint8_t *data;
    uint32_t used;
    uint64_t at; /* its place in the pack */
};

/* An operation that waits for something. */
struct file_op {
    bool live;
    uint8_t verb; /* enum haul_store_verb */
    int error;
    uint64_t tag;
    uint8_t *slot;
    struct haul_hash hash;
    uint32_t length;
    uint32_t bytes;  /* of the I/O */
    uint64_t at;     /* WRITE: place in the pack */
    uint32_t skew;   /* READ: where the block starts in what is read */
    uint64_t target; /* SYNC: ends when no pack up to this one is under construction */
    struct pack_writer *writer;
    struct pack_file *file;
};

struct file_store {
    struct haul_store base;
    struct haul_index index;
    struct haul_io *io;
    uint64_t tag_bit;
    int directory; /* descriptor, locked */
    bool direct;
    bool names_flying;
    uint64_t bytes;
    uint64_t last_id;
    uint64_t clock;  /* for the choice of which descriptor to close */
    uint32_t flying; /* all our I/O */
    uint32_t failed_packs;
    uint32_t damaged_packs;
    int unreported; /* error of a pack that failed when no sync was waiting */
    char name[24];
    struct pack_writer *current;
    struct pack_writer writers[STORE_WRITERS];
    struct pack_stage stages[STORE_STAGES];
    struct pack_file files[STORE_FILES];
    uint32_t free_op_count;
    uint16_t free_ops[HAUL_STORE_QUEUE];
    struct file_op ops[HAUL_STORE_QUEUE];
    uint8_t *memory; /* stages and footers */
};

/* What an I/O result is for; in bits 16-23 of its tag, above an index. */
enum file_io_kind { FILE_IO_OP, FILE_IO_STAGE, FILE_IO_FOOTER, FILE_IO_FLUSH, FILE_IO_NAMES };

/* Submits with our tag; false when the io is full. */
HAUL_MUST_USE bool file_io_submit(struct file_store *store, enum file_io_kind kind, uint32_t index,
                                  enum haul_io_verb verb, int fd, uint8_t *data, uint32_t bytes,
                                  uint64_t at);

/* Descriptors. Borrowed until pack_file_release; 0 or -errno. */
HAUL_MUST_USE int pack_file_borrow(struct file_store *store, uint64_t id, struct pack_file **file);
HAUL_MUST_USE int pack_file_create(struct file_store *store, uint64_t id, struct pack_file **file);
void pack_file_release(struct pack_file *file);

/* Packs under construction. `reserve` finds room for a block: 0 with a writer and a place, -EAGAIN
 * when everything is busy, or another -errno. A small block also gets its stage. */
struct pack_place {
    struct pack_writer *writer;
    struct pack_stage *stage; /* NULL: write it from the slot */
    uint64_t at;
};
HAUL_MUST_USE int pack_reserve(struct file_store *store, uint32_t length, struct pack_place *place);
/* The block is written, or copied to its stage: enters it in the footer and the index. */
HAUL_MUST_USE int pack_enter(struct file_store *store, struct pack_writer *writer,
                             const struct haul_pack_block *block);
const struct pack_stage *pack_find_stage(const struct file_store *store, uint64_t id, uint64_t at,
                                         uint32_t length);
void pack_seal_current(struct file_store *store);
bool pack_any_up_to(const struct file_store *store, uint64_t id);
void pack_on_io(struct file_store *store, enum file_io_kind kind, uint32_t index, int64_t result);
void pack_settle(struct file_store *store, struct pack_writer *writer);
void pack_pump(struct file_store *store); /* submits whatever can go on */

extern const struct haul_store_backend haul_store_file_backend;
