#!/usr/bin/env python3
"""Nodes on cards, inside the virtual machine of machine.py; there, not here, it is run as root.

    cases.py PATH/OF/haul [PART OF A CASE'S NAME]
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TREE, "tests", "system"))
os.environ.setdefault("HAUL_TEST_DEADLINE", "120")

from nodes import HAUL, case, contains, equal, main, same, wait_for  # noqa: E402
from ports import HUGE, MIB, linked, moves  # noqa: E402

E1000E, VMXNET3, VIRTIO, KERNELS = (f"0000:00:1{number}.0" for number in range(4))
FIRST, SECOND = E1000E, VMXNET3  # where the cards of the machine with queues are
KERNEL_IP = "10.77.0.9"
with open("/proc/cmdline") as words:
    KIND = next(word[10:] for word in words.read().split() if word.startswith("haul.kind="))
SIZE = 2 * MIB + 5


def sh(*words, fails=False):
    done = subprocess.run(words if len(words) > 1 else ["sh", "-c", words[0]], capture_output=True, text=True,
                          check=False)
    assert fails == (done.returncode != 0), f"{words}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def machine(kind, promise):
    """The case is one for that kind of machine."""
    return case(promise) if kind == KIND else lambda function: function


def probe(bench, event, key, value):
    """Rows of `haul hw probe` of that kind with that value."""
    return [row for row in bench.run("hw", "--json", "probe").ok().objects
            if row["event"] == event and row[key] == value]


def verdict(bench, card):
    return next(row for row in probe(bench, "backend", "port", card) if row["backend"] == "dpdk-pci")


def driver(card):
    path = f"/sys/bus/pci/devices/{card}/driver"
    return os.path.basename(os.path.realpath(path)) if os.path.exists(path) else ""


def interface(card):
    """The kernel's name of it, once its driver is there."""
    found = sh(f"ls -d /sys/bus/pci/devices/{card}/net/* /sys/bus/pci/devices/{card}/virtio*/net/* 2>/dev/null; true")
    return os.path.basename(found.strip()) if found.strip() else ""


def kernels(card):
    """The kernel has the card, with its own driver."""
    sh("modprobe", "-a", "e1000e", "vmxnet3", "virtio_net")
    wait_for(lambda: interface(card), f"an interface of {card}")


def given(*cards):
    """The cards are bound as docs/DPDK.md says."""
    for card in cards:
        if driver(card) == "vfio-pci":
            continue
        kernels(card)
        sh("modprobe vfio-pci")
        sh(f"ip link set {interface(card)} down")
        sh(f"dpdk-devbind.py -b vfio-pci {card}")


def pages(count):
    with open(HUGE, "w") as file:
        file.write(str(count))


def profile(bench, name, card, number):
    """A home with the profile of a card: its address and its IP addresses, nothing else."""
    home = bench.path(name)
    os.makedirs(home, exist_ok=True)
    with open(f"{TREE}/conf/card.yaml") as file:
        text = file.read()
    for there, here in (("0000:3b:00.0", card), ("192.0.2.7/24", f"10.77.0.{number}/24"),
                        ("2001:db8:7::7/64", f"fd77::{number}/64"), ("192.0.2.0/24", "10.77.0.0/24"),
                        ("2001:db8:7::/64", "fd77::/64"), ("192.0.2.1, 2001:db8:7::1", "")):
        assert there in text, f"{there} is not in conf/card.yaml"
        text = text.replace(there, here)
    with open(f"{home}/config.yaml", "w") as file:
        file.write(text)


def card_node(bench, name, card, number, **more):
    """A node on that card. The machine is small: so are its slots, and it has two processors."""
    profile(bench, name, card, number)
    return bench.node(name, settings={"worker.cpu": str(number % 2), "listen.udp": "127.0.0.1:0",
                                      **{key.replace("_", "."): value for key, value in more.items()}})


def refused(bench, code, *parts, launcher=()):
    """The node of this bench does not start."""
    done = subprocess.run([*launcher, HAUL, "node", "--json", "--home", bench.path("refused"), "--set",
                           "listen.tcp=127.0.0.1:0", "--set", "slots.filling=8", "--set", "slots.serving=8"],
                          capture_output=True, text=True, timeout=120, check=False, env=bench.environment, cwd="/")
    equal(done.returncode, 1, done.stdout + done.stderr)
    for part in (f'"{code}"', *parts):
        contains(done.stdout + done.stderr, part)


def kernel_node(bench, card=KERNELS, **more):
    """A node on kernel UDP, on a card that stays with the kernel."""
    kernels(card)
    name = interface(card)
    sh(f"ip link set {name} up; ip addr replace {KERNEL_IP}/24 dev {name}")
    return bench.node("kernel", settings={"fast.networks": "10.77.0.0/24", "listen.udp": f"{KERNEL_IP}:0",
                                          **{key.replace("_", "."): value for key, value in more.items()}})


def counters(node, *names):
    port = node.status()["dpdk"]
    return tuple(port[name] for name in names)


@machine("cards", "a card of the kernel's: probe and node say whose it is; what they say to do gives it to DPDK")
def bound(bench):
    pages(0)
    for card, name in ((E1000E, "e1000e"), (VMXNET3, "vmxnet3"), (VIRTIO, "virtio-pci")):
        kernels(card)
        port = probe(bench, "port", "pci", card)[0]
        equal((port["name"], port["driver"]), (interface(card), name))
        assert port["iommu_group"], port
        row = verdict(bench, card)
        equal(row["usable"], False)
        contains(row["reason"], f"the kernel's driver {name}")
        profile(bench, "refused", card, 1)
        refused(bench, "dpdk-bound", name, f"dpdk-devbind.py -b vfio-pci {card}")
        sh(row["remedy"])
        equal(driver(card), "vfio-pci")
        contains(verdict(bench, card)["reason"], "huge pages")


@machine("cards", "a card without huge pages: probe and node say how many it wants; with them it is usable")
def no_pages(bench):
    given(E1000E)
    pages(0)
    equal(verdict(bench, E1000E)["usable"], False)
    profile(bench, "refused", E1000E, 1)
    refused(bench, "dpdk-memory", "64 MiB of huge pages", "echo 33 >/proc/sys/vm/nr_hugepages")
    pages(256)
    equal((verdict(bench, E1000E)["usable"], verdict(bench, E1000E)["reason"]), (True, "it is bound to vfio-pci"))


@machine("cards", "an 82574L and a VMXNET3: conf/card.yaml with another address; ping, datasets both ways, sums by the card")
def two_cards(bench):
    given(E1000E, VMXNET3)
    pages(256)
    kernels(KERNELS)
    a, b = card_node(bench, "a", E1000E, 1), card_node(bench, "b", VMXNET3, 2)
    linked(a, b)
    sh(f"ip link set {interface(KERNELS)} up; ip addr replace {KERNEL_IP}/24 dev {interface(KERNELS)}")
    for node, number, sums in ((a, 1, (1, 1, 1)), (b, 2, (0, 1, 1))):
        # The 82574L's driver arms an interrupt that never comes: it must not be slept on for a second.
        said = sh(f"ping -c 4 -i 1.3 -W 5 10.77.0.{number}")
        contains(said, " 0% packet loss")
        assert float(said.split("min/avg/max")[1].split("= ")[1].split("/")[0]) < 400, said
        equal(counters(node, "tx_sums_ip", "tx_sums_udp", "rx_sums"), sums, node.name)
    moves(bench, a, b, "there", SIZE)
    moves(bench, b, a, "back", SIZE)
    for node in (a, b):
        equal(counters(node, "ether_rx_udp_checksum", "ether_rx_ip_checksum", "rx_errors"), (0, 0, 0), node.name)


@machine("cards", "a node on an 82574L and one on kernel UDP exchange datasets over the wire between them")
def with_kernel(bench):
    given(E1000E)
    pages(256)
    a, b = card_node(bench, "a", E1000E, 1), kernel_node(bench)
    linked(a)
    for number, (seeder, getter) in enumerate(((a, b), (b, a))):
        source = bench.file(f"file {number}", SIZE)
        got = bench.path(f"got {number}")
        record = getter.get(seeder.share(source), "-o", got, "--carrier", "udp" if getter is b else "dpdk").ok().object
        equal(len(record["bytes_by_carrier"]), 1)
        same(source, got)


@machine("cards", "a virtio card behind the IOMMU exchanges datasets with an 82574L")
def virtio(bench):
    given(E1000E, VIRTIO)
    pages(256)
    a, b = card_node(bench, "a", E1000E, 1), card_node(bench, "b", VIRTIO, 2)
    linked(a, b)
    moves(bench, a, b, "there", SIZE)
    moves(bench, b, a, "back", SIZE)


@machine("cards", "two workers on a VMXNET3, which takes no rules: what comes to the first queue is handed over, nothing lost")
def two_queues(bench):
    given(E1000E, VMXNET3)
    pages(400)
    a, b = (card_node(bench, "a", E1000E, 1),
            card_node(bench, "b", VMXNET3, 2, worker_count="2", worker_cpu=None))
    linked(a, b)
    moves(bench, a, b, "there", SIZE)
    moves(bench, a, b, "there again", SIZE)
    equal(counters(b, "queues", "rules", "handed_lost"), (2, 0, 0))
    assert counters(b, "handed_over") > (0,)


@machine("cards", "as an unprivileged user: a group of somebody else's is refused, one's own works")
def unprivileged(bench):
    given(E1000E)
    pages(256)
    group = os.path.basename(os.path.realpath(f"/sys/bus/pci/devices/{E1000E}/iommu_group"))
    os.chown(f"/dev/vfio/{group}", 0, 0)
    launcher = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all",
                "--inh-caps=-all"]
    os.chmod(bench.root, 0o711)
    for name in ("refused", "a"):
        profile(bench, name, E1000E, 1)
        sh(f"chown -R 65534:65534 '{bench.path(name)}'")
    refused(bench, "dpdk-permission", f"/dev/vfio/{group}", launcher=launcher)
    os.chown(f"/dev/vfio/{group}", 65534, 65534)
    a = bench.node("a", ["prlimit", "--memlock=unlimited", *launcher], settings={"worker.cpu": "0"})
    linked(a)
    b = kernel_node(bench)
    source = bench.file("file", SIZE)
    b.get(a.share(source), "-o", bench.path("got"), "--carrier", "udp").ok()
    same(source, bench.path("got"))


def both_received(node):
    status = node.status()
    assert min(status[f"dpdk-{i}"]["rx_datagrams"] for i in (0, 1)) > 100, status


@machine("cards", "rules, on a tap: each worker's datagrams come to its queue, and none is handed over")
def rules(bench):
    sh("modprobe", "-a", "tun", "sch_multiq", "sch_ingress", "cls_flower", "act_skbedit", "act_mirred", "act_gact")
    settings = {"worker.count": "2", "fast.networks": "10.78.0.0/24"}
    a = bench.node("a", settings={**settings, "dpdk.device": "net_tap0,iface=haul0", "dpdk.addresses": "10.78.0.1/24",
                                  "dpdk.pages": "ordinary", "listen.udp": ""})
    # Its two ends have one MAC address between them until the kernel's gets its own.
    sh("ip link set haul0 address 52:54:00:78:00:09; ip link set haul0 up; ip addr add 10.78.0.9/24 dev haul0")
    linked(a)
    b = bench.node("b", settings={**settings, "listen.udp": "10.78.0.9:0"})
    for name in ("one", "two", "three", "four"):
        source = bench.file(name, SIZE)
        a.get(b.share(source), "-o", bench.path(name + ".got"), "--carrier", "dpdk").ok()
        same(source, bench.path(name + ".got"))
    equal(counters(a, "queues", "rules", "handed_over"), (2, 4, 0))
    both_received(a)


@machine("queues", "two workers on a virtio card with a hash and no rules: each one's datagrams come to its queue")
def hashed(bench):
    given(FIRST)
    pages(400)
    a = card_node(bench, "a", FIRST, 1, worker_count="2", worker_cpu=None)
    linked(a)
    b = kernel_node(bench, SECOND, worker_count="2")
    for name in ("one", "two"):
        source = bench.file(name, SIZE)
        a.get(b.share(source), "-o", bench.path(name + ".got"), "--carrier", "dpdk").ok()
        same(source, bench.path(name + ".got"))
    equal(counters(a, "queues", "rules", "hashes", "handed_over"), (2, 0, 1, 0))
    both_received(a)


@machine("plain", "without an IOMMU a card is not given away, and probe and node say what to switch on")
def no_iommu(bench):
    kernels(E1000E)
    pages(256)
    row = verdict(bench, E1000E)
    equal(row["usable"], False)
    contains(row["reason"], "no IOMMU")
    contains(row["remedy"], "intel_iommu=on")
    sh("modprobe vfio-pci")
    contains(sh(f"dpdk-devbind.py -b vfio-pci {E1000E}; true"), "Invalid argument")
    equal(driver(E1000E), "")
    profile(bench, "refused", E1000E, 1)
    refused(bench, "dpdk-iommu", "no IOMMU group", "intel_iommu=on")
    contains(verdict(bench, E1000E)["reason"], "no IOMMU")


main()
