/* Offers between nodes with several workers: each is reached at a port of its own, and a transfer
 * may have a flow on each of them. */
#include "tests/unit/offer_rig.h"

static void two_ports(struct haul_offers_conf *conf)
{
    conf->udp_ports[0] = 4999;
    conf->udp_ports[1] = 5001;
    conf->ports[0] = (struct haul_addr){ .family = 4, .ip = { 127, 0, 0, 7 }, .port = 4501 };
    conf->port_count = 1;
    conf->port_workers = 2;
    conf->port_payload_max = 1408;
}

static void one_queue(struct haul_offers_conf *conf)
{
    two_ports(conf);
    conf->port_workers = 1;
}

static void any_address(struct haul_offers_conf *conf)
{
    two_ports(conf);
    conf->udp.ip[0] = conf->udp.ip[3] = 0;
}

static void each_worker_is_reached_at_its_own_port(void)
{
    const struct haul_addr mapped = { .family = 4, .ip = { 127, 0, 0, 9 }, .port = 7777 };

    workers = 2;
    start(two_ports, two_ports);
    for (uint32_t flow = 0; flow < 2; flow++) {
        ask_and_wait(&root);
        CU_ASSERT_EQUAL_FATAL(a.result.flow, flow);
        for (unsigned k = 0; k < 2; k++) {
            const struct haul_grant *grant = &(k == 0 ? &a : &b)->handoff[flow].grants[flow];

            CU_ASSERT_EQUAL(grant->candidate_count, 1);
            CU_ASSERT_EQUAL(grant->candidates[0].port, flow == 0 ? 4999 : 5001);
        }
    }
    finish();
    workers = 2; /* what a gateway forwards comes to the first */
    start(two_ports, any_address);
    haul_offers_mapped(b.offers, &mapped, 1);
    for (uint32_t i = 0; i < 2; i++) {
        const struct haul_grant *grant;

        ask_and_wait(&root);
        grant = &a.handoff[i].grants[a.result.flow];
        CU_ASSERT_EQUAL(grant->candidate_count, 2);
        CU_ASSERT_EQUAL(grant->candidates[0].port, 4999);
        CU_ASSERT_EQUAL(grant->candidates[1].port, 7777);
        CU_ASSERT_NOT_EQUAL(b.handoff[0].grants[2 * i].local_id, 0);
    }
    finish();
}

/* b's port has a queue pair for each of its workers, a's has one. */
static void each_worker_with_a_queue_has_its_port_over_dpdk_too(void)
{
    workers = 2;
    asked_via = HAUL_VIA_DPDK;
    start(one_queue, two_ports);
    for (uint32_t i = 0; i < 2; i++) {
        const struct haul_grant *grant;

        ask_and_wait(&root);
        CU_ASSERT_EQUAL_FATAL(a.result.flow, 2 * i); /* the first worker's */
        grant = &a.handoff[0].grants[a.result.flow];
        CU_ASSERT_EQUAL(grant->candidate_count, 1);
        CU_ASSERT_EQUAL(grant->candidates[0].port, 4501 + i);
        grant = &b.handoff[i].grants[i];
        CU_ASSERT_TRUE(grant->via == HAUL_VIA_DPDK && grant->candidates[0].port == 4501);
    }
    asked_via = HAUL_VIA_KERNEL;
    finish();
}

static void many_flows(struct haul_offers_conf *conf)
{
    two_ports(conf);
    conf->flows_max = 8;
}

static void many_flows_of_one_queue(struct haul_offers_conf *conf)
{
    one_queue(conf);
    conf->flows_max = 8;
}

static void with_a_ceiling(struct haul_offers_conf *conf)
{
    many_flows(conf);
    conf->rate_max = 1000000;
}

static uint32_t flows_agreed(void (*of_a)(struct haul_offers_conf *conf),
                             void (*of_b)(struct haul_offers_conf *conf))
{
    uint32_t flows;

    workers = 2;
    start(of_a, of_b);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL_FATAL(a.result.code, HAUL_OK);
    flows = a.result.flows_max;
    finish();
    return flows;
}

static void a_transfer_may_have_as_many_flows_as_both_have_workers_for(void)
{
    const struct haul_addr mapped = { .family = 4, .ip = { 127, 0, 0, 9 }, .port = 7777 };

    CU_ASSERT_EQUAL(flows_agreed(many_flows, many_flows), 2);
    CU_ASSERT_EQUAL(flows_agreed(two_ports, many_flows), 1); /* not configured */
    CU_ASSERT_EQUAL(flows_agreed(many_flows, two_ports), 1);
    CU_ASSERT_EQUAL(flows_agreed(with_a_ceiling, many_flows), 1); /* which is a flow's */
    CU_ASSERT_EQUAL(flows_agreed(many_flows, with_a_ceiling), 1);
    asked_via = HAUL_VIA_DPDK;
    CU_ASSERT_EQUAL(flows_agreed(many_flows, many_flows), 2);
    CU_ASSERT_EQUAL(flows_agreed(many_flows_of_one_queue, many_flows), 1);
    CU_ASSERT_EQUAL(flows_agreed(many_flows, many_flows_of_one_queue), 1);
    asked_via = HAUL_VIA_KERNEL;
    workers = 4; /* two grants a peer: one of them for a further flow */
    start(many_flows, many_flows);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.flows_max, 2);
    finish();
    workers = 2; /* a gateway forwards to the first alone */
    start(many_flows, many_flows);
    haul_offers_mapped(b.offers, &mapped, 1);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.flows_max, 1);
    finish();
}

static void a_further_flow_has_a_worker_of_its_own_at_both_ends(void)
{
    static const bool beside[] = { false, true, true };

    workers = 4;
    start(many_flows, many_flows);
    for (size_t i = 0; i < HAUL_COUNT_OF(beside); i++) {
        asked_beside = beside[i];
        ask_and_wait(&root);
        CU_ASSERT_EQUAL(a.result.code, i < 2 ? HAUL_OK : HAUL_E_REFUSED);
    }
    CU_ASSERT_EQUAL(a.result.reason, HAUL_OFFER_BUSY); /* a second one has no place */
    for (unsigned k = 0; k < 2; k++) {
        struct node *node = k == 0 ? &a : &b;

        CU_ASSERT_NOT_EQUAL(node->handoff[0].grants[0].local_id, 0);
        CU_ASSERT_NOT_EQUAL(node->handoff[1].grants[1].local_id, 0);
    }
    asked_beside = false;
    finish();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "each worker is reached at its own port", each_worker_is_reached_at_its_own_port },
        { "each worker with a queue has its port over DPDK, too",
          each_worker_with_a_queue_has_its_port_over_dpdk_too },
        { "a transfer may have as many flows as both have workers for",
          a_transfer_may_have_as_many_flows_as_both_have_workers_for },
        { "a further flow has a worker of its own at both ends",
          a_further_flow_has_a_worker_of_its_own_at_both_ends },
    };

    return unit_main("offer_workers", tests, HAUL_COUNT_OF(tests));
}
