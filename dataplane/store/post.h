/* A store that another thread owns: operations cross to it on one ring and their results come back
 * on another. The client opens a store of kind POST (dataplane/store/store.h), which keeps the same
 * contract as every other; the owner carries the operations out with its own store, on the client's
 * memory. Neither side waits for the other.
 *
 * Each side is woken by an eventfd of its own, written only when it sleeps: before it sleeps it
 * rests, and when that says false something is there already and it must not sleep. Opened before
 * the two threads run and closed after both. */
#pragma once

#include "dataplane/store/store.h"

struct haul_post;

/* Tags of the owner's store with this bit are a post's. */
#define HAUL_POST_TAG_BIT (UINT64_C(1) << 62)

/* `number` tells the posts of one owner apart, below 256; `store` is the owner's. */
HAUL_MUST_USE int haul_post_open(struct haul_post **post, uint32_t number, int owner_fd,
                                 int client_fd, const struct haul_store *store,
                                 struct haul_error *error);
void haul_post_close(struct haul_post *post); /* NULL is welcome */

/* --- the owner --- */

/* Hands what was asked for to the store, as far as that takes it; true when it took anything. Asks
 * for haul_io_kick after it, as the store itself does. */
bool haul_post_work(struct haul_post *post, struct haul_store *store);

/* Which post a result with HAUL_POST_TAG_BIT is for, and handing it over. */
uint32_t haul_post_number(const struct haul_store_result *result);
void haul_post_result(struct haul_post *post, const struct haul_store *store,
                      const struct haul_store_result *result);

/* --- both --- */

enum haul_post_side { HAUL_POST_OWNER, HAUL_POST_CLIENT };

HAUL_MUST_USE bool haul_post_rest(struct haul_post *post, enum haul_post_side side);
void haul_post_rested(struct haul_post *post, enum haul_post_side side);
