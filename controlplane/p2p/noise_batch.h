/* Transport messages of one direction that are sealed or opened apart from their connection:
 * framed, one behind the other, each changed in place. Whoever runs a batch, on whatever thread,
 * touches it and its messages and nothing else; batches of one connection may run at the same time,
 * since each has its own part of the counters. Pure. */
#pragma once

#include "controlplane/p2p/noise.h"

struct haul_noise_batch {
    uint8_t *at; /* borrowed: frame, message, frame, message */
    size_t bytes;
    uint32_t messages;
    uint32_t good; /* run: how many from the first on were sealed, or opened */
    bool opening;
    struct haul_noise_cipher cipher; /* wiped when it was run */
};

/* As haul_noise_seal, but the data is only copied to where it will be sealed. */
HAUL_MUST_USE size_t haul_noise_lay(const uint8_t *head, size_t head_bytes, const uint8_t *body,
                                    size_t body_bytes, uint8_t *to);

/* How many whole messages begin at `at`, until they are `most` bytes or more; `took` gets how many
 * bytes they are. */
uint32_t haul_noise_count(const uint8_t *at, size_t bytes, size_t most, size_t *took);

/* Makes a batch of what lies at `at`, whole messages all of them. False when the counters have run
 * out. */
HAUL_MUST_USE bool haul_noise_batch_init(struct haul_noise_batch *batch, struct haul_noise *noise,
                                         bool opening, uint8_t *at, size_t bytes,
                                         uint32_t messages);
void haul_noise_batch_run(struct haul_noise_batch *batch); /* stops at the first that is forged */
