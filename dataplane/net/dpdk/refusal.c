/* What a driver's refusal means, and what helps. */
#include "dataplane/net/dpdk/refusal.h"

#include "dataplane/net/dpdk/eal.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define XDP_MTU           3392u /* a buffer with what DPDK keeps before it is to fit a page */
#define XDP_INTERFACE_MTU 3498  /* what the kernel keeps of a page for the frame of an interface */

/* Zero where there is none, or it is gone. */
static int interface_mtu(const struct haul_port *port)
{
    struct ifreq ask;

    if (port->interface_fd < 0)
        return 0;
    memset(&ask, 0, sizeof ask);
    memcpy(ask.ifr_name, port->interface, sizeof ask.ifr_name);
    return ioctl(port->interface_fd, SIOCGIFMTU, &ask) == 0 ? ask.ifr_mtu : 0;
}

/* What helps with af_xdp, whose driver does not tell why the kernel refused; "" where nothing is
 * known. */
static void xdp_help(const struct haul_port *port, const char *complaint, char *text, size_t bytes)
{
    bool filter = strstr(complaint, "set prog fd") != NULL;
    int mtu = interface_mtu(port);

    text[0] = '\0';
    if (!filter && strstr(complaint, "create xsk socket") == NULL)
        return;
    if (mtu > XDP_INTERFACE_MTU)
        snprintf(text, bytes,
                 "the MTU of %s is %d, and af_xdp takes %d at most: ip link set %s mtu %d",
                 port->interface, mtu, XDP_INTERFACE_MTU, port->interface, XDP_INTERFACE_MTU);
    else if (filter)
        snprintf(text, bytes,
                 "a filter is on %s already, another node's or left by one that was killed: ip "
                 "link set %s xdp off takes it off",
                 port->interface, port->interface);
    else
        snprintf(text, bytes,
                 "another program has that queue of %s, or its driver knows no XDP and needs a "
                 "filter (xdp_prog=; docs/DPDK.md, My only card)",
                 port->interface);
}

/* The largest dpdk.mtu that the driver takes: it states lengths of frames, packets or both. The
 * ordinary one every driver takes. memif is not told any. */
static uint32_t mtu_most(const struct haul_port *port, const char *device)
{
    uint32_t extra = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN, most;
    struct rte_eth_dev_info info;

    if (strncmp(device, "net_memif", 9) == 0 || rte_eth_dev_info_get(port->id, &info) != 0)
        return UINT16_MAX;
    if (info.max_mtu != UINT16_MAX && info.max_rx_pktlen > info.max_mtu)
        extra = info.max_rx_pktlen - info.max_mtu;
    most = info.max_rx_pktlen > extra ? info.max_rx_pktlen - extra : 0;
    most = most < info.max_mtu ? most : info.max_mtu;
    if (strncmp(device, "net_af_xdp", 10) == 0 && most > XDP_MTU)
        most = XDP_MTU;
    return most > RTE_ETHER_MTU ? most : RTE_ETHER_MTU;
}

int haul_port_refused(const struct haul_port *port, const struct haul_net_port *conf,
                      const char *what, int code, struct haul_error *error)
{
    uint32_t most = mtu_most(port, conf->device);
    char complaint[160], help[160] = "";

    haul_eal_complaint(complaint, sizeof complaint);
    if (conf->mtu > most)
        return haul_fail(error, HAUL_E_CONFIG_KEY,
                         "dpdk.mtu: %" PRIu16 " is more than the driver of %.*s takes: %" PRIu32
                         " at most",
                         conf->mtu, (int)strcspn(conf->device, ","), conf->device, most);
    /* The socket is opened late here, and what is refused is told as anything but a permission. */
    haul_eal_rights_missing(conf->device, help, sizeof help);
    if (help[0] != '\0')
        return haul_fail(error, HAUL_E_DPDK_PERMISSION,
                         "%.*s is not allowed to this user, who has not %s: %s: %s",
                         (int)strcspn(conf->device, ","), conf->device, help, what, complaint);
    if (strncmp(conf->device, "net_af_xdp", 10) == 0)
        xdp_help(port, complaint, help, sizeof help);
    if (help[0] != '\0') /* first what helps: the text has an end */
        return haul_fail(error, HAUL_E_DPDK_DEVICE, "%.*s: %s (%s)",
                         (int)strcspn(conf->device, ","), conf->device, help, complaint);
    /* Many drivers return -1, which is EPERM too, whatever it was. */
    return haul_fail(error, HAUL_E_DPDK_DEVICE, "%s: %s: %s %s", conf->device, what,
                     code == -EPERM && complaint[0] != '\0' ? "" : rte_strerror(-code), complaint);
}
