/* Blocks in pack files: the operations. Opening is in store_file_open.c, packs under construction
 * in store_file_seal.c. */
#include "dataplane/store/store_file.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- operations that wait --- */

static struct file_op *op_take(struct file_store *store, enum haul_store_verb verb, uint64_t tag)
{
    struct file_op *op = &store->ops[store->free_ops[--store->free_op_count]];

    *op = (struct file_op){ .live = true, .verb = (uint8_t)verb, .tag = tag };
    return op;
}

static uint32_t op_index(const struct file_store *store, const struct file_op *op)
{
    return (uint32_t)(op - store->ops);
}

static void op_give(struct file_store *store, struct file_op *op)
{
    op->live = false;
    store->free_ops[store->free_op_count++] = (uint16_t)op_index(store, op);
}

static void finish(struct file_store *store, enum haul_store_verb verb, uint64_t tag, int error,
                   uint32_t length)
{
    struct haul_store_result result = { .verb = verb, .tag = tag, .error = error };

    result.length = verb == HAUL_STORE_READ ? length : store->failed_packs;
    haul_store_finish(&store->base, &result);
}

static void op_finish(struct file_store *store, struct file_op *op, int error)
{
    finish(store, op->verb, op->tag, error, op->length);
    op_give(store, op);
}

/* --- sync --- */

static void finish_syncs(struct file_store *store)
{
    for (uint32_t i = 0; i < HAUL_STORE_QUEUE; i++) {
        struct file_op *op = &store->ops[i];

        if (op->live && op->verb == HAUL_STORE_SYNC && !pack_any_up_to(store, op->target))
            op_finish(store, op, op->error);
    }
}

static void go_on(struct file_store *store)
{
    pack_pump(store);
    finish_syncs(store);
}

static bool file_sync(struct haul_store *base, uint64_t tag)
{
    struct file_store *store = (struct file_store *)base;
    struct file_op *op = op_take(store, HAUL_STORE_SYNC, tag);

    op->target = store->last_id;
    op->error = store->unreported;
    store->unreported = 0;
    pack_seal_current(store);
    go_on(store);
    return true;
}

/* --- write --- */

static void write_small(struct file_store *store, const struct pack_place *place,
                        const struct haul_hash *hash, const uint8_t *slot, uint32_t length,
                        uint64_t tag)
{
    struct pack_stage *stage = place->stage;
    struct haul_pack_block block = { .hash = *hash, .length = length, .at = place->at };
    int error = pack_enter(store, place->writer, &block);

    if (error == 0) {
        memcpy(stage->data + stage->used, slot, length);
        stage->used += (length + 7u) & ~7u;
        place->writer->taken++;
    }
    finish(store, HAUL_STORE_WRITE, tag, error, 0);
}

static bool write_large(struct file_store *store, const struct pack_place *place,
                        const struct haul_hash *hash, uint8_t *slot, uint32_t length, uint64_t tag)
{
    struct file_op *op = op_take(store, HAUL_STORE_WRITE, tag);
    uint32_t bytes = (uint32_t)haul_pack_align(length);

    op->hash = *hash;
    op->length = length;
    op->bytes = bytes;
    op->at = place->at;
    op->writer = place->writer;
    memset(slot + length, 0, bytes - length);
    if (!file_io_submit(store, FILE_IO_OP, op_index(store, op), HAUL_IO_WRITE,
                        place->writer->file->fd, slot, bytes, place->at)) {
        op_give(store, op);
        return false;
    }
    place->writer->end += bytes;
    place->writer->taken++;
    place->writer->flying++;
    return true;
}

static bool file_write(struct haul_store *base, const struct haul_hash *hash, uint8_t *slot,
                       uint32_t length, uint64_t tag)
{
    struct file_store *store = (struct file_store *)base;
    struct pack_place place;
    bool taken = true;
    int result;

    if (haul_index_find(&store->index, hash) != NULL) {
        finish(store, HAUL_STORE_WRITE, tag, 0, 0);
        return true;
    }
    result = pack_reserve(store, length, &place);
    if (result == -EAGAIN)
        taken = false;
    else if (result != 0)
        finish(store, HAUL_STORE_WRITE, tag, result, 0);
    else if (place.stage != NULL)
        write_small(store, &place, hash, slot, length, tag);
    else
        taken = write_large(store, &place, hash, slot, length, tag);
    pack_pump(store);
    return taken;
}

static void on_write(struct file_store *store, struct file_op *op, int64_t result)
{
    struct pack_writer *writer = op->writer;
    struct haul_pack_block block = { .hash = op->hash, .length = op->length, .at = op->at };
    int error = 0;

    writer->flying--;
    if (writer->state == WRITER_FAILED)
        error = writer->error;
    else if (result != (int64_t)op->bytes)
        error = result < 0 ? (int)result : -EIO;
    else
        error = pack_enter(store, writer, &block);
    op_finish(store, op, error);
    pack_settle(store, writer);
}

/* --- read --- */

static bool read_pack(struct file_store *store, const struct haul_index_entry *entry, uint8_t *slot,
                      uint64_t tag)
{
    uint64_t start = entry->at & ~(uint64_t)(HAUL_PACK_ALIGN - 1);
    struct pack_file *file;
    struct file_op *op;
    int result = pack_file_borrow(store, entry->pack, &file);

    if (result != 0) {
        finish(store, HAUL_STORE_READ, tag, result, 0);
        return true;
    }
    op = op_take(store, HAUL_STORE_READ, tag);
    op->slot = slot;
    op->length = entry->length;
    op->skew = (uint32_t)(entry->at - start);
    op->bytes = (uint32_t)haul_pack_align(op->skew + entry->length);
    op->file = file;
    if (!file_io_submit(store, FILE_IO_OP, op_index(store, op), HAUL_IO_READ, file->fd, slot,
                        op->bytes, start)) {
        pack_file_release(file);
        op_give(store, op);
        return false;
    }
    return true;
}

static bool file_read(struct haul_store *base, const struct haul_hash *hash, uint8_t *slot,
                      uint64_t tag)
{
    struct file_store *store = (struct file_store *)base;
    const struct haul_index_entry *entry = haul_index_find(&store->index, hash);
    const struct pack_stage *stage;

    if (entry == NULL || entry->length == 0) {
        finish(store, HAUL_STORE_READ, tag, entry == NULL ? -ENOENT : 0, 0);
        return true;
    }
    stage = pack_find_stage(store, entry->pack, entry->at, entry->length);
    if (stage == NULL)
        return read_pack(store, entry, slot, tag);
    memcpy(slot, stage->data + (entry->at - stage->at), entry->length);
    finish(store, HAUL_STORE_READ, tag, 0, entry->length);
    return true;
}

static void on_read(struct file_store *store, struct file_op *op, int64_t result)
{
    int error = 0;

    pack_file_release(op->file);
    if (result < 0)
        error = (int)result;
    else if (result < (int64_t)op->skew + op->length)
        error = -EIO; /* the pack is shorter than its footer says */
    else if (op->skew > 0)
        memmove(op->slot, op->slot + op->skew, op->length);
    op_finish(store, op, error);
}

/* --- the rest --- */

static void file_on_io(struct haul_store *base, const struct haul_io_result *result)
{
    struct file_store *store = (struct file_store *)base;
    enum file_io_kind kind = (enum file_io_kind)(result->tag >> 16 & 0xff);
    uint32_t index = (uint32_t)(result->tag & 0xffff);

    store->flying--;
    if (kind != FILE_IO_OP)
        pack_on_io(store, kind, index, result->result);
    else if (store->ops[index].verb == HAUL_STORE_READ)
        on_read(store, &store->ops[index], result->result);
    else
        on_write(store, &store->ops[index], result->result);
    go_on(store);
}

static size_t file_reap(struct haul_store *base, struct haul_store_result *results, size_t capacity)
{
    go_on((struct file_store *)base);
    return haul_store_take_results(base, results, capacity);
}

static void file_facts(const struct haul_store *base, struct haul_store_facts *facts)
{
    const struct file_store *store = (const struct file_store *)base;

    *facts = (struct haul_store_facts){ .backend = store->name,
                                        .blocks = store->index.used,
                                        .bytes = store->bytes,
                                        .direct = store->direct,
                                        .failed_packs = store->failed_packs,
                                        .damaged_packs = store->damaged_packs };
}

/* Waits until nothing is in flight and nothing is under construction. */
static void drain(struct file_store *store)
{
    pack_seal_current(store);
    while (store->flying > 0 || pack_any_up_to(store, UINT64_MAX)) {
        struct haul_io_result results[32];
        struct pollfd ready = { .fd = haul_io_fd(store->io), .events = POLLIN };
        size_t count;

        pack_pump(store);
        haul_io_kick(store->io);
        count = haul_io_reap(store->io, results, HAUL_COUNT_OF(results));
        if (count == 0 && ready.fd >= 0)
            (void)poll(&ready, 1, 100);
        for (size_t i = 0; i < count; i++) {
            if (results[i].tag & store->tag_bit)
                file_on_io(&store->base, &results[i]);
        }
        store->base.count = 0; /* nobody will reap: room for the results of what is left */
    }
}

static void file_close(struct haul_store *base)
{
    struct file_store *store = (struct file_store *)base;

    drain(store);
    for (uint32_t i = 0; i < STORE_FILES; i++) {
        if (store->files[i].fd >= 0)
            close(store->files[i].fd);
    }
    close(store->directory);
    haul_index_close(&store->index);
    free(store->memory);
    free(store);
}

const struct haul_store_backend haul_store_file_backend = {
    .read = file_read,
    .write = file_write,
    .sync = file_sync,
    .on_io = file_on_io,
    .reap = file_reap,
    .facts = file_facts,
    .close = file_close,
};
