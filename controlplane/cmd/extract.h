/* Where a get puts its files: a part file or part directory beside the target, renamed to the
 * target once, at the end. Opens, makes and renames with the rights of whoever typed the command.
 * Names come from strangers: every component is checked, and nothing is ever reached through a
 * link. */
#pragma once

#include "common/error.h"
#include "ctl.pb-c.h"

#include <limits.h>

#define HAUL_EXTRACT_FILES_MAX 64u

struct haul_extract {
    const char *target; /* as typed, for messages */
    char name[NAME_MAX + 1];
    char part[NAME_MAX + 1];
    int parent; /* the directory that holds the target */
    int root;   /* the part file or directory; -1 until the first entry */
    bool is_directory;
    bool is_link;
    int files[HAUL_EXTRACT_FILES_MAX];              /* open until finished */
    Haul__Ctl__Entry facts[HAUL_EXTRACT_FILES_MAX]; /* mode and time, without the strings */
    int near;                                       /* the directory used last, and its path */
    char near_path[PATH_MAX];
    uint64_t made;
};

/* TARGET_EXISTS, TARGET_UNWRITABLE. */
HAUL_MUST_USE int haul_extract_open(struct haul_extract *extract, const char *target,
                                    struct haul_error *error);

/* Makes the entry. For a file, `fd` is a descriptor to hand on; -1 for others. */
HAUL_MUST_USE int haul_extract_entry(struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                                     int *fd, struct haul_error *error);

/* A file is complete: its mode and time are set. */
HAUL_MUST_USE int haul_extract_finished(struct haul_extract *extract, uint64_t id,
                                        struct haul_error *error);

/* Flushes everything to disk and renames the part to the target. */
HAUL_MUST_USE int haul_extract_commit(struct haul_extract *extract, struct haul_error *error);

/* Removes the part if it was not committed. */
void haul_extract_close(struct haul_extract *extract);
