#!/usr/bin/env python3
"""Runs the cases of cases.py in virtual machines with cards: one with an IOMMU, one without, and one
whose card has two queues and a hash.

    machine.py PATH/OF/haul [PART OF A CASE'S NAME]
    machine.py PATH/OF/haul --shell

The cards of a machine are on a hub of their own: nothing leaves the process. Only queues want taps, which
are joined in a network namespace of their own, by root. The root of a machine is this one's, read only,
with memory above it; its kernel is Debian's (kernel.py). The last line is `N passed, N failed`; the exit
status is 77 where no such machine can run, with the reason.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import kernel

QEMU = "qemu-system-x86_64"
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEMORY, CPUS = "3G", "2"
SECONDS = 2400  # a machine that takes longer stands still
# Each is one that DPDK has a driver for: an 82574L (net_e1000_em), VMware's (net_vmxnet3), two of
# virtio's, the last of which stays with the kernel.
CARDS = (
    "e1000e,mac=52:54:00:77:00:01",
    "vmxnet3,mac=52:54:00:77:00:02",
    "virtio-net-pci,mac=52:54:00:77:00:03,disable-legacy=on",
    "virtio-net-pci,mac=52:54:00:77:00:04,disable-legacy=on",
)

# The first has queues and a hash, the second stays with the kernel.
QUEUES = (
    "virtio-net-pci,mac=52:54:00:77:01:01,disable-legacy=on,mq=on,vectors=8,rss=on,hash=on",
    "virtio-net-pci,mac=52:54:00:77:01:02,disable-legacy=on",
)
# Taps on a bridge, then the machine; 77 where that is not allowed.
TAPPED = """
{ ip link set lo up && ip link add joined type bridge && ip link set joined up &&
    ip tuntap add tap0 mode tap multi_queue vnet_hdr && ip tuntap add tap1 mode tap vnet_hdr &&
    for tap in tap0 tap1; do ip link set $tap master joined up || exit 77; done; } || exit 77
exec "$@"
"""


def accelerated():
    """Whether the processor runs the machine itself. /dev/kvm alone does not say so: in some rented
    machines it is there without Intel's or AMD's half, and runs only kernels made for that."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and any(
        os.path.exists(f"/sys/module/{name}") for name in ("kvm_intel", "kvm_amd"))


def cards_of(kind):
    """Arguments for the cards of a machine of that kind, and their wires."""
    words = []
    for number, card in enumerate(QUEUES if kind == "queues" else CARDS):
        wire = f"hubport,id=p{number},hubid=1"
        if kind == "queues":
            wire = f"tap,id=p{number},ifname=tap{number},script=no,downscript=no,vhost=off"
            wire += ",queues=2" if number == 0 else ""
        if kind != "plain" and card.startswith("virtio"):
            card += ",iommu_platform=on"
        words += ["-netdev", wire, "-device", f"{card},netdev=p{number},romfile=,addr={0x10 + number:#x}"]
    return words


def words_of(image, archive, command_line, log, kind):
    words = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", MEMORY, "-smp", CPUS]
    if accelerated():
        words += ["-machine", "q35,kernel-irqchip=split", "-accel", "kvm", "-cpu", "host"]
    else:
        words += ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
    if kind != "plain":
        words += ["-device", "intel-iommu,intremap=on,aw-bits=48"]
    words += ["-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
              "-device", "virtio-9p-pci,fsdev=root,mount_tag=host",
              "-kernel", image, "-initrd", archive, "-append", command_line,
              "-chardev", f"file,id=console,path={log},append=on", "-serial", "chardev:console", "-serial", "stdio"]
    words += cards_of(kind)
    if kind == "queues":
        words = ["unshare", "-n", "sh", "-c", TAPPED, "sh", *words]
    return words


def follow(process, log):
    """Prints what the cases say; (passed, failed) at the end."""
    sums, ended = (0, 0), False
    for row in process.stdout:
        text = row.decode(errors="replace").rstrip("\r\n")
        found = re.fullmatch(r"(\d+) passed, (\d+) failed.*", text)
        if found:
            sums = int(found[1]), int(found[2])
        elif text.startswith("card: ended with "):
            ended = True
        elif text:
            print(text, flush=True)
    if process.wait() == 77 and not ended:
        print("skipped the machine with queues: it wants root, unshare, taps and a bridge")
    elif process.returncode != 0 or not ended:
        with open(log, errors="replace") as console:
            print(console.read()[-4000:])
        print(f"FAILED  the machine ended ({process.returncode}) before its cases did")
        return sums[0], sums[1] + 1
    return sums


def run(program, only, kind, shell=False):
    image, modules, version = kernel.fetch()
    with tempfile.TemporaryDirectory(prefix="haul-card-") as own:
        archive, log = os.path.join(own, "initramfs"), os.path.join(own, "console")
        kernel.initramfs(modules, version, archive)
        line = "console=ttyS0 panic=-1 " + ("intel_iommu=on iommu=pt " if kind != "plain" else "")
        line += f"haul.kind={kind} haul.tree={TREE} haul.modules={modules} haul.program={'shell' if shell else program}"
        if only:
            line += " haul.only=" + only.replace("\\", "\\\\").replace(" ", "\\040")
        words = words_of(image, archive, line, log, kind)
        if shell:
            return subprocess.call(words)
        with open(log, "ab") as errors:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL)
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        try:
            return follow(process, log)
        finally:
            limit.cancel()
            process.kill()


def main():
    program, rest = os.path.abspath(sys.argv[1]), "".join(sys.argv[2:3])
    for name in (QEMU, "busybox", "depmod", "dpdk-devbind.py", "lspci"):
        if shutil.which(name) is None:
            print(f"{name} is not installed (./dev card installs it)")
            sys.exit(77)
    if not accelerated():
        print("no KVM for ordinary kernels here: the machine is emulated, and everything takes many times as long",
              flush=True)
    try:
        if rest == "--shell":
            sys.exit(run(program, "", "cards", shell=True))
        sums = [run(program, rest, kind) for kind in ("cards", "plain", "queues")]
    except kernel.Missing as why:
        print(f"there is no kernel for the machine: {why}")
        sys.exit(77)
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
