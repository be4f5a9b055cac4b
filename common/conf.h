/* The node's configuration: every key is declared once, in conf_keys.h; the parser, `haul
 * config`, the commented default file (conf/haul.yaml) and the documentation are loops over it.
 *
 * Values come from four places, each stronger than the one before: the default, the file
 * (HOME/config.yaml: `section: { key: value }`), the environment (HAUL_SECTION_KEY, with _ for
 * every other sign), and --set section.key=value. Where a value came from is kept. An unknown key
 * or a bad value is refused with CONFIG_KEY, saying where it stands and which key may have been
 * meant.
 *
 * Units: sizes are binary (64K = 64KB = 64KiB = 65,536 bytes), rates decimal and with a unit
 * (10Gbit, 1.5GB/s), times with a unit (200ms, 5m). One owner; read-only after start, then any
 * thread. */
#pragma once

#include "common/addr.h"
#include "common/conf_keys.h"
#include "common/error.h"

#include <stdio.h>

enum haul_conf_key {
#define X(constant, name, kind, value, range, meaning) HAUL_CONF_##constant,
    HAUL_CONF_KEYS(X)
#undef X
        HAUL_CONF_COUNT
};

enum haul_conf_kind {
    HAUL_CONF_KIND_BOOL,
    HAUL_CONF_KIND_COUNT,
    HAUL_CONF_KIND_SIZE,     /* bytes */
    HAUL_CONF_KIND_RATE,     /* bytes a second */
    HAUL_CONF_KIND_DURATION, /* nanoseconds */
    HAUL_CONF_KIND_CHOICE,
    HAUL_CONF_KIND_TEXT,
    HAUL_CONF_KIND_ADDRESSES, /* 192.0.2.1:4501, [2001:db8::1]:4501 or /ip4/192.0.2.1/tcp/4501 */
    HAUL_CONF_KIND_LIST,      /* of text */
    HAUL_CONF_KIND_NETWORKS,  /* 192.0.2.0/24, 2001:db8::/32 */
};

enum haul_conf_origin {
    HAUL_CONF_DEFAULT,
    HAUL_CONF_FILE,
    HAUL_CONF_ENVIRONMENT,
    HAUL_CONF_OPTION,
};

struct haul_conf_info {
    const char *name;
    enum haul_conf_kind kind;
    const char *value; /* the default */
    const char *range; /* NULL when the kind says it all */
    const char *meaning;
};

extern const struct haul_conf_info haul_conf_table[HAUL_CONF_COUNT];

#define HAUL_CONF_NONE       UINT64_MAX /* of a key that says "none" or "auto" */
#define HAUL_CONF_FILE_BYTES (64u << 10)
#define HAUL_CONF_TEXT_BYTES 1024u /* of one value, with its end mark */
#define HAUL_CONF_ITEMS_MAX  16u   /* of a list */

struct haul_conf;

/* Every key at its default. NULL when there is no memory. */
struct haul_conf *haul_conf_open(void);
void haul_conf_close(struct haul_conf *conf);

/* Each reads one source. A file that is not there changes nothing. After a refusal, values already
 * taken from that source stay. */
HAUL_MUST_USE int haul_conf_load(struct haul_conf *conf, const char *path,
                                 struct haul_error *error);
HAUL_MUST_USE int haul_conf_parse(struct haul_conf *conf, const char *name, const void *yaml,
                                  size_t bytes, struct haul_error *error);
HAUL_MUST_USE int haul_conf_environment(struct haul_conf *conf, char *const *environment,
                                        struct haul_error *error);
HAUL_MUST_USE int haul_conf_set(struct haul_conf *conf, const char *key_value,
                                struct haul_error *error);

/* Values. The key's kind must fit. */
bool haul_conf_bool(const struct haul_conf *conf, enum haul_conf_key key);
uint64_t haul_conf_number(const struct haul_conf *conf, enum haul_conf_key key);
const char *haul_conf_text(const struct haul_conf *conf, enum haul_conf_key key);
bool haul_conf_is(const struct haul_conf *conf, enum haul_conf_key key, const char *choice);
size_t haul_conf_addresses(const struct haul_conf *conf, enum haul_conf_key key,
                           struct haul_addr addresses[HAUL_CONF_ITEMS_MAX]);
size_t haul_conf_networks(const struct haul_conf *conf, enum haul_conf_key key,
                          struct haul_prefix networks[HAUL_CONF_ITEMS_MAX]);

/* For listings. haul_conf_text gives the value as it was written, lists joined by ", ". */
enum haul_conf_origin haul_conf_origin(const struct haul_conf *conf, enum haul_conf_key key);
const char *haul_conf_origin_name(enum haul_conf_origin origin);

/* The range in words ("64KiB to 1GiB", "auto, uring or mmsg"). */
#define HAUL_CONF_RANGE_BYTES 160u
void haul_conf_range(enum haul_conf_key key, char text[HAUL_CONF_RANGE_BYTES]);

/* What `haul config` prints, and the commented default file. */
void haul_conf_print(const struct haul_conf *conf, FILE *out);
void haul_conf_generate(FILE *out);
