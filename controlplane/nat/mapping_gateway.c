/* Whom to ask: the gateway of the first default route, and from which address of ours. */
#include "controlplane/nat/mapping_parts.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel prints an address as a number in its own byte order. */
static bool find4(struct haul_addr *gateway)
{
    FILE *routes = fopen("/proc/net/route", "re");
    char line[256];
    bool found = false;

    while (routes != NULL && !found && fgets(line, sizeof line, routes) != NULL) {
        unsigned long target, via, flags;
        uint32_t address;

        if (sscanf(line, "%*s %lx %lx %lx", &target, &via, &flags) != 3 || target != 0 || via == 0)
            continue;
        address = (uint32_t)via;
        *gateway = (struct haul_addr){ .family = 4 };
        memcpy(gateway->ip, &address, 4);
        found = true;
    }
    if (routes != NULL)
        fclose(routes);
    return found;
}

static bool read_ip6(const char *text, uint8_t ip[16])
{
    static const uint8_t zero[16];

    for (size_t i = 0; i < 16; i++) {
        unsigned value;

        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            return false;
        ip[i] = (uint8_t)value;
    }
    return memcmp(ip, zero, sizeof zero) != 0;
}

/* Target and its bits, source and its bits, next hop, four numbers, interface. */
static bool find6(struct haul_addr *gateway)
{
    FILE *routes = fopen("/proc/net/ipv6_route", "re");
    char line[256], via[33], interface[IF_NAMESIZE + 1];
    bool found = false;

    while (routes != NULL && !found && fgets(line, sizeof line, routes) != NULL) {
        unsigned bits;
        struct haul_addr read = { .family = 6 };

        if (sscanf(line, "%*32s %x %*32s %*x %32s %*x %*x %*x %*x %16s", &bits, via, interface) !=
                3 ||
            bits != 0 || strlen(via) != 32 || !read_ip6(via, read.ip))
            continue;
        if (haul_addr_scope(&read) == HAUL_ADDR_LINK)
            read.scope = if_nametoindex(interface);
        *gateway = read;
        found = true;
    }
    if (routes != NULL)
        fclose(routes);
    return found;
}

/* The address from which we would call somebody far away over IPv6; nothing is sent. A gateway that
 * is asked at its link-local address must hear from this one, for which the hole is to be made. */
static bool own6(struct haul_addr *own)
{
    struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
    socklen_t bytes = sizeof addr;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known;

    addr.sin6_addr.s6_addr[0] = 0x20;
    addr.sin6_addr.s6_addr[15] = 1;
    known = fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0 &&
            getsockname(fd, (struct sockaddr *)&addr, &bytes) == 0;
    if (fd >= 0)
        close(fd);
    *own = (struct haul_addr){ .family = 6 };
    memcpy(own->ip, &addr.sin6_addr, 16);
    return known && haul_addr_scope(own) == HAUL_ADDR_PUBLIC;
}

bool mapping_gateway_find(struct haul_mapping *mapping)
{
    if (mapping->conf.family == 6)
        return find6(&mapping->gateway) && own6(&mapping->own);
    mapping->own = (struct haul_addr){ 0 }; /* known when the gateway is called */
    return find4(&mapping->gateway);
}
