/* The catalog: building, sharing, what a stranger may learn, and what survives. */
#include "controlplane/datasets/catalog.h"

#include "controlplane/datasets/catalog_record.h"
#include "controlplane/datasets/shares.h"
#include "controlplane/p2p/key.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[64];
static struct haul_catalog *catalog;

static void open_fresh(void)
{
    snprintf(directory, sizeof directory, "/tmp/haul-catalog-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    CU_ASSERT_EQUAL_FATAL(haul_catalog_open(&catalog, directory, NULL), 0);
}

static void reopen(void)
{
    haul_catalog_close(catalog);
    CU_ASSERT_EQUAL_FATAL(haul_catalog_open(&catalog, directory, NULL), 0);
}

static void close_and_remove(void)
{
    char path[128];

    haul_catalog_close(catalog);
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", directory);
    (void)unlink(path);
    (void)rmdir(directory);
}

static int deny(const struct haul_cid *root, const struct haul_peer_id *peer, bool on,
                struct haul_error *error)
{
    const struct haul_catalog_sharing wish = { .off = !on, .denied = peer, .denied_count = 1 };

    return haul_catalog_change(catalog, root, &wish, error);
}

static struct haul_hash hash_of(uint64_t n)
{
    struct haul_hash hash;

    haul_hash_of(HAUL_HASH_BLAKE3, &n, sizeof n, &hash);
    return hash;
}

static struct haul_dataset dataset_of(uint64_t n)
{
    struct haul_dataset dataset = { .bytes = 10 * n, .blocks = 3, .stored_unix = 77 + n };

    dataset.root.codec = HAUL_CODEC_DAG_PB;
    dataset.root.hash = hash_of(n);
    dataset.complete = true;
    snprintf(dataset.name, sizeof dataset.name, "tree %d", (int)n);
    return dataset;
}

static struct haul_peer_id peer_of(uint8_t n)
{
    uint8_t seed[32] = { n };
    struct haul_key key;

    haul_key_from_seed(&key, seed);
    return key.id;
}

/* Dataset n with blocks n, n+1, ... */
static struct haul_dataset store(uint64_t n, uint64_t blocks)
{
    struct haul_dataset dataset = dataset_of(n);
    uint64_t build;

    CU_ASSERT_EQUAL_FATAL(haul_catalog_begin(catalog, &build, NULL), 0);
    for (uint64_t i = 0; i < blocks; i++) {
        struct haul_hash hash = hash_of(n + i);

        CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &hash, NULL), 0);
        if (i % 3 == 0)
            CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &hash, NULL), 0);
    }
    CU_ASSERT_EQUAL(haul_catalog_commit(catalog, build, &dataset, NULL), 0);
    return dataset;
}

static bool has(const struct haul_cid *root, uint64_t n)
{
    struct haul_hash hash = hash_of(n);
    struct haul_place place = { 0 };
    bool found = haul_catalog_place(catalog, root, &hash, &place);

    if (found)
        CU_ASSERT_EQUAL(place.kind, HAUL_PLACE_STORE);
    return found;
}

static void a_record_round_trips_and_every_prefix_fails(void)
{
    struct haul_dataset dataset = dataset_of(5);
    struct haul_dataset back;
    uint8_t data[HAUL_CATALOG_RECORD_BYTES_MAX];
    size_t bytes;
    uint64_t id;

    dataset.peer_count = 2;
    dataset.peers[0] = peer_of(1);
    dataset.peers[1] = peer_of(2);
    bytes = haul_catalog_record_encode(&dataset, 99, data);
    for (size_t cut = 0; cut < bytes; cut++)
        CU_ASSERT_FALSE(haul_catalog_record_decode(data, cut, &back, &id));
    CU_ASSERT_TRUE(haul_catalog_record_decode(data, bytes, &back, &id));
    back.root = dataset.root;
    CU_ASSERT_EQUAL(memcmp(&back, &dataset, sizeof back), 0);
    CU_ASSERT_EQUAL(id, 99);
    CU_ASSERT_EQUAL(data[0], 1);
    for (unsigned version = 0; version < 256; version++) {
        data[0] = (uint8_t)version;
        CU_ASSERT_EQUAL(haul_catalog_record_decode(data, bytes, &back, &id), version == 1);
    }
}

/* Older programs refuse what they would not keep. */
static void a_record_with_denials_is_of_version_2_and_reads_back(void)
{
    struct haul_dataset dataset = dataset_of(5);
    struct haul_dataset back;
    uint8_t data[HAUL_CATALOG_RECORD_BYTES_MAX];
    size_t bytes;
    uint64_t id;

    dataset.peer_count = dataset.denied_count = HAUL_CATALOG_PEERS_MAX;
    for (uint32_t i = 0; i < HAUL_CATALOG_PEERS_MAX; i++) {
        dataset.peers[i] = peer_of((uint8_t)i);
        dataset.denied[i] = peer_of((uint8_t)(i + 100));
    }
    bytes = haul_catalog_record_encode(&dataset, 7, data);
    CU_ASSERT_EQUAL(data[0], 2);
    for (size_t cut = 0; cut < bytes; cut++)
        CU_ASSERT_FALSE(haul_catalog_record_decode(data, cut, &back, &id));
    CU_ASSERT_TRUE(haul_catalog_record_decode(data, bytes, &back, &id));
    back.root = dataset.root;
    CU_ASSERT_EQUAL(memcmp(&back, &dataset, sizeof back), 0);
    data[0] = 1;
    CU_ASSERT_FALSE(haul_catalog_record_decode(data, bytes, &back, &id));
    data[0] = 3;
    CU_ASSERT_FALSE(haul_catalog_record_decode(data, bytes, &back, &id));
}

static void stored_and_not_shared_is_refused_like_unknown(void)
{
    struct haul_peer_id peer = peer_of(1);
    struct haul_dataset stored;
    struct haul_dataset unknown = dataset_of(1000);

    open_fresh();
    stored = store(1, 10);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &peer));
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &unknown.root, &peer));
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, true, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &stored.root, &peer));
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, false, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &peer));
    close_and_remove();
}

static void who_is_denied_is_allowed_by_no_row(void)
{
    struct haul_peer_id peers[] = { peer_of(1), peer_of(2) };
    struct haul_catalog_sharing wish = { .denied = peers, .denied_count = 1 };
    struct haul_dataset dataset = dataset_of(1);

    CU_ASSERT_EQUAL(haul_shares_change(&dataset, &wish, NULL), 0);
    dataset.shared_to_all = true;
    CU_ASSERT_FALSE(haul_shares_allow(&dataset, &peers[0]));
    CU_ASSERT_TRUE(haul_shares_allow(&dataset, &peers[1]));
}

static void only_what_all_may_have_is_announced(void)
{
    struct haul_peer_id peer = peer_of(1);
    struct haul_catalog_sharing wish = { .announce = true };
    struct haul_dataset stored;

    open_fresh();
    stored = store(1, 10);
    CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, NULL), -1);
    wish.all = true;
    CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_TRUE(stored.announced && stored.shared_to_all);
    /* Refused, whatever else was asked for: nothing of it is done. */
    for (int off = 0; off < 2; off++) {
        wish = (struct haul_catalog_sharing){ .announce = true, .off = off, .all = off };
        wish.peers = &peer;
        wish.peer_count = off ? 0 : 1;
        CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, NULL), -1);
        CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
        CU_ASSERT_TRUE(stored.announced && stored.shared_to_all && stored.peer_count == 0);
    }
    wish.announce = false;
    CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_TRUE(!stored.announced && !stored.shared_to_all);
    stored.complete = false;
    wish = (struct haul_catalog_sharing){ .announce = true, .all = true };
    CU_ASSERT_EQUAL(haul_shares_change(&stored, &wish, NULL), -1);
    close_and_remove();
}

static void a_share_to_named_peers_is_for_them_alone(void)
{
    struct haul_peer_id one = peer_of(1);
    struct haul_peer_id two = peer_of(2);
    struct haul_dataset stored;

    open_fresh();
    stored = store(1, 10);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, true, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &one, true, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &one, true, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &stored.root, &one));
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &two));
    reopen();
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_EQUAL(stored.peer_count, 1);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &two, true, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &one, false, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &one));
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &stored.root, &two));
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, false, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &two));
    close_and_remove();
}

static void a_denied_peer_has_it_under_no_share_until_the_denial_ends(void)
{
    struct haul_peer_id one = peer_of(1);
    struct haul_peer_id two = peer_of(2);
    struct haul_dataset stored;
    struct haul_error error;

    open_fresh();
    stored = store(1, 10);
    CU_ASSERT_EQUAL(deny(&stored.root, &one, true, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &one));
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &two)); /* that shares nothing */
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, true, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &stored.root, &two));
    CU_ASSERT_EQUAL(deny(&stored.root, &one, true, NULL), 0);
    reopen();
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &one));
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_EQUAL(stored.denied_count, 1);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &one, true, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_REFUSED);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, false, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &two));
    CU_ASSERT_EQUAL(deny(&stored.root, &one, false, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &one)); /* that shares nothing */
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &one, true, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &stored.root, &one));
    /* The only one it was shared with: then it is for nobody, not for everybody else. */
    CU_ASSERT_EQUAL(deny(&stored.root, &one, true, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &one));
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &two));
    close_and_remove();
}

/* Whatever is denied, again, in any order, or beside a share that is refused. */
static void a_denial_never_widens_who_may_have_it(void)
{
    struct haul_peer_id one = peer_of(1), two = peer_of(2), three = peer_of(3);
    struct haul_dataset stored;

    open_fresh();
    stored = store(1, 10);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, &two, true, NULL), 0);
    CU_ASSERT_EQUAL(deny(&stored.root, &two, true, NULL), 0);
    CU_ASSERT_EQUAL(deny(&stored.root, &one, true, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &three));
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, true, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, false, NULL), 0);
    CU_ASSERT_EQUAL(deny(&stored.root, &one, true, NULL), 0);
    CU_ASSERT_EQUAL(deny(&stored.root, &two, false, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &two));
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &stored.root, &three));
    close_and_remove();
}

static void a_share_and_a_denial_are_made_at_once_or_not_at_all(void)
{
    struct haul_peer_id peers[] = { peer_of(1), peer_of(2), peer_of(3) };
    struct haul_catalog_sharing wish = {
        .peers = peers, .peer_count = 2, .denied = &peers[1], .denied_count = 2
    };
    struct haul_dataset stored;
    struct haul_error error;

    open_fresh();
    stored = store(1, 10);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, true, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_REFUSED);
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_TRUE(stored.shared_to_all && stored.peer_count == 0 && stored.denied_count == 0);
    wish.denied = &peers[2];
    wish.denied_count = 1;
    CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, NULL), 0);
    reopen();
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_TRUE(!stored.shared_to_all && stored.peer_count == 2 && stored.denied_count == 1);
    wish.off = true;
    CU_ASSERT_EQUAL(haul_catalog_change(catalog, &stored.root, &wish, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &stored.root, &stored));
    CU_ASSERT_TRUE(!stored.shared_to_all && stored.peer_count == 0 && stored.denied_count == 0);
    close_and_remove();
}

static void the_denial_beyond_the_limit_is_refused(void)
{
    struct haul_dataset stored;
    struct haul_error error;
    struct haul_peer_id peer = peer_of(0);

    open_fresh();
    stored = store(1, 1);
    for (uint32_t i = 0; i <= HAUL_CATALOG_PEERS_MAX; i++) {
        peer = peer_of((uint8_t)i);
        CU_ASSERT_EQUAL(deny(&stored.root, &peer, true, &error),
                        i < HAUL_CATALOG_PEERS_MAX ? 0 : -1);
    }
    CU_ASSERT_EQUAL(error.code, HAUL_E_LIMIT);
    stored = dataset_of(50);
    CU_ASSERT_EQUAL(deny(&stored.root, &peer, true, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_CID_UNKNOWN);
    close_and_remove();
}

static void the_peer_beyond_the_limit_is_refused(void)
{
    struct haul_dataset stored;
    struct haul_error error;

    open_fresh();
    stored = store(1, 1);
    for (uint32_t i = 0; i <= HAUL_CATALOG_PEERS_MAX; i++) {
        struct haul_peer_id peer = peer_of((uint8_t)i);
        int result = haul_catalog_share(catalog, &stored.root, &peer, true, &error);

        CU_ASSERT_EQUAL(result, i < HAUL_CATALOG_PEERS_MAX ? 0 : -1);
    }
    CU_ASSERT_EQUAL(error.code, HAUL_E_LIMIT);
    stored = dataset_of(50);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &stored.root, NULL, true, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_CID_UNKNOWN);
    close_and_remove();
}

static void blocks_belong_to_the_datasets_that_hold_them(void)
{
    struct haul_dataset one;
    struct haul_dataset two;

    open_fresh();
    one = store(1, 10); /* 1 to 10 */
    two = store(8, 10); /* 8 to 17 */
    CU_ASSERT_TRUE(has(&one.root, 1) && has(&one.root, 10) && !has(&one.root, 11));
    CU_ASSERT_TRUE(!has(&two.root, 7) && has(&two.root, 8) && has(&two.root, 17));
    reopen();
    CU_ASSERT_TRUE(has(&one.root, 1) && has(&one.root, 10) && !has(&one.root, 11));
    CU_ASSERT_TRUE(!has(&two.root, 7) && has(&two.root, 8) && has(&two.root, 17));
    close_and_remove();
}

static void a_build_that_was_not_committed_is_gone_after_reopening(void)
{
    struct haul_dataset kept;
    struct haul_dataset lost = dataset_of(500);
    uint64_t builds[3];
    uint64_t cursor = 0;

    open_fresh();
    kept = store(1, 10);
    for (uint32_t b = 0; b < 3; b++) {
        CU_ASSERT_EQUAL(haul_catalog_begin(catalog, &builds[b], NULL), 0);
        for (uint64_t i = 0; i < 40000; i++) { /* more than two batches */
            struct haul_hash hash = hash_of(500 + b + i);

            CU_ASSERT_EQUAL(haul_catalog_note(catalog, builds[b], &hash, NULL), 0);
        }
    }
    haul_catalog_drop(catalog, builds[1]);
    CU_ASSERT_FALSE(haul_catalog_find(catalog, &lost.root, &lost));
    reopen();
    CU_ASSERT_TRUE(has(&kept.root, 1));
    CU_ASSERT_TRUE(haul_catalog_next(catalog, &cursor, &lost));
    CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &lost));
    lost = store(500, 2); /* takes an id that the lost builds had used */
    CU_ASSERT_TRUE(has(&lost.root, 501));
    CU_ASSERT_FALSE(has(&lost.root, 502));
    close_and_remove();
}

static void an_incomplete_dataset_is_not_served_until_it_is_complete(void)
{
    struct haul_dataset dataset = dataset_of(1);
    struct haul_peer_id peer = peer_of(1);
    struct haul_hash hash = hash_of(1);
    uint64_t build;

    open_fresh();
    dataset.complete = false;
    CU_ASSERT_EQUAL(haul_catalog_begin(catalog, &build, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &hash, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_commit(catalog, build, &dataset, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &dataset.root, &peer, true, NULL), 0);
    CU_ASSERT_FALSE(haul_catalog_allows(catalog, &dataset.root, &peer));
    CU_ASSERT_FALSE(has(&dataset.root, 1));
    dataset = store(1, 2);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &dataset.root, &peer));
    CU_ASSERT_TRUE(has(&dataset.root, 1) && has(&dataset.root, 2));
    close_and_remove();
}

static bool noted(const struct haul_cid *root, uint64_t n)
{
    struct haul_hash hash = hash_of(n);

    return haul_catalog_noted(catalog, root, &hash);
}

/* Goes on with a dataset, notes block n, and commits it so. */
static void go_on(struct haul_dataset dataset, uint64_t n, bool complete)
{
    struct haul_hash hash = hash_of(n);
    uint64_t build;

    dataset.complete = complete;
    CU_ASSERT_EQUAL_FATAL(haul_catalog_go_on(catalog, &dataset.root, &build, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &hash, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_commit(catalog, build, &dataset, NULL), 0);
}

static void what_is_noted_of_an_incomplete_dataset_is_added_to_until_it_is_complete(void)
{
    struct haul_dataset dataset = dataset_of(1);
    struct haul_hash hash = hash_of(9);
    uint64_t cursor = 0, build, beside;

    open_fresh();
    go_on(dataset, 1, false);
    go_on(dataset, 2, false);
    reopen();
    CU_ASSERT_TRUE(noted(&dataset.root, 1) && noted(&dataset.root, 2));
    CU_ASSERT_FALSE(noted(&dataset.root, 3) || has(&dataset.root, 1));
    CU_ASSERT_EQUAL(haul_catalog_go_on(catalog, &dataset.root, &build, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_go_on(catalog, &dataset.root, &beside, NULL), 0);
    CU_ASSERT_NOT_EQUAL(build, beside); /* two at once: one begins anew */
    CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &hash, NULL), 0);
    haul_catalog_drop(catalog, build);
    haul_catalog_drop(catalog, beside);
    CU_ASSERT_TRUE(noted(&dataset.root, 1) && noted(&dataset.root, 2));
    CU_ASSERT_FALSE(noted(&dataset.root, 9));
    go_on(dataset, 3, true);
    for (uint64_t n = 1; n <= 3; n++)
        CU_ASSERT_TRUE(has(&dataset.root, n));
    CU_ASSERT_TRUE(haul_catalog_next(catalog, &cursor, &dataset));
    CU_ASSERT_TRUE(dataset.complete);
    CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &dataset));
    close_and_remove();
}

static void storing_again_keeps_the_shares_and_one_row(void)
{
    struct haul_dataset dataset;
    struct haul_peer_id peer = peer_of(1);
    uint64_t cursor = 0;

    open_fresh();
    dataset = store(1, 5);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &dataset.root, NULL, true, NULL), 0);
    (void)store(1, 5);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &dataset.root, &peer));
    CU_ASSERT_TRUE(haul_catalog_next(catalog, &cursor, &dataset));
    CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &dataset));
    close_and_remove();
}

static void datasets_are_listed_in_order(void)
{
    uint64_t cursor = 0;
    struct haul_dataset dataset;

    open_fresh();
    for (uint64_t n = 0; n < 20; n++)
        (void)store(n * 100, 1);
    for (uint64_t n = 0; n < 20; n++) {
        char name[32];

        snprintf(name, sizeof name, "tree %d", (int)n * 100);
        CU_ASSERT_TRUE(haul_catalog_next(catalog, &cursor, &dataset));
        CU_ASSERT_STRING_EQUAL(dataset.name, name);
    }
    CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &dataset));
    close_and_remove();
}

static void synthetic_leaves_have_numbers_and_inner_nodes_are_stored(void)
{
    struct haul_dataset dataset = dataset_of(1);
    struct haul_peer_id peer = peer_of(1);
    struct haul_hash leaves[100];
    struct haul_hash inner = hash_of(5000);
    struct haul_place place;
    uint64_t cursor = 0;
    uint64_t build;

    open_fresh();
    for (uint64_t i = 0; i < 100; i++)
        leaves[i] = hash_of(i);
    CU_ASSERT_EQUAL(haul_catalog_begin(catalog, &build, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &inner, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_add_synthetic(catalog, build, &dataset, leaves, 100, NULL), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &dataset.root, NULL, true, NULL), 0);
    CU_ASSERT_TRUE(haul_catalog_allows(catalog, &dataset.root, &peer));
    for (uint64_t i = 0; i < 100; i++) {
        CU_ASSERT_TRUE(haul_catalog_place(catalog, &dataset.root, &leaves[i], &place));
        CU_ASSERT_TRUE(place.kind == HAUL_PLACE_SYNTHETIC && place.at == i);
    }
    CU_ASSERT_TRUE(has(&dataset.root, 5000));
    CU_ASSERT_FALSE(has(&dataset.root, 5001));
    CU_ASSERT_TRUE(haul_catalog_next(catalog, &cursor, &dataset));
    CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &dataset));
    reopen();
    CU_ASSERT_FALSE(haul_catalog_find(catalog, &dataset.root, &dataset));
    close_and_remove();
}

static void a_hundred_thousand_members_take_seconds_at_most(void)
{
    struct timespec start;
    struct timespec end;
    struct haul_dataset dataset;

    open_fresh();
    clock_gettime(CLOCK_MONOTONIC, &start);
    dataset = store(1, 100000);
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (uint64_t n = 1; n <= 100000; n += 997)
        CU_ASSERT_TRUE(has(&dataset.root, n));
    CU_ASSERT_FALSE(has(&dataset.root, 100001));
    CU_ASSERT_TRUE(end.tv_sec - start.tv_sec < 30);
    close_and_remove();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a record round-trips and every prefix fails",
          a_record_round_trips_and_every_prefix_fails },
        { "stored and not shared is refused like unknown",
          stored_and_not_shared_is_refused_like_unknown },
        { "who is denied is allowed by no row", who_is_denied_is_allowed_by_no_row },
        { "only what all may have is announced", only_what_all_may_have_is_announced },
        { "a share to named peers is for them alone", a_share_to_named_peers_is_for_them_alone },
        { "a record with denials is of version 2 and reads back",
          a_record_with_denials_is_of_version_2_and_reads_back },
        { "a denied peer has it under no share until the denial ends",
          a_denied_peer_has_it_under_no_share_until_the_denial_ends },
        { "a denial never widens who may have it", a_denial_never_widens_who_may_have_it },
        { "a share and a denial are made at once or not at all",
          a_share_and_a_denial_are_made_at_once_or_not_at_all },
        { "the denial beyond the limit is refused", the_denial_beyond_the_limit_is_refused },
        { "the peer beyond the limit is refused", the_peer_beyond_the_limit_is_refused },
        { "blocks belong to the datasets that hold them",
          blocks_belong_to_the_datasets_that_hold_them },
        { "a build that was not committed is gone after reopening",
          a_build_that_was_not_committed_is_gone_after_reopening },
        { "an incomplete dataset is not served until it is complete",
          an_incomplete_dataset_is_not_served_until_it_is_complete },
        { "what is noted of an incomplete dataset is added to until it is complete",
          what_is_noted_of_an_incomplete_dataset_is_added_to_until_it_is_complete },
        { "storing again keeps the shares and one row",
          storing_again_keeps_the_shares_and_one_row },
        { "datasets are listed in order", datasets_are_listed_in_order },
        { "synthetic leaves have numbers, and inner nodes are stored",
          synthetic_leaves_have_numbers_and_inner_nodes_are_stored },
        { "a hundred thousand members take seconds at most",
          a_hundred_thousand_members_take_seconds_at_most },
    };

    return unit_main("catalog", tests, HAUL_COUNT_OF(tests));
}
