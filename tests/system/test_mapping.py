#!/usr/bin/env python3
"""Nodes behind a gateway of ours that they ask to forward their ports."""
from homes import NODE, Gateway, home, mapped, mapping
from internet import Internet
from nodes import case, equal, main, wait_for


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


@case("an Internet gateway device maps both ports with a lease, and is told when they end")
def igd(bench):
    _, gateway, node = home(bench, "igd")
    equal(mapped(node, "UPnP"), ("8.70.0.1:4501", "8.70.0.1:4501"))
    added = gateway.all(soap="AddPortMapping")
    equal({(line["protocol"], line["lease"], line["to"]) for line in added},
          {("tcp", 3600, "10.0.0.2"), ("udp", 3600, "10.0.0.2")})
    node.stop()
    wait_for(lambda: len(gateway.all(soap="DeletePortMapping")) == 2, "both to be deleted")


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
