/* Both ends of a post. A client has no more operations under way than a store takes, so neither
 * ring is ever full, and the owner's table has an entry for each. */
#include "dataplane/store/post.h"

#include "common/counters.h"
#include "common/ring.h"
#include "dataplane/store/store_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct asked {
    uint8_t *slot;
    uint64_t tag;
    uint32_t length;
    uint8_t verb; /* enum haul_store_verb */
    struct haul_hash hash;
};

/* Of the owner's store, as it stood when the last result was handed over. */
struct known {
    uint64_t blocks, bytes, failed_packs, damaged_packs;
};

struct haul_post {
    uint32_t number;
    struct haul_ring *asked;
    struct haul_ring *done;
    int fds[2]; /* by enum haul_post_side: whom to wake; borrowed */
    struct haul_store_facts names;
    struct known known;

    /* The owner's. */
    struct asked held; /* the store had no room for it */
    bool holds;
    uint16_t free_count;
    uint16_t free[HAUL_STORE_QUEUE];
    uint64_t tags[HAUL_STORE_QUEUE]; /* the client's */
};

struct post_store {
    struct haul_store base;
    struct haul_post *post;
};

int haul_post_open(struct haul_post **opened, uint32_t number, int owner_fd, int client_fd,
                   const struct haul_store *store, struct haul_error *error)
{
    struct haul_post *post = calloc(1, sizeof *post);

    haul_assert(number < 256);
    if (post == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the way to the store");
    post->number = number;
    post->fds[HAUL_POST_OWNER] = owner_fd;
    post->fds[HAUL_POST_CLIENT] = client_fd;
    for (uint16_t i = 0; i < HAUL_STORE_QUEUE; i++)
        post->free[post->free_count++] = i;
    haul_store_facts(store, &post->names);
    post->known = (struct known){ post->names.blocks, post->names.bytes, post->names.failed_packs,
                                  post->names.damaged_packs };
    post->asked = haul_ring_open(HAUL_STORE_QUEUE, sizeof(struct asked));
    post->done = haul_ring_open(HAUL_STORE_QUEUE, sizeof(struct haul_store_result));
    if (post->asked == NULL || post->done == NULL) {
        haul_post_close(post);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the way to the store");
    }
    *opened = post;
    return 0;
}

void haul_post_close(struct haul_post *post)
{
    if (post == NULL)
        return;
    haul_ring_close(post->asked);
    haul_ring_close(post->done);
    free(post);
}

/* --- waking --- */

static void wake(struct haul_ring *ring, int fd)
{
    uint64_t one = 1;

    if (!haul_ring_rouse(ring))
        return;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static struct haul_ring *ring_of(const struct haul_post *post, enum haul_post_side side)
{
    return side == HAUL_POST_OWNER ? post->asked : post->done;
}

bool haul_post_rest(struct haul_post *post, enum haul_post_side side)
{
    struct haul_ring *ring = ring_of(post, side);

    haul_ring_doze(ring);
    if (haul_ring_used(ring) == 0)
        return true;
    haul_ring_stir(ring);
    return false;
}

void haul_post_rested(struct haul_post *post, enum haul_post_side side)
{
    haul_ring_stir(ring_of(post, side));
}

/* --- the owner --- */

static bool asked_submit(struct haul_post *post, struct haul_store *store)
{
    const struct asked *asked = &post->held;
    uint16_t index = post->free[post->free_count - 1];
    uint64_t tag = HAUL_POST_TAG_BIT | (uint64_t)post->number << 16 | index;
    bool taken = false;

    switch ((enum haul_store_verb)asked->verb) {
    case HAUL_STORE_READ:
        taken = haul_store_read(store, &asked->hash, asked->slot, tag);
        break;
    case HAUL_STORE_WRITE:
        taken = haul_store_write(store, &asked->hash, asked->slot, asked->length, tag);
        break;
    case HAUL_STORE_SYNC:
        taken = haul_store_sync(store, tag);
        break;
    }
    if (!taken)
        return false;
    post->tags[index] = asked->tag;
    post->free_count--;
    return true;
}

bool haul_post_work(struct haul_post *post, struct haul_store *store)
{
    bool any = false;

    while (post->holds || haul_ring_pull(post->asked, &post->held)) {
        haul_assert(post->free_count > 0);
        post->holds = !asked_submit(post, store);
        if (post->holds)
            break;
        any = true;
    }
    return any;
}

uint32_t haul_post_number(const struct haul_store_result *result)
{
    return (uint32_t)(result->tag >> 16 & 0xff);
}

void haul_post_result(struct haul_post *post, const struct haul_store *store,
                      const struct haul_store_result *result)
{
    uint16_t index = (uint16_t)(result->tag & 0xffff);
    struct haul_store_result told = *result;
    struct haul_store_facts facts;

    haul_assert(index < HAUL_STORE_QUEUE && haul_post_number(result) == post->number);
    told.tag = post->tags[index];
    post->free[post->free_count++] = index;
    haul_store_facts(store, &facts);
    haul_counter_set(&post->known.blocks, facts.blocks);
    haul_counter_set(&post->known.bytes, facts.bytes);
    haul_counter_set(&post->known.failed_packs, facts.failed_packs);
    haul_counter_set(&post->known.damaged_packs, facts.damaged_packs);
    haul_assert(haul_ring_push(post->done, &told));
    wake(post->done, post->fds[HAUL_POST_CLIENT]);
}

/* --- the client --- */

static bool ask(struct haul_store *base, const struct asked *asked)
{
    struct haul_post *post = ((struct post_store *)base)->post;

    if (!haul_ring_push(post->asked, asked))
        return false;
    wake(post->asked, post->fds[HAUL_POST_OWNER]);
    return true;
}

static bool post_read(struct haul_store *base, const struct haul_hash *hash, uint8_t *slot,
                      uint64_t tag)
{
    return ask(base,
               &(struct asked){ .slot = slot, .tag = tag, .verb = HAUL_STORE_READ, .hash = *hash });
}

static bool post_write(struct haul_store *base, const struct haul_hash *hash, uint8_t *slot,
                       uint32_t length, uint64_t tag)
{
    return ask(
        base,
        &(struct asked){
            .slot = slot, .tag = tag, .length = length, .verb = HAUL_STORE_WRITE, .hash = *hash });
}

static bool post_sync(struct haul_store *base, uint64_t tag)
{
    return ask(base, &(struct asked){ .tag = tag, .verb = HAUL_STORE_SYNC });
}

static void post_on_io(struct haul_store *base, const struct haul_io_result *result)
{
}

static size_t post_reap(struct haul_store *base, struct haul_store_result *results, size_t capacity)
{
    struct haul_ring *done = ((struct post_store *)base)->post->done;
    size_t count = 0;

    while (count < capacity && haul_ring_pull(done, &results[count]))
        count++;
    base->outstanding -= (uint32_t)count;
    return count;
}

static void post_facts(const struct haul_store *base, struct haul_store_facts *facts)
{
    const struct haul_post *post = ((const struct post_store *)base)->post;

    *facts = post->names;
    facts->blocks = haul_counter_read(&post->known.blocks);
    facts->bytes = haul_counter_read(&post->known.bytes);
    facts->failed_packs = haul_counter_read(&post->known.failed_packs);
    facts->damaged_packs = haul_counter_read(&post->known.damaged_packs);
}

static void post_close(struct haul_store *base)
{
    free(base);
}

int haul_store_post_open(struct haul_store **out, const struct haul_store_conf *conf,
                         struct haul_error *error)
{
    static const struct haul_store_backend backend = {
        .read = post_read,
        .write = post_write,
        .sync = post_sync,
        .on_io = post_on_io,
        .reap = post_reap,
        .facts = post_facts,
        .close = post_close,
    };
    struct post_store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the store");
    store->base.backend = &backend;
    store->post = conf->post;
    *out = &store->base;
    return 0;
}
