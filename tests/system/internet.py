"""A small internet of network namespaces: hosts with public addresses on one link, and routers with
private networks behind them. Needs root; refused with Skip. Every namespace ends with its bench."""
import subprocess

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


class Host:
    """A namespace: `inside` are the words that run a program in it."""

    def __init__(self, internet, name):
        self.internet, self.name = internet, name
        self.inside = namespace(internet.bench)
        self.pid = self.inside[2]
        self.links = 0

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
        wire.run("ip", "link", "set", port, "master", "wire", "up")
        self.run("ip", "link", "set", name, "up")

    def rules(self, text):
        self.run("nft", "-f", "-", input=text)


class Internet:
    def __init__(self, bench):
        self.bench = bench
        self.wire = self.bridge("wire")

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
