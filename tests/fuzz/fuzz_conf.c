/* Any text as config.yaml: refused with CONFIG_KEY, or every value in force is one that its key
 * allows and that --set would take again. */
#include "common/conf_value.h"

#include <string.h>

static void check_values(const struct haul_conf *conf)
{
    struct haul_addr addresses[HAUL_CONF_ITEMS_MAX];
    struct haul_prefix networks[HAUL_CONF_ITEMS_MAX];

    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        enum haul_conf_key key = (enum haul_conf_key)i;
        uint64_t number;

        haul_assert(haul_conf_value_check(key, haul_conf_text(conf, key), &number));
        if (haul_conf_table[i].kind == HAUL_CONF_KIND_ADDRESSES)
            haul_assert(haul_conf_addresses(conf, key, addresses) == number);
        if (haul_conf_table[i].kind == HAUL_CONF_KIND_NETWORKS)
            haul_assert(haul_conf_networks(conf, key, networks) == number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_conf *conf = haul_conf_open();
    struct haul_error error = { .code = HAUL_OK };
    char text[512];

    if (conf == NULL)
        return 0;
    if (haul_conf_parse(conf, "fuzz", data, size, &error) != 0)
        haul_assert(error.code == HAUL_E_CONFIG_KEY || error.code == HAUL_E_LIMIT);
    check_values(conf);
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = 0;
        if (haul_conf_set(conf, text, &error) == 0)
            check_values(conf);
    }
    haul_conf_close(conf);
    return 0;
}
