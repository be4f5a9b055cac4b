/* A helper thread of the worker that hashes whole blocks while the worker receives the next ones:
 * the receiving core is the first to run out. It takes no more than a few blocks at a time; what it
 * does not take the worker hashes itself, so a machine whose other cores are busy loses nothing.
 * Internal to the data plane. Two rings cross to the thread and back; the memory of a block belongs
 * to the thread from give to take. */
#pragma once

#include "common/error.h"
#include "common/hash.h"

#define HAUL_VERIFY_DEPTH     4u           /* blocks that may be under way */
#define HAUL_VERIFY_BYTES_MIN (256u << 10) /* smaller ones are not worth a wake-up */

struct haul_verify;

struct haul_verify_block {
    const uint8_t *memory;
    uint32_t length;
    uint16_t job;
    uint8_t code;          /* kind of hash */
    struct haul_hash hash; /* set by the thread */
};

/* `wake_fd` is an eventfd, written when a block is done. */
HAUL_MUST_USE int haul_verify_open(struct haul_verify **verify, int wake_fd,
                                   struct haul_error *error);
void haul_verify_close(struct haul_verify *verify); /* finishes what was given; NULL is welcome */

/* Worker only. False when as many as may be are under way (also for NULL: there is no thread). */
bool haul_verify_room(const struct haul_verify *verify);
HAUL_MUST_USE bool haul_verify_give(struct haul_verify *verify,
                                    const struct haul_verify_block *block);
HAUL_MUST_USE bool haul_verify_take(struct haul_verify *verify, struct haul_verify_block *block);
