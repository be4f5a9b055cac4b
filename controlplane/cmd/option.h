/* Long options, declared once: the parser, `haul help`, bash completion and the manual page are
 * loops over the tables here and in command.h. Pure: text in, values out. */
#pragma once

#include "common/error.h"

/* X(CONSTANT, "name", KIND, "VALUE", "choices", "help") */
#define HAUL_OPTIONS(X)                                                                            \
    X(HOME, "home", TEXT, "DIR", NULL,                                                             \
      "directory of the node's state (default $HAUL_HOME or ~/.local/share/haul)")                 \
    X(JSON, "json", FLAG, NULL, NULL, "print one JSON object a line")                              \
    X(QUIET, "quiet", FLAG, NULL, NULL, "no progress and no notes, results and errors only")       \
    X(HELP, "help", FLAG, NULL, NULL, "say what the command does and stop")                        \
    X(OUTPUT, "output", TEXT, "PATH", NULL, "write there (short: -o); - is standard output")       \
    X(KEEP, "keep", FLAG, NULL, NULL, "store the blocks as well, so that they can be shared")      \
    X(CARRIER, "carrier", CHOICE, "NAME", "auto|udp|dpdk|stream", "what moves the bytes")          \
    X(TIMEOUT, "timeout", DURATION, "TIME", NULL,                                                  \
      "give up after this long (30s, 5m; default: wait)")                                          \
    X(HASH, "hash", CHOICE, "NAME", "blake3|sha2-256|none",                                        \
      "how blocks are named and verified (none: perf alone)")                                      \
    X(PRESERVE, "preserve", FLAG, NULL, NULL, "keep file modes and modification times")            \
    X(TO, "to", LIST, "PEER", NULL, "share with this peer alone (may be given again for another)") \
    X(DENY, "deny", LIST, "PEER", NULL,                                                            \
      "never to this peer, whoever else may have it (may be given again for another)")             \
    X(ANNOUNCE, "announce", FLAG, NULL, NULL,                                                      \
      "tell the DHT as well, now and for as long as it is shared")                                 \
    X(OFF, "off", FLAG, NULL, NULL, "end the sharing")                                             \
    X(SIZE, "size", SIZE, "SIZE", NULL, "bytes to move in a run (64M, 2G; binary)")                \
    X(RUNS, "runs", COUNT, "N", NULL, "how many runs")                                             \
    X(SPAN, "span", DURATION, "TIME", NULL, "how long each figure is measured (500ms, 1s)")        \
    X(SOURCE, "source", CHOICE, "NAME", "synthetic|store", "where the bytes come from")            \
    X(SINK, "sink", CHOICE, "NAME", "discard|store", "where the verified bytes go")                \
    X(CIPHER, "cipher", CHOICE, "NAME", "auto|aes-128-gcm|chacha20-poly1305|none",                 \
      "cipher of the fast path")                                                                   \
    X(DEVICE, "device", CHOICE, "NAME", "memif|vhost|af_xdp",                                      \
      "what joins two ports of DPDK (af_xdp: a veth pair haul0, haul1 that is there)")             \
    X(MTU, "mtu", COUNT, "BYTES", NULL, "the largest IP packet between two ports of DPDK")         \
    X(UP, "up", SIZE, "SIZE", NULL, "bytes to send in a run")                                      \
    X(DOWN, "down", SIZE, "SIZE", NULL, "bytes to ask for in a run")                               \
    X(STREAMS, "streams", COUNT, "N", NULL, "streams at once, which share the bytes")              \
    X(SECURITY, "security", CHOICE, "NAME", "noise|tls", "the secure channel to dial with")        \
    X(SET, "set", LIST, "KEY=VALUE", NULL, "a configuration key for this run of the node")         \
    X(PERF, "perf", FLAG, NULL, NULL,                                                              \
      "allow synthetic datasets, no cipher and /perf/1.0.0: rate tests only")

enum haul_option {
#define X(constant, name, kind, value, choices, help) HAUL_OPTION_##constant,
    HAUL_OPTIONS(X)
#undef X
        HAUL_OPTION_COUNT
};

enum haul_option_kind {
    HAUL_OPTION_KIND_FLAG,
    HAUL_OPTION_KIND_TEXT,
    HAUL_OPTION_KIND_LIST,     /* text, may be given again */
    HAUL_OPTION_KIND_CHOICE,   /* one of `choices` */
    HAUL_OPTION_KIND_SIZE,     /* bytes, binary suffixes */
    HAUL_OPTION_KIND_DURATION, /* nanoseconds; s, ms, m or h, a bare number is seconds */
    HAUL_OPTION_KIND_COUNT,    /* from 1 to a million */
};

struct haul_option_info {
    const char *name;
    enum haul_option_kind kind;
    const char *value;
    const char *choices; /* separated by | */
    const char *help;
};

extern const struct haul_option_info haul_option_table[HAUL_OPTION_COUNT];

#define HAUL_OPTION_BIT(constant) (UINT64_C(1) << HAUL_OPTION_##constant)
#define HAUL_OPTIONS_COMMON                                                                        \
    (HAUL_OPTION_BIT(HOME) | HAUL_OPTION_BIT(JSON) | HAUL_OPTION_BIT(QUIET) | HAUL_OPTION_BIT(HELP))

#define HAUL_ARGUMENTS_MAX   16u
#define HAUL_OPTION_LIST_MAX 64u

/* What was typed. Texts point into argv. */
struct haul_options {
    uint64_t given;                                 /* HAUL_OPTION_BIT of each that was typed */
    const char *text[HAUL_OPTION_COUNT];            /* NULL when it was not typed */
    uint64_t number[HAUL_OPTION_COUNT];             /* SIZE, DURATION, COUNT */
    const char *list[HAUL_OPTION_LIST_MAX];         /* values of the LIST options in their order, */
    enum haul_option list_of[HAUL_OPTION_LIST_MAX]; /*   and which option each belongs to */
    size_t list_count;
    const char *arguments[HAUL_ARGUMENTS_MAX]; /* what is not an option, in order */
    size_t argument_count;
};

/* Parses argv[0 .. argc-1] (the program's and the command's names already taken off). `allowed` is
 * a set of HAUL_OPTION_BIT. Options and arguments may be mixed; `--` ends the options; `--name=V`
 * and `--name V` are the same. 0, or -1 with USAGE that names the nearest option. */
HAUL_MUST_USE int haul_options_parse(int argc, char *const *argv, uint64_t allowed,
                                     struct haul_options *options, struct haul_error *error);

bool haul_options_has(const struct haul_options *options, enum haul_option option);

/* The values that one LIST option was given; how many. */
size_t haul_options_list(const struct haul_options *options, enum haul_option option,
                         const char *values[HAUL_OPTION_LIST_MAX]);

/* "64M" -> 67108864; "1.5G" is refused, whole numbers only. "5m" -> nanoseconds. */
HAUL_MUST_USE bool haul_size_parse(const char *text, uint64_t *bytes);
HAUL_MUST_USE bool haul_duration_parse(const char *text, uint64_t *nanoseconds);

/* The candidate that is fewest edits away, or NULL when none is near: for "did you mean". */
const char *haul_nearest(const char *text, const char *const *candidates, size_t count);
