/* Asks the kernel, by netlink, how large a burst its network devices take in one piece. Beyond that
 * size the kernel cuts in software, at a fifth of the speed. */
#include "dataplane/net/net_socket.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <time.h>

struct device_limits {
    uint32_t bytes;
    uint32_t segments;
};

static void limit_lower(uint32_t *limit, uint32_t value)
{
    if (value > 0 && (*limit == 0 || value < *limit))
        *limit = value;
}

static int attribute_read(const struct nlattr *attribute, void *data)
{
    struct device_limits *limits = data;

    if (mnl_attr_validate(attribute, MNL_TYPE_U32) < 0)
        return MNL_CB_OK;
    if (mnl_attr_get_type(attribute) == IFLA_GSO_MAX_SIZE)
        limit_lower(&limits->bytes, mnl_attr_get_u32(attribute));
    if (mnl_attr_get_type(attribute) == IFLA_GSO_MAX_SEGS)
        limit_lower(&limits->segments, mnl_attr_get_u32(attribute));
    return MNL_CB_OK;
}

static int device_read(const struct nlmsghdr *header, void *data)
{
    const struct ifinfomsg *device = mnl_nlmsg_get_payload(header);

    if ((device->ifi_flags & IFF_UP) == 0)
        return MNL_CB_OK;
    return mnl_attr_parse(header, sizeof *device, attribute_read, data);
}

static bool devices_ask(struct mnl_socket *link, struct device_limits *limits)
{
    uint8_t buffer[16384];
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    struct ifinfomsg *device;
    uint32_t sequence = (uint32_t)time(NULL);
    ssize_t bytes;
    int more = MNL_CB_OK;

    request->nlmsg_type = RTM_GETLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = sequence;
    device = mnl_nlmsg_put_extra_header(request, sizeof *device);
    device->ifi_family = AF_UNSPEC;
    if (mnl_socket_sendto(link, request, request->nlmsg_len) < 0)
        return false;
    while (more == MNL_CB_OK) {
        bytes = mnl_socket_recvfrom(link, buffer, sizeof buffer);
        if (bytes <= 0)
            return false;
        more = mnl_cb_run(buffer, (size_t)bytes, sequence, mnl_socket_get_portid(link), device_read,
                          limits);
    }
    return more == MNL_CB_STOP;
}

bool haul_net_device_limits(uint32_t *bytes, uint32_t *segments)
{
    struct mnl_socket *link = mnl_socket_open(NETLINK_ROUTE);
    struct device_limits limits = { 0 };
    bool known;

    if (link == NULL)
        return false;
    known = mnl_socket_bind(link, 0, MNL_SOCKET_AUTOPID) == 0 && devices_ask(link, &limits) &&
            limits.bytes > 0 && limits.segments > 0;
    mnl_socket_close(link);
    if (!known)
        return false;
    *bytes = limits.bytes;
    *segments = limits.segments;
    return true;
}
