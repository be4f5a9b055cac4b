"""A small internet in namespaces: one public network, and homes behind gateways that translate
addresses, each with one machine in it. What the kernel refuses is a Skip."""
import subprocess

from network import namespace
from nodes import Skip

# How a gateway translates: a cone keeps port numbers, so that everybody meets a machine at the same
# place; a symmetric one takes another port for every destination. Both let in only what was asked for.
KINDS = {"cone": "masquerade", "symmetric": "masquerade fully-random"}

RULES = """
table ip home {
    chain translate {
        type nat hook postrouting priority 100
        oifname "out" %s
    }
    chain forward {
        type filter hook forward priority 0; policy drop
        ct state established,related accept
        iifname "in" accept
    }
    chain input {
        type filter hook input priority 0; policy drop
        ct state established,related accept
        iifname "lo" accept
    }
}
"""


def sh(inside, script, text=None):
    done = subprocess.run([*inside, "sh", "-ec", script], input=text, capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"{script.splitlines()[0]}: {done.stderr.strip()[:200]}")


def pid_of(inside):
    return inside[inside.index("-t") + 1]


class Internet:
    """Places are words that run a program there; addresses are public, and go nowhere."""

    def __init__(self, bench):
        self.bench = bench
        self.hosts = 0
        self.wan = namespace(bench)
        sh(self.wan, "ip link add bridge type bridge\nip link set bridge up")
        self.address = self._next()
        sh(self.wan, f"ip address add {self.address}/16 dev bridge")

    def _next(self):
        self.hosts += 1
        return f"45.1.0.{self.hosts}"

    def _join(self, place):
        """A leg of the public network in that namespace, called out."""
        address = self._next()
        port = f"port{self.hosts}"
        sh(self.wan, f"ip link add {port} type veth peer name out netns {pid_of(place)}\n"
                     f"ip link set {port} master bridge up")
        sh(place, f"ip address add {address}/16 dev out\nip link set out up")
        return address

    def open(self):
        """A machine with a public address and no gateway."""
        place = namespace(self.bench)
        self._join(place)
        return place

    def home(self, kind):
        """A machine behind a gateway."""
        gateway, place = namespace(self.bench), namespace(self.bench)
        self._join(gateway)
        sh(gateway, f"ip link add in type veth peer name eth netns {pid_of(place)}\n"
                    "ip address add 10.1.0.1/24 dev in\nip link set in up\n"
                    "echo 1 > /proc/sys/net/ipv4/ip_forward")
        sh(gateway, "nft -f -", RULES % KINDS[kind])
        sh(place, "ip address add 10.1.0.2/24 dev eth\nip link set eth up\n"
                  "ip route add default via 10.1.0.1")
        return place
