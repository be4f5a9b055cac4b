#!/usr/bin/env python3
"""Nodes behind a gateway of ours that they ask to forward their ports."""
import json
import os
import subprocess
import sys
import threading

from internet import Internet
from nodes import case, equal, main, same, wait_for

NODE = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "nat.map": "auto",
        "slots.filling": "8", "slots.serving": "8", "slots.control": "8"}
GATEWAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway.py")


class Gateway:
    """The router's program, and what it was asked."""

    def __init__(self, bench, router, mode, outside):
        self.asked = []
        process = bench.popen([*router.inside, sys.executable, GATEWAY, mode, router.gateway, outside],
                              stdout=subprocess.PIPE)
        self.output = process.stdout
        self.output.readline()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.output:
            self.asked.append(json.loads(line))

    def all(self, **wanted):
        return [line for line in self.asked if wanted.items() <= line.items()]


def home(bench, mode, **settings):
    """A node behind a router that speaks `mode`."""
    internet = Internet(bench)
    router = internet.router("r", "8.70.0.1")
    gateway = Gateway(bench, router, mode, "8.70.0.1")
    host = internet.behind(router, "h", "10.0.0.2")
    node = bench.node("n", launcher=host.inside, settings={**NODE, **settings})
    return internet, gateway, node


def mapping(node):
    return node.status().get("mapping", {})


def mapped(node, method):
    wait_for(lambda: mapping(node).get("tcp") and mapping(node).get("udp"), "both ports to be mapped")
    equal(mapping(node)["method"], method)
    return mapping(node)["tcp"], mapping(node)["udp"]


@case("NAT-PMP maps both ports with a lease, they lead to the node, and are given back at the end")
def pmp(bench):
    internet, gateway, node = home(bench, "pmp")
    equal(mapped(node, "NAT-PMP"), ("8.70.0.1:4501", "8.70.0.1:4501"))
    equal({line["lease"] for line in gateway.all(pmp="map")}, {3600})
    equal(gateway.all(ssdp=""), [])
    wait_for(lambda: "/ip4/8.70.0.1/tcp/4501" in node.status()["node"]["announced_address"],
             "the mapped address to be announced")
    # From outside, the dataset is fetched through the forwarded ports, on either carrier.
    ticket = node.share(bench.file("file", 3 << 20))
    away = bench.node("away", launcher=internet.host("a", "8.80.0.1").inside,
                      settings={**NODE, "nat.map": "off"})
    away.get(ticket, "-o", bench.path("got"), "--carrier", "stream", "--timeout", "20s").ok()
    away.get(ticket, "-o", bench.path("again"), "--carrier", "udp", "--timeout", "20s").ok()
    node.stop()
    wait_for(lambda: len(gateway.all(pmp="map", lease=0)) >= 2, "both mappings to be given back")


@case("PCP maps both ports under numbers of their own, elsewhere than asked, and takes them back")
def pcp(bench):
    internet, gateway, node = home(bench, "pcp")
    equal(mapped(node, "PCP"), ("8.70.0.1:6501", "8.70.0.1:5501"))
    equal({line["lease"] for line in gateway.all(pcp="map")}, {3600})
    equal({line["result"] for line in gateway.all(pcp="map")}, {0})
    wait_for(lambda: "/ip4/8.70.0.1/tcp/6501" in node.status()["node"]["announced_address"],
             "the mapped address to be announced")
    ticket = node.share(bench.file("file", 3 << 20))
    away = bench.node("away", launcher=internet.host("a", "8.80.0.1").inside,
                      settings={**NODE, "nat.map": "off"})
    for carrier in ("stream", "udp"):
        away.get(ticket, "-o", bench.path(carrier), "--carrier", carrier, "--timeout", "20s").ok()
    node.stop()
    wait_for(lambda: [line["result"] for line in gateway.all(pcp="map", lease=0)] == [0, 0], "both to be given back")


# A home with addresses of its own over IPv6, behind a firewall that lets nothing in.
WALL = """
table ip6 wall {
    chain holes { }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        jump holes
        iifname "in" meta l4proto tcp accept
    }
}"""


@case("over IPv6 PCP opens holes in the firewall, for our own address, and closes them")
def holes(bench):
    internet = Internet(bench)
    router = internet.router("r", "8.70.0.1")
    router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
                           "ip -6 address add 2a00:90::1/64 dev out nodad\n"
                           "ip -6 address add 2a00:70::1/64 dev in nodad\n"
                           "ip -6 address add fe80::1/64 dev in nodad")
    router.rules(WALL)
    gateway = Gateway(bench, router, "pcp", "8.70.0.1")
    host = internet.behind(router, "h", "10.0.0.2")
    host.run("sh", "-c", "ip -6 address add 2a00:70::2/64 dev in nodad\n"
                         "ip -6 route add default via fe80::1 dev in")
    far = internet.host("a", "8.80.0.1")
    far.run("sh", "-c", "ip -6 address add 2a00:90::2/64 dev out nodad\n"
                        "ip -6 route add 2a00:70::/64 via 2a00:90::1")
    six = {**NODE, "listen.tcp": "[::]:4501", "listen.udp": "[::]:4501"}
    away = bench.node("away", launcher=far.inside, settings={**six, "nat.map": "off"})
    shut = bench.node("shut", launcher=host.inside, settings={**six, "nat.map": "off"})
    ticket = shut.share(bench.file("shut in", 1 << 20))
    away.get(ticket, "-o", bench.path("nothing"), "--timeout", "2s").fails("timeout")
    shut.stop()
    node = bench.node("n", launcher=host.inside, settings=six)
    seen = lambda: node.status().get("mapping_ipv6", {})  # noqa: E731
    wait_for(lambda: seen().get("tcp") and seen().get("udp"), "both holes")
    equal((seen()["method"], seen()["tcp"], seen()["udp"]), ("PCP", "[2a00:70::2]:4501", "[2a00:70::2]:4501"))
    ticket = node.share(bench.file("file", 3 << 20))
    for carrier in ("stream", "udp"):
        away.get(ticket, "-o", bench.path(carrier), "--carrier", carrier, "--timeout", "20s").ok()
        same(bench.path("file"), bench.path(carrier))
    node.stop()
    wait_for(lambda: [line["result"] for line in gateway.all(pcp="map", lease=0, client="2a00:70::2")] == [0, 0],
             "both holes to be closed")


@case("an Internet gateway device maps both ports with a lease, and is told when they end")
def igd(bench):
    _, gateway, node = home(bench, "igd")
    equal(mapped(node, "UPnP"), ("8.70.0.1:4501", "8.70.0.1:4501"))
    added = gateway.all(soap="AddPortMapping")
    equal({(line["protocol"], line["lease"], line["to"]) for line in added},
          {("tcp", 3600, "10.0.0.2"), ("udp", 3600, "10.0.0.2")})
    node.stop()
    wait_for(lambda: len(gateway.all(soap="DeletePortMapping")) == 2, "both to be deleted")


# The only way from outside to inside over UDP: what was mapped.
NO_PUNCHING = """
table ip strict {
    chain forward {
        type filter hook forward priority 10; policy accept;
        iifname "in" ct state new meta l4proto udp drop
    }
}"""


@case("a mapped UDP port is where the fast path is offered, whatever its number and what it is bound to")
def fast(bench):
    internet = Internet(bench)
    away = bench.node("away", launcher=internet.host("a", "8.80.0.1").inside, settings={**NODE, "nat.map": "off"})
    source = bench.file("of away", 3 << 20)
    theirs = away.share(source)
    ways = (("moved", "NAT-PMP", "0.0.0.0:4501", ("6501", "5501")),
            ("taken", "UPnP", "10.0.0.2:4501", ("4503", "4503")))
    for i, (mode, method, bound, ports) in enumerate(ways):
        outside = f"8.{70 + i}.0.1"
        router = internet.router(f"r{i}", outside)
        router.rules(NO_PUNCHING)
        Gateway(bench, router, mode, outside)
        host = internet.behind(router, f"h{i}", "10.0.0.2")
        node = bench.node(mode, launcher=host.inside, settings={**NODE, "listen.udp": bound})
        equal(mapped(node, method), tuple(f"{outside}:{port}" for port in ports))
        wait_for(lambda: f"/ip4/{outside}/tcp/{ports[0]}" in node.status()["node"]["announced_address"],
                 "the mapped address to be announced")
        ticket = node.share(bench.file("of " + mode, 3 << 20))
        away.get(ticket, "-o", bench.path("got " + mode), "--carrier", "udp", "--timeout", "20s").ok()
        same(bench.path("of " + mode), bench.path("got " + mode))
        # The other way too: who asks from inside is probed where its port is mapped.
        node.get(theirs, "-o", bench.path("back " + mode), "--carrier", "udp", "--timeout", "20s").ok()
        same(source, bench.path("back " + mode))


@case("devices without leases, with taken ports or with chunked answers are served too")
def odd(bench):
    internet = Internet(bench)
    nodes = {}
    for i, mode in enumerate(("permanent", "taken", "chunked")):
        router = internet.router(f"r{i}", f"8.{70 + i}.0.1")
        gateway = Gateway(bench, router, mode, f"8.{70 + i}.0.1")
        host = internet.behind(router, f"h{i}", "10.0.0.2")
        nodes[mode] = bench.node(mode, launcher=host.inside, settings=NODE), gateway
    node, gateway = nodes["permanent"]
    mapped(node, "UPnP")
    equal(len(gateway.all(soap="AddPortMapping", lease=0)), 2)
    node, gateway = nodes["taken"]
    equal(mapped(node, "UPnP"), ("8.71.0.1:4503", "8.71.0.1:4503"))
    mapped(nodes["chunked"][0], "UPnP")


@case("hostile gateways get nothing but a little time: endless, slow, broken, elsewhere, silent, strange")
def hostile(bench):
    internet = Internet(bench)
    nodes = {}
    for i, mode in enumerate(("endless", "loris", "broken", "elsewhere", "silent", "stranger")):
        router = internet.router(f"r{i}", f"8.{70 + i}.0.1")
        gateway = Gateway(bench, router, mode, f"8.{70 + i}.0.1")
        host = internet.behind(router, f"h{i}", "10.0.0.2")
        nodes[mode] = bench.node(mode, launcher=host.inside, settings=NODE), gateway
    for mode, (node, gateway) in nodes.items():
        wait_for(lambda n=node: mapping(n)["failed_rounds"] >= 1, f"{mode}: the node to give up")
        equal(mapping(node)["method"], "none")
        equal("tcp" in mapping(node), False)
        equal(gateway.all(soap="AddPortMapping"), [])
        assert node.status()["node"]["peak_rss_bytes"] < 256 << 20
    for mode in ("endless", "loris", "broken"):
        assert mapping(nodes[mode][0])["bad_answers"] >= 1, mode
    assert mapping(nodes["elsewhere"][0])["foreign_answers"] >= 1
    equal(nodes["elsewhere"][1].all(http="description"), [])
    for node, _ in nodes.values():
        node.stop()


@case("with nat.map off, as it is by default, no packet leaves")
def off(bench):
    internet = Internet(bench)
    router = internet.router("r", "8.70.0.1")
    gateway = Gateway(bench, router, "igd", "8.70.0.1")
    host = internet.behind(router, "h", "10.0.0.2")
    node = bench.node("n", launcher=host.inside, settings={**NODE, "nat.map": None})
    cid = node.put(bench.file("file", 1 << 20))
    node.json("share", cid).ok()
    equal(mapping(node), {})
    equal(gateway.asked, [])
    counted = host.run("cat", "/proc/net/snmp").split("\n")
    for protocol, name in (("Udp:", "OutDatagrams"), ("Tcp:", "ActiveOpens")):
        names, values = [line.split() for line in counted if line.startswith(protocol)]
        equal(values[names.index(name)], "0", f"{protocol} {name}")


main()
