/* The catalog in LMDB. Three tables:
 *
 *   datasets   root (binary CID)    ->  record (catalog_record.h), with the dataset's id
 *   order      id, 8 big-endian     ->  root
 *   members    id, 8 big-endian     ->  multihashes, sorted (DUPSORT, fixed size)
 *
 * A build notes its members under its id from the start; the commit adds the other two rows in one
 * transaction. Members whose id is not in `order` belong to a build that was never committed. Write
 * transactions flush, so they hold up the control thread for a flush: once in 16,384 members, and
 * once a commit or change of sharing. */
#include "controlplane/datasets/catalog.h"

#include "controlplane/datasets/catalog_record.h"
#include "controlplane/datasets/shares.h"

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#define MAP_BYTES       ((size_t)16 << 30) /* address space, not memory: 400 million members */
#define BATCH           16384u
#define SYNTHETIC_ORDER (1ull << 63) /* cursors above list the datasets of memory */

struct build {
    LIST_ENTRY(build) link;
    uint64_t id;
    uint32_t count; /* noted and not written yet */
    struct haul_hash hashes[BATCH];
};

struct leaf {
    struct haul_hash hash;
    uint64_t number;
};

struct synthetic {
    TAILQ_ENTRY(synthetic) link;
    uint64_t id;
    struct haul_dataset dataset;
    uint64_t leaf_count;
    struct leaf leaves[]; /* sorted by hash */
};

struct haul_catalog {
    MDB_env *env;
    MDB_dbi datasets;
    MDB_dbi order;
    MDB_dbi members;
    MDB_txn *reader; /* reset between look-ups */
    uint64_t last_id;
    LIST_HEAD(, build) builds;
    TAILQ_HEAD(, synthetic) synthetics;
};

/* A dataset's id as a key that sorts. */
struct id_key {
    uint8_t bytes[8];
};

static struct id_key key_of(uint64_t id)
{
    struct id_key key;
    struct haul_out out = haul_out_to(key.bytes, sizeof key.bytes);

    haul_out_be(&out, id, 8);
    return key;
}

static MDB_val value_of(const void *data, size_t bytes)
{
    return (MDB_val){ .mv_size = bytes, .mv_data = (void *)(uintptr_t)data };
}

static int fail_lmdb(struct haul_error *error, int result)
{
    return haul_fail(error, HAUL_E_STORE_FAILED, "the catalog failed: %s", mdb_strerror(result));
}

static void encode_root(const struct haul_cid *root, uint8_t data[HAUL_CID_BYTES])
{
    struct haul_out out = haul_out_to(data, HAUL_CID_BYTES);

    haul_cid_encode(&out, root);
    haul_assert(!out.bad && out.at == out.end);
}

/* --- look-ups --- */

static MDB_txn *begin_read(const struct haul_catalog *catalog)
{
    return mdb_txn_renew(catalog->reader) == 0 ? catalog->reader : NULL;
}

static struct synthetic *find_synthetic(const struct haul_catalog *catalog,
                                        const struct haul_cid *root)
{
    struct synthetic *synthetic;

    TAILQ_FOREACH(synthetic, &catalog->synthetics, link)
    {
        if (haul_cid_equal(&synthetic->dataset.root, root))
            return synthetic;
    }
    return NULL;
}

static int get_record(const struct haul_catalog *catalog, MDB_txn *txn, const struct haul_cid *root,
                      struct haul_dataset *dataset, uint64_t *id)
{
    uint8_t name[HAUL_CID_BYTES];
    MDB_val key = value_of(name, sizeof name);
    MDB_val value;
    int result;

    encode_root(root, name);
    result = mdb_get(txn, catalog->datasets, &key, &value);
    if (result != 0)
        return result;
    if (!haul_catalog_record_decode(value.mv_data, value.mv_size, dataset, id))
        return MDB_CORRUPTED;
    dataset->root = *root;
    return 0;
}

static int put_record(const struct haul_catalog *catalog, MDB_txn *txn,
                      const struct haul_dataset *dataset, uint64_t id)
{
    uint8_t name[HAUL_CID_BYTES];
    uint8_t record[HAUL_CATALOG_RECORD_BYTES_MAX];
    MDB_val key = value_of(name, sizeof name);
    MDB_val value = value_of(record, haul_catalog_record_encode(dataset, id, record));

    encode_root(&dataset->root, name);
    return mdb_put(txn, catalog->datasets, &key, &value, 0);
}

bool haul_catalog_find(const struct haul_catalog *catalog, const struct haul_cid *root,
                       struct haul_dataset *dataset)
{
    const struct synthetic *synthetic = find_synthetic(catalog, root);
    struct haul_dataset found;
    MDB_txn *txn;
    uint64_t id;
    int result;

    if (synthetic != NULL) {
        *dataset = synthetic->dataset;
        return true;
    }
    txn = begin_read(catalog);
    if (txn == NULL)
        return false;
    result = get_record(catalog, txn, root, &found, &id);
    mdb_txn_reset(txn);
    if (result == 0)
        *dataset = found;
    return result == 0;
}

static bool next_synthetic(const struct haul_catalog *catalog, uint64_t *cursor,
                           struct haul_dataset *dataset)
{
    const struct synthetic *synthetic;

    TAILQ_FOREACH(synthetic, &catalog->synthetics, link)
    {
        if ((SYNTHETIC_ORDER | synthetic->id) > *cursor) {
            *cursor = SYNTHETIC_ORDER | synthetic->id;
            *dataset = synthetic->dataset;
            return true;
        }
    }
    return false;
}

/* The first dataset whose id is above `after`. */
static int next_record(const struct haul_catalog *catalog, MDB_txn *txn, uint64_t after,
                       struct haul_dataset *dataset, uint64_t *id)
{
    struct id_key from = key_of(after + 1);
    MDB_val key = value_of(from.bytes, sizeof from.bytes);
    MDB_cursor *cursor;
    struct haul_cid root;
    MDB_val value;
    int result = mdb_cursor_open(txn, catalog->order, &cursor);

    if (result != 0)
        return result;
    result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (result == 0 && !haul_cid_decode(value.mv_data, value.mv_size, &root))
        result = MDB_CORRUPTED;
    if (result == 0)
        result = get_record(catalog, txn, &root, dataset, id);
    mdb_cursor_close(cursor);
    return result;
}

bool haul_catalog_next(const struct haul_catalog *catalog, uint64_t *cursor,
                       struct haul_dataset *dataset)
{
    struct haul_dataset found;
    uint64_t id = 0;
    MDB_txn *txn;
    int result;

    if (*cursor >= SYNTHETIC_ORDER)
        return next_synthetic(catalog, cursor, dataset);
    txn = begin_read(catalog);
    if (txn == NULL)
        return false;
    result = next_record(catalog, txn, *cursor, &found, &id);
    mdb_txn_reset(txn);
    if (result != 0)
        return next_synthetic(catalog, cursor, dataset);
    *cursor = id;
    *dataset = found;
    return true;
}

bool haul_catalog_allows(const struct haul_catalog *catalog, const struct haul_cid *root,
                         const struct haul_peer_id *peer)
{
    struct haul_dataset dataset;

    return haul_catalog_find(catalog, root, &dataset) && dataset.complete &&
           haul_shares_allow(&dataset, peer);
}

static bool is_member(const struct haul_catalog *catalog, MDB_txn *txn, uint64_t id,
                      const struct haul_hash *hash)
{
    struct id_key name = key_of(id);
    MDB_val key = value_of(name.bytes, sizeof name.bytes);
    MDB_val value = value_of(hash->bytes, sizeof hash->bytes);
    MDB_cursor *cursor;
    int result;

    if (mdb_cursor_open(txn, catalog->members, &cursor) != 0)
        return false;
    result = mdb_cursor_get(cursor, &key, &value, MDB_GET_BOTH);
    mdb_cursor_close(cursor);
    return result == 0;
}

static int compare_leaves(const void *a, const void *b)
{
    return memcmp(((const struct leaf *)a)->hash.bytes, ((const struct leaf *)b)->hash.bytes,
                  HAUL_HASH_BYTES);
}

bool haul_catalog_place(const struct haul_catalog *catalog, const struct haul_cid *root,
                        const struct haul_hash *hash, struct haul_place *place)
{
    const struct synthetic *synthetic = find_synthetic(catalog, root);
    struct haul_dataset dataset;
    MDB_txn *txn;
    bool member;
    uint64_t id = 0;

    if (synthetic != NULL) {
        struct leaf wanted = { .hash = *hash };
        const struct leaf *leaf = bsearch(&wanted, synthetic->leaves, synthetic->leaf_count,
                                          sizeof wanted, compare_leaves);

        if (leaf != NULL) {
            *place = (struct haul_place){ .kind = HAUL_PLACE_SYNTHETIC, .at = leaf->number };
            return true;
        }
        id = synthetic->id;
    }
    txn = begin_read(catalog);
    if (txn == NULL)
        return false;
    member = synthetic != NULL ||
             (get_record(catalog, txn, root, &dataset, &id) == 0 && dataset.complete);
    member = member && is_member(catalog, txn, id, hash);
    mdb_txn_reset(txn);
    if (member)
        *place = (struct haul_place){ .kind = HAUL_PLACE_STORE };
    return member;
}

bool haul_catalog_noted(const struct haul_catalog *catalog, const struct haul_cid *root,
                        const struct haul_hash *hash)
{
    struct haul_dataset dataset;
    MDB_txn *txn = begin_read(catalog);
    uint64_t id;
    bool noted;

    if (txn == NULL)
        return false;
    noted = get_record(catalog, txn, root, &dataset, &id) == 0 && is_member(catalog, txn, id, hash);
    mdb_txn_reset(txn);
    return noted;
}

/* --- building --- */

static struct build *find_build(const struct haul_catalog *catalog, uint64_t id)
{
    struct build *build;

    LIST_FOREACH(build, &catalog->builds, link)
    {
        if (build->id == id)
            return build;
    }
    return NULL;
}

static int begin_build(struct haul_catalog *catalog, uint64_t id, struct haul_error *error)
{
    struct build *build = malloc(sizeof *build);

    if (build == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a dataset's blocks");
    build->id = id;
    build->count = 0;
    LIST_INSERT_HEAD(&catalog->builds, build, link);
    return 0;
}

int haul_catalog_begin(struct haul_catalog *catalog, uint64_t *id, struct haul_error *error)
{
    *id = ++catalog->last_id;
    return begin_build(catalog, *id, error);
}

int haul_catalog_go_on(struct haul_catalog *catalog, const struct haul_cid *root, uint64_t *id,
                       struct haul_error *error)
{
    struct haul_dataset dataset;
    MDB_txn *txn = begin_read(catalog);
    bool found;

    if (txn == NULL)
        return haul_catalog_begin(catalog, id, error);
    found = get_record(catalog, txn, root, &dataset, id) == 0 && !dataset.complete;
    mdb_txn_reset(txn);
    if (!found || find_build(catalog, *id) != NULL)
        return haul_catalog_begin(catalog, id, error);
    return begin_build(catalog, *id, error);
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, HAUL_HASH_BYTES);
}

/* Sorted, so that neighbours go to the same page. */
static int put_members(const struct haul_catalog *catalog, MDB_txn *txn, struct build *build)
{
    struct id_key name = key_of(build->id);

    qsort(build->hashes, build->count, sizeof build->hashes[0], compare_hashes);
    for (uint32_t i = 0; i < build->count; i++) {
        MDB_val key = value_of(name.bytes, sizeof name.bytes);
        MDB_val value = value_of(build->hashes[i].bytes, HAUL_HASH_BYTES);
        int result = mdb_put(txn, catalog->members, &key, &value, MDB_NODUPDATA);

        if (result != 0 && result != MDB_KEYEXIST)
            return result;
    }
    return 0;
}

/* Ends a write transaction: commits after a result of zero, else aborts. Returns the result. */
static int end_write(MDB_txn *txn, int result)
{
    if (result == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return result;
}

static int write_batch(struct haul_catalog *catalog, struct build *build)
{
    MDB_txn *txn;
    int result = mdb_txn_begin(catalog->env, NULL, 0, &txn);

    if (result != 0)
        return result;
    result = end_write(txn, put_members(catalog, txn, build));
    if (result == 0)
        build->count = 0;
    return result;
}

int haul_catalog_note(struct haul_catalog *catalog, uint64_t id, const struct haul_hash *hash,
                      struct haul_error *error)
{
    struct build *build = find_build(catalog, id);

    haul_assert(build != NULL);
    if (build->count == BATCH) {
        int result = write_batch(catalog, build);

        if (result != 0)
            return fail_lmdb(error, result);
    }
    build->hashes[build->count++] = *hash;
    return 0;
}

static int delete_members(const struct haul_catalog *catalog, MDB_txn *txn, uint64_t id)
{
    struct id_key name = key_of(id);
    MDB_val key = value_of(name.bytes, sizeof name.bytes);
    int result = mdb_del(txn, catalog->members, &key, NULL);

    return result == MDB_NOTFOUND ? 0 : result;
}

static void end_build(struct build *build)
{
    LIST_REMOVE(build, link);
    free(build);
}

/* Those of a build alone: what was noted before of a dataset that goes on stays. */
static int delete_unlisted(const struct haul_catalog *catalog, MDB_txn *txn, uint64_t id)
{
    struct id_key name = key_of(id);
    MDB_val key = value_of(name.bytes, sizeof name.bytes);
    MDB_val root;
    int result = mdb_get(txn, catalog->order, &key, &root);

    return result == MDB_NOTFOUND ? delete_members(catalog, txn, id) : result;
}

void haul_catalog_drop(struct haul_catalog *catalog, uint64_t id)
{
    struct build *build = find_build(catalog, id);
    MDB_txn *txn;

    haul_assert(build != NULL);
    end_build(build);
    /* What cannot be deleted now is deleted at the next open. */
    if (mdb_txn_begin(catalog->env, NULL, 0, &txn) == 0)
        (void)end_write(txn, delete_unlisted(catalog, txn, id));
}

/* Puts the dataset's rows in place of those of an incomplete one with the same root. */
static int put_dataset(const struct haul_catalog *catalog, MDB_txn *txn, struct build *build,
                       const struct haul_dataset *dataset, const struct haul_dataset *before,
                       uint64_t before_id)
{
    struct id_key name = key_of(build->id);
    MDB_val key = value_of(name.bytes, sizeof name.bytes);
    uint8_t root[HAUL_CID_BYTES];
    MDB_val value = value_of(root, sizeof root);
    struct haul_dataset merged = *dataset;
    int result = put_members(catalog, txn, build);

    if (result == 0 && before != NULL) {
        struct id_key old = key_of(before_id);
        MDB_val old_key = value_of(old.bytes, sizeof old.bytes);

        merged.shared_to_all = before->shared_to_all;
        merged.peer_count = before->peer_count;
        memcpy(merged.peers, before->peers, sizeof merged.peers);
        merged.denied_count = before->denied_count;
        memcpy(merged.denied, before->denied, sizeof merged.denied);
        if (result == 0 && before_id != build->id)
            result = delete_members(catalog, txn, before_id);
        if (result == 0 && before_id != build->id)
            result = mdb_del(txn, catalog->order, &old_key, NULL);
    }
    encode_root(&dataset->root, root);
    if (result == 0)
        result = mdb_put(txn, catalog->order, &key, &value, 0);
    return result == 0 ? put_record(catalog, txn, &merged, build->id) : result;
}

int haul_catalog_commit(struct haul_catalog *catalog, uint64_t id,
                        const struct haul_dataset *dataset, struct haul_error *error)
{
    struct build *build = find_build(catalog, id);
    struct haul_dataset before;
    uint64_t before_id = 0;
    MDB_txn *txn;
    int result;

    haul_assert(build != NULL && dataset->peer_count <= HAUL_CATALOG_PEERS_MAX);
    result = mdb_txn_begin(catalog->env, NULL, 0, &txn);
    if (result == 0) {
        result = get_record(catalog, txn, &dataset->root, &before, &before_id);
        if (result == 0 && before.complete) /* the same root has the same blocks */
            result = delete_members(catalog, txn, id);
        else if (result == 0)
            result = put_dataset(catalog, txn, build, dataset, &before, before_id);
        else if (result == MDB_NOTFOUND)
            result = put_dataset(catalog, txn, build, dataset, NULL, 0);
        result = end_write(txn, result);
    }
    if (result != 0) {
        haul_catalog_drop(catalog, id);
        return fail_lmdb(error, result);
    }
    end_build(build);
    return 0;
}

int haul_catalog_add_synthetic(struct haul_catalog *catalog, uint64_t id,
                               const struct haul_dataset *dataset, const struct haul_hash *leaves,
                               uint64_t leaf_count, struct haul_error *error)
{
    struct build *build = find_build(catalog, id);
    struct synthetic *synthetic = NULL;
    int result;

    haul_assert(build != NULL);
    result = write_batch(catalog, build);
    if (result == 0 && leaf_count < SIZE_MAX / sizeof synthetic->leaves[0] / 2)
        synthetic = calloc(1, sizeof *synthetic + (size_t)leaf_count * sizeof synthetic->leaves[0]);
    if (synthetic == NULL) {
        haul_catalog_drop(catalog, id);
        return result != 0 ? fail_lmdb(error, result)
                           : haul_fail(error, HAUL_E_SYSTEM, "no memory for synthetic blocks");
    }
    synthetic->id = id;
    synthetic->dataset = *dataset;
    synthetic->leaf_count = leaf_count;
    for (uint64_t i = 0; i < leaf_count; i++)
        synthetic->leaves[i] = (struct leaf){ .hash = leaves[i], .number = i };
    qsort(synthetic->leaves, (size_t)leaf_count, sizeof synthetic->leaves[0], compare_leaves);
    TAILQ_INSERT_TAIL(&catalog->synthetics, synthetic, link);
    end_build(build);
    return 0;
}

/* --- sharing --- */

static int change_stored(struct haul_catalog *catalog, const struct haul_cid *root,
                         const struct haul_catalog_sharing *wish, bool *refused,
                         struct haul_error *error)
{
    struct haul_dataset dataset;
    uint64_t id;
    MDB_txn *txn;
    int result = mdb_txn_begin(catalog->env, NULL, 0, &txn);

    if (result != 0)
        return result;
    result = get_record(catalog, txn, root, &dataset, &id);
    if (result == 0) {
        *refused = haul_shares_change(&dataset, wish, error) < 0;
        if (!*refused)
            result = put_record(catalog, txn, &dataset, id);
    }
    return end_write(txn, result);
}

/* Stored or synthetic. */
int haul_catalog_change(struct haul_catalog *catalog, const struct haul_cid *root,
                        const struct haul_catalog_sharing *wish, struct haul_error *error)
{
    struct synthetic *synthetic = find_synthetic(catalog, root);
    char text[HAUL_CID_TEXT_BYTES];
    struct haul_dataset changed;
    bool refused = false;
    int result = 0;

    haul_assert(!wish->all || wish->peer_count == 0);
    if (synthetic != NULL) {
        changed = synthetic->dataset;
        refused = haul_shares_change(&changed, wish, error) < 0;
        if (!refused)
            synthetic->dataset = changed;
    } else {
        result = change_stored(catalog, root, wish, &refused, error);
    }
    if (refused)
        return -1;
    haul_cid_print(root, text);
    if (result == MDB_NOTFOUND)
        return haul_fail(error, HAUL_E_CID_UNKNOWN, "no dataset %s is stored here", text);
    return result == 0 ? 0 : fail_lmdb(error, result);
}

int haul_catalog_share(struct haul_catalog *catalog, const struct haul_cid *root,
                       const struct haul_peer_id *peer, bool on, struct haul_error *error)
{
    const struct haul_catalog_sharing wish = {
        .off = !on, .all = peer == NULL, .peers = peer, .peer_count = peer != NULL ? 1 : 0
    };

    return haul_catalog_change(catalog, root, &wish, error);
}

/* --- opening --- */

/* Deletes members of builds that were never committed, and finds the last id. */
static int drop_orphans(struct haul_catalog *catalog, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_open(txn, catalog->members, &cursor);

    if (result != 0)
        return result;
    result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (result == 0) {
        MDB_val root;

        result = mdb_get(txn, catalog->order, &key, &root);
        if (result == MDB_NOTFOUND)
            result = mdb_cursor_del(cursor, MDB_NODUPDATA);
        if (result == 0)
            result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT_NODUP);
    }
    mdb_cursor_close(cursor);
    if (result != MDB_NOTFOUND)
        return result;
    result = mdb_cursor_open(txn, catalog->order, &cursor);
    if (result != 0)
        return result;
    result = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (result == 0) {
        struct haul_in in = haul_in_from(key.mv_data, key.mv_size);

        catalog->last_id = haul_in_be(&in, 8);
    }
    mdb_cursor_close(cursor);
    return result == MDB_NOTFOUND ? 0 : result;
}

static int open_tables(struct haul_catalog *catalog)
{
    MDB_txn *txn;
    int result = mdb_txn_begin(catalog->env, NULL, 0, &txn);

    if (result != 0)
        return result;
    result = mdb_dbi_open(txn, "datasets", MDB_CREATE, &catalog->datasets);
    if (result == 0)
        result = mdb_dbi_open(txn, "order", MDB_CREATE, &catalog->order);
    if (result == 0)
        result = mdb_dbi_open(txn, "members", MDB_CREATE | MDB_DUPSORT | MDB_DUPFIXED,
                              &catalog->members);
    if (result == 0)
        result = drop_orphans(catalog, txn);
    return end_write(txn, result);
}

static int open_environment(struct haul_catalog *catalog, const char *directory)
{
    int result;

    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return errno;
    result = mdb_env_create(&catalog->env);
    if (result == 0)
        result = mdb_env_set_maxdbs(catalog->env, 8);
    if (result == 0)
        result = mdb_env_set_mapsize(catalog->env, MAP_BYTES);
    if (result == 0)
        result = mdb_env_open(catalog->env, directory, MDB_NOTLS, 0600);
    if (result == 0)
        result = open_tables(catalog);
    if (result == 0)
        result = mdb_txn_begin(catalog->env, NULL, MDB_RDONLY, &catalog->reader);
    if (result == 0)
        mdb_txn_reset(catalog->reader);
    return result;
}

int haul_catalog_open(struct haul_catalog **out, const char *directory, struct haul_error *error)
{
    struct haul_catalog *catalog = calloc(1, sizeof *catalog);
    int result;

    if (catalog == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the catalog");
    LIST_INIT(&catalog->builds);
    TAILQ_INIT(&catalog->synthetics);
    result = open_environment(catalog, directory);
    if (result != 0) {
        haul_catalog_close(catalog);
        return fail_lmdb(error, result);
    }
    *out = catalog;
    return 0;
}

void haul_catalog_close(struct haul_catalog *catalog)
{
    struct build *build;
    struct synthetic *synthetic;

    if (catalog == NULL)
        return;
    while ((build = LIST_FIRST(&catalog->builds)) != NULL)
        end_build(build);
    while ((synthetic = TAILQ_FIRST(&catalog->synthetics)) != NULL) {
        TAILQ_REMOVE(&catalog->synthetics, synthetic, link);
        free(synthetic);
    }
    if (catalog->reader != NULL)
        mdb_txn_abort(catalog->reader);
    if (catalog->env != NULL)
        mdb_env_close(catalog->env);
    free(catalog);
}
