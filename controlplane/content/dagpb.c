/* PBNode { 2: Links, repeated PBLink { 1: Hash, 2: Name, 3: Tsize }; 1: Data }. */
#include "controlplane/content/dagpb.h"

#define NODE_DATA  0x0au /* field 1, length-delimited */
#define NODE_LINKS 0x12u /* field 2, length-delimited */
#define LINK_HASH  0x0au /* field 1, length-delimited */
#define LINK_NAME  0x12u /* field 2, length-delimited */
#define LINK_TSIZE 0x18u /* field 3, varint */

/* The bytes of a length-delimited field, its tag already read. */
static struct haul_in in_field(struct haul_in *in)
{
    uint64_t bytes = haul_in_uvarint(in);
    const uint8_t *at = NULL;

    if (bytes > haul_in_left(in))
        in->bad = true;
    else
        at = haul_in_bytes(in, (size_t)bytes);
    return in->bad ? (struct haul_in){ .bad = true } : haul_in_from(at, (size_t)bytes);
}

static bool in_is(const struct haul_in *in, uint8_t tag)
{
    return !in->bad && in->at < in->end && *in->at == tag;
}

static bool in_take(struct haul_in *in, uint8_t tag)
{
    if (!in_is(in, tag))
        return false;
    in->at++;
    return true;
}

/* The next link of a run of links; false, and bad unless it is the end, when there is none. */
static bool in_link(struct haul_in *in, struct haul_dagpb_link *link)
{
    struct haul_in body, hash, name;

    if (!in_take(in, NODE_LINKS))
        return false;
    body = in_field(in);
    *link = (struct haul_dagpb_link){ .name = "" };
    in->bad |= !in_take(&body, LINK_HASH);
    hash = in_field(&body);
    if (body.bad || !haul_cid_decode(hash.at, haul_in_left(&hash), &link->cid))
        in->bad = true;
    if (in_take(&body, LINK_NAME)) {
        name = in_field(&body);
        if (!name.bad && haul_in_left(&name) > 0) {
            link->name = (const char *)name.at;
            link->name_bytes = haul_in_left(&name);
        }
    }
    if (in_take(&body, LINK_TSIZE))
        link->tsize = haul_in_uvarint(&body);
    in->bad |= !haul_in_done(&body);
    return !in->bad;
}

static void in_data(struct haul_in *in, struct haul_dagpb *node)
{
    struct haul_in data;

    if (!in_take(in, NODE_DATA))
        return;
    data = in_field(in);
    if (data.bad)
        return;
    node->data = data.at;
    node->data_bytes = haul_in_left(&data);
}

bool haul_dagpb_decode(const uint8_t *data, size_t bytes, struct haul_dagpb *node)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_dagpb found = { 0 };
    struct haul_dagpb_link link;

    in_data(&in, &found);
    found.links = in;
    while (in_link(&in, &link))
        found.link_count++;
    found.links.end = in.at;
    if (found.data == NULL)
        in_data(&in, &found);
    if (!haul_in_done(&in))
        return false;
    *node = found;
    return true;
}

bool haul_dagpb_next(struct haul_dagpb *node, struct haul_dagpb_link *link)
{
    return in_link(&node->links, link);
}

static size_t field_bytes(size_t bytes)
{
    return 1 + haul_uvarint_bytes(bytes) + bytes;
}

static size_t link_body_bytes(const struct haul_dagpb_link *link)
{
    return field_bytes(HAUL_CID_BYTES) + field_bytes(link->name_bytes) + 1 +
           haul_uvarint_bytes(link->tsize);
}

size_t haul_dagpb_link_bytes(const struct haul_dagpb_link *link)
{
    return field_bytes(link_body_bytes(link));
}

size_t haul_dagpb_data_bytes(size_t bytes)
{
    return field_bytes(bytes);
}

static void out_head(struct haul_out *out, uint8_t tag, size_t bytes)
{
    haul_out_be(out, tag, 1);
    haul_out_uvarint(out, bytes);
}

void haul_dagpb_put_link(struct haul_out *out, const struct haul_dagpb_link *link)
{
    out_head(out, NODE_LINKS, link_body_bytes(link));
    out_head(out, LINK_HASH, HAUL_CID_BYTES);
    haul_cid_encode(out, &link->cid);
    out_head(out, LINK_NAME, link->name_bytes);
    haul_out_bytes(out, link->name, link->name_bytes);
    haul_out_be(out, LINK_TSIZE, 1);
    haul_out_uvarint(out, link->tsize);
}

void haul_dagpb_put_data(struct haul_out *out, const uint8_t *data, size_t bytes)
{
    out_head(out, NODE_DATA, bytes);
    haul_out_bytes(out, data, bytes);
}
