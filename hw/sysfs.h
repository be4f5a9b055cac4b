/* Small files of /sys and /proc, read under a root that tests may put elsewhere. Every call takes a
 * printf format for the path behind the root. */
#pragma once

#include "common/base.h"

#define HAUL_SYSFS_NAME_BYTES 64u

/* The first line without its end; false when there is no such file, or nothing in it. */
bool haul_sysfs_text(const char *root, char *text, size_t bytes, const char *path, ...)
    HAUL_PRINTF(4, 5);

/* The whole file, as far as it fits; the bytes read, zero when it cannot be. */
size_t haul_sysfs_all(const char *root, char *text, size_t bytes, const char *path, ...)
    HAUL_PRINTF(4, 5);

/* A number, decimal or with 0x before it; `otherwise` when there is none. */
int64_t haul_sysfs_number(const char *root, int64_t otherwise, const char *path, ...)
    HAUL_PRINTF(3, 4);

/* The last name of what a symbolic link points to. */
bool haul_sysfs_link(const char *root, char *name, size_t bytes, const char *path, ...)
    HAUL_PRINTF(4, 5);

bool haul_sysfs_exists(const char *root, const char *path, ...) HAUL_PRINTF(2, 3);

/* The names in a directory, sorted, at most `capacity`; those beyond are left out. */
size_t haul_sysfs_list(const char *root, char (*names)[HAUL_SYSFS_NAME_BYTES], size_t capacity,
                       const char *path, ...) HAUL_PRINTF(4, 5);

/* How many names in a directory begin with `prefix`. */
unsigned haul_sysfs_count(const char *root, const char *prefix, const char *path, ...)
    HAUL_PRINTF(3, 4);
