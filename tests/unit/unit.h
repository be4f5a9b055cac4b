/* The harness of a unit test: a table of named promises, run by CUnit, with a closing line
 * "N passed, N failed" that the sum of `./dev test` adds up. */
#pragma once

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>

struct unit_test {
    const char *name; /* the promise: "a padded varint is refused" */
    void (*run)(void);
};

/* Returns the exit status: 0 when all passed. */
int unit_main(const char *suite, const struct unit_test *tests, size_t count);

/* A new directory for a test that asks nothing of a disk: in memory where there is room, so that
 * its flushes wait for nobody. False when it cannot be made. */
#define UNIT_PATH_BYTES 64
bool unit_directory(char path[UNIT_PATH_BYTES], const char *name);
