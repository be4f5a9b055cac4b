#!/usr/bin/env python3
"""What a node uses on this machine, that it says so, and that it goes on without it."""
import os

from nodes import WITHOUT_IO_URING, WITHOUT_OPTION, Skip, case, equal, main, same

MIB = 1 << 20


def kernel():
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


def transfer(bench, seeder, getter):
    source = bench.path("tree")
    bench.file("tree/file", 8 * MIB + 3)
    bench.file("tree/small", 10)
    ticket = seeder.share(source)
    for carrier in ("udp", "stream"):
        got = bench.path(f"{carrier} got")
        record = getter.get(ticket, "-o", got, "--carrier", carrier).ok().object
        equal(list(record["bytes_by_carrier"]), [carrier])
        same(source, got)
    getter.get(ticket, "--carrier", "udp").ok()


@case("status names what is in use: receive, segmentation, cipher, store, receive buffer")
def in_use(bench):
    seeder, getter = bench.pair(settings={"net.receive-buffer": "2MiB"})
    transfer(bench, seeder, getter)
    for node in (seeder, getter):
        status = node.status()
        net, store, cipher = status["net"], status["store"], status["cipher"]
        refused = os.path.exists("/proc/sys/kernel/io_uring_disabled") and \
            open("/proc/sys/kernel/io_uring_disabled").read().strip() == "2"
        if kernel() >= (6, 1) and not refused and net["backend"] != "uring":
            # A container may refuse it as well: then the launcher's case is this one.
            raise Skip("io_uring is refused here")
        equal(net["multishot"], net["backend"] == "uring" and kernel() >= (6, 0), "multishot")
        equal((net["gro"], net["gso"]), (True, True), "segmentation")
        assert 1 < net["segments_max"] <= 128 and net["train_bytes_max"] <= 65535, net
        # The kernel doubles what is asked for.
        assert net["receive_buffer_bytes"] >= 2 * MIB, net
        assert store["backend"] in ("file/uring", "file/posix"), store
        name, by = cipher["in_use"].split("/")
        assert name in ("aes-128-gcm", "chacha20-poly1305", "aes-256-gcm"), cipher
        speeds = {"ipsec-mb": cipher["ipsec_mb_ns"], "openssl": cipher["openssl_ns"]}
        measured = {key: value for key, value in speeds.items() if value > 0}
        equal(by, min(measured, key=measured.get), f"the faster of {speeds}")
    assert getter.status()["net"]["rx_datagrams"] > 0
    # Trains, not single datagrams, went out and came in.
    sent = seeder.status()["net"]
    assert sent["tx_trains"] * 2 < sent["tx_datagrams"], sent
    equal(sent["tx_errors"], 0)


@case("with mmsg and posix asked for, status says so and both carriers work")
def by_choice(bench):
    seeder, getter = bench.pair(settings={"net.backend": "mmsg", "store.backend": "posix"})
    transfer(bench, seeder, getter)
    for node in (seeder, getter):
        status = node.status()
        equal((status["net"]["backend"], status["store"]["backend"]), ("mmsg", "file/posix"))
        equal(status["net"]["multishot"], False)


@case("the two kinds of backend understand each other, both ways")
def mixed(bench):
    old = {"net.backend": "mmsg", "store.backend": "posix"}
    seeder, getter = bench.node("seeder", settings=old), bench.node("getter")
    transfer(bench, seeder, getter)
    ticket = getter.share(bench.file("other", 5 * MIB))
    seeder.get(ticket, "-o", bench.path("back"), "--carrier", "udp").ok()
    same(bench.path("other"), bench.path("back"))


def refused(bench, error):
    if not WITHOUT_IO_URING:
        raise Skip("the launcher was not built")
    launcher = [WITHOUT_IO_URING, error]
    seeder = bench.node("seeder", launcher)
    getter = bench.node("getter", launcher)
    for node in (seeder, getter):
        status = node.status()
        equal((status["net"]["backend"], status["store"]["backend"]), ("mmsg", "file/posix"))
    transfer(bench, seeder, getter)


@case("where io_uring is refused as in a container (EPERM), net and store go on without it")
def eperm(bench):
    refused(bench, "EPERM")


@case("where the kernel has no io_uring (ENOSYS), net and store go on without it")
def enosys(bench):
    refused(bench, "ENOSYS")


@case("where the kernel neither joins (UDP_GRO) nor cuts (UDP_SEGMENT), status says so and datagrams go alone")
def alone(bench):
    if not WITHOUT_OPTION:
        raise Skip("the launcher was not built")
    seeder = bench.node("seeder", [WITHOUT_OPTION, "gso"])
    getter = bench.node("getter", [WITHOUT_OPTION, "gro"], {"net.backend": "mmsg"})
    equal([(node.status()["net"]["gro"], node.status()["net"]["gso"]) for node in (seeder, getter)],
          [(True, False), (False, True)])
    transfer(bench, seeder, getter)
    for name, node in (("tx", seeder), ("rx", getter)):
        net = node.status()["net"]
        equal(net[name + "_trains"], net[name + "_datagrams"])
        assert net[name + "_datagrams"] > 1000, net


@case("io_uring asked for by name and refused is an error, not another backend")
def insisted(bench):
    if not WITHOUT_IO_URING:
        raise Skip("the launcher was not built")
    for key in ("net.backend", "store.backend"):
        node = bench.node("node", [WITHOUT_IO_URING, "EPERM"], {key: "uring"}, ["--json"], wait=False)
        out, _ = node.process.communicate(timeout=30)
        assert b'"code"' in out and node.process.returncode in (1, 77), out


@case("either cipher backend can be chosen; the two understand each other")
def ciphers(bench):
    seeder = bench.node("seeder", settings={"cipher.backend": "openssl"})
    getter = bench.node("getter")
    equal(seeder.status()["cipher"]["in_use"].split("/")[1], "openssl")
    transfer(bench, seeder, getter)


@case("the memory store serves and forgets")
def memory(bench):
    seeder, getter = bench.pair(settings={"store.kind": "memory"})
    equal(seeder.status()["store"]["backend"], "memory")
    transfer(bench, seeder, getter)
    equal(len(os.listdir(bench.path("seeder", "blocks"))) if
          os.path.exists(bench.path("seeder", "blocks")) else 0, 0, "files of a memory store")


@case("with the fewest slots that are allowed, both carriers still work")
def fewest(bench):
    fewest = {"slots.filling": "8", "slots.serving": "8", "slots.control": "4"}
    seeder, getter = bench.pair(settings=fewest)
    transfer(bench, seeder, getter)


if __name__ == "__main__":
    main()
