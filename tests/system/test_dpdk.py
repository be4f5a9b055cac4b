#!/usr/bin/env python3
"""The carrier dpdk between real daemons: over memif, over vhost and virtio-user, and over a veth pair
whose ends are driven by af_packet and af_xdp."""
import contextlib
import shutil
import subprocess

from nodes import Skip, case, contains, equal, main, same, wait_for

MIB = 1 << 20


def settings(device, number, **more):
    return {
        "dpdk.device": device,
        "dpdk.addresses": f"10.77.0.{number}/24, fd77::{number}/64",
        "fast.networks": "10.77.0.0/24, fd77::/64",
        "listen.udp": "127.0.0.1:0",
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


@case("two nodes move a dataset over memif, and say what their ports did")
def over_memif(bench):
    seeder, getter = pair(bench, memif(bench, "server"), memif(bench, "client"))
    moves(bench, seeder, getter, "tree")
    for node in (seeder, getter):
        port = node.status()["dpdk"]
        equal(port["address"], "10.77.0.%d:4501" % (1 if node is seeder else 2))
        assert port["rx_datagrams"] > 1000 or port["tx_datagrams"] > 1000, port
        equal((port["link_up"], port["tx_stalls"], port["rx_no_frame"]), (1, 0, 0))


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
        raise Skip("a network namespace with veth is refused here")
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


@case("two nodes move a dataset over veth by af_packet")
def over_af_packet(bench):
    seeder, getter = ports(bench, "net_af_packet0,iface={},framesz=2048,framecnt=1024,blocksz=4096")
    moves(bench, seeder, getter, "tree", 8 * MIB)


@case("two nodes move a dataset over veth by af_xdp")
def over_af_xdp(bench):
    seeder, getter = ports(bench, "net_af_xdp0,iface={}")
    moves(bench, seeder, getter, "tree", 8 * MIB)


def beside_the_kernel(bench, device):
    """A node whose port is on v0, and one that uses the kernel's UDP on v1."""
    inside = veth(bench)
    for words in (["ip", "addr", "add", "10.77.0.2/24", "dev", "v1"],
                  ["ip", "-6", "addr", "add", "fd77::2/64", "dev", "v1", "nodad"]):
        equal(inside_run(inside, *words).returncode, 0, " ".join(words))
    own = bench.node("own", inside, settings=settings(device, 1))
    kernel = bench.node("kernel", inside, settings={"listen.udp": "10.77.0.2:0",
                                                    "fast.networks": "10.77.0.0/24, fd77::/64"})
    linked(own)
    return inside, own, kernel


@case("a node on a port of its own and one on kernel UDP exchange a dataset, and ping is answered")
def interop(bench):
    inside, own, kernel = beside_the_kernel(
        bench, "net_af_packet0,iface=v0,framesz=2048,framecnt=1024,blocksz=4096")
    moves(bench, kernel, own, "to the port", 8 * MIB)
    if shutil.which("ping"):
        for address in ("10.77.0.1", "fd77::1"):
            done = inside_run(inside, "ping", "-c", "3", "-i", "0.2", "-W", "5", address)
            equal(done.returncode, 0, f"ping {address}: {done.stdout.decode()}{done.stderr.decode()}")
        port = own.status()["dpdk"]
        assert port["ether_echo_answered"] >= 3, port


@case("a node with a port alone serves one on kernel UDP")
def port_alone(bench):
    inside = veth(bench)
    equal(inside_run(inside, "ip", "addr", "add", "10.77.0.2/24", "dev", "v1").returncode, 0)
    device = "net_af_packet0,iface=v0,framesz=2048,framecnt=1024,blocksz=4096"
    seeder = bench.node("seeder", inside, settings={**settings(device, 1), "listen.udp": ""})
    getter = bench.node("getter", inside, settings={"listen.udp": "10.77.0.2:0",
                                                    "fast.networks": "10.77.0.0/24"})
    linked(seeder)
    source = bench.file("file", 8 * MIB)
    record = getter.get(seeder.share(source), "-o", bench.path("got"), "--carrier",
                        "udp").ok().object
    equal(list(record["bytes_by_carrier"]), ["udp"])
    same(source, bench.path("got"))
    assert seeder.status()["dpdk"]["tx_datagrams"] > 5000


# --- vhost and virtio-user: shared memory in huge pages ---

HUGE = "/proc/sys/vm/nr_hugepages"


@contextlib.contextmanager
def huge_pages(mib):
    """So much free memory in huge pages; what had to be reserved for it goes back."""
    def number(name):
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))

    if number("Hugepagesize") != 2048:
        raise Skip("huge pages of another size")
    reserved, lack = number("HugePages_Total"), mib // 2 - number("HugePages_Free")
    if lack > 0:
        try:
            with open(HUGE, "w") as file:
                file.write(str(reserved + lack))
        except OSError as why:
            raise Skip(f"no huge pages and no right to reserve some: {why}") from None
    try:
        if number("HugePages_Free") * 2 < mib:
            raise Skip("the machine cannot spare so many huge pages")
        yield
    finally:
        if lack > 0:
            with open(HUGE, "w") as file:
                file.write(str(reserved))


def vhost_pair(bench):
    socket = bench.path("vhost")
    return pair(bench, f"net_vhost0,iface={socket},client=0",
                f"net_virtio_user0,path={socket},queues=1")


@case("two nodes move a dataset between vhost and virtio-user, both ways")
def over_vhost(bench):
    with huge_pages(640):
        seeder, getter = vhost_pair(bench)
        moves(bench, seeder, getter, "there")
        moves(bench, getter, seeder, "back")
        for node in (seeder, getter):
            contains(node.log(), "huge_pages=yes")
            node.stop()


if __name__ == "__main__":
    main()
