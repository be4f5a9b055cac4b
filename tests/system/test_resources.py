#!/usr/bin/env python3
"""What a node takes: memory, slots, descriptors, rights."""
import os
import stat

from nodes import case, equal, main, same, wait_for

MIB = 1 << 20


def peak(node):
    """The most memory the process has had, huge pages included."""
    with open(f"/proc/{node.pid}/status", encoding="ascii") as lines:
        facts = dict(line.split(":", 1) for line in lines)
    return sum(int(facts.get(key, "0 kB").split()[0]) for key in ("VmHWM", "HugetlbPages")) * 1024


@case("two nodes that fetch from each other at the same time, with the fewest slots, both finish")
def mutual(bench):
    few = {"slots.filling": "8", "slots.serving": "8", "slots.control": "4"}
    for carrier in ("udp", "stream"):
        left = bench.node(f"left {carrier}", settings=few)
        right = bench.node(f"right {carrier}", settings=few)
        one, two = bench.file("one", 48 * MIB), bench.file("two", 48 * MIB)
        tickets = left.share(one), right.share(two)
        gets = [bench.start("get", "--home", node.home, "--json", ticket, "-o", target, "--carrier",
                            carrier, "--keep")
                for node, ticket, target in ((right, tickets[0], bench.path(f"one {carrier}")),
                                             (left, tickets[1], bench.path(f"two {carrier}")))]
        for get in gets:
            bench.finish(get).ok()
        same(one, bench.path(f"one {carrier}"))
        same(two, bench.path(f"two {carrier}"))
        for node in (left, right):
            worker = node.status()["worker"]
            equal((worker["filling_free"], worker["serving_free"]), (8, 8), "slots are given back")
            node.stop()


@case("many gets at once from one seeder share its slots and all finish")
def many(bench):
    seeder, getter = bench.pair(settings={"slots.filling": "8", "slots.serving": "8"})
    files = [bench.file(f"file {n}", 6 * MIB) for n in range(6)]
    tickets = [seeder.share(file) for file in files]
    gets = [bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path(f"got {n}"),
                        "--carrier", ("udp", "stream")[n % 2])
            for n, ticket in enumerate(tickets)]
    for get in gets:
        bench.finish(get).ok()
    for n, file in enumerate(files):
        same(file, bench.path(f"got {n}"))


@case("more gets at once than a peer takes offers and streams wait for their turn")
def crowd(bench):
    seeder, getter = bench.pair()
    file = bench.file("file", 3 * MIB)
    ticket = seeder.share(file)
    gets = [bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path(f"got {n}"),
                        "--carrier", ("udp", "stream")[n % 2])
            for n in range(24)]
    for n, get in enumerate(gets):
        bench.finish(get).ok()
        same(file, bench.path(f"got {n}"))
    equal(seeder.status()["host"]["streams_over_limit"], 0)


@case("with the default slots each node stays below 256 MiB while 1 GiB moves")
def memory(bench):
    default = {key: None for key in ("slots.filling", "slots.serving", "slots.control")}
    seeder, getter = bench.pair(settings=default)
    path = bench.path("file")
    with open(path, "wb") as out:
        part = bench.bytes(16 * MIB)
        for number in range(64):
            out.write(part[:-8] + number.to_bytes(8, "little"))
    ticket = seeder.share(path)
    for carrier in ("udp", "stream"):
        got = bench.path(carrier)
        getter.get(ticket, "-o", got, "--carrier", carrier, seconds=120).ok()
        equal(os.path.getsize(got), 1 << 30)
        os.unlink(got)
    for node in (seeder, getter):
        assert peak(node) <= 256 * MIB, f"{node}: {peak(node) / MIB:.0f} MiB"
        assert node.status()["node"]["peak_rss_bytes"] <= 256 * MIB


@case("the control socket and the key are for their owner alone")
def modes(bench):
    os.umask(0)
    node = bench.node("node")
    node.put(bench.file("file", 100))
    for at, directories, files in os.walk(node.home):
        for name in directories + files:
            mode = stat.S_IMODE(os.lstat(os.path.join(at, name)).st_mode)
            equal(oct(mode & 0o077), "0o0", os.path.join(at, name))
    sockets = [os.path.join(at, name) for at, _, files in os.walk(node.home) for name in files
               if stat.S_ISSOCK(os.lstat(os.path.join(at, name)).st_mode)]
    equal(len(sockets), 1, "control sockets")
    equal(stat.S_IMODE(os.lstat(sockets[0]).st_mode), 0o600)
    equal(stat.S_IMODE(os.lstat(os.path.join(node.home, "identity.key")).st_mode), 0o600)


def outside(node, *allowed):
    """Files and directories that the node holds open outside its home. What the kernel tells of the
    node itself, its memory for the record, is not somebody's file."""
    found = []
    own = f"/proc/{node.pid}/"
    directory = own + "fd"
    for name in os.listdir(directory):
        try:
            target = os.readlink(os.path.join(directory, name))
        except FileNotFoundError:
            continue
        if target.startswith("/") and not target.startswith((node.home, "/dev/", own, *allowed)):
            found.append(target)
    return found


@case("during a get the node holds no file outside its home but those handed in, and gives them back")
def descriptors(bench):
    seeder = bench.node("seeder", settings={"flow.rate": "80Mbit"})
    getter = bench.node("getter")
    for number in range(200):
        bench.file(f"tree/{number}", 100_000)
    ticket = seeder.share(bench.path("tree"))
    before = len(os.listdir(f"/proc/{getter.pid}/fd"))
    get = bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path("got"),
                      "--carrier", "udp")
    log = bench.path("getter.log")
    seen = set()
    most = 0
    while get.poll() is None:
        held = outside(getter, log)
        seen.update(held)
        most = max(most, len(held))
    bench.finish(get).ok()
    same(bench.path("tree"), bench.path("got"))
    strange = [path for path in seen if not path.startswith(bench.path("got."))]
    equal(strange, [], "files of others")
    assert seen, "no file was seen that was handed in"
    assert most < 200, f"{most} of 200 files were open at once"
    wait_for(lambda: outside(getter, log) == [], "the descriptors to be given back")
    wait_for(lambda: len(os.listdir(f"/proc/{getter.pid}/fd")) <= before + 4, "no leak")
    equal(outside(seeder, bench.path("seeder.log")), [])


if __name__ == "__main__":
    main()
