/* Cursors over bytes. A reader (haul_in) and a writer (haul_out) each carry a sticky flag: after
 * the first overrun every call is harmless, and one check at the end tells. Decoders are straight
 * lines: read every field, then ask haul_in_done. No struct is ever cast onto wire bytes. */
#pragma once

#include "common/base.h"

#include <string.h>

struct haul_in {
    const uint8_t *at;
    const uint8_t *end;
    bool bad; /* something did not fit or was not minimal; sticky */
};

struct haul_out {
    uint8_t *at;
    uint8_t *end;
    bool bad; /* something did not fit; sticky; nothing was written beyond end */
};

static inline struct haul_in haul_in_from(const void *data, size_t bytes)
{
    const uint8_t *at = data;

    /* No bytes may have no address, to which not even zero may be added. */
    return (struct haul_in){ .at = at, .end = bytes == 0 ? at : at + bytes, .bad = false };
}

static inline struct haul_out haul_out_to(void *data, size_t bytes)
{
    uint8_t *at = data;

    return (struct haul_out){ .at = at, .end = at + bytes, .bad = false };
}

static inline size_t haul_in_left(const struct haul_in *in)
{
    return (size_t)(in->end - in->at);
}

static inline size_t haul_out_left(const struct haul_out *out)
{
    return (size_t)(out->end - out->at);
}

/* True when every byte was read and nothing went wrong. */
static inline bool haul_in_done(const struct haul_in *in)
{
    return !in->bad && in->at == in->end;
}

/* A view of the next bytes, valid as long as the input is; NULL and sticky bad when too few. */
static inline const uint8_t *haul_in_bytes(struct haul_in *in, size_t bytes)
{
    const uint8_t *at = in->at;

    if (in->bad || haul_in_left(in) < bytes) {
        in->bad = true;
        in->at = in->end;
        return NULL;
    }
    in->at += bytes;
    return at;
}

/* Copies the next bytes out; zeroes the destination when there are too few. */
static inline void haul_in_copy(struct haul_in *in, void *to, size_t bytes)
{
    const uint8_t *from = haul_in_bytes(in, bytes);

    if (from != NULL)
        memcpy(to, from, bytes);
    else
        memset(to, 0, bytes);
}

/* Unsigned integers of 1 to 8 bytes, big-endian and little-endian. */
static inline uint64_t haul_in_be(struct haul_in *in, size_t width)
{
    const uint8_t *at = haul_in_bytes(in, width);
    uint64_t value = 0;

    for (size_t i = 0; at != NULL && i < width; i++)
        value = value << 8 | at[i];
    return value;
}

static inline uint64_t haul_in_le(struct haul_in *in, size_t width)
{
    const uint8_t *at = haul_in_bytes(in, width);
    uint64_t value = 0;

    for (size_t i = 0; at != NULL && i < width; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline void haul_out_bytes(struct haul_out *out, const void *from, size_t bytes)
{
    if (out->bad || haul_out_left(out) < bytes) {
        out->bad = true;
        return;
    }
    if (bytes > 0)
        memcpy(out->at, from, bytes);
    out->at += bytes;
}

static inline void haul_out_be(struct haul_out *out, uint64_t value, size_t width)
{
    uint8_t bytes[8];

    haul_assert(width <= sizeof bytes);
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    haul_out_bytes(out, bytes, width);
}

static inline void haul_out_le(struct haul_out *out, uint64_t value, size_t width)
{
    uint8_t bytes[8];

    haul_assert(width <= sizeof bytes);
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    haul_out_bytes(out, bytes, width);
}

/* multiformats unsigned varint: little-endian groups of 7 bits, at most 9 bytes (63 bits), minimal
 * form required; a longer or padded one sets bad. */
uint64_t haul_in_uvarint(struct haul_in *in);
void haul_out_uvarint(struct haul_out *out, uint64_t value);

/* How many bytes haul_out_uvarint would write. */
size_t haul_uvarint_bytes(uint64_t value);
