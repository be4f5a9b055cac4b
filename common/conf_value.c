/* Values of the configuration. Whole numbers only: a fraction is scaled by its unit at once. */
#include "common/conf_value.h"

#include <string.h>

struct unit {
    const char *name;
    uint64_t times;
    uint64_t per; /* divided by this: bits to bytes */
};

#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
#define GI ((uint64_t)1 << 30)
#define TI ((uint64_t)1 << 40)
#define K  UINT64_C(1000)
#define M  UINT64_C(1000000)
#define G  UINT64_C(1000000000)
#define T  UINT64_C(1000000000000)

static const struct unit size_units[] = {
    { "", 1, 1 },     { "B", 1, 1 },   { "K", KI, 1 },   { "KB", KI, 1 },  { "KiB", KI, 1 },
    { "M", MI, 1 },   { "MB", MI, 1 }, { "MiB", MI, 1 }, { "G", GI, 1 },   { "GB", GI, 1 },
    { "GiB", GI, 1 }, { "T", TI, 1 },  { "TB", TI, 1 },  { "TiB", TI, 1 }, { NULL, 0, 0 },
};

static const struct unit rate_units[] = {
    { "kbit", K, 8 }, { "Mbit", M, 8 }, { "Gbit", G, 8 }, { "Tbit", T, 8 }, { "bit", 1, 8 },
    { "kB", K, 1 },   { "MB", M, 1 },   { "GB", G, 1 },   { "B", 1, 1 },    { NULL, 0, 0 },
};

static const struct unit duration_units[] = {
    { "ns", 1, 1 },     { "us", K, 1 },       { "ms", M, 1 }, { "s", G, 1 },
    { "m", 60 * G, 1 }, { "h", 3600 * G, 1 }, { NULL, 0, 0 },
};

static const struct unit count_units[] = { { "", 1, 1 }, { NULL, 0, 0 } };

static const struct unit *units_of(enum haul_conf_kind kind)
{
    if (kind == HAUL_CONF_KIND_SIZE)
        return size_units;
    if (kind == HAUL_CONF_KIND_RATE)
        return rate_units;
    return kind == HAUL_CONF_KIND_DURATION ? duration_units : count_units;
}

static const struct unit *unit_find(enum haul_conf_kind kind, const char *text, size_t bytes)
{
    const struct unit *unit = units_of(kind);

    if (kind == HAUL_CONF_KIND_RATE && bytes > 2 && memcmp(text + bytes - 2, "/s", 2) == 0)
        bytes -= 2;
    while (unit->name != NULL &&
           (strlen(unit->name) != bytes || memcmp(unit->name, text, bytes) != 0))
        unit++;
    return unit->name == NULL ? NULL : unit;
}

/* Digits from *at on, at most `most` of them; false when there are none or more. */
static bool take_digits(const char **at, const char *end, unsigned most, uint64_t *value,
                        unsigned *count)
{
    *value = 0;
    for (*count = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        if (++*count > most)
            return false;
        *value = *value * 10 + (uint64_t)(**at - '0');
    }
    return *count > 0;
}

bool haul_conf_number_parse(enum haul_conf_kind kind, const char *text, size_t bytes,
                            uint64_t *number)
{
    const char *at = text, *end = text + bytes;
    uint64_t whole, part = 0, scale = 1, scaled;
    const struct unit *unit;
    unsigned digits;

    if (!take_digits(&at, end, 18, &whole, &digits))
        return false;
    if (at < end && *at == '.' && kind != HAUL_CONF_KIND_COUNT) {
        at++;
        if (!take_digits(&at, end, 9, &part, &digits))
            return false;
        while (digits-- > 0)
            scale *= 10;
    }
    unit = unit_find(kind, at, (size_t)(end - at));
    if (unit == NULL || __builtin_mul_overflow(whole, unit->times, &whole))
        return false;
    /* part < scale <= 10^9, and times <= 2^42: the product needs 128 bits. */
    scaled = (uint64_t)((unsigned __int128)part * unit->times / scale);
    if (__builtin_add_overflow(whole, scaled, &whole) || whole > INT64_MAX)
        return false;
    *number = whole / unit->per;
    return true;
}

/* Is the text one of the words of "a|b|c"? */
static bool word_of(const char *words, const char *text, size_t bytes)
{
    while (words != NULL && *words != 0) {
        size_t length = strcspn(words, "|");

        if (length == bytes && memcmp(words, text, bytes) == 0)
            return true;
        words += length + (words[length] == '|');
    }
    return false;
}

/* "none|least..most" or "auto|least..most", the word being optional. */
static bool number_check(const struct haul_conf_info *info, const char *text, uint64_t *number)
{
    const char *range = info->range, *dots;
    uint64_t least = 0, most = INT64_MAX, value;

    if (range != NULL && (strncmp(range, "none|", 5) == 0 || strncmp(range, "auto|", 5) == 0)) {
        if (strncmp(text, range, 4) == 0 && text[4] == 0) {
            *number = HAUL_CONF_NONE;
            return true;
        }
        range += 5;
    }
    if (range != NULL) {
        dots = strstr(range, "..");
        haul_assert(dots != NULL);
        haul_assert(haul_conf_number_parse(info->kind, range, (size_t)(dots - range), &least));
        haul_assert(haul_conf_number_parse(info->kind, dots + 2, strlen(dots + 2), &most));
    }
    if (!haul_conf_number_parse(info->kind, text, strlen(text), &value) || value < least ||
        value > most)
        return false;
    *number = value;
    return true;
}

static bool bool_check(const char *text, uint64_t *number)
{
    size_t bytes = strlen(text);

    *number = word_of("true|yes|on", text, bytes);
    return *number == 1 || word_of("false|no|off", text, bytes);
}

bool haul_conf_item_next(const char **cursor, const char **item, size_t *bytes)
{
    const char *at = *cursor, *end;

    while (at != NULL && *at == ' ')
        at++;
    if (at == NULL || *at == 0)
        return false;
    *item = at;
    end = strchrnul(at, ',');
    *cursor = *end == 0 ? end : end + 1;
    while (end > at && end[-1] == ' ')
        end--;
    *bytes = (size_t)(end - at);
    return true;
}

/* /ip4/192.0.2.1/tcp/4501 as 192.0.2.1:4501; other text as it is. */
static bool address_text(const char *item, size_t bytes, char text[HAUL_ADDR_TEXT_BYTES])
{
    const char *ip = item + 5, *ip_end, *port;
    bool v6 = bytes > 5 && memcmp(item, "/ip6/", 5) == 0;
    int written;

    if (bytes == 0 || item[0] != '/') {
        if (bytes >= HAUL_ADDR_TEXT_BYTES)
            return false;
        memcpy(text, item, bytes);
        text[bytes] = 0;
        return true;
    }
    if (bytes <= 5 || (!v6 && memcmp(item, "/ip4/", 5) != 0))
        return false;
    ip_end = memchr(ip, '/', bytes - 5);
    if (ip_end == NULL || item + bytes - ip_end <= 5 ||
        (memcmp(ip_end, "/tcp/", 5) != 0 && memcmp(ip_end, "/udp/", 5) != 0))
        return false;
    port = ip_end + 5;
    written = snprintf(text, HAUL_ADDR_TEXT_BYTES, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s",
                       (int)(ip_end - ip), ip, (int)(item + bytes - port), port);
    return written > 0 && (unsigned)written < HAUL_ADDR_TEXT_BYTES;
}

bool haul_conf_address_parse(const char *item, size_t bytes, struct haul_addr *addr)
{
    char text[HAUL_ADDR_TEXT_BYTES];

    return address_text(item, bytes, text) && haul_addr_parse(text, addr);
}

static bool list_check(enum haul_conf_kind kind, const char *text, uint64_t *number)
{
    const char *item;
    size_t bytes;

    *number = 0;
    while (haul_conf_item_next(&text, &item, &bytes)) {
        struct haul_addr addr;
        struct haul_prefix prefix;

        if (++*number > HAUL_CONF_ITEMS_MAX)
            return false;
        if (kind == HAUL_CONF_KIND_LIST)
            continue;
        if (kind == HAUL_CONF_KIND_ADDRESSES ? !haul_conf_address_parse(item, bytes, &addr)
                                             : !haul_prefix_parse(item, bytes, &prefix))
            return false;
    }
    return true;
}

bool haul_conf_value_check(enum haul_conf_key key, const char *text, uint64_t *number)
{
    const struct haul_conf_info *info = &haul_conf_table[key];

    switch (info->kind) {
    case HAUL_CONF_KIND_BOOL:
        return bool_check(text, number);
    case HAUL_CONF_KIND_COUNT:
    case HAUL_CONF_KIND_SIZE:
    case HAUL_CONF_KIND_RATE:
    case HAUL_CONF_KIND_DURATION:
        return number_check(info, text, number);
    case HAUL_CONF_KIND_CHOICE:
        return word_of(info->range, text, strlen(text));
    case HAUL_CONF_KIND_TEXT:
        return info->range == NULL || *text != 0;
    case HAUL_CONF_KIND_LIST:
    case HAUL_CONF_KIND_ADDRESSES:
    case HAUL_CONF_KIND_NETWORKS:
        return list_check(info->kind, text, number);
    }
    return false;
}
