#!/usr/bin/env python3
"""Runs the cases of cases.py in virtual machines with cards: one with an IOMMU, one without.

    machine.py PATH/OF/haul [PART OF A CASE'S NAME]
    machine.py PATH/OF/haul --shell

A machine has four cards on a hub of their own: nothing leaves the process. Its root is this machine's,
read only, with memory above it; its kernel is Debian's (kernel.py). The last line is `N passed, N
failed`; the exit status is 77 where no such machine can run, with the reason.
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


def accelerated():
    """Whether the processor runs the machine itself. /dev/kvm alone does not say so: in some rented
    machines it is there without Intel's or AMD's half, and runs only kernels made for that."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and any(
        os.path.exists(f"/sys/module/{name}") for name in ("kvm_intel", "kvm_amd"))


def words_of(image, archive, command_line, log, iommu):
    words = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", MEMORY, "-smp", CPUS]
    if accelerated():
        words += ["-machine", "q35,kernel-irqchip=split", "-accel", "kvm", "-cpu", "host"]
    else:
        words += ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
    if iommu:
        words += ["-device", "intel-iommu,intremap=on,aw-bits=48"]
    words += ["-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
              "-device", "virtio-9p-pci,fsdev=root,mount_tag=host",
              "-kernel", image, "-initrd", archive, "-append", command_line,
              "-chardev", f"file,id=console,path={log},append=on", "-serial", "chardev:console", "-serial", "stdio"]
    for number, card in enumerate(CARDS):
        if iommu and card.startswith("virtio"):
            card += ",iommu_platform=on"
        words += ["-netdev", f"hubport,id=p{number},hubid=1",
                  "-device", f"{card},netdev=p{number},romfile=,addr={0x10 + number:#x}"]
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
    if process.wait() != 0 or not ended:
        with open(log, errors="replace") as console:
            print(console.read()[-4000:])
        print(f"FAILED  the machine ended ({process.returncode}) before its cases did")
        return sums[0], sums[1] + 1
    return sums


def run(program, only, iommu, shell=False):
    image, modules, version = kernel.fetch()
    with tempfile.TemporaryDirectory(prefix="haul-card-") as own:
        archive, log = os.path.join(own, "initramfs"), os.path.join(own, "console")
        kernel.initramfs(modules, version, archive)
        line = "console=ttyS0 panic=-1 " + ("intel_iommu=on iommu=pt " if iommu else "")
        line += f"haul.tree={TREE} haul.modules={modules} haul.program={'shell' if shell else program}"
        if only:
            line += " haul.only=" + only.replace("\\", "\\\\").replace(" ", "\\040")
        words = words_of(image, archive, line, log, iommu)
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
            sys.exit(run(program, "", True, shell=True))
        sums = [run(program, rest, iommu) for iommu in (True, False)]
    except kernel.Missing as why:
        print(f"there is no kernel for the machine: {why}")
        sys.exit(77)
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
