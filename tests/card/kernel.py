"""Debian's kernel for the virtual machine of the cards: fetched and unpacked under build/, never
installed. Of its modules only those are kept that a card, its drivers and the root of the machine need."""
import glob
import os
import re
import shutil
import subprocess
import tarfile

from initramfs import archive

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "card")
KEPT = re.compile(r"\./(boot/vmlinuz-[^/]*|lib/modules/[^/]+/(modules\.[^/]*|kernel/(net|lib|crypto|virt|arch/x86/crypto|"
                  r"fs/(9p|netfs|fscache|overlayfs)|drivers/(virtio|vfio|net/(vmxnet3|ethernet/intel/e1000e?|[^/]+\.ko)"
                  r"))(/.*)?))")
# What the first program loads before it has a root (init).
FIRST = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


class Missing(Exception):
    """What this machine lacks, in words."""


def _output(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise Missing(f"{' '.join(words)}: {done.stderr.strip()[-300:]}")
    return done.stdout


def _package():
    """The package that the name of all kernels stands for."""
    depends = re.search(r"Depends: (linux-image-\S+)", _output("apt-cache", "depends", "linux-image-amd64"))
    if depends is None:
        raise Missing("apt-cache knows no linux-image-amd64")
    return depends[1]


def _download(into):
    name = _package()
    print(f"fetching Debian's {name} into build/card", flush=True)
    _output("apt-get", "-q", "download", name, cwd=into)
    return name


def _unpack(package, into):
    pipe = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=pipe.stdout, mode="r|") as tar:
        for member in tar:
            if KEPT.fullmatch(member.name):
                tar.extract(member, into)
    if pipe.wait() != 0:
        raise Missing(f"{package} cannot be unpacked")


def found():
    """(kernel, directory with lib/modules, its version) of an earlier fetch; None without one."""
    for image in sorted(glob.glob(f"{CACHE}/kernel/boot/vmlinuz-*")):
        version = image.split("vmlinuz-", 1)[1]
        if os.path.exists(f"{CACHE}/kernel/lib/modules/{version}/modules.dep"):
            return image, f"{CACHE}/kernel", version
    return None


def fetch():
    """The same, after it was downloaded where there was none."""
    have = found()
    if have is not None:
        return have
    fresh = f"{CACHE}/fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    try:
        name = _download(fresh)
    except Missing:
        if os.geteuid() != 0:
            raise
        _output("apt-get", "-qq", "update")
        name = _download(fresh)
    _unpack(glob.glob(f"{fresh}/{name}_*.deb")[0], f"{fresh}/kernel")
    version = os.listdir(f"{fresh}/kernel/lib/modules")[0]
    _output("depmod", "-b", f"{fresh}/kernel", version)
    shutil.rmtree(f"{CACHE}/kernel", ignore_errors=True)
    os.rename(f"{fresh}/kernel", f"{CACHE}/kernel")
    shutil.rmtree(fresh)
    return found()


def first_modules(kernel, version):
    """Files of the modules that are loaded first, each after those it needs."""
    top, order = f"{kernel}/lib/modules/{version}", []
    with open(f"{top}/modules.dep") as lines:
        table = dict(line.rstrip("\n").split(":", 1) for line in lines)
    named = {os.path.basename(file).split(".ko")[0].replace("-", "_"): file for file in table}
    for name in FIRST:
        file = named[name]
        # modules.dep names the nearest first.
        for each in [*reversed(table[file].split()), file]:
            if each not in order:
                order.append(each)
    return [f"{top}/{file}" for file in order]


def initramfs(kernel, version, path):
    """The archive that the kernel unpacks: a shell, the first modules and init."""
    modules = first_modules(kernel, version)
    files = {"init": f"{HERE}/init", "bin/busybox": shutil.which("busybox")}
    files.update({f"modules/{number:02}-{os.path.basename(file)}": file for number, file in enumerate(modules)})
    with open(path, "wb") as out:
        out.write(archive(("bin", "modules", "dev", "proc", "sys", "below", "above", "root"), files))
