#!/usr/bin/env python3
"""The carrier dpdk between real daemons: over memif, over vhost and virtio-user, and over a veth pair
whose ends are driven by af_packet and af_xdp."""
import shutil

from nodes import case, contains, equal, main, same
from ports import MIB, huge_pages, inside_run, linked, memif, moves, pair, ports, settings, veth, vhost

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


# --- vhost and virtio-user: shared memory, in ordinary pages or in huge ones ---

def both_ways(bench, **more):
    seeder, getter = vhost(bench, **more)
    moves(bench, seeder, getter, "there")
    moves(bench, getter, seeder, "back")
    return seeder, getter


@case("two nodes move a dataset between vhost and virtio-user, both ways")
def over_vhost(bench):
    for node in both_ways(bench):
        contains(node.log(), "huge_pages=no")


@case("the same where their memory lies in huge pages")
def over_huge_vhost(bench):
    with huge_pages(640):
        for node in both_ways(bench, dpdk_pages="huge"):
            contains(node.log(), "huge_pages=yes")
            node.stop()


if __name__ == "__main__":
    main()
