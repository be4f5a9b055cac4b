#!/usr/bin/env python3
"""A port that the kernel does not own, seen from outside: a node on a veth end by af_packet (or on a
live interface by af_xdp), and on the other end a kernel that pings it, a node on kernel UDP, and
whoever forges frames."""
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading

from nodes import case, contains, equal, lacks, main, same, wait_for

MIB = 1 << 20
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HAUL4, PEER4 = "10.77.0.1", "10.77.0.2"
HAUL6, PEER6 = "fd77::1", "fd77::2"
PORT = 4501


# --- two namespaces and a wire ---

def namespace(bench):
    holder = bench.popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if holder.stdout.readline() != b"up\n":
        raise lacks("a network namespace is refused here")
    return holder.pid, ["nsenter", "-t", str(holder.pid), "-n"]


def run(inside, *words, check=True):
    done = subprocess.run([*inside, *words], capture_output=True, timeout=30, check=False)
    if check and done.returncode:
        raise AssertionError(f"{words}: {done.stderr.decode()[-500:]}")
    return done


class Wire:
    """`near`, where the node with a port of its own is, and `far`, where a kernel has the other end.
    A second pair of interfaces carries libp2p."""

    def __init__(self, bench):
        self.bench = bench
        self.near_pid, self.near = namespace(bench)
        self.far_pid, self.far = namespace(bench)
        # One queue an end: af_packet and af_xdp read one. No bursts on the wire: no card makes them.
        done = run(self.near, "ip", "link", "add", "wire", "numrxqueues", "1", "numtxqueues", "1", "type",
                   "veth", "peer", "name", "wire", "numrxqueues", "1", "numtxqueues", "1", "netns",
                   str(self.far_pid), check=False)
        if done.returncode:
            raise lacks("no veth here")
        run(self.near, "ip", "link", "add", "talk", "type", "veth", "peer", "name", "talk", "netns",
            str(self.far_pid))
        for inside, number in ((self.near, 1), (self.far, 2)):
            run(inside, "ip", "link", "set", "wire", "gso_max_segs", "1")
            run(inside, "ip", "link", "set", "wire", "up")
            run(inside, "ip", "link", "set", "talk", "up")
            run(inside, "ip", "addr", "add", f"10.88.0.{number}/24", "dev", "talk")
        run(self.near, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/wire/disable_ipv6", check=False)
        run(self.far, "ip", "addr", "add", f"{PEER4}/24", "dev", "wire")
        run(self.far, "ip", "-6", "addr", "add", f"{PEER6}/64", "dev", "wire", "nodad")
        self.mac = self.mac_of(self.near)
        self.far_mac = self.mac_of(self.far)

    @staticmethod
    def mac_of(inside):
        text = run(inside, "ip", "link", "show", "wire").stdout.decode()
        return bytes.fromhex(re.search(r"link/ether ([0-9a-f:]+)", text)[1].replace(":", ""))

    @staticmethod
    def settings(device="net_af_packet0,iface=wire", **more):
        return {
            "listen.tcp": "10.88.0.1:0",
            "dpdk.device": device,
            "dpdk.addresses": f"{HAUL4}/24, {HAUL6}/64",
            "dpdk.port": str(PORT),
            "dpdk.pages": "ordinary",
            "fast.networks": "10.77.0.0/24, fd77::/64",
            **{key.replace("__", "."): value for key, value in more.items()},
        }

    def node(self, device="net_af_packet0,iface=wire", **more):
        try:
            node = self.bench.node("port", self.near, settings=self.settings(device, **more))
        except AssertionError as error:
            for reason in ("dpdk-absent", "dpdk-permission", "config-key",
                           *(["dpdk-device"] if "af_xdp" in device else [])):
                if reason in str(error):
                    raise lacks(str(error)[-200:]) from None
            raise
        return node

    def refuses(self, *parts, **more):
        """A node that must not start, and says so."""
        try:
            self.bench.node("refused", self.near, settings=self.settings(**more))
        except AssertionError as error:
            for part in parts:
                contains(str(error), part)
        else:
            raise AssertionError(f"a node started with {more}")

    def kernel_node(self, tcp="10.88.0.2:0", udp=f"{PEER4}:0", networks="10.77.0.0/24, fd77::/64"):
        return self.bench.node("kernel", self.far, settings={
            "listen.tcp": tcp, "listen.udp": udp, "fast.networks": networks})

    def ping(self, address, *options):
        """How many of five were answered."""
        done = run(self.far, "ping", "-n", "-c", "5", "-i", "0.05", "-W", "5", *options, address, check=False)
        found = re.search(rb"(\d+) received", done.stdout)
        if not found:
            raise lacks("no ping here: " + done.stderr.decode()[-100:])
        return int(found[1])

    def send(self, frames, times=1):
        """Frames as they are, from the far end."""
        script = ("import socket,sys\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\n"
                  "s.bind(('wire',0))\nf=[bytes.fromhex(l) for l in sys.stdin.read().split()]\n"
                  f"for i in range({times}):\n for x in f: s.send(x)\n")
        done = subprocess.run([*self.far, sys.executable, "-c", script], check=False, capture_output=True,
                              input="\n".join(frame.hex() for frame in frames).encode(), timeout=60)
        equal(done.returncode, 0, done.stderr.decode()[-300:])


def counters(node):
    return node.status()["dpdk"]


def counts(node, name, least=1):
    wait_for(lambda: counters(node)[name] >= least, f"{name} to reach {least}, of {counters(node)}")


# --- frames ---

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(wire, kind, body, target=None, tags=()):
    tag = b"".join(struct.pack("!HH", *pair) for pair in tags)
    return (target or wire.mac) + wire.far_mac + tag + struct.pack("!H", kind) + body


def ip4(body, protocol=17, fragment=0x4000, options=b"", source=PEER4, target=HAUL4):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body), 7,
                       fragment, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(target))
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ip6(body, protocol=17, hops=64):
    return (struct.pack("!IHBB", 6 << 28, len(body), protocol, hops)
            + socket.inet_pton(socket.AF_INET6, PEER6) + socket.inet_pton(socket.AF_INET6, HAUL6) + body)


def udp(payload=b"x" * 64, port=PORT, check=0, length=None):
    return struct.pack("!HHHH", 4501, port, 8 + len(payload) if length is None else length, check) + payload


def arp(operation, sender_mac, sender, target_mac, target):
    return (bytes.fromhex("000108000604") + struct.pack("!H", operation) + sender_mac
            + socket.inet_aton(sender) + target_mac + socket.inet_aton(target))


def icmp(kind, code, rest):
    """The four bytes after the checksum are zero, or the MTU of a packet that was too big."""
    body = struct.pack("!HHI", kind << 8 | code, 0, 1300 if kind == 3 else 0) + rest
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def discovery(wire, kind, about, mac, source, target, hops=255):
    """A neighbour solicitation (135) or advertisement (136) with the link-layer address of an option."""
    ends = [socket.inet_pton(socket.AF_INET6, each) for each in (source, target)]
    body = (struct.pack("!BBHI", kind, 0, 0, 0x60000000 if kind == 136 else 0)
            + socket.inet_pton(socket.AF_INET6, about) + bytes([2 if kind == 136 else 1, 1]) + mac)
    total = checksum(b"".join(ends) + struct.pack("!II", len(body), 58) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    return ethernet(wire, 0x86dd, struct.pack("!IHBB", 6 << 28, len(body), 58, hops) + b"".join(ends) + body,
                    b"\x33\x33" + ends[1][-4:] if target.startswith("ff") else None)


# --- cases ---

@case("ping is answered, IPv4 and IPv6, short and long")
def ping(bench):
    wire = Wire(bench)
    node = wire.node()
    for address in (HAUL4, HAUL6):
        equal(wire.ping(address), 5)
        equal(wire.ping(address, "-s", "1400"), 5)
    assert counters(node)["ether_echo_answered"] >= 20, counters(node)
    assert counters(node)["ether_arp_answered"] >= 1 and counters(node)["ether_ndp_answered"] >= 1


@case("a node on kernel UDP and a node with a port of its own exchange datasets, both ways")
def interop(bench):
    wire = Wire(bench)
    # A granter answers over the net that is asked of, where it has it: this one has its port alone.
    port, kernel = wire.node(listen__udp=""), wire.kernel_node()
    ticket = port.share(bench.file("down", 6 * MIB + 7))
    record = kernel.get(ticket, "-o", bench.path("down got"), "--carrier", "udp").ok().object
    equal(list(record["bytes_by_carrier"]), ["udp"])
    same(bench.path("down"), bench.path("down got"))
    ticket = kernel.share(bench.file("up", 6 * MIB + 7))
    record = port.get(ticket, "-o", bench.path("up got"), "--carrier", "dpdk").ok().object
    equal(list(record["bytes_by_carrier"]), ["dpdk"])
    same(bench.path("up"), bench.path("up got"))


def malformed_frames(wire):
    """By the counter of their cause."""
    good = ethernet(wire, 0x0800, ip4(udp()))
    return {
        "ether_rx_protocol": [ethernet(wire, 0x88cc, b"\0" * 50)],
        "ether_rx_vlan_stack": [ethernet(wire, 0x0800, ip4(udp()), tags=[(0x88a8, 5), (0x8100, 7)]),
                                ethernet(wire, 0x0800, ip4(udp()), tags=[(0x8100, 5), (0x8100, 7)])],
        "ether_rx_vlan_other": [ethernet(wire, 0x0800, ip4(udp()), tags=[(0x8100, 5)])],
        "ether_rx_ip_malformed": [ethernet(wire, 0x0800, b"\x44" + ip4(udp())[1:])],
        "ether_rx_ip_checksum": [good[:24] + b"\xff\xff" + good[26:]],
        "ether_rx_ip_options": [ethernet(wire, 0x0800, ip4(udp(), options=b"\x94\4\0\0"))],
        # Those of IPv4 the packet socket itself collects; af_xdp has them below.
        "ether_rx_fragment": [ethernet(wire, 0x86dd, ip6(bytes([17, 0, 0, 1, 0, 0, 0, 9]) + udp(), 44))],
        "ether_rx_ipv6_extension": [ethernet(wire, 0x86dd, ip6(bytes([17, 0, 0, 0, 0, 0, 0, 0]) + udp(), 43))],
        "ether_rx_short": [good[:30], ethernet(wire, 0x86dd, ip6(udp()))[:60]],
        "ether_rx_udp_malformed": [ethernet(wire, 0x0800, ip4(udp(length=7))),
                                   ethernet(wire, 0x0800, ip4(udp(length=900))),
                                   ethernet(wire, 0x0800, ip4(udp()[:4]))],
        "ether_rx_udp_checksum": [ethernet(wire, 0x0800, ip4(udp(check=0x1234))),
                                  ethernet(wire, 0x86dd, ip6(udp()))],
        "ether_rx_udp_port": [ethernet(wire, 0x0800, ip4(udp(port=9)))],
        "ether_rx_source": [ethernet(wire, 0x0800, ip4(udp(), source="224.0.0.9")),
                            ethernet(wire, 0x0800, ip4(udp(), source=HAUL4))],
        "ether_rx_not_for_us": [ethernet(wire, 0x0800, ip4(udp(), target="10.77.0.9"))],
        "ether_rx_icmp_checksum": [ethernet(wire, 0x0800, ip4(b"\x08\0\x12\x34" + b"\0" * 60, 1))],
        "ether_rx_icmp_malformed": [ethernet(wire, 0x0800, ip4(icmp(8, 0, b"")[:4], 1)),
                                    discovery(wire, 135, HAUL6, wire.far_mac, PEER6, HAUL6, hops=64)],
        "ether_rx_icmp_other": [ethernet(wire, 0x0800, ip4(icmp(5, 1, b"\0" * 32), 1)),
                                discovery(wire, 134, HAUL6, wire.far_mac, PEER6, HAUL6)],
        "ether_rx_quote_foreign": [ethernet(wire, 0x0800, ip4(icmp(3, 4, ip4(udp(), target="10.77.0.99")), 1))],
        "ether_rx_arp_malformed": [ethernet(wire, 0x0806, arp(9, wire.far_mac, PEER4, wire.mac, HAUL4)),
                                   ethernet(wire, 0x0806, arp(1, wire.far_mac, PEER4, wire.mac, HAUL4)[:20])],
    }


@case("malformed frames of every layer are dropped, each by its cause, and the node goes on")
def malformed(bench):
    wire = Wire(bench)
    node = wire.node()
    for name, each in malformed_frames(wire).items():
        before = counters(node)[name]
        wire.send(each, 3)
        counts(node, name, before + 3 * len(each))
    equal(wire.ping(HAUL4), 5)
    equal(wire.ping(HAUL6), 5)


FORGED = b"\x02\x66\x66\x66\x66\x66"


@contextlib.contextmanager
def noise_of(wire, frames):
    """These come from the far end, again and again."""
    stop = threading.Event()

    def forge():
        while not stop.is_set():
            wire.send(frames, 5)

    forger = threading.Thread(target=forge)
    forger.start()
    try:
        yield
    finally:
        stop.set()
        forger.join()


def met(wire, port, kernel):
    """The kernel's node is a known neighbour of the port's: what is defended is a live path."""
    ticket = kernel.share(wire.bench.file("first", 100))
    port.get(ticket, "-o", wire.bench.path("first got"), "--carrier", "dpdk").ok()


def comes_whole(wire, port, ticket):
    record = port.get(ticket, "-o", wire.bench.path("got"), "--carrier", "dpdk").ok().object
    equal(list(record["bytes_by_carrier"]), ["dpdk"])
    same(wire.bench.path("file"), wire.bench.path("got"))


@case("during a transfer by af_xdp: malformed frames of every layer, each counted by its cause")
def malformed_meanwhile(bench):
    wire = Wire(bench)
    port, kernel = wire.node("net_af_xdp0,iface=wire"), wire.kernel_node()
    ticket = kernel.share(bench.file("file", 24 * MIB))
    frames = malformed_frames(wire)
    frames["ether_rx_fragment"].append(ethernet(wire, 0x0800, ip4(udp(), fragment=0x2000)))
    met(wire, port, kernel)
    with noise_of(wire, [frame for each in frames.values() for frame in each]):
        counts(port, "ether_rx_short", 10)
        comes_whole(wire, port, ticket)
    after = counters(port)
    equal([name for name in frames if after[name] == 0], [])
    assert after["ether_moved"] == 0 and 1 <= after["neighbours"] <= 4, after


def flooded(wire, port, kernel, noise):
    """A dataset comes from the kernel's node while frames without end come between."""
    ticket = kernel.share(wire.bench.file("file", 24 * MIB))
    met(wire, port, kernel)
    with noise_of(wire, noise):
        counts(port, "ether_challenges")
        comes_whole(wire, port, ticket)
        counts(port, "ether_refused")
    after = counters(port)
    equal((after["ether_moved"], after["ether_table_full"]), (0, 0))
    assert after["ether_rx_rate"] > 0 and 1 <= after["neighbours"] <= 4, after
    assert "dpdk-neighbour-refused" in port.log(), port.log()[-1000:]


@case("during a transfer: a flood of ARP and of echo requests, and forged claims to the peer's address")
def flood(bench):
    wire = Wire(bench)
    port, kernel = wire.node(), wire.kernel_node()
    broadcast = b"\xff" * 6
    noise = [ethernet(wire, 0x0806, arp(1, bytes([2, 9, 0, 0, 0, i]), f"10.77.0.{i}", b"\0" * 6, HAUL4), broadcast)
             for i in range(10, 250)]
    spoof = [ethernet(wire, 0x0806, arp(2, FORGED, PEER4, wire.mac, HAUL4)),
             ethernet(wire, 0x0806, arp(1, FORGED, PEER4, b"\0" * 6, HAUL4), broadcast),
             ethernet(wire, 0x0806, arp(1, FORGED, PEER4, b"\0" * 6, PEER4), broadcast)]
    echo = ethernet(wire, 0x0800, ip4(icmp(8, 0, b"\0" * 60), 1))
    flooded(wire, port, kernel, noise + spoof + [echo] * 50)


@case("during a transfer by af_xdp: a flood of neighbour discovery, and forged claims to the peer's address")
def flood_of_discovery(bench):
    wire = Wire(bench)
    run(wire.near, "ip", "link", "set", "wire", "allmulticast", "on")
    port = wire.node("net_af_xdp0,iface=wire", fast__networks="fd77::/64")
    kernel = wire.kernel_node(udp=f"[{PEER6}]:0", networks="fd77::/64")
    nodes, group = "ff02::1", "ff02::1:ff00:1"
    noise = [discovery(wire, 135, HAUL6, bytes([2, 9, 0, 0, 0, i]), f"fd77::{i:x}", group) for i in range(16, 256)]
    noise += [discovery(wire, 136, f"fd77::{i:x}", bytes([2, 9, 0, 0, 0, i]), f"fd77::{i:x}", HAUL6)
              for i in range(16, 256)]
    spoof = [discovery(wire, 136, PEER6, FORGED, PEER6, HAUL6),
             discovery(wire, 136, PEER6, FORGED, PEER6, nodes),
             discovery(wire, 135, HAUL6, FORGED, PEER6, group)]
    flooded(wire, port, kernel, noise + spoof)
    assert counters(port)["ether_unasked"] > 0, counters(port)


@case("a claim to our own address is told, and answered with an announcement")
def conflict(bench):
    wire = Wire(bench)
    node = wire.node()
    wire.send([ethernet(wire, 0x0806, arp(1, b"\x02\x66\0\0\0\1", HAUL4, b"\0" * 6, PEER4), b"\xff" * 6)])
    counts(node, "ether_conflicts")
    wait_for(lambda: "dpdk-address-conflict" in node.log(), "the log to tell the conflict")
    equal(wire.ping(HAUL4), 5)


STREAMED = 32 * MIB
SENDER = f"""
import hashlib, os, socket, sys
server = socket.create_server(("10.77.0.9", 0))
print(server.getsockname()[1], flush=True)
peer, _ = server.accept()
digest = hashlib.sha256()
for _ in range({STREAMED // MIB}):
    piece = os.urandom({MIB})
    digest.update(piece)
    peer.sendall(piece)
    peer.recv(1)
peer.close()
print(digest.hexdigest(), flush=True)
"""


class OtherTcp:
    """A TCP connection of the kernel's that has nothing to do with haul, over the same card; each piece
    waits for leave, so that it lasts as long as it is wanted to."""

    def __init__(self, wire):
        self.server = wire.bench.popen([*wire.near, sys.executable, "-c", SENDER], stdout=subprocess.PIPE)
        port = self.server.stdout.readline().decode().strip()
        script = (f"import hashlib,socket,sys\ns=socket.create_connection(('10.77.0.9',{port}))\n"
                  f"d=hashlib.sha256()\nfor i in range({STREAMED // MIB}):\n left={MIB}\n"
                  " while left:\n  b=s.recv(min(left,65536))\n  assert b\n  d.update(b)\n  left-=len(b)\n"
                  " if i == 1: print('going', flush=True); sys.stdin.readline()\n"
                  " s.send(b'x')\nprint(d.hexdigest(), flush=True)\n")
        self.client = wire.bench.popen([*wire.far, sys.executable, "-c", script], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        equal(self.client.stdout.readline(), b"going\n")

    def ends_well(self):
        self.client.stdin.write(b"on\n")
        self.client.stdin.flush()
        equal(self.client.stdout.readline(), self.server.stdout.readline(), "what TCP brought")


@case("an interface of af_xdp that another node has, and one whose MTU is too large, are told as that")
def xdp_refused(bench):
    wire = Wire(bench)
    node = wire.node("net_af_xdp0,iface=wire")
    wire.refuses("dpdk-device", "another program has that queue of wire", device="net_af_xdp0,iface=wire")
    node.stop()
    for inside in (wire.near, wire.far):
        run(inside, "ip", "link", "set", "wire", "mtu", "9000")
    wire.refuses("dpdk-device", "ip link set wire mtu 3498", device="net_af_xdp0,iface=wire")


@case("a dpdk.mtu that a driver does not take is told with the largest that it does")
def mtu_refused(bench):
    wire = Wire(bench)
    for device, mtu, most in (("net_af_packet0,iface=wire", 9000, "1500"), ("net_af_xdp0,iface=wire", 9000, "3392"),
                              ("net_af_xdp0,iface=wire", 3393, "3392")):
        wire.refuses("config-key", "dpdk.mtu", f"takes: {most} at most", device=device, dpdk__mtu=str(mtu))
    wire.node("net_af_xdp0,iface=wire", dpdk__mtu="3392").stop()


@case("on the only card: af_xdp takes haul's address, the kernel keeps its own, libp2p and other TCP on it")
def only_card(bench):
    compiler = shutil.which("clang") or shutil.which("clang-14")
    if compiler is None:
        raise lacks("no clang to compile the filter")
    wire = Wire(bench)
    run(wire.near, "ip", "addr", "add", "10.77.0.9/24", "dev", "wire")
    filtered = bench.path("filter.o")
    done = subprocess.run(
        [compiler, "-O2", "-g", "-target", "bpf", "-DIPV4={10,77,0,1}",
         "-DIPV6={0xfd,0x77,0,0,0,0,0,0,0,0,0,0,0,0,0,1}", "-c",
         os.path.join(ROOT, "conf/af_xdp.bpf.c"), "-o", filtered], capture_output=True, check=False)
    equal(done.returncode, 0, done.stderr.decode()[-500:])
    device = f"net_af_xdp0,iface=wire,xdp_prog={filtered}"
    try:
        # Libp2p too is on this card, at the kernel's address.
        port = wire.node(device, listen__tcp="10.77.0.9:0")
    except AssertionError as error:
        if "dpdk-device" in str(error):
            raise lacks("no af_xdp here: " + str(error)[-300:]) from None
        raise
    kernel = wire.kernel_node(f"{PEER4}:0")
    tcp = OtherTcp(wire)
    equal(wire.ping("10.77.0.9"), 5)
    equal(wire.ping(HAUL4), 5)
    equal(wire.ping(HAUL6), 5)
    equal(counters(port)["ether_echo_answered"], 10)  # the kernel answered for itself
    ticket = kernel.share(bench.file("file", 3 * MIB))
    record = port.get(ticket, "-o", bench.path("got"), "--carrier", "dpdk").ok().object
    equal(list(record["bytes_by_carrier"]), ["dpdk"])
    same(bench.path("file"), bench.path("got"))
    tcp.ends_well()
    # The filter outlives a node that is killed, and does the kernel no harm.
    tcp = OtherTcp(wire)
    port.process.kill()
    port.process.wait()
    tcp.ends_well()
    equal(wire.ping("10.77.0.9"), 5)
    assert b"xdp" in run(wire.near, "ip", "link", "show", "wire").stdout
    wire.refuses("dpdk-device", "left by one that was killed: ip link set wire xdp off", device=device,
                 listen__tcp="10.77.0.9:0")
    run(wire.near, "ip", "link", "set", "wire", "xdp", "off")
    port.start()
    equal(wire.ping(HAUL4), 5)
    equal(wire.ping("10.77.0.9"), 5)
    port.stop()  # who is not killed takes it along
    assert b"xdp" not in run(wire.near, "ip", "link", "show", "wire").stdout


if __name__ == "__main__":
    main()
