"""Network namespaces and a firewall for the system tests; both may be refused (Skip)."""
import subprocess

from nodes import Skip

RULES = """
table inet haul {
    chain output { type filter hook output priority 0; meta l4proto udp drop; }
    chain input { type filter hook input priority 0; meta l4proto udp drop; }
}
"""


def namespace(bench):
    """Words that run a program in a namespace with loopback, kept by a process that sleeps there."""
    holder = bench.popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if holder.stdout.readline() != b"up\n":
        raise Skip("a network namespace is refused here")
    return ["nsenter", "-t", str(holder.pid), "-n"]


def firewall(inside):
    """From now on no UDP datagram passes."""
    try:
        done = subprocess.run([*inside, "nft", "-f", "-"], input=RULES.encode(), capture_output=True)
    except FileNotFoundError:
        raise Skip("nft is not installed") from None
    if done.returncode:
        raise Skip("nft: " + done.stderr.decode().strip()[:200])
