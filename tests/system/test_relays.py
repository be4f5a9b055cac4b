#!/usr/bin/env python3
"""Behind gateways: places at relays, direct ways through cone gateways, and what is left without."""
import time

from internet import Internet
from nodes import case, contains, equal, main, same, wait_for

MIB = 1 << 20
RELAY = "45.1.0.1"
LISTEN = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "slots.filling": "8",
          "slots.serving": "8", "slots.control": "8"}


def relay(bench, host, port, **settings):
    """The relay's node and its address."""
    at = f"{RELAY}:{port}"
    node = bench.node(f"relay-{port}", host.inside, settings={**LISTEN, "listen.tcp": at, "listen.udp": at,
                                                              "relay.serve": "true", **settings})
    return node, f"/ip4/{RELAY}/tcp/{port}/p2p/{node.peer}"


def behind(internet, number, kind):
    """A machine behind a gateway of its own."""
    router = internet.router(f"g{number}", f"45.1.1.{number}", symmetric=kind == "symmetric", silent=True)
    return internet.behind(router, f"h{number}", "10.0.0.2")


def joined(bench, host, name, address, **settings):
    """A node there, which has its place at the relay."""
    node = bench.node(name, host.inside, settings={**LISTEN, "relay.use": address, **settings})
    wait_for(lambda: node.status()["relay"]["places"] == 1, f"a place of {name}")
    return node


def direct(node, peer):
    """Whether a connection to that peer runs directly; None: there is none at all."""
    lines = node.status().get("connections", {}).get("connection", [])
    mine = [line for line in ([lines] if isinstance(lines, str) else lines) if peer in line]
    return any("relayed" not in line for line in mine) if mine else None


@case("two nodes behind cone gateways meet directly, behind symmetric ones through the relay")
def matrix(bench):
    internet = Internet(bench)
    host = internet.host("r", RELAY)
    # One carries data, the other only introduces.
    _, carrying = relay(bench, host, 4001, **{"relay.circuit-bytes": "none", "relay.circuit-time": "none"})
    _, strict = relay(bench, host, 4002)
    nodes = {"open": joined(bench, internet.host("o", "45.1.0.2"), "open", carrying)}
    for number, name in enumerate(("cone 1", "cone 2", "symmetric 1", "symmetric 2", "symmetric 3"), 1):
        nodes[name] = joined(bench, behind(internet, number, name.split(maxsplit=1)[0]), name.replace(" ", ""),
                             strict if name == "symmetric 3" else carrying)
    sources = {name: bench.file(f"of {name}", 3 * MIB) for name in nodes}
    tickets = {name: node.share(sources[name]) for name, node in nodes.items()}
    expected = [  # who asks, who has it, how it ends
        ("cone 1", "open", "direct"), ("open", "cone 2", "direct"), ("symmetric 1", "open", "direct"),
        ("open", "symmetric 2", "direct"), ("cone 1", "cone 2", "direct"),
        ("cone 2", "symmetric 1", "relay"), ("symmetric 1", "symmetric 2", "relay"),
        ("symmetric 2", "symmetric 3", "refused"),
    ]
    runs, began = [], time.monotonic()
    for number, (asker, seeder, _) in enumerate(expected):
        out = bench.path(f"got-{number}")
        # Between two cones the fast path's own port has to be punched as well.
        more = ["--carrier", "udp"] if asker.startswith("cone") and seeder.startswith("cone") else []
        runs.append(bench.start("get", "--home", nodes[asker].home, "--json", tickets[seeder], "-o", out,
                                "--timeout", "40s", *more))
    rows = []
    for number, (asker, seeder, how) in enumerate(expected):
        done = bench.finish(runs[number])
        if done.status:
            error = done.object
            got, why = "refused", f"within {time.monotonic() - began:.1f} s: {error['text']}"
        else:
            same(sources[seeder], bench.path(f"got-{number}"))
            record = done.object
            # The fast path may have been through before the direct connection is.
            if how == "direct":
                wait_for(lambda a=asker, s=seeder: direct(nodes[a], nodes[s].peer), f"{asker} to meet {seeder}")
            got = "direct" if direct(nodes[asker], nodes[seeder].peer) else "relay"
            why = f"{'+'.join(record['bytes_by_carrier'])} {record['seconds']:.2f} s"
        rows.append((asker, seeder, how, got, why))
        print(f"  {asker:12} from {seeder:12} {got:8} {why}", flush=True)
    for asker, seeder, how, got, why in rows:
        equal(got, how, f"{asker} from {seeder}: {why}")
        if how == "refused":
            contains(why, "--carrier stream")
    assert nodes["cone 2"].status()["punch"]["began"] >= 1


# For now nothing that begins inside of a home reaches the other one.
SHUT = """
table ip shut {
    chain forward {
        type filter hook forward priority -10; policy accept;
        ip daddr %s drop
    }
}"""


@case("what a relay carries moves to the direct connection when there is one, between two blocks")
def moves(bench):
    internet = Internet(bench)
    middle, address = relay(bench, internet.host("r", RELAY), 4001, **{"relay.circuit-bytes": "none",
                                                                       "relay.circuit-time": "none"})
    routers = [internet.router(f"g{number}", f"45.1.1.{number}", silent=True) for number in (1, 2)]
    seeder, getter = (joined(bench, internet.behind(router, name, "10.0.0.2"), name, address)
                      for router, name in zip(routers, ("seeder", "getter")))
    source = bench.file("file", 48 * MIB)
    ticket = seeder.share(source)
    # Three punches are all there are, five seconds: on a machine that stumbles they pass unused, and
    # the getter begins anew.
    for _ in range(4):
        for router, other in zip(routers, ("45.1.1.2", "45.1.1.1")):
            router.rules(SHUT % other)
        before = middle.status()["relay"]["relayed_bytes"]
        get = bench.start("get", "--home", getter.home, ticket, "-o", "-", "--carrier", "stream", "--timeout", "60s")
        # What is not read holds the rest back: a few blocks come through the relay, the others wait.
        got = get.stdout.read(2 * MIB)
        equal(direct(getter, seeder.peer), False)
        for router in routers:
            router.run("nft", "delete", "table", "ip", "shut")
        try:
            wait_for(lambda: direct(getter, seeder.peer), "a direct connection", 6)
            break
        except AssertionError:
            get.kill()
            getter.stop()
            getter.start()
            wait_for(lambda: getter.status()["relay"]["places"] == 1, "its place again")
    got += get.stdout.read()
    equal(bench.finish(get).status, 0)
    with open(source, "rb") as file:
        assert got == file.read(), "other bytes came"
    carried = middle.status()["relay"]["relayed_bytes"] - before
    assert 2 * MIB <= carried < 32 * MIB, f"{carried} bytes went through the relay"
    contains(getter.log(), "event=transfer-direct")


if __name__ == "__main__":
    main()
