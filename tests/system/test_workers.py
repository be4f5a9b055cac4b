#!/usr/bin/env python3
"""Nodes with several workers: each flow runs on one of them, on a UDP port of its own."""
from nodes import case, equal, main, same, wait_for

MIB = 1 << 20
TWO = {"worker.count": "2"}


def workers(node, name):
    """That counter of each worker."""
    status = node.status()
    each = [status[f"worker-{i}"][name] for i in range(status["worker"]["count"])]
    return each, status["worker"][name]


def ports(node):
    status = node.status()
    return [int(status[f"net-{i}"]["address"].rsplit(":", 1)[1])
            for i in range(status["worker"]["count"])]


def start_get(bench, getter, ticket, name, *options):
    return bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path(name),
                       "--carrier", "udp", *options)


@case("two nodes of two workers each fetch from each other at once, by one worker each way")
def both_ways(bench):
    a, b = bench.pair(settings=TWO)
    there, back = bench.file("there", 24 * MIB + 5), bench.file("back", 24 * MIB + 7)
    for node in (a, b):
        equal(len(set(ports(node))), 2, "ports")
        equal(node.udp_port, ports(node)[0], "the first worker's port")
    # What is put is in the store, which is the first worker's; what is kept goes there.
    cid = b.put(back)
    tickets = a.share(a.put(there)), b.share(cid)
    gets = [start_get(bench, b, tickets[0], "there.got", "--keep"),
            start_get(bench, a, tickets[1], "back.got", "--keep")]
    for get in gets:
        record = bench.finish(get).ok().object
        equal(list(record["bytes_by_carrier"]), ["udp"])
    same(there, bench.path("there.got"))
    same(back, bench.path("back.got"))

    def each_moved_its_own(node):
        fetched, all_fetched = workers(node, "fetched_bytes")
        served, all_served = workers(node, "served_bytes")
        return (min(f + s for f, s in zip(fetched, served)) >= 24 * MIB
                and (sum(fetched), sum(served)) == (all_fetched, all_served))

    for node in (a, b):  # a seeder knows a moment later than its getter
        wait_for(lambda node=node: each_moved_its_own(node), "each worker to have moved its own")
    # What either worker kept is served on by each.
    c = bench.node("third", settings=TWO)
    for name in ("first", "second"):
        bench.finish(start_get(bench, c, a.share(cid), name)).ok()
        same(back, bench.path(name))
    for node in (a, b, c):
        node.stop()


@case("of two peers that fetch from one node each has a worker of its own")
def one_each(bench):
    seeder = bench.node("seeder", settings={**TWO, "flow.rate": "200Mbit"})
    first, second = bench.node("first"), bench.node("second")
    file = bench.file("file", 16 * MIB)
    ticket = seeder.share(file)
    gets = [start_get(bench, node, ticket, node.name + ".got") for node in (first, second)]

    def both_serve():
        return min(workers(seeder, "serves")[0]) > 0

    wait_for(both_serve, "both workers to serve")
    flows = [flow for group, flow in seeder.status().items() if group.startswith("flow-")]
    equal(sorted(flow["worker"] for flow in flows), [0, 1], "their workers")
    for get in gets:
        bench.finish(get).ok()
    for node in (first, second):
        same(file, bench.path(node.name + ".got"))
    wait_for(lambda: min(workers(seeder, "served_bytes")[0]) >= 16 * MIB, "both to have served all")
    equal(first.status()["worker"]["count"], 1)
    seeder.stop()


@case("a getter that is killed costs the flows of neither worker anything")
def killed(bench):
    seeder = bench.node("seeder", settings={**TWO, "flow.rate": "100Mbit"})
    first, second = bench.node("first"), bench.node("second", settings=TWO)
    file = bench.file("file", 12 * MIB)
    ticket = seeder.share(file)
    start_get(bench, first, ticket, "first.got")
    wait_for(lambda: sum(workers(seeder, "served_bytes")[0]) > MIB, "the first to have something")
    first.kill()
    for name in ("one", "two"):  # one on each worker
        bench.finish(start_get(bench, second, ticket, name)).ok()
        same(file, bench.path(name))
    seeder.stop()
    second.stop()


if __name__ == "__main__":
    main()
