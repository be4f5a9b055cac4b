#!/usr/bin/env python3
"""What a firewall does to the carriers, in a network namespace of its own."""
import subprocess

from nodes import Skip, case, equal, main, same

MIB = 1 << 20
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


def firewall(bench, inside):
    try:
        done = subprocess.run([*inside, "nft", "-f", "-"], input=RULES.encode(), capture_output=True)
    except FileNotFoundError:
        raise Skip("nft is not installed") from None
    if done.returncode:
        raise Skip("nft: " + done.stderr.decode().strip()[:200])


def pair_inside(bench, inside):
    return bench.node("seeder", inside), bench.node("getter", inside)


@case("in a namespace without a firewall, udp carries")
def free(bench):
    seeder, getter = pair_inside(bench, namespace(bench))
    ticket = seeder.share(bench.file("file", 3 * MIB))
    getter.get(ticket, "-o", bench.path("got"), "--carrier", "udp").ok()
    same(bench.path("file"), bench.path("got"))


@case("where UDP is blocked, auto falls to the stream and completes")
def auto(bench):
    inside = namespace(bench)
    firewall(bench, inside)
    seeder, getter = pair_inside(bench, inside)
    ticket = seeder.share(bench.file("file", 3 * MIB))
    record = getter.get(ticket, "-o", bench.path("got")).ok().object
    equal(list(record["bytes_by_carrier"]), ["stream"])
    assert record["seconds"] < 15, record
    same(bench.path("file"), bench.path("got"))


@case("where UDP is blocked, --carrier udp fails with carrier-failed, and leaves nothing")
def forced(bench):
    inside = namespace(bench)
    firewall(bench, inside)
    seeder, getter = pair_inside(bench, inside)
    ticket = seeder.share(bench.file("file", 3 * MIB))
    getter.get(ticket, "-o", bench.path("got"), "--carrier", "udp", "--timeout",
               "30s").fails("carrier-failed")
    getter.get(ticket, "-o", bench.path("got"), "--carrier", "stream").ok()
    same(bench.path("file"), bench.path("got"))


if __name__ == "__main__":
    main()
