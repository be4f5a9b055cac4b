/* dag-pb nodes (the IPLD dag-pb specification): a list of links, then data. Pure; decoding gives
 * views into the caller's bytes and checks the whole node before anything of it is handed out. */
#pragma once

#include "common/cid.h"

struct haul_dagpb_link {
    struct haul_cid cid;
    const char *name; /* not ended by NUL; never NULL */
    size_t name_bytes;
    uint64_t tsize; /* bytes of everything below the link; a hint, never trusted */
};

struct haul_dagpb {
    struct haul_in links; /* cursor for haul_dagpb_next */
    uint32_t link_count;
    const uint8_t *data; /* NULL when the node has none */
    size_t data_bytes;
};

/* Strict: links together before or after the data, fields of a link in order and at most once, a
 * known CID in every link, no unknown fields, nothing behind the end. */
HAUL_MUST_USE bool haul_dagpb_decode(const uint8_t *data, size_t bytes, struct haul_dagpb *node);

/* The next link, in the order of the node; false after the last. */
bool haul_dagpb_next(struct haul_dagpb *node, struct haul_dagpb_link *link);

/* The canonical form is every link in order, then the data. A link always has all three fields. */
void haul_dagpb_put_link(struct haul_out *out, const struct haul_dagpb_link *link);
void haul_dagpb_put_data(struct haul_out *out, const uint8_t *data, size_t bytes);

/* Bytes that haul_dagpb_put_link (put_data) writes. */
size_t haul_dagpb_link_bytes(const struct haul_dagpb_link *link);
size_t haul_dagpb_data_bytes(size_t bytes);
