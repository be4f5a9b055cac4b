#!/usr/bin/env python3
"""A get that ended before its time is typed again: what had come is not fetched a second time, whoever
ended it and wherever it went, and nothing of it is believed unless its hash holds."""
import glob
import os
import signal

from nodes import case, contains, equal, main, same, wait_for

MIB = 1 << 20
RATE = {"flow.rate": "120Mbit"}  # slow enough to be in the middle of it
FEW = {"slots.filling": "8"}  # little is on its way to the disk
UDP = "--carrier", "udp"  # the stream keeps to no rate


def tree(bench):
    """Large files and small ones: 37 MiB in 41 files."""
    for number in range(4):
        bench.file(f"tree/large/{number}", 8 * MIB + number)
    for number in range(36):
        bench.file(f"tree/small/{number}", 140_000 + number)
    bench.file("tree/none", 0)
    return bench.path("tree")


def bytes_of(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def there(part, tree):
    """Content bytes of whole blocks that are right in the part."""
    found = 0
    for at, _, names in os.walk(part):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as left, open(os.path.join(tree, os.path.relpath(path, part)), "rb") as right:
                while block := right.read(MIB):
                    found += len(block) if left.read(MIB) == block else 0
    return found


def the_part(bench, name="got"):
    found = glob.glob(bench.path(f"{name}.haul-part-*"))
    equal(len(found), 1, f"parts: {found}")
    return found[0]


def begin(bench, getter, ticket, *args):
    """A get, to the moment when 12 MiB have come, of which 6, the slots of a flow, may be on their way to the disk."""
    get = bench.start("get", "--home", getter.home, ticket, *args)
    wait_for(lambda: getter.status()["worker"]["fetched_bytes"] > 12 * MIB, "a third of it")
    equal(get.poll(), None, "its end")
    return get


def goes_on(record, total, left):
    """What was left came from here, and all else once from the peer."""
    equal(record["bytes"], total)
    equal(record["bytes_by_carrier"].get("local", 0), left)
    # Nodes, headers, handshakes, and what the network loses.
    assert record["wire_bytes"] < (total - left) * 1.1 + MIB, record


@case("an interrupted get of a tree keeps what came and says where, and the same command goes on from there")
def interrupted(bench):
    seeder, getter = bench.node("seeder", settings=RATE), bench.node("getter", settings=FEW)
    source = tree(bench)
    ticket = seeder.share(source)
    get = begin(bench, getter, ticket, "-o", bench.path("got"), *UDP)
    get.send_signal(signal.SIGINT)
    contains(bench.finish(get).err.decode(), "what came is kept in " + the_part(bench))
    wait_for(lambda: getter.status()["worker"]["filling_free"] == 8, "what was under way to be let go")
    left = there(the_part(bench), source)
    assert left >= 3 * MIB, left
    goes_on(getter.get(ticket, "-o", bench.path("got"), *UDP).ok().object, bytes_of(source), left)
    same(source, bench.path("got"))
    equal(glob.glob(bench.path("*haul-part*")), [])


@case("a seeder that dies, and then both nodes: the part outlives them, and other bytes in it are not believed")
def gone(bench):
    seeder, getter = bench.node("seeder", settings=RATE), bench.node("getter", settings=FEW)
    source = tree(bench)
    ticket = seeder.share(source)
    get = begin(bench, getter, ticket, "-o", bench.path("got"), "--timeout", "15s", *UDP)
    getter.kill()
    seeder.kill()
    contains(bench.finish(get).err.decode(), the_part(bench))
    with open(os.path.join(the_part(bench), "large", "0"), "r+b") as file:
        file.seek(3 * MIB + 77)
        file.write(b"other bytes")
        file.seek(0, os.SEEK_END)
        file.write(b"and more than there is to be")
    left = there(the_part(bench), source)
    seeder.start()
    getter.start()
    ticket = seeder.share(source)
    record = getter.get(ticket, "-o", bench.path("got"), "--keep", *UDP).ok().object
    goes_on(record, bytes_of(source), left)
    same(source, bench.path("got"))
    seeder.stop()  # what was left of it went to the store as well
    getter.get(record["cid"], "-o", bench.path("again")).ok()
    same(source, bench.path("again"))


@case("a get to the store that was interrupted goes on from what is stored, also after a restart, and is complete")
def stored(bench):
    seeder, getter = bench.node("seeder", settings=RATE), bench.node("getter", settings=FEW)
    source = tree(bench)
    ticket = seeder.share(source)
    get = begin(bench, getter, ticket, *UDP)
    get.send_signal(signal.SIGINT)
    contains(bench.finish(get).err.decode(), "goes on")
    row, = getter.json("ls").ok().objects
    equal(row["complete"], False)
    getter.stop()
    getter.start()
    record = getter.get(ticket).ok().object
    assert record["bytes_by_carrier"].get("local", 0) >= 3 * MIB, record
    goes_on(record, bytes_of(source), record["bytes_by_carrier"]["local"])
    row, = getter.json("ls").ok().objects
    equal(row["complete"], True)
    seeder.stop()
    getter.get(record["cid"], "-o", bench.path("got")).ok()
    same(source, bench.path("got"))


@case("what is stored for another dataset is fetched all the same: no peer learns from us that it is here")
def private(bench):
    seeder, getter = bench.pair()
    getter.put(bench.file("tree/private", 3 * MIB))
    bench.file("tree/other", 2 * MIB)
    ticket = seeder.share(bench.path("tree"))
    for options in ([], ["-o", bench.path("got")]):
        record = getter.get(ticket, *options, *UDP).ok().object
        equal(record["bytes_by_carrier"], {"udp": 5 * MIB})


@case("two gets of one dataset to one target do not share a part: one of them has the target, whole")
def together(bench):
    seeder, getter = bench.node("seeder", settings=RATE), bench.node("getter", settings=FEW)
    source = bench.file("file", 12 * MIB)
    ticket = seeder.share(source)
    gets = [bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path("got")) for _ in range(2)]
    ends = sorted((bench.finish(get) for get in gets), key=lambda done: done.status)
    ends[0].ok()
    ends[1].fails("target-exists")
    same(source, bench.path("got"))
    equal(glob.glob(bench.path("*haul-part*")), [])


if __name__ == "__main__":
    main(at_once=2)
