/* Two data planes in one process, joined over loopback UDP by grants made by hand: blocks both
 * ways, every place, every ending. Each test runs on io_uring and on plain system calls. */
#include "dataplane/dataplane.h"

#include "tests/unit/dataplane_pair.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* --- promises --- */

static void blocks_pass_both_ways_at_once_to_every_place(void)
{
    struct planes *pair = planes_open();
    struct haul_hash forth[20], back[20];
    uint64_t ids[2][20];
    FILE *file = tmpfile();
    uint8_t *block = malloc(BLOCK), *seen = malloc(BLOCK);
    uint32_t stored;

    for (uint32_t i = 0; i < 20; i++)
        forth[i] = offer_synthetic(&pair->b, i, i % 5 == 4 ? 777777 : BLOCK);
    for (uint32_t i = 0; i < 20; i++)
        back[i] = offer_stored(pair, &pair->a, 1000 + i, i % 7 == 6 ? 4321 : BLOCK);
    stored = pair->a.done_count;
    flow_open(pair, 3, 16);
    for (uint32_t i = 0; i < 20; i++) {
        struct haul_place place = i % 2 == 0 ? store : discard;

        if (i % 4 == 3)
            place = (struct haul_place){ .kind = HAUL_PLACE_FILE,
                                         .flags = HAUL_PLACE_ALSO_STORE,
                                         .index = (uint32_t)fileno(file),
                                         .at = (uint64_t)i * BLOCK };
        ids[0][i] =
            fetch(&pair->a, 3, forth[i], i % 3 == 0 ? 0 : (i % 5 == 4 ? 777777 : BLOCK), place);
        ids[1][i] =
            fetch(&pair->b, 3, back[i], i % 7 == 6 ? 4321 : BLOCK,
                  i == 5 ? (struct haul_place){ .kind = HAUL_PLACE_SLOT, .index = 3 } : store);
    }
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, stored + 20));
    CU_ASSERT_TRUE(planes_run(pair, &pair->b, 20));
    CU_ASSERT_TRUE(pair->a.up_count == 1 && pair->b.up_count == 1);
    for (uint32_t i = 0; i < 20; i++) {
        check_status(&pair->a, ids[0][i], HAUL_STATUS_DONE);
        check_status(&pair->b, ids[1][i], HAUL_STATUS_DONE);
    }
    haul_synthetic_fill(block, BLOCK, 1005);
    CU_ASSERT_EQUAL(memcmp(pair->b.handoff->slots + 3 * BLOCK, block, BLOCK), 0);
    for (uint32_t i = 3; i < 20; i += 4) {
        uint32_t length = i % 5 == 4 ? 777777 : BLOCK;

        haul_synthetic_fill(block, length, i);
        CU_ASSERT_EQUAL(pread(fileno(file), seen, length, (off_t)i * BLOCK), (ssize_t)length);
        CU_ASSERT_EQUAL(memcmp(seen, block, length), 0);
    }
    check_stored(pair, &pair->a, forth[0], 0, BLOCK);
    check_stored(pair, &pair->a, forth[4], 4, 777777);
    check_stored(pair, &pair->a, forth[7], 7, BLOCK);
    check_stored(pair, &pair->b, back[6], 1006, 4321);
    CU_ASSERT_EQUAL(side_handoff(&pair->a, 3)->stats[3].rx_forged, 0);
    fclose(file);
    free(block);
    free(seen);
    planes_close(pair);
}

static void wrong_bytes_are_named_and_not_stored(void)
{
    struct planes *pair = planes_open();
    struct haul_hash wrong = offer_synthetic(&pair->b, 1, BLOCK);
    struct haul_hash good = offer_synthetic(&pair->b, 2, BLOCK);
    uint64_t ids[3];

    pair->b.offered[0].place.at = 99; /* the seeder lies about block 1 */
    flow_open(pair, 0, 8);
    ids[0] = fetch(&pair->a, 0, wrong, BLOCK, store);
    ids[1] = fetch(&pair->a, 0, good, BLOCK, store);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 2));
    check_status(&pair->a, ids[0], HAUL_STATUS_WRONG);
    check_status(&pair->a, ids[1], HAUL_STATUS_DONE);
    CU_ASSERT_TRUE(side_done(&pair->a, ids[0]) != NULL && side_done(&pair->a, ids[0])->flow == 0);
    ids[2] = side_order(
        &pair->a,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 2, .hash = wrong, .place = store });
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 3));
    check_status(&pair->a, ids[2], HAUL_STATUS_MISSING);
    planes_close(pair);
}

static void a_refusal_reaches_the_asker_with_its_reason(void)
{
    struct planes *pair = planes_open();
    struct haul_hash hash = offer_synthetic(&pair->b, 1, BLOCK), missing;
    uint64_t id;

    flow_open(pair, 0, 8);
    haul_hash_of(HAUL_HASH_BLAKE3, "x", 1, &missing);
    id = fetch(&pair->a, 0, missing, 0, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 1));
    check_status(&pair->a, id, HAUL_STATUS_REFUSED_UNKNOWN);
    pair->b.says = HAUL_REFUSAL_BUSY;
    id = fetch(&pair->a, 0, hash, 0, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 2));
    check_status(&pair->a, id, HAUL_STATUS_REFUSED_BUSY);
    CU_ASSERT_TRUE(side_done(&pair->a, id) != NULL && side_done(&pair->a, id)->at == 77);
    pair->b.says = 0;
    pair->b.offered[0].place = store; /* where it is not */
    id = fetch(&pair->a, 0, hash, 0, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 3));
    check_status(&pair->a, id, HAUL_STATUS_REFUSED_FAILED);
    planes_close(pair);
}

static void a_cancelled_fetch_ends_withdrawn_and_frees_its_slot(void)
{
    struct planes *pair = planes_open();
    uint32_t count = 2 * setting.slots;
    haul_time limit = clock_now() + 5 * HAUL_SECOND;
    struct haul_hash hashes[64];
    uint64_t ids[64];

    pair->b.mute = true;
    flow_open(pair, 0, 64);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = offer_synthetic(&pair->b, i, BLOCK);
        ids[i] = fetch(&pair->a, 0, hashes[i], BLOCK, discard);
    }
    while (pair->b.wanted_count == 0 && clock_now() < limit)
        planes_turn(pair);
    for (uint32_t i = 0; i < count; i++)
        side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_CANCEL, .target = ids[i] });
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 2 * count));
    for (uint32_t i = 0; i < count; i++)
        check_status(&pair->a, ids[i], HAUL_STATUS_WITHDRAWN);
    pair->b.mute = false;
    ids[0] = fetch(&pair->a, 0, hashes[0], BLOCK, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 2 * count + 1));
    check_status(&pair->a, ids[0], HAUL_STATUS_DONE);
    planes_close(pair);
}

static void closing_in_the_middle_ends_every_order_once(void)
{
    struct planes *pair = planes_open();
    uint64_t ids[100], close_id;
    uint32_t ended = 0;

    flow_open(pair, 1, 8);
    for (uint32_t i = 0; i < 100; i++)
        ids[i] = fetch(&pair->a, 1, offer_synthetic(&pair->b, i, BLOCK), BLOCK, store);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 5));
    close_id = side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_CLOSE, .flow = 1 });
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 102));
    CU_ASSERT_TRUE(planes_run(pair, &pair->b, 1));
    for (uint32_t i = 0; i < 100; i++) {
        const struct haul_event *event = side_done(&pair->a, ids[i]);

        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_TRUE(event->status == HAUL_STATUS_DONE ||
                       event->status == HAUL_STATUS_FLOW_ENDED);
        ended += event->status == HAUL_STATUS_FLOW_ENDED;
    }
    CU_ASSERT_TRUE(ended > 0);
    check_status(&pair->a, close_id, HAUL_STATUS_DONE);
    check_status(&pair->a, 1, HAUL_STATUS_CLOSED); /* the order that opened it */
    check_status(&pair->b, 1, HAUL_STATUS_CLOSED);
    CU_ASSERT_EQUAL(pair->a.done_count, 102);
    flow_open(pair, 1, 8); /* the same place again */
    ids[0] = fetch(&pair->a, 1, pair->b.offered[99].hash, BLOCK, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 103));
    check_status(&pair->a, ids[0], HAUL_STATUS_DONE);
    planes_close(pair);
}

/* Every slot comes back. */
static void check_free(struct side *side, haul_time limit)
{
    uint32_t all = setting.slots * side->workers;
    struct haul_dataplane_facts facts;

    do {
        haul_dataplane_facts(side->plane, &facts);
    } while ((facts.serving_free != all || facts.filling_free != all) && clock_now() < limit);
    CU_ASSERT_EQUAL(facts.serving_free, all);
    CU_ASSERT_EQUAL(facts.filling_free, all);
}

static void more_orders_than_slots_wait_their_turn(void)
{
    struct planes *pair = planes_open();
    uint32_t count = 4 * setting.slots;
    struct haul_dataplane_facts facts;
    haul_time limit = clock_now() + 30 * HAUL_SECOND;
    uint64_t ids[3][64];

    for (uint32_t flow = 0; flow < 3; flow++)
        flow_open(pair, flow, 64);
    for (uint32_t i = 0; i < count; i++) {
        struct haul_hash hash = offer_synthetic(&pair->b, i, BLOCK);

        for (uint32_t flow = 0; flow < 3; flow++)
            ids[flow][i] = fetch(&pair->a, flow, hash, BLOCK, discard);
    }
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 3 * count));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t flow = 0; flow < 3; flow++)
            check_status(&pair->a, ids[flow][i], HAUL_STATUS_DONE);
    }
    check_free(&pair->b, limit); /* once the last acknowledgements have arrived */
    check_free(&pair->a, limit);
    haul_dataplane_facts(pair->a.plane, &facts);
    CU_ASSERT_EQUAL(facts.worker.fetched_bytes, (uint64_t)3 * count * BLOCK);
    planes_close(pair);
}

/* The other process of the next promise: asks for all it may, and is then stopped where it stands.
 */
static void silent_asker(int channel, const struct haul_addr *peer, const struct haul_grant *grant,
                         const struct haul_hash *hash)
{
    uint32_t count = setting.slots;
    struct side side;

    setting.slots *= 2; /* one flow may not fill them all */
    side_open(&side);
    side.handoff->grants[0] = *grant;
    side.handoff->grants[0].candidates[0] = *peer;
    side_order(&side, (struct haul_order){ .kind = HAUL_ORDER_OPEN });
    for (uint32_t i = 0; i < count; i++)
        fetch(&side, 0, *hash, BLOCK, discard);
    if (write(channel, &side.addr, sizeof side.addr) == sizeof side.addr &&
        write(channel, side.directory, sizeof side.directory) == sizeof side.directory)
        pause();
    _exit(1);
}

static void slots_come_back_from_a_peer_that_fell_silent(void)
{
    struct planes *pair = calloc(1, sizeof *pair);
    struct haul_dataplane_facts facts;
    struct haul_grant grants[2];
    struct haul_hash hash;
    haul_time limit = clock_now() + 10 * HAUL_SECOND;
    int channel[2], address[2];
    char directory[sizeof pair->a.directory] = "";
    uint64_t id;
    pid_t child;

    hash = offer_synthetic(&pair->b, 1, BLOCK); /* side_open forgets it, the hash stays */
    grants_make_for(grants, 8, HAUL_CIPHER_AES_128_GCM);
    CU_ASSERT_TRUE_FATAL(pipe(channel) == 0 && pipe(address) == 0);
    child = fork(); /* before there are threads */
    if (child == 0) {
        struct haul_addr peer;

        if (read(address[0], &peer, sizeof peer) == sizeof peer)
            silent_asker(channel[1], &peer, &grants[0], &hash);
        _exit(1);
    }
    side_open(&pair->a);
    side_open(&pair->b);
    pair->b.offered[pair->b.offered_count++] = (struct offered){
        .hash = hash, .place = { .kind = HAUL_PLACE_SYNTHETIC, .at = 1 }, .length = BLOCK
    };
    pair->b.mute = true;
    CU_ASSERT_EQUAL(write(address[1], &pair->b.addr, sizeof pair->b.addr), sizeof pair->b.addr);
    CU_ASSERT_EQUAL(read(channel[0], &grants[1].candidates[0], sizeof(struct haul_addr)),
                    sizeof(struct haul_addr));
    CU_ASSERT_EQUAL(read(channel[0], directory, sizeof directory), sizeof directory);
    side_handoff(&pair->b, 6)->grants[6] = grants[1];
    side_order(&pair->b, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = 6 });
    while (pair->b.kept_count < setting.slots && clock_now() < limit)
        planes_turn(pair);
    CU_ASSERT_EQUAL(pair->b.kept_count, setting.slots);
    kill(child, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(child, NULL, WUNTRACED), child); /* until all of it has stopped */
    pair->b.mute = false;
    for (uint32_t i = 0; i < pair->b.kept_count; i++) /* every serving slot goes to it */
        side_answer(&pair->b, &pair->b.kept[i]);
    flow_open(pair, 0, 8);
    id = fetch(&pair->a, 0, hash, BLOCK, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 1));
    check_status(&pair->a, id, HAUL_STATUS_DONE);
    haul_dataplane_facts(pair->b.plane, &facts);
    CU_ASSERT_TRUE(facts.worker.reclaimed_slots > 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (uint32_t i = 0; i < 2; i++) {
        close(channel[i]);
        close(address[i]);
    }
    planes_close(pair);
    directory_remove(directory);
}

static void to_an_unknown_receiver_id_there_is_silence(void)
{
    struct planes *pair = planes_open();
    int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(pair->a.addr.port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct pollfd answer = { .fd = stranger, .events = POLLIN };
    struct haul_dataplane_facts facts = { 0 };
    haul_time limit = clock_now() + 5 * HAUL_SECOND;
    uint8_t datagram[1200];

    for (uint32_t i = 0; i < 50; i++) {
        CU_ASSERT_EQUAL(getrandom(datagram, sizeof datagram, 0), sizeof datagram);
        datagram[0] = (uint8_t)i; /* every version among them */
        CU_ASSERT_EQUAL(sendto(stranger, datagram, 20 * i + 1, 0, (void *)&to, sizeof to),
                        20 * i + 1);
    }
    while (facts.rx_unknown < 50 && clock_now() < limit)
        haul_dataplane_facts(pair->a.plane, &facts);
    CU_ASSERT_EQUAL(facts.rx_unknown, 50);
    CU_ASSERT_EQUAL(poll(&answer, 1, 20), 0);
    CU_ASSERT_EQUAL(facts.net_counters.tx_datagrams, 0);
    close(stranger);
    planes_close(pair);
}

static void blocks_move_between_control_slots_store_and_files(void)
{
    struct planes *pair = planes_open();
    struct side *side = &pair->a;
    struct haul_hash hash = offer_stored(pair, side, 5, 54321), missing;
    FILE *file = tmpfile();
    struct haul_place place = { .kind = HAUL_PLACE_FILE,
                                .index = (uint32_t)fileno(file),
                                .at = 8192 };
    uint8_t *slots = side->handoff->slots;
    uint64_t ids[6];

    check_stored(pair, side, hash, 5, 54321);
    ids[0] = side_order(
        side,
        (struct haul_order){
            .kind = HAUL_ORDER_WRITE, .slot = 1, .length = 54321, .hash = hash, .place = place });
    CU_ASSERT_TRUE(planes_run(pair, side, 3));
    memset(slots, 0, BLOCK);
    ids[1] = side_order(
        side,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 0, .length = 54321, .place = place });
    ids[2] = side_order(side, (struct haul_order){ .kind = HAUL_ORDER_SYNC, .place = place });
    ids[3] = side_order(side, (struct haul_order){ .kind = HAUL_ORDER_SYNC, .place = store });
    haul_hash_of(HAUL_HASH_BLAKE3, "y", 1, &missing);
    ids[4] = side_order(
        side,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 3, .hash = missing, .place = store });
    ids[5] = side_order(
        side,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 99, .hash = hash, .place = store });
    CU_ASSERT_TRUE(planes_run(pair, side, 8));
    for (uint32_t i = 0; i < 4; i++)
        check_status(side, ids[i], HAUL_STATUS_DONE);
    check_status(side, ids[4], HAUL_STATUS_MISSING);
    check_status(side, ids[5], HAUL_STATUS_LIMIT);
    CU_ASSERT_EQUAL(memcmp(slots, slots + BLOCK, 54321), 0);
    fclose(file);
    planes_close(pair);
}

enum { WRITES = 300, READS = 300 };

/* Nobody wakes the worker for it, so that it finds many at a time: woken by each of them it would,
 * on a busy machine, take the processor from the test and do one after the other. */
static void order_quietly(struct side *side, struct haul_order order)
{
    order.id = ++side->last_id;
    CU_ASSERT_TRUE_FATAL(haul_ring_push(side->handoff->orders, &order));
}

static void disk_orders(struct side *side, const struct haul_hash *hash, int fd)
{
    struct haul_order read = { .kind = HAUL_ORDER_READ, .slot = 2, .hash = *hash, .place = store };

    for (uint32_t i = 0; i < WRITES; i++)
        order_quietly(side, (struct haul_order){ .kind = HAUL_ORDER_WRITE,
                                                 .slot = 1,
                                                 .length = 4096,
                                                 .hash = *hash,
                                                 .place = { .kind = HAUL_PLACE_FILE,
                                                            .index = (uint32_t)fd,
                                                            .at = i * 4096u } });
    for (uint32_t i = 1; i < READS; i++)
        order_quietly(side, read);
    side_order(side, read);
}

/* More orders at a time than the queue of the disk holds; again, should the worker have been awake
 * and kept up. */
static void more_than_the_disk_takes_waits_its_turn(void)
{
    struct planes *pair = planes_open();
    struct side *side = &pair->a;
    struct haul_dataplane_facts facts = { 0 };
    struct haul_hash hash = offer_stored(pair, side, 3, 4096);
    haul_time limit = clock_now() + 20 * HAUL_SECOND;
    FILE *file = tmpfile();

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (facts.worker.disk_waits == 0 && clock_now() < limit) {
        uint64_t first = side->last_id + 1;

        side->done_count = 0;
        disk_orders(side, &hash, fileno(file));
        CU_ASSERT_TRUE(planes_run(pair, side, WRITES + READS));
        for (uint64_t id = first; id < first + WRITES + READS; id++)
            check_status(side, id, HAUL_STATUS_DONE);
        haul_dataplane_facts(side->plane, &facts);
    }
    CU_ASSERT_TRUE(facts.worker.disk_waits > 0);
    for (uint32_t i = 0; i < WRITES; i++) {
        static uint8_t back[4096];

        CU_ASSERT_EQUAL(pread(fileno(file), back, sizeof back, i * 4096), sizeof back);
        CU_ASSERT_EQUAL(memcmp(back, side->handoff->slots + BLOCK, sizeof back), 0);
    }
    fclose(file);
    planes_close(pair);
}

static void a_grant_that_cannot_be_honoured_is_refused(void)
{
    struct planes *pair = planes_open();
    struct haul_order open = { .kind = HAUL_ORDER_OPEN };
    uint64_t ids[5];
    struct haul_hash hash;

    grants_make(pair, 0, 8, HAUL_CIPHER_AES_128_GCM);
    side_order(&pair->a, open);
    grants_make(pair, 0, 8, HAUL_CIPHER_AES_128_GCM);
    ids[0] = side_order(&pair->a, open); /* it is open already */
    open.flow = 1;
    grants_make(pair, 1, 0, HAUL_CIPHER_AES_128_GCM);
    ids[1] = side_order(&pair->a, open);
    open.flow = 2;
    grants_make(pair, 2, HAUL_WANTS_MAX, HAUL_CIPHER_AES_128_GCM);
    ids[2] = side_order(&pair->a, open); /* more than is left */
    open.flow = 3;
    grants_make(pair, 3, 8, 200);
    ids[3] = side_order(&pair->a, open);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 4));
    for (uint32_t i = 0; i < 4; i++)
        check_status(&pair->a, ids[i], HAUL_STATUS_LIMIT);
    CU_ASSERT_EQUAL(side_handoff(&pair->a, 3)->grants[3].local_id, 0); /* wiped all the same */
    haul_hash_of(HAUL_HASH_BLAKE3, "z", 1, &hash);
    ids[4] = fetch(&pair->a, 3, hash, 1, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 5));
    check_status(&pair->a, ids[4], HAUL_STATUS_FLOW_ENDED);
    planes_close(pair);
}

static void an_idle_worker_uses_no_processor_time(void)
{
    struct planes *pair = planes_open();
    struct haul_dataplane_facts before, after;
    uint64_t id;

    flow_open(pair, 0, 8);
    id = fetch(&pair->a, 0, offer_synthetic(&pair->b, 1, BLOCK), BLOCK, discard);
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 1));
    check_status(&pair->a, id, HAUL_STATUS_DONE);
    poll(NULL, 0, 500); /* acknowledgements and searches come to rest */
    haul_dataplane_facts(pair->a.plane, &before);
    poll(NULL, 0, 500);
    haul_dataplane_facts(pair->a.plane, &after);
    CU_ASSERT_TRUE(after.worker_cpu_ns - before.worker_cpu_ns < 25 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(after.worker.turns - before.worker.turns < 200);
    planes_close(pair);
}

static void facts_say_what_is_in_use(void)
{
    struct planes *pair = planes_open();
    struct haul_dataplane_facts facts;
    uint8_t ciphers[4];
    bool uring = setting.net == HAUL_NET_URING;

    haul_dataplane_facts(pair->a.plane, &facts);
    CU_ASSERT_STRING_EQUAL(facts.net.backend, uring ? "uring" : "mmsg");
    CU_ASSERT_STRING_EQUAL(facts.store.backend, uring ? "file/uring" : "file/posix");
    CU_ASSERT_TRUE(facts.aead_ns_per_datagram[1] > 0);
    CU_ASSERT_PTR_NOT_NULL(facts.aead);
    CU_ASSERT_TRUE(facts.arena_bytes >= (2 * setting.slots + 4) * (uint64_t)BLOCK);
    CU_ASSERT_EQUAL(haul_dataplane_ciphers(pair->a.plane, ciphers, 4), 2);
    CU_ASSERT_EQUAL(haul_dataplane_ciphers(pair->a.plane, ciphers, 1), 1);
    planes_close(pair);
}

static const struct unit_test promises[] = {
    { "blocks pass both ways at once to every place",
      blocks_pass_both_ways_at_once_to_every_place },
    { "wrong bytes are named and not stored", wrong_bytes_are_named_and_not_stored },
    { "a refusal reaches the asker with its reason", a_refusal_reaches_the_asker_with_its_reason },
    { "a cancelled fetch ends withdrawn and frees its slot",
      a_cancelled_fetch_ends_withdrawn_and_frees_its_slot },
    { "closing in the middle ends every order once", closing_in_the_middle_ends_every_order_once },
    { "more orders than slots wait their turn", more_orders_than_slots_wait_their_turn },
    { "slots come back from a peer that fell silent",
      slots_come_back_from_a_peer_that_fell_silent },
    { "to an unknown receiver id there is silence", to_an_unknown_receiver_id_there_is_silence },
    { "blocks move between control slots, store and files",
      blocks_move_between_control_slots_store_and_files },
    { "more than the disk takes waits its turn", more_than_the_disk_takes_waits_its_turn },
    { "a grant that cannot be honoured is refused", a_grant_that_cannot_be_honoured_is_refused },
    { "an idle worker uses no processor time", an_idle_worker_uses_no_processor_time },
    { "facts say what is in use", facts_say_what_is_in_use },
};

static void run_promises(void)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(promises); i++) {
        unsigned before = CU_get_number_of_failures();

        promises[i].run();
        if (CU_get_number_of_failures() != before)
            fprintf(stderr, "\nbroken on %s: %s\n",
                    setting.workers > 1             ? "two workers"
                    : setting.net == HAUL_NET_URING ? "io_uring"
                                                    : "plain calls",
                    promises[i].name);
    }
}

static void they_hold_on_io_uring(void)
{
    setting = (struct setting){
        .net = HAUL_NET_URING, .io = HAUL_IO_URING, .slots = 8, .synthetic = true
    };
    run_promises();
}

static void they_hold_on_plain_system_calls(void)
{
    setting = (struct setting){
        .net = HAUL_NET_MMSG, .io = HAUL_IO_POSIX, .slots = 3, .synthetic = true
    };
    run_promises();
}

/* Flows of odd numbers then run on a worker whose store is the other's. */
static void they_hold_with_two_workers(void)
{
    setting = (struct setting){
        .net = HAUL_NET_URING, .io = HAUL_IO_URING, .slots = 8, .workers = 2, .synthetic = true
    };
    run_promises();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "they hold with two workers", they_hold_with_two_workers },
        { "they hold on io_uring", they_hold_on_io_uring },
        { "they hold on plain system calls", they_hold_on_plain_system_calls },
    };

    return unit_main("dataplane", tests, HAUL_COUNT_OF(tests));
}
