/* Where a get puts its files: a part file or part directory beside the target, renamed to the
 * target once, at the end. A part that a get left behind is taken over by the next get of the same
 * dataset to the same target: what is in it is looked at before it is fetched, and believed in no
 * other way. Opens, makes and renames with the rights of whoever typed the command.
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
    bool own;     /* the part has a name that no other get looks for */
    bool resumed; /* the part is of an earlier get */
    int parent;   /* the directory that holds the target */
    int root;     /* the part file or directory; -1 until the first entry */
    int lock;     /* on the part */
    bool is_directory;
    bool is_link;
    int files[HAUL_EXTRACT_FILES_MAX];              /* open until finished */
    Haul__Ctl__Entry facts[HAUL_EXTRACT_FILES_MAX]; /* mode and time, without the strings */
    int near;                                       /* the directory used last, and its path */
    char near_path[PATH_MAX];
    uint64_t made;
    uint64_t bytes; /* on disk, of files that are finished */
};

/* What is handed on of a file. */
struct haul_extract_file {
    int fd;        /* -1 for other entries */
    uint64_t held; /* so many bytes of an earlier get are in it already, good or not */
};

/* TARGET_EXISTS, TARGET_UNWRITABLE. */
HAUL_MUST_USE int haul_extract_open(struct haul_extract *extract, const char *target,
                                    struct haul_error *error);

/* Makes the entry. */
HAUL_MUST_USE int haul_extract_entry(struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                                     struct haul_extract_file *file, struct haul_error *error);

/* A file is complete: its mode and time are set. */
HAUL_MUST_USE int haul_extract_finished(struct haul_extract *extract, uint64_t id,
                                        struct haul_error *error);

/* Flushes everything to disk and renames the part to the target. */
HAUL_MUST_USE int haul_extract_commit(struct haul_extract *extract, struct haul_error *error);

/* The part stays for the next get of the same when it is worth it; then `part` is where it is. */
bool haul_extract_keep(struct haul_extract *extract, char part[PATH_MAX]);

/* Removes the part if it was neither committed nor kept. */
void haul_extract_close(struct haul_extract *extract);
