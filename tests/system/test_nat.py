#!/usr/bin/env python3
"""How nodes are seen from outside, in an internet of namespaces."""
from internet import CLOSED, Internet
from nodes import case, contains, equal, main, wait_for

SERVER = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "nat.serve": "on",
          "dht.mode": "server", "slots.filling": "8", "slots.serving": "8", "slots.control": "8"}
AUTO = {"dht.mode": "auto", "relay.serve": "auto"}


def servers(bench, internet, count=3):
    """Nodes in networks of their own that dial whoever asks."""
    made = []
    for i in range(count):
        host = internet.host(f"s{i}", f"8.{10 + i}.0.1")
        made.append(bench.node(f"s{i}", launcher=host.inside, settings=SERVER))
    return ",".join(f"/ip4/8.{10 + i}.0.1/tcp/4501/p2p/{node.peer}" for i, node in enumerate(made)), made


def client(bench, host, name, met, **settings):
    return bench.node(name, launcher=host.inside, settings={
        **SERVER, "nat.serve": "auto", "dht.mode": "client", "dht.bootstrap": met, **settings})


def services(node):
    """What it does for others now."""
    status = node.status()
    return {"dht": status["dht"]["mode"], "relay": status["relay"]["serves"]}


def seen(node):
    return node.status()["reachability"]


def listed(value):
    return value if isinstance(value, list) else [value]


def announced(node):
    return listed(node.status()["node"].get("announced_address", []))


def verdict(node, address):
    """Waits until the address has been judged."""
    def judged():
        for line in listed(seen(node).get("address", [])):
            if line.startswith(address + " ") and " unknown " not in line:
                return line
        return None
    return wait_for(judged, f"a verdict on {address}")


@case("a node with a public address learns that it can be reached, and then serves others where it may")
def public(bench):
    internet = Internet(bench)
    met, made = servers(bench, internet)
    node = client(bench, internet.host("a", "8.50.0.1"), "a", met, **AUTO)
    equal(seen(node)["serves"], False)
    equal(services(node), {"dht": "client", "relay": False})
    forced = client(bench, internet.host("f", "8.51.0.1"), "f", met)
    contains(verdict(node, "/ip4/8.50.0.1/tcp/4501"), " reachable ")
    contains(verdict(forced, "/ip4/8.51.0.1/tcp/4501"), " reachable ")
    wait_for(lambda: seen(node)["node"] == "reachable", "the node to call itself reachable")
    wait_for(lambda: seen(node)["serves"], "the node to serve others")
    contains(announced(node), "/ip4/8.50.0.1/tcp/4501")
    equal(services(node), {"dht": "server", "relay": True})
    wait_for(lambda: any(server.status()["dht"]["peers"] >= 1 for server in made), "a table to hold it")
    equal(services(forced), {"dht": "client", "relay": False})
    assert seen(forced)["node"] != "unreachable"
    assert sum(seen(server)["autonat_reached"] for server in made) >= 1
    equal(sum(seen(server)["autonat_paid_bytes"] for server in made), 0)


@case("an address other than that of the connection is dialled only for payment")
def paid(bench):
    internet = Internet(bench)
    met, made = servers(bench, internet)
    host = internet.host("p", "8.80.0.1")
    host.run("ip", "address", "add", "9.80.0.1/32", "dev", "out")
    node = client(bench, host, "p", met)
    contains(verdict(node, "/ip4/9.80.0.1/tcp/4501"), " reachable ")
    assert sum(seen(server)["autonat_paid_bytes"] for server in made) >= 30000
    assert sum(seen(server)["autonat_reached"] for server in made) >= 1


@case("an address behind a firewall is proven unreachable by three networks, and no longer announced; it serves nobody")
def closed(bench):
    internet = Internet(bench)
    met, _ = servers(bench, internet)
    host = internet.host("b", "8.60.0.1")
    host.rules(CLOSED)
    walled = internet.host("f", "8.61.0.1")
    walled.rules(CLOSED)
    node = client(bench, host, "b", met, **AUTO)
    forced = client(bench, walled, "f", met, **{"dht.mode": "server", "relay.serve": "true"})
    contains(verdict(forced, "/ip4/8.61.0.1/tcp/4501"), " unreachable ")
    contains(verdict(node, "/ip4/8.60.0.1/tcp/4501"), " unreachable ")
    wait_for(lambda: seen(node)["node"] == "unreachable", "the node to call itself unreachable")
    equal(seen(node)["serves"], False)
    equal(services(node), {"dht": "client", "relay": False})
    equal(services(forced), {"dht": "server", "relay": True})
    wait_for(lambda: "/ip4/8.60.0.1/tcp/4501" not in announced(node), "the address to be withheld")


@case("behind a router, the address that three networks see is judged, and announced where it is forwarded")
def behind(bench):
    internet = Internet(bench)
    met, _ = servers(bench, internet)
    router = internet.router("r", "8.70.0.1")
    forwarding = internet.router("f", "8.71.0.1")
    forwarding.run("nft", "add rule ip nat forwards iifname out tcp dport 4501 dnat to 10.0.0.2")
    shut = client(bench, internet.behind(router, "c", "10.0.0.2"), "c", met)
    open_ = client(bench, internet.behind(forwarding, "d", "10.0.0.2"), "d", met)
    line = verdict(shut, "/ip4/8.70.0.1/tcp/4501")
    contains(line, " unreachable ")
    contains(line, "source=observed")
    wait_for(lambda: "/ip4/8.70.0.1/tcp/4501" not in announced(shut), "the address to be withheld")
    line = verdict(open_, "/ip4/8.71.0.1/tcp/4501")
    contains(line, " reachable ")
    wait_for(lambda: "/ip4/8.71.0.1/tcp/4501" in announced(open_), "the forwarded address to be told")


main()
