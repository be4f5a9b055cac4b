/* A block of a dataset, with any expectation of its parent: what is accepted keeps its promises. */
#include "controlplane/content/name.h"
#include "controlplane/content/read.h"

#define HEAD_BYTES 4u /* what the parent said: kind, depth, expected bytes */

/* Decoded links, encoded again, decode to the same. */
static void check_dagpb(const uint8_t *data, size_t size)
{
    uint8_t again[4096];
    struct haul_out out = haul_out_to(again, sizeof again);
    struct haul_dagpb node, back, other;
    struct haul_dagpb_link link, same;

    if (!haul_dagpb_decode(data, size, &node))
        return;
    for (back = node; haul_dagpb_next(&back, &link);)
        haul_dagpb_put_link(&out, &link);
    if (node.data != NULL)
        haul_dagpb_put_data(&out, node.data, node.data_bytes);
    if (out.bad)
        return;
    haul_assert(haul_dagpb_decode(again, (size_t)(out.at - again), &other));
    haul_assert(other.link_count == node.link_count && other.data_bytes == node.data_bytes);
    while (haul_dagpb_next(&node, &link)) {
        haul_assert(haul_dagpb_next(&other, &same));
        haul_assert(haul_cid_equal(&link.cid, &same.cid) && link.tsize == same.tsize);
        haul_assert(link.name_bytes == same.name_bytes &&
                    memcmp(link.name, same.name, link.name_bytes) == 0);
    }
}

static void check_links(struct haul_node *node)
{
    uint64_t at = node->offset + node->data_bytes;
    uint32_t count = 0;
    struct haul_link link, found;

    while (haul_node_next(node, &link)) {
        count++;
        if (node->kind == HAUL_NODE_FILE) {
            haul_assert(link.expect.offset == at && link.expect.bytes > 0);
            at += link.expect.bytes;
        } else if (link.expect.kind == HAUL_EXPECT_ENTRY) {
            haul_assert(haul_name_allowed(link.name, link.name_bytes));
            haul_assert(haul_node_find(node, link.name, link.name_bytes, &found) ==
                        HAUL_FIND_ENTRY);
        }
    }
    haul_assert(count == node->link_count);
    haul_assert(node->kind != HAUL_NODE_FILE || at == node->offset + node->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_cid cid = { .codec = HAUL_CODEC_DAG_PB };
    struct haul_error error;
    struct haul_expect expect;
    struct haul_node node;

    if (size < HEAD_BYTES)
        return 0;
    haul_expect_root(&expect);
    expect.kind = data[0] % 3;
    expect.depth = data[1] % 8;
    if (expect.kind == HAUL_EXPECT_PART)
        expect.bytes = data[2];
    memset(expect.prefix, data[3], sizeof expect.prefix);
    if (data[0] > 250)
        cid.codec = HAUL_CODEC_RAW;
    data += HEAD_BYTES;
    size -= HEAD_BYTES;
    check_dagpb(data, size);
    if (haul_node_read(&cid, data, size, &expect, &node, &error) == 0)
        check_links(&node);
    else
        haul_assert(error.code == HAUL_E_MANIFEST_BROKEN || error.code == HAUL_E_MANIFEST_HOSTILE);
    return 0;
}
