#!/usr/bin/env python3
"""Nodes with several workers: each flow runs on one of them, on a UDP port of its own."""
import concurrent.futures
import subprocess

from network import namespace
from nodes import DEADLINE, Skip, case, equal, main, same, wait_for

MIB = 1 << 20
TWO = {"worker.count": "2"}
ONE_FLOW = {**TWO, "flow.lanes": "1"}  # of a get


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
    a, b = bench.pair(settings=ONE_FLOW)
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
    wait_for(lambda: min(workers(seeder, "served_bytes")[0]) >= 15 * MIB, "both to have served their own")
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


# --- one get by several flows ---


def flows(node, role):
    """Live flows of that role, by number."""
    return {group: flow for group, flow in node.status().items()
            if group.startswith("flow-") and flow.get("role") == role}


@case("one get moves by a flow on each worker of both nodes")
def one_get(bench):
    a, b = bench.pair(settings=TWO)
    tree = bench.directory("tree")
    for i in range(6):
        bench.file(f"tree/{i}", 16 * MIB + i)
    bench.file("tree/small", 10)
    ticket = a.share(tree)

    def by_both(turn):
        """Whether either worker of either node moved a quarter: on a busy machine the second flow may come late."""
        before = [workers(node, name)[0] for node, name in ((a, "served_bytes"), (b, "fetched_bytes"))]
        offers = a.status()["offers"]["received"]
        record = bench.finish(start_get(bench, b, ticket, f"got {turn}")).ok().object
        same(tree, bench.path(f"got {turn}"))
        equal(record["bytes_by_carrier"], {"udp": 6 * 16 * MIB + 15 + 10})
        for node, role in ((a, "gives"), (b, "gets")):
            wait_for(lambda node=node, role=role: not flows(node, role), "every flow to end with the get")
        after = [workers(node, name)[0] for node, name in ((a, "served_bytes"), (b, "fetched_bytes"))]
        served, fetched = ([n - m for m, n in zip(*each)] for each in zip(before, after))
        # No block came twice, the seeder counts the last ones too, and the record what came by both: nodes of the
        # tree are no bytes of its files.
        equal(sum(served), sum(fetched), "served")
        assert 0 <= sum(fetched) - record["bytes"] < MIB // 8, (fetched, record)
        assert record["wire_bytes"] > record["bytes"], record
        equal(a.status()["offers"]["received"] - offers, 2, "offers")
        return min(served + fetched) > 24 * MIB

    assert any(by_both(turn) for turn in range(5)), "one worker always moved nearly all"
    # What is short is over before more than one is worth its offer.
    small = bench.file("file", 4 * MIB)
    offers = a.status()["offers"]["received"]
    b.get(a.share(small), "-o", bench.path("small"), "--carrier", "udp").ok()
    equal(a.status()["offers"]["received"], offers + 1, "offers")
    a.stop()
    b.stop()


@case("a get has one flow where either end has one worker")
def one_flow(bench):
    one, four = bench.node("one"), bench.node("four", settings={"worker.count": "4"})
    for seeder, getter in ((one, four), (four, one)):
        source = bench.file(seeder.name + ".file", 32 * MIB)
        getter.get(seeder.share(source), "-o", bench.path(seeder.name + ".got"), "--carrier", "udp").ok()
        same(source, bench.path(seeder.name + ".got"))
        equal(seeder.status()["offers"]["received"], 1, seeder.name)
    one.stop()
    four.stop()


def start_held(bench, getter, ticket, read):
    """A get to a pipe, of which so much has been read: it goes on when more is."""
    get = bench.start("get", "--home", getter.home, ticket, "-o", "-", "--carrier", "udp")
    got = get.stdout.read(read)
    return get, got


@case("four workers fetch by three flows at once, as far as the limits go; another get has room beside them")
def limits(bench):
    a, b = bench.pair(settings={"worker.count": "4", "slots.filling": "32", "slots.serving": "32",
                                "slots.control": "16"})
    file = bench.file("file", 64 * MIB)
    ticket = a.share(file)
    get, got = start_held(bench, b, ticket, 24 * MIB)
    wait_for(lambda: len(flows(a, "gives")) == 3, "three flows")
    each = flows(b, "gets").values()
    equal(sorted(flow["worker"] for flow in each), sorted({flow["worker"] for flow in each}), "workers")
    b.get(ticket, "-o", bench.path("second"), "--carrier", "udp").ok()
    same(file, bench.path("second"))
    with open(file, "rb") as content:
        equal(got + get.stdout.read() == content.read(), True, "what was piped")
    equal(get.wait(DEADLINE), 0, "the first get")
    a.stop()
    b.stop()


DROP = """
table inet haul {{
    chain output {{ type filter hook output priority 0; udp dport {0} drop; udp sport {0} drop; }}
}}
"""


def drop(inside, port):
    """From now on no datagram to or from that port passes."""
    try:
        done = subprocess.run([*inside, "nft", "-f", "-"], input=DROP.format(port).encode(), capture_output=True)
    except FileNotFoundError:
        raise Skip("nft is not installed") from None
    if done.returncode:
        raise Skip("nft: " + done.stderr.decode().strip()[:200])


@case("behind a firewall that lets one worker's port through, a get has one flow and seldom asks for another")
def one_port(bench):
    inside = namespace(bench)
    seeder, getter = (bench.node(name, inside, settings=TWO) for name in ("seeder", "getter"))
    file = bench.file("file", 64 * MIB)
    drop(inside, ports(seeder)[1])
    get, got = start_held(bench, getter, seeder.share(file), 24 * MIB)
    wait_for(lambda: seeder.status()["grants"]["ended_unproven"] == 1, "the second flow to be given up")
    with open(file, "rb") as content:
        equal(got + get.stdout.read() == content.read(), True, "what was piped")
    equal(get.wait(DEADLINE), 0, "the get")
    equal(workers(seeder, "serves")[0][1], 0, "what the second worker served")
    assert seeder.status()["offers"]["received"] <= 3, seeder.status()["offers"]


def cut(bench, inside, dead):
    """A get by two flows, of which the one on that worker of the seeder dies in mid-transfer."""
    names = (f"seeder {dead}", f"getter {dead}")
    seeder, getter = (bench.node(name, inside, settings={**TWO, "slots.control": "16"}) for name in names)
    file = bench.file(f"file {dead}", 64 * MIB)
    get, got = start_held(bench, getter, seeder.share(file), 24 * MIB)
    both = wait_for(lambda: len(flows(getter, "gets")) == 2 and flows(getter, "gets"), "two flows")
    equal(sorted(flow["worker"] for flow in both.values()), [0, 1], "their workers")
    drop(inside, ports(seeder)[dead])
    return file, seeder, getter, get, got


@case("of two flows of a get either may die in mid-transfer: the other has its blocks before it is given up, and nothing is lost")
def one_dies(bench):
    inside = namespace(bench)
    cuts = [cut(bench, inside, dead) for dead in (0, 1)]
    with concurrent.futures.ThreadPoolExecutor() as readers:  # both wait until three probes were not answered
        rest = list(readers.map(lambda each: each[3].stdout.read(), cuts))
    for dead, (file, seeder, getter, get, got) in enumerate(cuts):
        with open(file, "rb") as content:
            equal(got + rest[dead] == content.read(), True, f"what was piped, {dead}")
        equal(get.wait(DEADLINE), 0, get.stderr.read())
        equal(getter.status()["grants"]["ended_silent"], 0, "flows that were given up")
        assert "quiet flow=" in getter.log() and '"stream"' not in getter.log(), getter.log()[-2000:]


if __name__ == "__main__":
    main()
