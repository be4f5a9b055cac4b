#!/usr/bin/env python3
"""A store that is full, IPv6, a terminal, and the verbs of ./dev that come later."""
import contextlib
import ctypes
import os
import pty
import select
import socket
import subprocess

from nodes import HAUL, Skip, case, contains, equal, main, same

MIB = 1 << 20
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 1 << 14, 1 << 18, 2
libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def small_disk(bench, name, size):
    """A directory on a file system of its own, that only this program and its children see."""
    place = bench.directory(name)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise Skip("a mount namespace is refused here")
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", 0, b"size=%d,mode=700" % size) != 0:
        raise Skip("mounting is refused here")
    try:
        yield
    finally:
        libc.umount2(os.fsencode(place), MNT_DETACH)


def fill(bench):
    seeder = bench.node("seeder")
    node = bench.node("small", settings={"slots.filling": "8", "slots.serving": "8"})
    before = bench.file("before", 3 * MIB)
    kept = node.put(before)
    big = bench.file("big", 60 * MIB)
    node.json("put", big).fails("store-failed", "space")
    ticket = seeder.share(big)
    for options in (["--carrier", "udp"], ["--carrier", "stream"],
                    ["--carrier", "udp", "--keep", "-o", bench.path("got")]):
        node.get(ticket, *options).fails("store-failed")
        equal(os.path.lexists(bench.path("got")), False)
    equal([row["cid"] for row in node.json("ls").ok().objects], [kept])
    node.get(kept, "-o", bench.path("again")).ok()
    same(before, bench.path("again"))
    # A target on another disk does not need the store.
    node.get(ticket, "-o", bench.path("got"), "--carrier", "udp").ok()
    same(big, bench.path("got"))
    node.stop()
    node.start()
    equal([row["cid"] for row in node.json("ls").ok().objects], [kept])
    seeder.get(node.share(kept), "-o", bench.path("served")).ok()
    same(before, bench.path("served"))


@case("a full store ends put and get with store-failed, keeps what it had, and goes on")
def full(bench):
    with small_disk(bench, "small", 24 * MIB):
        fill(bench)


@case("two nodes that have IPv6 alone find each other and move blocks, by either carrier")
def ipv6(bench):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        raise Skip("there is no IPv6 here") from None
    only = {"listen.tcp": "[::1]:0", "listen.udp": "[::1]:0"}
    seeder, getter = bench.pair(settings=only)
    assert all(address.startswith("/ip6/") for address in seeder.addresses), seeder.addresses
    ticket = seeder.share(bench.file("file", 5 * MIB + 3))
    for carrier in ("udp", "stream", "auto"):
        record = getter.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok().object
        equal(record["bytes"], 5 * MIB + 3)
        same(bench.path("file"), bench.path(carrier))
    contains(seeder.status()["net"]["address"], "[::1]")


def on_terminal(bench, args, **environment):
    """What a command says to a terminal that is its standard output and error."""
    master, slave = pty.openpty()
    bench.environment.update(environment)
    process = bench.popen(args, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    for key in environment:
        del bench.environment[key]
    said = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, f"{args} says nothing: {said!r}"
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(master)
    equal(process.wait(30), 0, said)
    return said


@case("on a terminal a get draws its progress over one line, in colour unless NO_COLOR is set")
def terminal(bench):
    seeder = bench.node("seeder", settings={"flow.rate": "128Mbit"})
    getter = bench.node("getter")
    ticket = seeder.share(bench.file("file", 8 * MIB))
    command = [HAUL, "get", "--home", getter.home, ticket, "--carrier", "udp"]
    said = on_terminal(bench, [*command, "-o", bench.path("one")], TERM="xterm")
    contains(said, b"\r", "progress")
    contains(said, b"%", "progress")
    contains(said, b"\x1b[", "colour")
    plain = on_terminal(bench, [*command, "-o", bench.path("two")], TERM="xterm", NO_COLOR="1")
    contains(plain, b"%")
    assert b"\x1b[3" not in plain and b"\x1b[1" not in plain, plain[:500]
    quiet = on_terminal(bench, [*command, "--quiet", "-o", bench.path("three")], TERM="xterm")
    equal(quiet, b"")
    for name in ("one", "two", "three"):
        same(bench.path("file"), bench.path(name))


@case("verbs of ./dev that come later say so and exit 77, unknown ones exit 2")
def verbs(bench):
    def dev(*words):
        return subprocess.run([os.path.join(ROOT, "dev"), *words], capture_output=True, timeout=60)

    help_text = dev("help").stdout.decode()
    for verb in ("deps", "build", "demo", "test", "bench", "sim", "lint", "fmt", "fuzz", "interop",
                 "crash", "chaos", "clean"):
        contains(help_text, f"\n  {verb} ")
        later = [line for line in help_text.splitlines() if line.startswith(f"  {verb} ")][0]
        if "later stage" in later:
            done = dev(verb)
            equal(done.returncode, 77, verb)
            contains(done.stdout.decode(), "later")
    equal(dev("tset").returncode, 2)


if __name__ == "__main__":
    main()
