/* Explicit huge pages are tried first: the kernel reserves them at mmap, so it either has them free
 * or refuses at once. Otherwise ordinary pages with a request for transparent huge ones, and only
 * when the machine has the memory available, so that nobody else is pushed to swap. Either way
 * every page is touched here: a worker takes no page fault later. */
#include "common/arena.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)
#define PAGE_BYTES 4096u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Bytes that can be had without swapping; SIZE_MAX where the kernel does not say. */
static size_t memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    size_t available = SIZE_MAX;
    unsigned long kib;

    if (file == NULL)
        return available;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
            available = (size_t)kib * 1024;
    }
    fclose(file);
    return available;
}

static uint8_t *map(size_t bytes, int flags)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

/* A mapping that starts on a huge page's boundary, so that the kernel can use them throughout. */
static uint8_t *map_aligned(size_t bytes)
{
    uint8_t *at = map(bytes + HUGE_BYTES, 0);
    size_t skip;

    if (at == NULL)
        return NULL;
    skip = (HUGE_BYTES - (uintptr_t)at % HUGE_BYTES) % HUGE_BYTES;
    if (skip > 0)
        munmap(at, skip);
    if (skip < HUGE_BYTES)
        munmap(at + skip + bytes, HUGE_BYTES - skip);
    return at + skip;
}

static int prefault(uint8_t *base, size_t bytes)
{
    if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    for (size_t at = 0; at < bytes; at += PAGE_BYTES)
        ((volatile uint8_t *)base)[at] = 0;
    return 0;
}

int haul_arena_open(struct haul_arena *arena, size_t bytes)
{
    uint8_t *base;
    bool huge = true;
    int failure;

    if (bytes == 0 || bytes > SIZE_MAX - 2 * HUGE_BYTES)
        return -EINVAL;
    bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    base = map(bytes, MAP_HUGETLB);
    if (base == NULL) {
        huge = false;
        if (bytes > memory_available())
            return -ENOMEM;
        base = map_aligned(bytes);
        if (base == NULL)
            return -errno;
        /* A kernel without transparent huge pages refuses; small ones work too. */
        madvise(base, bytes, MADV_HUGEPAGE);
    }
    failure = prefault(base, bytes);
    if (failure != 0) {
        munmap(base, bytes);
        return failure;
    }
    /* A slot is of no use in a core dump and may be large. */
    madvise(base, bytes, MADV_DONTDUMP);
    *arena = (struct haul_arena){ .base = base, .bytes = bytes, .huge = huge };
    return 0;
}

void haul_arena_close(struct haul_arena *arena)
{
    if (arena == NULL || arena->base == NULL)
        return;
    munmap(arena->base, arena->bytes);
    memset(arena, 0, sizeof *arena);
}

void *haul_arena_take(struct haul_arena *arena, size_t bytes, size_t alignment)
{
    size_t at;

    haul_assert(alignment > 0 && (alignment & (alignment - 1)) == 0 && alignment <= HUGE_BYTES);
    at = (arena->used + alignment - 1) & ~(alignment - 1);
    if (at > arena->bytes || bytes > arena->bytes - at)
        return NULL;
    arena->used = at + bytes;
    return arena->base + at;
}
