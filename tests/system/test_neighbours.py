#!/usr/bin/env python3
"""Nodes on one link that find each other by multicast DNS."""
import subprocess
import sys

from internet import Host, Internet
from nodes import case, equal, main, same, wait_for

NODE = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "peers.mdns": "on",
        "dht.mode": "server", "dht.addresses": "any", "dht.per-network": "none",
        "slots.filling": "8", "slots.serving": "8", "slots.control": "8"}
FLOOD = """
import os, socket, struct, sys
def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\\0"
def base58(data):
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\\0"))) + text
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
for i in range(40):
    peer = base58(bytes((0, 0x24, 8, 1, 0x12, 0x20)) + os.urandom(32))
    text = f"dnsaddr=/ip4/{sys.argv[1]}/tcp/9/p2p/{peer}".encode()
    record = name(f"n{i}._p2p._udp.local") + struct.pack(">HHIH", 16, 1, 120, len(text) + 1)
    s.sendto(struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 0) + record + bytes([len(text)]) + text,
             ("224.0.0.251", 5353))
"""
# A peer that tells of itself and of another machine, where it would have us knock.
LIAR = """
import socket, struct, sys
def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\\0"
peer = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
strings = b""
for place in ("9.9.9.9", "127.0.0.1", "224.0.0.1"):
    text = f"dnsaddr=/ip4/{place}/tcp/4501/p2p/{peer}".encode()
    strings += bytes([len(text)]) + text
record = name("liar._p2p._udp.local") + struct.pack(">HHIH", 16, 1, 120, len(strings)) + strings
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
for data in (struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 0) + record, b"nonsense", b""):
    s.sendto(data, ("224.0.0.251", 5353))
"""


def link(bench, count, **settings):
    """Nodes with private addresses on one link, without a route to anywhere else."""
    internet = Internet(bench)
    made = []
    for i in range(count):
        host = Host(internet, f"h{i}")
        host.plug(internet.wire, "lan")
        host.run("ip", "address", "add", f"10.0.0.{i + 1}/24", "dev", "lan")
        made.append((bench.node(f"n{i}", launcher=host.inside, settings={**NODE, **settings}), host))
    return made


def neighbours(node):
    return node.status().get("neighbours", {})


def listed(value):
    return value if isinstance(value, list) else [value]


@case("two nodes on one link find each other without being told, and a CID alone fetches")
def find(bench):
    (a, _), (b, _) = link(bench, 2)
    wait_for(lambda: listed(neighbours(a).get("peer")) == [b.peer], "a to find b")
    wait_for(lambda: listed(neighbours(b).get("peer")) == [a.peer], "b to find a")
    wait_for(lambda: b.status()["dht"]["peers"] == 1, "b to have a in its table")
    source = bench.file("file", 3 << 20)
    shared = a.json("share", source, "--announce").ok().object
    b.get(shared["cid"], "-o", bench.path("got"), "--timeout", "30s").ok()
    same(source, bench.path("got"))


@case("what a neighbour tells of third parties is not dialled, and nonsense is counted")
def liar(bench):
    ((node, _), (other, host)) = link(bench, 2)
    wait_for(lambda: "peer" in neighbours(node), "the nodes to meet")
    subprocess.run([*host.inside, sys.executable, "-c", LIAR, "10.0.0.2"], check=True)
    wait_for(lambda: neighbours(node)["passed_over"] >= 3, "the lies to be heard")
    wait_for(lambda: neighbours(node)["malformed"] >= 2, "the nonsense to be heard")
    equal(listed(neighbours(node)["peer"]), [other.peer])


@case("more neighbours than the table holds find no place, and those that have one keep it")
def flood(bench):
    ((node, _), (other, host)) = link(bench, 2)
    wait_for(lambda: "peer" in neighbours(node), "the nodes to meet")
    subprocess.run([*host.inside, sys.executable, "-c", FLOOD, "10.0.0.2"], check=True)
    wait_for(lambda: neighbours(node)["found"] + neighbours(node)["crowded"] == 41, "all to be heard")
    equal((neighbours(node)["found"], neighbours(node)["crowded"]), (32, 9))
    assert other.peer in listed(neighbours(node)["peer"]), neighbours(node)


@case("without peers.mdns nothing is asked, answered or bound")
def off(bench):
    ((node, host), (other, _)) = link(bench, 2, **{"peers.mdns": None})
    equal(neighbours(node), {})
    equal(neighbours(other), {})
    equal("5353" in host.run("ss", "-uln"), False)


main()
