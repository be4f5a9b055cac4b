/* Reading dpdk.* of the configuration. */
#include "controlplane/cmd/node_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next item of a list with commas: its text without blanks; false at the end. */
static bool item_next(const char **at, char *item, size_t bytes)
{
    size_t length;

    *at += strspn(*at, ", ");
    length = strcspn(*at, ", ");
    if (length == 0)
        return false;
    snprintf(item, bytes, "%.*s", (int)length, *at);
    *at += length;
    return true;
}

static bool ip_parse(const char *text, struct haul_addr *ip)
{
    char whole[HAUL_ADDR_TEXT_BYTES + 8];

    snprintf(whole, sizeof whole, strchr(text, ':') != NULL ? "[%.60s]:0" : "%.60s:0", text);
    return haul_addr_parse(whole, ip);
}

/* Whether both are in the network of so many bits. */
static bool same_network(const struct haul_addr *a, const struct haul_addr *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return a->family == b->family && memcmp(a->ip, b->ip, whole) == 0 &&
           (rest == 0 || (uint8_t)(a->ip[whole] ^ b->ip[whole]) >> (8 - rest) == 0);
}

/* Whether all bits of the host's part are the same: its network itself, or everybody in it. */
static bool host_is_all(const struct haul_addr *ip, unsigned bits, bool ones)
{
    for (unsigned bit = bits; bit < 32; bit++) {
        if ((ip->ip[bit / 8] >> (7 - bit % 8) & 1) != ones)
            return false;
    }
    return true;
}

/* Why nobody can have the address; NULL when somebody can. */
static const char *address_fault(const struct haul_addr *ip, unsigned bits)
{
    static const uint8_t none[16];

    if (haul_addr_scope(ip) == HAUL_ADDR_LOOPBACK)
        return "is of the loopback";
    if (memcmp(ip->ip, none, sizeof none) == 0)
        return "is no address of anybody";
    if (ip->family == 4 ? ip->ip[0] >= 224 : ip->ip[0] == 0xff)
        return "is of a group";
    if (ip->family == 4 && bits < 31 && host_is_all(ip, bits, false))
        return "is the network itself";
    if (ip->family == 4 && bits < 31 && host_is_all(ip, bits, true))
        return "is everybody's in its network";
    return NULL;
}

static int address_check(const struct haul_net_port *port, const struct haul_addr *ip,
                         unsigned bits, const char *item, struct haul_error *error)
{
    const char *fault = address_fault(ip, bits);

    for (size_t i = 0; i < port->address_count && fault == NULL; i++) {
        if (haul_addr_equal(&port->addresses[i].ip, ip))
            fault = "is there twice";
    }
    return fault == NULL ? 0
                         : haul_fail(error, HAUL_E_CONFIG_KEY,
                                     "dpdk.addresses: %s/%u %s: the port needs an address of its "
                                     "own, such as 192.0.2.7/24",
                                     item, bits, fault);
}

/* A gateway is a neighbour: in a network of ours, or in that of the link. */
static bool gateway_is_near(const struct haul_net_port *port, const struct haul_addr *ip)
{
    if (ip->family == 6 && ip->ip[0] == 0xfe && (ip->ip[1] & 0xc0) == 0x80)
        return true;
    for (size_t i = 0; i < port->address_count; i++) {
        if (same_network(&port->addresses[i].ip, ip, port->addresses[i].bits))
            return !haul_addr_equal(&port->addresses[i].ip, ip);
    }
    return false;
}

static int addresses_read(const char *text, struct haul_net_port *port, struct haul_error *error)
{
    char item[80];

    while (item_next(&text, item, sizeof item)) {
        char *slash = strchr(item, '/'), *end = NULL;
        unsigned long bits = slash != NULL ? strtoul(slash + 1, &end, 10) : 0;
        struct haul_addr ip;

        if (port->address_count == HAUL_NET_ADDRESSES_MAX)
            return haul_fail(error, HAUL_E_CONFIG_KEY, "dpdk.addresses names more than %u",
                             HAUL_NET_ADDRESSES_MAX);
        if (slash != NULL)
            *slash = '\0';
        if (!ip_parse(item, &ip) || bits == 0 || *end != '\0' ||
            bits > (ip.family == 4 ? 32u : 128u))
            return haul_fail(error, HAUL_E_CONFIG_KEY,
                             "dpdk.addresses: %s is no address with the length of its network, "
                             "such as 192.0.2.7/24",
                             item);
        if (address_check(port, &ip, (unsigned)bits, item, error) < 0)
            return -1;
        port->addresses[port->address_count].ip = ip;
        port->addresses[port->address_count++].bits = (uint8_t)bits;
    }
    if (port->address_count == 0)
        return haul_fail(error, HAUL_E_CONFIG_KEY,
                         "dpdk.device is set and dpdk.addresses is empty: the port needs an IP "
                         "address of its own, such as 192.0.2.7/24");
    return 0;
}

static int gateways_read(const char *text, struct haul_net_port *port, struct haul_error *error)
{
    char item[80];

    while (item_next(&text, item, sizeof item)) {
        struct haul_addr ip;

        if (!ip_parse(item, &ip) || port->gateways[ip.family == 6].family != 0)
            return haul_fail(error, HAUL_E_CONFIG_KEY,
                             "dpdk.gateways: %s is no address, or the second of its family", item);
        if (!gateway_is_near(port, &ip))
            return haul_fail(error, HAUL_E_CONFIG_KEY,
                             "dpdk.gateways: %s is in no network of dpdk.addresses, or is the "
                             "port's own",
                             item);
        port->gateways[ip.family == 6] = ip;
    }
    return 0;
}

int haul_node_port_read(const struct haul_conf *conf, struct haul_net_port *port, bool *asked,
                        struct haul_error *error)
{
    uint64_t vlan = haul_conf_number(conf, HAUL_CONF_DPDK_VLAN);
    uint64_t memory = haul_conf_number(conf, HAUL_CONF_DPDK_MEMORY);
    uint64_t buffers = haul_conf_number(conf, HAUL_CONF_DPDK_BUFFERS);
    struct haul_net_port read = {
        .device = haul_conf_text(conf, HAUL_CONF_DPDK_DEVICE),
        .mtu = (uint16_t)haul_conf_number(conf, HAUL_CONF_DPDK_MTU),
        .vlan = (uint16_t)(vlan == HAUL_CONF_NONE ? 0 : vlan),
        .segmentation_off = haul_conf_is(conf, HAUL_CONF_DPDK_SEGMENTATION, "off"),
        .memory_mib = (uint32_t)(memory == HAUL_CONF_NONE ? 0 : memory),
        .buffers = (uint32_t)(buffers == HAUL_CONF_NONE ? 0 : buffers),
    };

    *asked = read.device[0] != '\0';
    if (!*asked)
        return 0;
    if (haul_conf_is(conf, HAUL_CONF_DPDK_PAGES, "huge"))
        read.pages = HAUL_NET_PAGES_HUGE;
    else if (haul_conf_is(conf, HAUL_CONF_DPDK_PAGES, "ordinary"))
        read.pages = HAUL_NET_PAGES_ORDINARY;
    if (addresses_read(haul_conf_text(conf, HAUL_CONF_DPDK_ADDRESSES), &read, error) < 0 ||
        gateways_read(haul_conf_text(conf, HAUL_CONF_DPDK_GATEWAYS), &read, error) < 0)
        return -1;
    *port = read;
    return 0;
}
