/* What stands in for DPDK where haul is built without it: the build may have it and still tests
 * this. */
#include "dataplane/net/net_backend.h"
#include "tests/unit/unit.h"

#include <string.h>

static void a_port_is_refused_with_the_reason_and_its_name(void)
{
    const struct haul_net_port port = { .device = "0000:3b:00.0" };
    const struct haul_net_conf conf = { .kind = HAUL_NET_DPDK, .port = &port };
    struct haul_error error = { 0 };
    struct haul_net *net = NULL;

    CU_ASSERT_EQUAL(haul_net_dpdk_open(&net, &conf, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_DPDK_ABSENT);
    CU_ASSERT_STRING_EQUAL(haul_error_name(error.code), "dpdk-absent");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "0000:3b:00.0"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "without DPDK"));
    CU_ASSERT_PTR_NULL(net);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a port is refused with the reason and its name",
          a_port_is_refused_with_the_reason_and_its_name },
    };

    return unit_main("net_no_dpdk", tests, HAUL_COUNT_OF(tests));
}
