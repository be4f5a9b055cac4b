/* Packs under construction: room for blocks, gathering of small ones, and sealing: footer, flush,
 * rename, flush of the directory. A failure is final for the pack: its blocks are forgotten and its
 * file is removed. */
#include "dataplane/store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint32_t number_of(const struct file_store *store, const struct pack_writer *writer)
{
    return (uint32_t)(writer - store->writers);
}

bool file_io_submit(struct file_store *store, enum file_io_kind kind, uint32_t index,
                    enum haul_io_verb verb, int fd, uint8_t *data, uint32_t bytes, uint64_t at)
{
    struct haul_io_request request = { .verb = verb,
                                       .fd = fd,
                                       .data = data,
                                       .bytes = bytes,
                                       .at = at,
                                       .tag = store->tag_bit | (uint64_t)kind << 16 | index };

    if (!haul_io_submit(store->io, &request))
        return false;
    store->flying++;
    return true;
}

/* --- room for blocks --- */

static int open_writer(struct file_store *store)
{
    struct pack_writer *writer = NULL;
    int result;

    for (uint32_t i = 0; i < STORE_WRITERS && writer == NULL; i++) {
        if (store->writers[i].state == WRITER_FREE)
            writer = &store->writers[i];
    }
    if (writer == NULL)
        return -EAGAIN;
    if (store->last_id == HAUL_PACK_ID_MAX)
        return -EFBIG;
    *writer = (struct pack_writer){ .id = store->last_id + 1, .footer = writer->footer };
    result = pack_file_create(store, writer->id, &writer->file);
    if (result != 0)
        return result;
    /* Writes into allocated space do not extend the file, so they run side by side. Where it cannot
     * be had, they extend. Sealing cuts the file to its size. */
    (void)fallocate(writer->file->fd, 0, 0, HAUL_PACK_BYTES);
    store->last_id++;
    writer->state = WRITER_OPEN;
    store->current = writer;
    return 0;
}

/* Ends the filling of the writer's stage; its unused tail is given back if nothing lies behind. */
static void close_stage(struct pack_writer *writer)
{
    struct pack_stage *stage = writer->stage;

    if (stage == NULL)
        return;
    writer->stage = NULL;
    if (writer->end == stage->at + STORE_STAGE_BYTES)
        writer->end = haul_pack_align(stage->at + stage->used);
    stage->state = stage->used > 0 ? STAGE_WAITING : STAGE_FREE;
}

static void seal(struct file_store *store, struct pack_writer *writer)
{
    close_stage(writer);
    writer->state = WRITER_DRAINING;
    store->current = NULL;
}

void pack_seal_current(struct file_store *store)
{
    if (store->current != NULL)
        seal(store, store->current);
}

/* The open pack with room for one block more and `bytes` of data. */
static int writer_with_room(struct file_store *store, uint64_t bytes)
{
    struct pack_writer *writer = store->current;

    if (writer != NULL &&
        (writer->taken == HAUL_PACK_BLOCKS || writer->end + bytes > HAUL_PACK_BYTES))
        seal(store, writer);
    return store->current != NULL ? 0 : open_writer(store);
}

static int stage_with_room(struct file_store *store, uint32_t length)
{
    struct pack_writer *writer = store->current;
    struct pack_stage *stage = NULL;
    int result;

    if (writer != NULL && writer->stage != NULL && writer->taken < HAUL_PACK_BLOCKS) {
        if (writer->stage->used + length <= STORE_STAGE_BYTES)
            return 0;
        close_stage(writer);
    }
    for (uint32_t i = 0; i < STORE_STAGES && stage == NULL; i++) {
        if (store->stages[i].state == STAGE_FREE)
            stage = &store->stages[i];
    }
    if (stage == NULL)
        return -EAGAIN;
    result = writer_with_room(store, STORE_STAGE_BYTES);
    if (result != 0)
        return result;
    writer = store->current;
    stage->state = STAGE_FILLING;
    stage->writer = writer;
    stage->used = 0;
    stage->at = writer->end;
    writer->end += STORE_STAGE_BYTES;
    writer->stage = stage;
    return 0;
}

int pack_reserve(struct file_store *store, uint32_t length, struct pack_place *place)
{
    bool small = length <= HAUL_PACK_SMALL_BYTES;
    int result =
        small ? stage_with_room(store, length) : writer_with_room(store, haul_pack_align(length));
    struct pack_writer *writer = store->current;

    if (result != 0)
        return result;
    place->writer = writer;
    place->stage = small ? writer->stage : NULL;
    place->at = small ? writer->stage->at + writer->stage->used : writer->end;
    return 0;
}

int pack_enter(struct file_store *store, struct pack_writer *writer,
               const struct haul_pack_block *block)
{
    struct haul_index_entry entry = {
        .hash = block->hash, .pack = (uint32_t)writer->id, .length = block->length, .at = block->at
    };
    int result = haul_index_add(&store->index, &entry);

    if (result == -EEXIST) /* the same block was written twice at once: the first one stays */
        return 0;
    if (result != 0)
        return result;
    haul_pack_entry_encode(block, writer->footer + (size_t)writer->count * HAUL_PACK_ENTRY_BYTES);
    writer->count++;
    store->bytes += block->length;
    return 0;
}

const struct pack_stage *pack_find_stage(const struct file_store *store, uint64_t id, uint64_t at,
                                         uint32_t length)
{
    for (uint32_t i = 0; i < STORE_STAGES; i++) {
        const struct pack_stage *stage = &store->stages[i];

        if (stage->state != STAGE_FREE && stage->writer->id == id && at >= stage->at &&
            at + length <= stage->at + stage->used)
            return stage;
    }
    return NULL;
}

bool pack_any_up_to(const struct file_store *store, uint64_t id)
{
    for (uint32_t i = 0; i < STORE_WRITERS; i++) {
        if (store->writers[i].state != WRITER_FREE && store->writers[i].id <= id)
            return true;
    }
    return false;
}

/* --- failure --- */

static void retire(struct pack_writer *writer)
{
    pack_file_release(writer->file);
    writer->file = NULL;
    writer->state = WRITER_FREE;
}

/* A failed writer is free when nothing of it is in flight any more. */
void pack_settle(struct file_store *store, struct pack_writer *writer)
{
    if (writer->state == WRITER_FAILED && writer->flying == 0)
        retire(writer);
}

/* Marks the syncs that cover this pack. */
static void pack_lost(struct file_store *store, uint64_t id, int error)
{
    bool told = false;

    for (uint32_t i = 0; i < HAUL_STORE_QUEUE; i++) {
        struct file_op *op = &store->ops[i];

        if (op->live && op->verb == HAUL_STORE_SYNC && op->target >= id) {
            op->error = error;
            told = true;
        }
    }
    if (!told)
        store->unreported = error;
}

static void forget_blocks(struct file_store *store, const struct pack_writer *writer)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        struct haul_pack_block block;

        haul_pack_entry(writer->footer, i, &block);
        if (haul_index_remove(&store->index, &block.hash, (uint32_t)writer->id))
            store->bytes -= block.length;
    }
    writer->file->dead = true;
}

static void fail(struct file_store *store, struct pack_writer *writer, int error)
{
    bool renamed = writer->state == WRITER_RENAMED || writer->state == WRITER_NAMING;
    char name[HAUL_PACK_NAME_BYTES];

    if (writer->state == WRITER_FAILED)
        return;
    if (store->current == writer)
        store->current = NULL;
    writer->stage = NULL;
    for (uint32_t i = 0; i < STORE_STAGES; i++) {
        struct pack_stage *stage = &store->stages[i];

        if (stage->writer == writer && stage->state != STAGE_FLYING)
            stage->state = STAGE_FREE;
    }
    forget_blocks(store, writer);
    haul_pack_name(writer->id, renamed, name);
    (void)unlinkat(store->directory, name, 0);
    writer->state = WRITER_FAILED;
    writer->error = error;
    store->failed_packs++;
    pack_lost(store, writer->id, error);
    pack_settle(store, writer);
}

/* --- sealing --- */

static void begin_footer(struct file_store *store, struct pack_writer *writer)
{
    if (writer->count == 0) { /* every write failed, each with its own error */
        char name[HAUL_PACK_NAME_BYTES];

        haul_pack_name(writer->id, false, name);
        (void)unlinkat(store->directory, name, 0);
        writer->file->dead = true;
        retire(writer);
        return;
    }
    writer->footer_bytes =
        haul_pack_footer_finish(writer->footer, writer->count, writer->id, writer->end);
    if (ftruncate(writer->file->fd, (off_t)(writer->end + writer->footer_bytes)) != 0) {
        fail(store, writer, -errno);
        return;
    }
    writer->state = WRITER_FOOTER;
    writer->sent = false;
}

static bool has_waiting_stage(const struct file_store *store, const struct pack_writer *writer)
{
    for (uint32_t i = 0; i < STORE_STAGES; i++) {
        if (store->stages[i].state == STAGE_WAITING && store->stages[i].writer == writer)
            return true;
    }
    return false;
}

static void send_stage(struct file_store *store, uint32_t index)
{
    struct pack_stage *stage = &store->stages[index];
    uint32_t bytes = (uint32_t)haul_pack_align(stage->used);

    memset(stage->data + stage->used, 0, bytes - stage->used);
    if (file_io_submit(store, FILE_IO_STAGE, index, HAUL_IO_WRITE, stage->writer->file->fd,
                       stage->data, bytes, stage->at)) {
        stage->state = STAGE_FLYING;
        stage->writer->flying++;
    }
}

static void advance(struct file_store *store, struct pack_writer *writer)
{
    if (writer->state == WRITER_DRAINING && writer->flying == 0 &&
        !has_waiting_stage(store, writer))
        begin_footer(store, writer);
    if (writer->state == WRITER_FOOTER && !writer->sent) {
        writer->sent =
            file_io_submit(store, FILE_IO_FOOTER, number_of(store, writer), HAUL_IO_WRITE,
                           writer->file->fd, writer->footer, writer->footer_bytes, writer->end);
        writer->flying += writer->sent;
    }
    if (writer->state == WRITER_FLUSH && !writer->sent) {
        writer->sent = file_io_submit(store, FILE_IO_FLUSH, number_of(store, writer), HAUL_IO_FLUSH,
                                      writer->file->fd, NULL, 0, 0);
        writer->flying += writer->sent;
    }
}

/* One flush of the directory serves every pack renamed before it. */
static void flush_names(struct file_store *store)
{
    bool any = false;

    for (uint32_t i = 0; i < STORE_WRITERS; i++)
        any = any || store->writers[i].state == WRITER_RENAMED;
    if (!any || store->names_flying)
        return;
    if (!file_io_submit(store, FILE_IO_NAMES, 0, HAUL_IO_FLUSH, store->directory, NULL, 0, 0))
        return;
    store->names_flying = true;
    for (uint32_t i = 0; i < STORE_WRITERS; i++) {
        if (store->writers[i].state == WRITER_RENAMED)
            store->writers[i].state = WRITER_NAMING;
    }
}

void pack_pump(struct file_store *store)
{
    for (uint32_t i = 0; i < STORE_STAGES; i++) {
        if (store->stages[i].state == STAGE_WAITING)
            send_stage(store, i);
    }
    for (uint32_t i = 0; i < STORE_WRITERS; i++)
        advance(store, &store->writers[i]);
    flush_names(store);
}

/* --- results --- */

static void on_stage(struct file_store *store, struct pack_stage *stage, int64_t result)
{
    struct pack_writer *writer = stage->writer;

    stage->state = STAGE_FREE;
    writer->flying--;
    if (result != (int64_t)haul_pack_align(stage->used))
        fail(store, writer, result < 0 ? (int)result : -EIO);
    pack_settle(store, writer);
}

static void on_footer(struct file_store *store, struct pack_writer *writer, int64_t result)
{
    writer->flying--;
    if (result != writer->footer_bytes) {
        fail(store, writer, result < 0 ? (int)result : -EIO);
        return;
    }
    writer->state = WRITER_FLUSH;
    writer->sent = false;
}

static void on_flush(struct file_store *store, struct pack_writer *writer, int64_t result)
{
    char from[HAUL_PACK_NAME_BYTES];
    char to[HAUL_PACK_NAME_BYTES];

    writer->flying--;
    haul_pack_name(writer->id, false, from);
    haul_pack_name(writer->id, true, to);
    if (result < 0)
        fail(store, writer, (int)result);
    else if (renameat(store->directory, from, store->directory, to) != 0)
        fail(store, writer, -errno);
    else
        writer->state = WRITER_RENAMED;
}

static void on_names(struct file_store *store, int64_t result)
{
    store->names_flying = false;
    for (uint32_t i = 0; i < STORE_WRITERS; i++) {
        struct pack_writer *writer = &store->writers[i];

        if (writer->state == WRITER_NAMING && result < 0)
            fail(store, writer, (int)result);
        else if (writer->state == WRITER_NAMING)
            retire(writer);
    }
}

void pack_on_io(struct file_store *store, enum file_io_kind kind, uint32_t index, int64_t result)
{
    switch (kind) {
    case FILE_IO_OP:
        break;
    case FILE_IO_STAGE:
        on_stage(store, &store->stages[index], result);
        break;
    case FILE_IO_FOOTER:
        on_footer(store, &store->writers[index], result);
        break;
    case FILE_IO_FLUSH:
        on_flush(store, &store->writers[index], result);
        break;
    case FILE_IO_NAMES:
        on_names(store, result);
        break;
    }
}
