/* What no file tells about an interface: ethtool's requests, by ioctl. Each may be refused. */
#include "hw/card.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FEATURES_MAX 256u

static bool request(int fd, const char *name, void *data)
{
    struct ifreq ifr = { .ifr_data = data };

    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%.*s", IFNAMSIZ - 1, name);
    return ioctl(fd, SIOCETHTOOL, &ifr) == 0;
}

/* The features have names, and the names have places that differ from kernel to kernel. */
struct feature_names {
    struct ethtool_gstrings head;
    char names[FEATURES_MAX][ETH_GSTRING_LEN];
};

struct feature_bits {
    struct ethtool_gfeatures head;
    struct ethtool_get_features_block blocks[FEATURES_MAX / 32];
};

static bool feature(const struct feature_names *names, const struct feature_bits *bits,
                    const char *wanted)
{
    for (uint32_t i = 0; i < names->head.len && i < FEATURES_MAX; i++) {
        if (strncmp(names->names[i], wanted, ETH_GSTRING_LEN) == 0)
            return (bits->blocks[i / 32].active >> i % 32 & 1) != 0;
    }
    return false;
}

static void features_ask(int fd, const char *name, struct haul_card_features *features)
{
    struct {
        struct ethtool_sset_info head;
        uint32_t count;
    } sets = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
    struct feature_names *names = calloc(1, sizeof *names);
    struct feature_bits bits = { .head = { .cmd = ETHTOOL_GFEATURES } };

    if (names == NULL || !request(fd, name, &sets) || sets.head.sset_mask == 0 ||
        sets.count > FEATURES_MAX) {
        free(names);
        return;
    }
    names->head.cmd = ETHTOOL_GSTRINGS;
    names->head.string_set = ETH_SS_FEATURES;
    names->head.len = sets.count;
    bits.head.size = (sets.count + 31) / 32;
    if (request(fd, name, names) && request(fd, name, &bits)) {
        features->known = true;
        features->gso = feature(names, &bits, "tx-generic-segmentation");
        features->gro = feature(names, &bits, "rx-gro");
        features->udp_segmentation = feature(names, &bits, "tx-udp-segmentation");
        features->checksum_receive = feature(names, &bits, "rx-checksum");
        features->checksum_send = feature(names, &bits, "tx-checksum-ip-generic") ||
                                  feature(names, &bits, "tx-checksum-ipv4");
    }
    free(names);
}

void haul_card_ask(const char *name, struct haul_card_features *features, char *driver,
                   size_t driver_bytes)
{
    struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
    struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
    struct ethtool_rxfh hash = { .cmd = ETHTOOL_GRSSH };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (request(fd, name, &info))
        snprintf(driver, driver_bytes, "%s", info.driver);
    features_ask(fd, name, features);
    if (request(fd, name, &channels)) {
        features->channels =
            channels.combined_count > 0 ? channels.combined_count : channels.rx_count;
        features->channels_max =
            channels.max_combined > 0 ? channels.max_combined : channels.max_rx;
    }
    if (request(fd, name, &hash))
        features->rss_table = hash.indir_size;
    close(fd);
}
