#!/usr/bin/env python3
"""Starting a port of DPDK: each refusal has its own code and says what to do; what is started without
privilege works, leaves nothing for others to open, and costs next to nothing while it is idle."""
import glob
import os
import shutil
import socket
import stat
import subprocess
import time

from nodes import HAUL, Skip, case, contains, equal, main
from ports import MIB, huge_pages, huge_pages_alone, linked, meminfo, memif, moves, pair, ports, settings

NOBODY = 65534
IDLE_SPAN = 2.0


def refused(bench, code, *parts, launcher=(), home=None, **more):
    """A node that must not start."""
    words = [*launcher, HAUL, "node", "--json", "--home", home or bench.path("refused")]
    for key, value in {"listen.tcp": "127.0.0.1:0", "slots.filling": "8", "slots.serving": "8",
                       "slots.control": "4", **settings(**more)}.items():
        words += ["--set", f"{key}={value}"] if value is not None else []
    done = subprocess.run(words, capture_output=True, timeout=60, check=False,
                          env=bench.environment, cwd="/")
    said = (done.stdout + done.stderr).decode()
    equal(done.returncode, 1, said)
    contains(said, f'"{code}"')
    for part in parts:
        contains(said, part)


def as_nobody(bench):
    """Words that run a program as a user without any right, and a home of its own."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Skip("only root can become somebody else, with setpriv")
    words = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
             "--bounding-set=-all", "--inh-caps=-all"]
    if subprocess.run([*words, HAUL, "help"], capture_output=True, check=False, cwd="/").returncode:
        raise Skip("nobody may not run this program where it lies")
    os.chmod(bench.root, 0o711)
    for name in ("nobody", "seeder", "getter"):
        os.mkdir(bench.path(name), 0o700)
        os.chown(bench.path(name), NOBODY, NOBODY)
    return words


@case("a device that does not exist, a driver that is not installed and a broken argument are told")
def devices(bench):
    refused(bench, "dpdk-device", "0000:ff:1f.7", device="0000:ff:1f.7", number=1)
    refused(bench, "dpdk-device", "net_nonsense0", device="net_nonsense0", number=1)
    refused(bench, "dpdk-device", "net_af_packet0", device="net_af_packet0,iface=nowhere", number=1)
    refused(bench, "dpdk-device", "names no interface", device="net_af_packet0", number=1)
    refused(bench, "dpdk-device", "no blank", device="net_af_packet0, iface=lo", number=1)
    refused(bench, "dpdk-device", "net_af_xdp0,iface=lo", "PCI address", device="lo", number=1)
    refused(bench, "config-key", "dpdk.addresses", device="net_null0", number="x")
    for addresses, part in (("127.0.0.1/8", "loopback"), ("224.0.0.9/24", "group"), ("10.77.0.0/24", "the network"),
                            ("10.77.0.255/24", "everybody"), ("10.77.0.1/24, 10.77.0.1/16", "twice"),
                            ("ff02::1/64", "group"), ("::/64", "no address of anybody")):
        refused(bench, "config-key", "dpdk.addresses", part, device="net_null0", number=1, dpdk_addresses=addresses)
    for gateway in ("10.78.0.1", "10.77.0.1", "fd78::1"):
        refused(bench, "config-key", "dpdk.gateways", gateway, device="net_null0", number=1, dpdk_gateways=gateway)
    refused(bench, "config-key", "dpdk.buffers", "1024", number=1, dpdk_buffers="512", worker_count="2",
            device=f"net_vhost0,iface={bench.path('two')},queues=2")


@case("shared memory: a role that is none, nobody at the other end, and a socket that another one has")
def shared_memory(bench):
    memif = "net_memif0,socket-abstract=no,role={},socket={}"
    path, absent = bench.path("socket"), bench.path("absent")
    refused(bench, "dpdk-device", "Unknown role", device=memif.format("sever", path), number=1)
    refused(bench, "dpdk-device", "connect", absent, device=memif.format("client", absent), number=1)
    refused(bench, "dpdk-device", "No such file", device=f"net_virtio_user0,path={absent}", number=1)
    servers = (memif.format("server", "{}"), "net_vhost0,iface={}", "net_virtio_user0,path={},server=1")
    # Whatever lies there already, and is no socket, is not ours to take away.
    file = bench.file("precious", b"keep me")
    os.symlink(file, bench.path("link"))
    os.mkdir(bench.path("directory"))
    for device in servers:
        for there in (file, bench.path("link"), bench.path("directory")):
            refused(bench, "dpdk-device", "is no socket", there, device=device.format(there), number=1)
    with open(file, "rb") as still:
        equal(still.read(), b"keep me")
    assert os.path.islink(bench.path("link")) and os.path.isdir(bench.path("directory"))
    refused(bench, "dpdk-device", "107 bytes", device=f"net_vhost0,iface={bench.path('x' * 120)}", number=1)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        for device in servers:
            # With the default of listen.udp other sockets are tried too, but not other ports.
            for udp in ("127.0.0.1:0", None):
                refused(bench, "dpdk-device", "somebody has it", path, device=device.format(path), number=1,
                        listen_udp=udp)
        assert os.path.exists(path)


@case("a card of the kernel's is not taken from it, and the way to give it away is told")
def bound(bench):
    for card in sorted(glob.glob("/sys/bus/pci/devices/*")):
        driver = os.path.basename(os.path.realpath(card + "/driver"))
        if os.path.exists(card + "/driver") and not driver.startswith(("vfio", "uio", "mlx")):
            name = os.path.basename(card)
            refused(bench, "dpdk-bound", name, driver, "dpdk-devbind.py", device=name, number=1)
            return
    raise Skip("this machine has no PCI device with a driver of the kernel's")


@case("no huge pages free: told where they are asked for, done without where they are not")
def no_huge_pages(bench):
    with huge_pages_alone():
        lack = {"dpdk_memory": str(meminfo("HugePages_Free") * 2 + 512)}
        refused(bench, "dpdk-memory", "/proc/sys/vm/nr_hugepages", device="net_null0", number=1,
                dpdk_pages="huge", **lack)
        node = bench.node("without", settings=settings("net_null0", 1, dpdk_pages="auto", **lack))
        contains(node.log(), "huge_pages=no")
        node.stop()


@case("huge pages that somebody takes between our look and DPDK's start: told, and auto does without")
def huge_pages_taken(bench):
    # Two files of sysfs are covered by ones that promise what is not there.
    said, under = bench.file("said"), "hugepages/hugepages-2048kB/free_hugepages"
    covered = [path for path in (f"/sys/kernel/mm/{under}", f"/sys/devices/system/node/node0/{under}")
               if os.path.exists(path)]
    script = " && ".join(f"mount --bind '{said}' {path}" for path in covered) + ' && exec "$@"'
    launcher = ["unshare", "-m", "sh", "-c", script, "sh"]
    if not covered or subprocess.run([*launcher, "true"], capture_output=True, check=False).returncode:
        raise Skip("no huge pages here, or no right to cover files of sysfs")
    with huge_pages_alone():
        lack = meminfo("HugePages_Free") * 2 + 2048
        bench.file("said", b"%d\n" % lack)
        for udp in ("127.0.0.1:0", None):
            refused(bench, "dpdk-memory", "somebody took some", "dpdk.pages: ordinary",
                    "/proc/sys/vm/nr_hugepages", launcher=launcher, device="net_null0", number=1,
                    dpdk_pages="huge", dpdk_memory=str(lack), listen_udp=udp)
        # DPDK starts once in a process: the node does so again, as the same one.
        node = bench.node("auto", launcher, settings=settings("net_null0", 1, dpdk_pages="auto",
                                                              dpdk_memory=str(lack)))
    contains(node.log(), "event=dpdk-pages-taken")
    contains(node.log(), "huge_pages=no")
    equal(node.status()["dpdk"]["link_up"], 1)
    with open(f"/proc/{node.pid}/cmdline") as words:
        contains(words.read(), "dpdk.pages=ordinary")
    node.stop()


@case("a user without the capability is told which one is missing")
def permission(bench):
    words = as_nobody(bench)
    refused(bench, "dpdk-permission", "CAP_NET_RAW", launcher=words, home=bench.path("nobody"),
            device="net_af_packet0,iface=lo", number=1)
    refused(bench, "dpdk-permission", "CAP_NET_RAW", launcher=words, home=bench.path("nobody"),
            device="net_af_xdp0,iface=lo", number=1)


@case("a socket whose directory is not there, or is somebody else's, is told with that directory")
def socket_directory(bench):
    words, absent = as_nobody(bench), bench.path("absent")
    for device in ("net_memif0,socket-abstract=no,role=server,socket={}/x",
                   "net_memif0,socket-abstract=no,role=client,socket={}/x", "net_vhost0,iface={}/x",
                   "net_virtio_user0,path={}/x,server=1"):
        refused(bench, "dpdk-device", absent + ": No such", device=device.format(absent), number=1)
        refused(bench, "dpdk-permission", "in " + bench.root, launcher=words, home=bench.path("nobody"),
                device=device.format(bench.root), number=1)


def sockets_of(node):
    """Paths of the unix sockets that the node has open."""
    inodes = set()
    for fd in glob.glob(f"/proc/{node.pid}/fd/*"):
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    with open(f"/proc/{node.pid}/net/unix") as lines:
        rows = [line.split() for line in lines][1:]
    return [row[7] for row in rows if len(row) > 7 and row[6] in inodes]


def is_private(node, *ours):
    """No telemetry, no file of DPDK's, and nothing in the home that others may open."""
    for path in sockets_of(node):
        assert "telemetry" not in path, path
        assert path in (f"{node.home}/control.sock", *ours) or path.startswith("@"), path
    with open(f"/proc/{node.pid}/maps") as lines:
        files = {line.split(maxsplit=5)[5].strip() for line in lines if len(line.split()) > 5}
    equal([name for name in files if "rte" in name and "/lib" not in name
           or name.startswith("/dev/hugepages") and "(deleted)" not in name], [])
    for where in ("/var/run/dpdk", "/run/dpdk", "/tmp/dpdk", f"{node.home}/dpdk", f"{node.home}/haul-{node.pid}"):
        assert not os.path.exists(f"{where}/haul-{node.pid}"), where
    equal(stat.S_IMODE(os.stat(node.home).st_mode) & 0o77, 0)
    for at, directories, names in os.walk(node.home):
        for name in directories + names:
            mode = os.lstat(os.path.join(at, name)).st_mode
            assert stat.S_IMODE(mode) & 0o77 == 0 or at != node.home, (at, name, oct(mode))


def unprivileged(bench, *devices):
    words = as_nobody(bench)
    directory = bench.path("sockets")
    os.mkdir(directory, 0o700)
    os.chown(directory, NOBODY, NOBODY)
    path = directory + "/port"
    nodes = [bench.node(name, words, settings=settings(device.format(path), number + 1))
             for number, (name, device) in enumerate(zip(("seeder", "getter"), devices))]
    linked(*nodes)
    moves(bench, *nodes, "tree", 2 * MIB)
    for node in nodes:
        is_private(node, path)


@case("without any privilege: memif moves a dataset, and leaves nothing for others to open")
def unprivileged_memif(bench):
    unprivileged(bench, "net_memif0,role=server,socket={},socket-abstract=no",
                 "net_memif0,role=client,socket={},socket-abstract=no")


@case("without any privilege: so do vhost and virtio-user")
def unprivileged_vhost(bench):
    unprivileged(bench, "net_vhost0,iface={},client=0", "net_virtio_user0,path={},queues=1")


# --- idle ---

def cpu_seconds(node):
    """Of all threads, to the nanosecond."""
    total = 0
    for path in glob.glob(f"/proc/{node.pid}/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e9


def is_idle(*nodes):
    """Under 2 % of a core, in the best of a few spans: whoever else runs here disturbs only some."""
    shares = []
    for _ in range(4):
        before, began = [cpu_seconds(node) for node in nodes], time.monotonic()
        time.sleep(IDLE_SPAN)
        span = time.monotonic() - began
        shares.append([(cpu_seconds(node) - was) / span for node, was in zip(nodes, before)])
        if max(shares[-1]) < 0.02:
            print("        idle: " + ", ".join(f"{node.name} {100 * share:.2f} %"
                                              for node, share in zip(nodes, shares[-1])))
            return
    raise AssertionError(f"idle nodes use {shares} of a core")


@case("an idle node uses under 2 % of a core: memif")
def idle(bench):
    nodes = pair(bench, memif(bench, "server"), memif(bench, "client"))
    moves(bench, *nodes, "tree", 4 * MIB)
    is_idle(*nodes)


@case("an idle node uses under 2 % of a core: af_packet, af_xdp")
def idle_wire(bench):
    for device in ("net_af_packet0,iface={},framesz=2048,framecnt=1024,blocksz=4096",
                   "net_af_xdp0,iface={}"):
        nodes = ports(bench, device)
        is_idle(*nodes)
        for node in nodes:
            node.stop()
            shutil.rmtree(node.home)


@case("an idle node uses under 2 % of a core: vhost and virtio-user, whose huge pages are private")
def idle_vhost(bench):
    path = bench.path("vhost")
    with huge_pages(640):
        nodes = pair(bench, f"net_vhost0,iface={path},client=0", f"net_virtio_user0,path={path},queues=1",
                     dpdk_pages="huge")
        moves(bench, *nodes, "tree", 4 * MIB)
        is_idle(*nodes)
        for node in nodes:
            contains(node.log(), "huge_pages=yes")
            is_private(node, path)
            node.stop()


if __name__ == "__main__":
    main(at_once=2)
