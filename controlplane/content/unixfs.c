/* message Data { 1: Type; 2: Data; 3: filesize; 4: blocksizes, repeated; 5: hashType; 6: fanout;
 * 7: mode; 8: mtime { 1: Seconds (int64), 2: FractionalNanoseconds (fixed32) } }. Every encoder
 * writes the fields in this order, so this decoder knows no other. */
#include "controlplane/content/unixfs.h"

enum {
    TYPE = 0x08,
    DATA = 0x12,
    FILESIZE = 0x18,
    BLOCKSIZE = 0x20,
    HASH_TYPE = 0x28,
    FANOUT = 0x30,
    MODE = 0x38,
    MTIME = 0x42,
    MTIME_SECONDS = 0x08,
    MTIME_NANOSECONDS = 0x15,
};

#define MODE_KEPT          0777u
#define NANOSECONDS_SECOND 1000000000u

static bool in_take(struct haul_in *in, uint8_t tag)
{
    if (in->bad || in->at == in->end || *in->at != tag)
        return false;
    in->at++;
    return true;
}

/* A protobuf int64: ten bytes when negative, which haul_in_uvarint does not read. */
static int64_t in_int64(struct haul_in *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t byte = haul_in_be(in, 1);

        if (shift == 63 && byte > 1)
            in->bad = true;
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return in->bad ? 0 : (int64_t)value;
    }
    in->bad = true;
    return 0;
}

static void out_int64(struct haul_out *out, int64_t number)
{
    uint64_t value = (uint64_t)number;

    for (; value >= 0x80; value >>= 7)
        haul_out_be(out, (value & 0x7f) | 0x80, 1);
    haul_out_be(out, value, 1);
}

static void in_mtime(struct haul_in *in, struct haul_meta *meta)
{
    uint64_t bytes = haul_in_uvarint(in);
    struct haul_in body;

    if (in->bad || bytes > haul_in_left(in)) {
        in->bad = true;
        return;
    }
    body = haul_in_from(haul_in_bytes(in, (size_t)bytes), (size_t)bytes);
    if (in_take(&body, MTIME_SECONDS))
        meta->seconds = in_int64(&body);
    else
        body.bad = true;
    if (in_take(&body, MTIME_NANOSECONDS))
        meta->nanoseconds = (uint32_t)haul_in_le(&body, 4);
    meta->has_mtime = true;
    in->bad |= !haul_in_done(&body) || meta->nanoseconds >= NANOSECONDS_SECOND;
}

static void in_blocks(struct haul_in *in, struct haul_unixfs *unixfs)
{
    unixfs->blocks = *in;
    while (in_take(in, BLOCKSIZE)) {
        haul_in_uvarint(in);
        unixfs->block_count++;
    }
    unixfs->blocks.end = in->at;
}

bool haul_unixfs_decode(const uint8_t *data, size_t bytes, struct haul_unixfs *unixfs)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_unixfs found = { 0 };
    uint64_t type = in_take(&in, TYPE) ? haul_in_uvarint(&in) : UINT64_MAX;

    if (in_take(&in, DATA)) {
        uint64_t length = haul_in_uvarint(&in);

        in.bad |= length > haul_in_left(&in);
        found.data = in.bad ? NULL : haul_in_bytes(&in, (size_t)length);
        found.data_bytes = in.bad ? 0 : (size_t)length;
    }
    found.has_filesize = in_take(&in, FILESIZE);
    if (found.has_filesize)
        found.filesize = haul_in_uvarint(&in);
    in_blocks(&in, &found);
    if (in_take(&in, HASH_TYPE))
        found.hash_type = haul_in_uvarint(&in);
    if (in_take(&in, FANOUT))
        found.fanout = haul_in_uvarint(&in);
    found.meta.has_mode = in_take(&in, MODE);
    if (found.meta.has_mode)
        found.meta.mode = (uint16_t)(haul_in_uvarint(&in) & MODE_KEPT);
    if (in_take(&in, MTIME))
        in_mtime(&in, &found.meta);
    if (!haul_in_done(&in) || type > HAUL_UNIXFS_SHARD)
        return false;
    found.type = (enum haul_unixfs_type)type;
    *unixfs = found;
    return true;
}

uint64_t haul_unixfs_next_block(struct haul_unixfs *unixfs)
{
    return in_take(&unixfs->blocks, BLOCKSIZE) ? haul_in_uvarint(&unixfs->blocks) : 0;
}

static void out_number(struct haul_out *out, uint8_t tag, uint64_t value)
{
    haul_out_be(out, tag, 1);
    haul_out_uvarint(out, value);
}

static void out_mtime(struct haul_out *out, const struct haul_meta *meta)
{
    uint8_t space[16];
    struct haul_out body = haul_out_to(space, sizeof space);

    haul_assert(meta->nanoseconds < NANOSECONDS_SECOND);
    haul_out_be(&body, MTIME_SECONDS, 1);
    out_int64(&body, meta->seconds);
    if (meta->nanoseconds != 0) {
        haul_out_be(&body, MTIME_NANOSECONDS, 1);
        haul_out_le(&body, meta->nanoseconds, 4);
    }
    haul_assert(!body.bad);
    out_number(out, MTIME, (uint64_t)(body.at - space));
    haul_out_bytes(out, space, (size_t)(body.at - space));
}

/* The mode that a reader takes for granted when none is given. */
static unsigned mode_default(enum haul_unixfs_type type)
{
    return type == HAUL_UNIXFS_DIRECTORY || type == HAUL_UNIXFS_SHARD ? 0755 : 0644;
}

void haul_unixfs_encode(struct haul_out *out, const struct haul_unixfs *unixfs,
                        const uint64_t *sizes, uint32_t size_count)
{
    unsigned mode = unixfs->meta.mode & MODE_KEPT;

    out_number(out, TYPE, unixfs->type);
    if (unixfs->data_bytes > 0) {
        out_number(out, DATA, unixfs->data_bytes);
        haul_out_bytes(out, unixfs->data, unixfs->data_bytes);
    }
    if (unixfs->has_filesize)
        out_number(out, FILESIZE, unixfs->filesize);
    for (uint32_t i = 0; i < size_count; i++)
        out_number(out, BLOCKSIZE, sizes[i]);
    if (unixfs->hash_type != 0)
        out_number(out, HASH_TYPE, unixfs->hash_type);
    if (unixfs->fanout != 0)
        out_number(out, FANOUT, unixfs->fanout);
    if (unixfs->meta.has_mode && mode != mode_default(unixfs->type))
        out_number(out, MODE, mode);
    if (unixfs->meta.has_mtime)
        out_mtime(out, &unixfs->meta);
}
