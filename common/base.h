/* The fixed vocabulary of every source file: assertions that stay on in release builds, the
 * must-use mark, counts, and the few limits that both planes share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAUL_MUST_USE                    __attribute__((warn_unused_result))
#define HAUL_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define HAUL_COUNT_OF(array)             (sizeof(array) / sizeof((array)[0]))

/* For our own invariants only, never for what a peer sent. On in release: a broken invariant
 * ends the process before it can write a wrong byte. The builtin keeps pure code free of libc. */
#define haul_assert(condition)                                                                     \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            __builtin_trap();                                                                      \
    } while (0)

/* A block is at most 1 MiB; a slot holds exactly one. */
#define HAUL_BLOCK_BYTES_MAX (1u << 20)
