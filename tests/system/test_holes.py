#!/usr/bin/env python3
"""Ports that PCP opens, as mappings and as holes in a firewall of IPv6, and the fast path through them."""
import sys

from homes import NODE, Gateway, home, mapped, mapping
from internet import Internet
from nodes import case, equal, main, same, wait_for


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


@case("a gateway that has forgotten its mappings and says so is asked for them at once, in PCP and NAT-PMP")
def forgotten(bench):
    internet = Internet(bench)
    homes = {}
    for i, (mode, method) in enumerate((("pcp", "PCP"), ("pmp", "NAT-PMP"))):
        outside = f"8.{70 + i}.0.1"
        router = internet.router(f"r{i}", outside)
        gateway = Gateway(bench, router, mode, outside)
        host = internet.behind(router, f"h{i}", "10.0.0.2")
        node = bench.node(mode, launcher=host.inside, settings=NODE)
        homes[mode] = (node, gateway, router, mapped(node, method))
    for mode, (node, gateway, router, _) in homes.items():
        equal(mapping(node).get("forgotten"), 0)
        gateway.start_anew(announces=True)
        wait_for(lambda g=gateway, m=mode: len([line for line in g.asked[g.asked.index({"anew": True}):]
                                                if line.get(m) == "map"]) >= 2 if {"anew": True} in g.asked else False,
                 f"{mode}: both to be asked for anew")
        wait_for(lambda r=router: r.run("nft", "list", "chain", "ip", "nat", "forwards").count("dnat to 10.0.0.2") == 2,
                 f"{mode}: both to be forwarded anew")
        equal((mapping(node)["forgotten"], mapping(node)["announced"]), (1, 1))
    # A neighbour that says the same is not heard.
    node, _, router, before = homes["pcp"]
    rounds = mapping(node)["rounds"]
    other = internet.behind(router, "other", "10.0.0.3")
    other.run(sys.executable, "-c", "import socket, struct\n"
              "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
              "s.bind(('10.0.0.3', 0))\n"
              "s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.0.0.3'))\n"
              "s.sendto(struct.pack('>BBBBII12x', 2, 0x80, 0, 0, 0, 0), ('224.0.0.1', 5350))")
    wait_for(lambda: mapping(node)["foreign_answers"] >= 1, "the neighbour to be passed over")
    equal((mapping(node)["rounds"], mapping(node)["tcp"], mapping(node)["udp"]), (rounds, *before))


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


main(at_once=2)
