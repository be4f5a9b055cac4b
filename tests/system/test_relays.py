#!/usr/bin/env python3
"""Behind gateways: places at relays, direct ways through cone gateways, and what is left without."""
from gateways import Internet
from nodes import case, contains, equal, main, same, wait_for

MIB = 1 << 20
LISTEN = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "slots.filling": "8",
          "slots.serving": "8", "slots.control": "8"}


def relay(bench, internet, name, port, **settings):
    """The relay's node and its address."""
    at = f"{internet.address}:{port}"
    node = bench.node(name, internet.wan, settings={**LISTEN, "listen.tcp": at, "listen.udp": at,
                                                    "relay.serve": "true", **settings})
    return node, f"/ip4/{internet.address}/tcp/{port}/p2p/{node.peer}"


def at_home(bench, place, name, address, **settings):
    node = bench.node(name, place, settings={**LISTEN, "relay.use": address, **settings})
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
    # One carries data, the other only introduces.
    _, carrying = relay(bench, internet, "carrying", 4001, **{"relay.circuit-bytes": "none",
                                                              "relay.circuit-time": "none"})
    _, strict = relay(bench, internet, "strict", 4002)
    nodes = {
        "open": at_home(bench, internet.open(), "open", carrying),
        "cone 1": at_home(bench, internet.home("cone"), "cone1", carrying),
        "cone 2": at_home(bench, internet.home("cone"), "cone2", carrying),
        "symmetric 1": at_home(bench, internet.home("symmetric"), "sym1", carrying),
        "symmetric 2": at_home(bench, internet.home("symmetric"), "sym2", carrying),
        "symmetric 3": at_home(bench, internet.home("symmetric"), "sym3", strict),
    }
    sources = {name: bench.file(f"of {name}", 3 * MIB) for name in nodes}
    tickets = {name: node.share(sources[name]) for name, node in nodes.items()}
    expected = [  # who asks, who has it, how it ends
        ("cone 1", "open", "direct"), ("open", "cone 2", "direct"), ("symmetric 1", "open", "direct"),
        ("open", "symmetric 2", "direct"), ("cone 1", "cone 2", "direct"),
        ("cone 2", "symmetric 1", "relay"), ("symmetric 1", "symmetric 2", "relay"),
        ("symmetric 2", "symmetric 3", "refused"),
    ]
    runs = []
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
            got, why = "refused", error["text"]
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


@case("a CID alone fetches from behind one cone gateway what is shared behind another")
def by_cid(bench):
    internet = Internet(bench)
    server, address = relay(bench, internet, "server", 4001, **{"dht.mode": "server"})
    joined = {"dht.mode": "client", "dht.bootstrap": address}
    nodes = [at_home(bench, internet.home("cone"), name, address, **joined) for name in ("seeder", "getter")]
    source = bench.file("file", 3 * MIB)
    cid = nodes[0].json("share", source, "--announce").ok().object["cid"]
    wait_for(lambda: nodes[1].json("dht", "providers", cid).status == 0, "the announcement")
    nodes[1].get(cid, "-o", bench.path("got")).ok()
    same(source, bench.path("got"))
    wait_for(lambda: direct(nodes[1], nodes[0].peer), "a direct connection")
    equal(server.status()["relay"]["circuits_cut"], 0)


if __name__ == "__main__":
    main()
