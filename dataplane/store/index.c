#include "dataplane/store/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CELLS_FIRST 1024u

/* The cell where a hash would best lie: high bits of a seeded product of digest bytes. */
static uint64_t home_of(const struct haul_index *index, const struct haul_hash *hash)
{
    uint64_t digest;

    memcpy(&digest, hash->bytes + 2, sizeof digest);
    return (((digest ^ index->salt) * index->factor) >> 20) & index->mask;
}

static bool is_empty(const struct haul_index_entry *cell)
{
    return cell->hash.bytes[0] == 0;
}

/* The cell that holds the hash, or the empty one where it would go. */
static uint64_t seek(const struct haul_index *index, const struct haul_hash *hash)
{
    uint64_t at = home_of(index, hash);

    while (!is_empty(&index->cells[at]) && !haul_hash_equal(&index->cells[at].hash, hash))
        at = (at + 1) & index->mask;
    return at;
}

int haul_index_open(struct haul_index *index)
{
    uint64_t seed[2];

    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return -errno;
    *index = (struct haul_index){ .mask = CELLS_FIRST - 1, .factor = seed[0] | 1, .salt = seed[1] };
    index->cells = calloc(CELLS_FIRST, sizeof index->cells[0]);
    return index->cells == NULL ? -ENOMEM : 0;
}

void haul_index_close(struct haul_index *index)
{
    free(index->cells);
    *index = (struct haul_index){ 0 };
}

const struct haul_index_entry *haul_index_find(const struct haul_index *index,
                                               const struct haul_hash *hash)
{
    uint64_t at = seek(index, hash);

    return is_empty(&index->cells[at]) ? NULL : &index->cells[at];
}

static int grow(struct haul_index *index)
{
    struct haul_index larger = *index;
    uint64_t cells = index->mask + 1;

    larger.mask = cells * 2 - 1;
    larger.cells = calloc(cells * 2, sizeof larger.cells[0]);
    if (larger.cells == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < cells; i++) {
        if (!is_empty(&index->cells[i]))
            larger.cells[seek(&larger, &index->cells[i].hash)] = index->cells[i];
    }
    free(index->cells);
    *index = larger;
    return 0;
}

int haul_index_add(struct haul_index *index, const struct haul_index_entry *entry)
{
    uint64_t at;

    haul_assert(!is_empty(entry));
    if ((index->used + 1) * 4 > (index->mask + 1) * 3) {
        int result = grow(index);

        if (result != 0)
            return result;
    }
    at = seek(index, &entry->hash);
    if (!is_empty(&index->cells[at]))
        return -EEXIST;
    index->cells[at] = *entry;
    index->used++;
    return 0;
}

/* Closes the hole at `hole`: every later entry of the run that may lie there moves back. */
static void close_hole(struct haul_index *index, uint64_t hole)
{
    for (uint64_t at = (hole + 1) & index->mask; !is_empty(&index->cells[at]);
         at = (at + 1) & index->mask) {
        uint64_t wanted = home_of(index, &index->cells[at].hash);

        if (((at - wanted) & index->mask) >= ((at - hole) & index->mask)) {
            index->cells[hole] = index->cells[at];
            hole = at;
        }
    }
    index->cells[hole] = (struct haul_index_entry){ 0 };
}

bool haul_index_remove(struct haul_index *index, const struct haul_hash *hash, uint32_t pack)
{
    uint64_t at = seek(index, hash);

    if (is_empty(&index->cells[at]) || index->cells[at].pack != pack)
        return false;
    close_hole(index, at);
    index->used--;
    return true;
}
