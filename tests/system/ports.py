"""Nodes with ports of DPDK for the system tests: over memif, veth, vhost."""
import contextlib
import fcntl
import os
import subprocess

from nodes import Skip, came_by, equal, lacks, same, wait_for

MIB = 1 << 20


def settings(device, number, **more):
    return {
        "dpdk.device": device,
        "dpdk.addresses": f"10.77.0.{number}/24, fd77::{number}/64",
        "fast.networks": "10.77.0.0/24, fd77::/64",
        "listen.udp": "127.0.0.1:0",
        # Huge pages are the machine's: only who is about them takes part in their coming and going.
        "dpdk.pages": "ordinary",
        **{key.replace("_", "."): value for key, value in more.items()},
    }


def memif(bench, role):
    return (f"net_memif0,role={role},socket={bench.path('memif')},socket-abstract=no"
            + (",zero-copy=no" if role == "client" else ""))


def linked(*nodes):
    for node in nodes:
        wait_for(lambda: node.status()["dpdk"]["link_up"] == 1, f"{node.name}: the link")


def pair(bench, first, second, **more):
    """A seeder on the first device and a getter on the second."""
    seeder = bench.node("seeder", settings=settings(first, 1, **more))
    getter = bench.node("getter", settings=settings(second, 2, **more))
    linked(seeder, getter)
    return seeder, getter


def vhost(bench, queues=1, ring=256, **more):
    """A seeder on vhost and a getter on virtio-user, with room for so many frames each way."""
    socket = bench.path("vhost")
    return pair(bench, f"net_vhost0,iface={socket},client=0,queues={queues}",
                f"net_virtio_user0,path={socket},queues={queues},queue_size={ring}", **more)


def moves(bench, seeder, getter, name, size=24 * MIB + 5):
    """A dataset goes over DPDK, whole and over nothing else."""
    source = bench.path(name)
    bench.file(f"{name}/file", size)
    bench.file(f"{name}/small", 10)
    ticket = seeder.share(source)
    got = bench.path(f"{name} got")
    record = getter.get(ticket, "-o", got, "--carrier", "dpdk").ok().object
    equal(list(record["bytes_by_carrier"]), ["dpdk"])
    equal(record["carrier"], "dpdk")
    same(source, got)
    return record


def under_way(bench, getter, ticket, carrier="dpdk"):
    """A get of which some has arrived, and most has not."""
    before = getter.status()["dpdk"]["rx_datagrams"]
    command = bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path("got"),
                          "--carrier", carrier)
    wait_for(lambda: getter.status()["dpdk"]["rx_datagrams"] > before + 3000, "the first datagrams")
    assert command.poll() is None, "the transfer is over already"
    return command


def begin(bench, seeder, getter, size=96 * MIB, carrier="dpdk"):
    """A get that is under way, and its ticket."""
    ticket = seeder.share(bench.file("file", os.urandom(size)))
    return under_way(bench, getter, ticket, carrier), ticket


def ends_whole(bench, command, carriers=("dpdk",)):
    """What was begun comes to its end, over these carriers."""
    record = bench.finish(command).ok().object
    equal(sorted(came_by(record)), sorted(carriers))
    same(bench.path("file"), bench.path("got"))
    return record


# --- veth: ports whose other end the kernel, or another port, holds ---


def veth(bench):
    """Words that run a program in a namespace with loopback and a veth pair v0, v1."""
    script = ("ip link set lo up && ip link add v0 type veth peer name v1 && "
              # A wire carries no bursts of 64 KiB: neither may this one.
              "ip link set v0 gso_max_segs 1 && ip link set v1 gso_max_segs 1 && "
              "sysctl -qw net.ipv6.conf.v0.disable_ipv6=1 && "
              "ip link set v0 up && ip link set v1 up && echo up && exec sleep 600")
    holder = bench.popen(["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    if holder.stdout.readline() != b"up\n":
        raise lacks("a network namespace with veth is refused here")
    return ["nsenter", "-t", str(holder.pid), "-n"]


def inside_run(inside, *words):
    return subprocess.run([*inside, *words], capture_output=True, check=False)


def ports(bench, device, more=None):
    """Two nodes in a namespace, each with a port on one end of a veth pair."""
    inside = veth(bench)
    nodes = [bench.node(name, inside, settings={**settings(device.format(f"v{n}"), n + 1), **(more or {})})
             for n, name in enumerate(("seeder", "getter"))]
    linked(*nodes)
    return nodes


# --- huge pages ---

HUGE = "/proc/sys/vm/nr_hugepages"


def meminfo(name):
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


@contextlib.contextmanager
def huge_pages_alone():
    """Nobody else changes how many there are: tests run side by side."""
    with open(HUGE) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def huge_pages(mib):
    """So much free memory in huge pages; what had to be reserved for it goes back."""
    if meminfo("Hugepagesize") != 2048:
        raise Skip("huge pages of another size")
    with huge_pages_alone():
        reserved, lack = meminfo("HugePages_Total"), mib // 2 - meminfo("HugePages_Free")
        if lack > 0:
            try:
                with open(HUGE, "w") as file:
                    file.write(str(reserved + lack))
            except OSError as why:
                raise Skip(f"no huge pages and no right to reserve some: {why}") from None
        try:
            if meminfo("HugePages_Free") * 2 < mib:
                raise Skip("the machine cannot spare so many huge pages")
            yield
        finally:
            if lack > 0:
                with open(HUGE, "w") as file:
                    file.write(str(reserved))
