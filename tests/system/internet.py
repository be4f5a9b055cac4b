"""A small internet of network namespaces: hosts with public addresses on one link, and routers with
private networks behind them. Needs root; refused with Skip. Every namespace ends with its bench."""
import os
import subprocess
import sys

from nodes import Skip
from network import namespace

# Rules of a host whose port of libp2p cannot be dialled.
CLOSED = """
table ip filter {
    chain input {
        type filter hook input priority 0; policy accept;
        iifname "out" ct state new tcp dport 4501 reject with tcp reset
    }
}"""


SLOW_WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slow_wire.py")
# Frames leave with their checksums in them, and no longer than the wire takes: a program carries them.
PLAIN_FRAMES = """
import ctypes, fcntl, socket, struct, sys
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
value = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
fcntl.ioctl(socket.socket(), SIOCETHTOOL, struct.pack("16sP16x", sys.argv[1].encode(), ctypes.addressof(value)))
"""


class Host:
    """A namespace: `inside` are the words that run a program in it."""

    def __init__(self, internet, name):
        self.internet, self.name = internet, name
        self.inside = namespace(internet.bench)
        self.pid = self.inside[2]
        self.links = 0
        self.slow = None  # of a wire: the program that delays

    def run(self, *words, input=None):
        try:
            done = subprocess.run([*self.inside, *words], input=input, capture_output=True, text=True)
        except FileNotFoundError:
            raise Skip(f"{words[0]} is not installed") from None
        if done.returncode:
            raise Skip(f"{' '.join(words)}: {done.stderr.strip()[:200]}")
        return done.stdout

    def plug(self, wire, name):
        """A cable to a bridge, which lies in the namespace of `wire`."""
        port = f"p{wire.links}"
        wire.links += 1
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", port)
        self.run("ip", "link", "set", port, "netns", wire.pid)
        if wire.slow:
            self.run(sys.executable, "-c", PLAIN_FRAMES, name)
            wire.join(port)
        else:
            wire.run("ip", "link", "set", port, "master", "wire", "up")
        self.run("ip", "link", "set", name, "up")

    def join(self, port):
        """Between the cable and the bridge, what delays."""
        near, far = port.replace("p", "s"), port.replace("p", "t")
        self.run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        self.run("ip", "link", "set", far, "master", "wire", "up")
        self.run("ip", "link", "set", near, "up")
        self.run("ip", "link", "set", port, "up")
        self.slow.stdin.write(f"{port} {near}\n".encode())
        self.slow.stdin.flush()
        if self.slow.stdout.readline() != b"joined\n":
            raise Skip("packet sockets are refused here")

    def rules(self, text):
        self.run("nft", "-f", "-", input=text)


class Internet:
    """`delay`: milliseconds that everything takes from a host to the middle, and again from there."""

    def __init__(self, bench, delay=0):
        self.bench = bench
        self.wire = self.bridge("wire")
        if delay:
            self.wire.slow = bench.popen([*self.wire.inside, sys.executable, SLOW_WIRE, str(delay)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def bridge(self, name):
        wire = Host(self, name)
        wire.run("ip", "link", "add", "wire", "type", "bridge")
        wire.run("ip", "link", "set", "wire", "up")
        return wire

    def host(self, name, address):
        """Everybody is on one link, whatever the address."""
        host = Host(self, name)
        host.plug(self.wire, "out")
        host.run("ip", "address", "add", address + "/32", "dev", "out")
        host.run("ip", "route", "add", "default", "dev", "out", "src", address)
        return host

    def router(self, name, address, inside="10.0.0.1/24", symmetric=False, silent=False):
        """Translates what comes from inside, and lets nothing in that was not asked for. A cone keeps
        port numbers, so that everybody meets a machine at the same place; a symmetric one takes another
        port for every destination. A silent one does not even refuse what comes to itself."""
        router = self.host(name, address)
        router.lan = self.bridge(name + "-lan")
        router.gateway = inside.split("/", maxsplit=1)[0]
        router.plug(router.lan, "in")
        router.run("ip", "address", "add", inside, "dev", "in")
        router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        router.rules("""
            table ip nat {
                chain forwards { type nat hook prerouting priority -100; }
                chain out {
                    type nat hook postrouting priority 100
                    oifname "out" masquerade %s
                }
            }
            table ip filter {
                chain forward {
                    type filter hook forward priority 0; policy drop;
                    ct state established,related accept
                    ct status dnat accept
                    iifname "in" accept
                }
            }""" % ("fully-random" if symmetric else ""))
        if silent:
            router.rules("""
                table ip silent {
                    chain input {
                        type filter hook input priority 0; policy drop;
                        ct state established,related accept
                        iifname "lo" accept
                    }
                }""")
        return router

    def behind(self, router, name, address):
        host = Host(self, name)
        host.plug(router.lan, "in")
        host.run("ip", "address", "add", address + "/24", "dev", "in")
        host.run("ip", "route", "add", "default", "via", router.gateway)
        return host
