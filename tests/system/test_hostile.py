#!/usr/bin/env python3
"""Providers that lie: wrong bytes, wrong lengths, directories that would leave the target."""
import os

from dagpb import RAW, Dataset, field, node, unixfs
from nodes import case, contains, describe, equal, leftovers, main, same

MIB = 1 << 20
CARRIERS = ("udp", "stream")


def planted(bench, dataset, root):
    """A seeder whose home holds the dataset, a getter, and the ticket."""
    seeder, getter = bench.pair()
    seeder.stop()
    cid = dataset.plant(seeder.home, root)
    seeder.start()
    return seeder, getter, seeder.share(cid)


def refused(bench, dataset, root, code, *parts, carriers=CARRIERS, by=None):
    """The get fails with the code, and nothing is left of it, inside or outside the target."""
    seeder, getter, ticket = planted(bench, dataset, root)
    bench.directory("inside")
    bench.file("outside", b"untouched")
    before = set(os.listdir(bench.root))
    for carrier in carriers:
        said = getter.get(ticket, "-o", bench.path("inside/got"), "--carrier", carrier,
                          "--timeout", "20s")
        said.fails(code, *parts)
        if by:
            contains(said.object["text"], seeder.peer, "the peer that sent it is named")
        equal(leftovers(bench.path("inside")), [], f"what {carrier} left beside the target")
        equal(set(os.listdir(bench.root)), before, "names outside the target")
        with open(bench.path("outside"), "rb") as outside:
            equal(outside.read(), b"untouched")
        # Asked to store it, the node fails alike, or at least holds only what is true.
        getter.get(ticket, "--carrier", carrier, "--timeout", "20s")
        assert all(not row["complete"] or code == "manifest-hostile"
                   for row in getter.json("ls").ok().objects), "a lie was stored"
    # Both nodes are well, and honest data still moves.
    honest = seeder.share(bench.file("honest", 2 * MIB))
    getter.get(honest, "-o", bench.path("honest got")).ok()
    same(bench.path("honest"), bench.path("honest got"))
    return getter


@case("what the planting tool plants is fetched: the hostile cases fail for their own reasons")
def control(bench):
    dataset = Dataset()
    root = dataset.directory([
        (b"a file", dataset.file(b"content")),
        (b"link", dataset.symlink(b"a file")),
        (b"sub", dataset.directory([(b"deep", dataset.file(b"x" * MIB))])),
    ])
    _, getter, ticket = planted(bench, dataset, root)
    for carrier in CARRIERS:
        getter.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok()
        equal(sorted(describe(bench.path(carrier))), [b"", b"/a file", b"/link", b"/sub", b"/sub/deep"])


@case("a leaf with a flipped byte is refused, and the message names the peer that sent it")
def wrong_leaf(bench):
    dataset = Dataset()
    good, content = bench.bytes(MIB), bench.bytes(MIB)
    flipped = content[:700_000] + bytes([content[700_000] ^ 1]) + content[700_001:]
    links = [dataset.file(good), dataset.block(content, RAW, sent=flipped)]
    root = dataset.block(node(unixfs(2, sizes=[MIB, MIB], size=2 * MIB),
                              [(b"", cid, MIB) for cid in links]))
    getter = refused(bench, dataset, root, "block-wrong", by=True)
    assert getter.status()["worker"]["wrong_blocks"] > 0, "the counter of wrong blocks"


@case("a root with a flipped byte is refused, and the peer is named")
def wrong_root(bench):
    dataset = Dataset()
    content = node(unixfs(1), [(b"name", dataset.file(b"content"), 1)])
    refused(bench, dataset, dataset.block(content, sent=content[:-1] + b"\x02"), "block-wrong", by=True)


@case("a block that is shorter, longer or empty where its hash says otherwise is refused")
def wrong_length(bench):
    for number, sent in enumerate((b"shor", b"short and more", b"")):
        dataset = Dataset()
        root = dataset.directory([(b"name", dataset.block(b"short", RAW, sent=sent))])
        seeder = bench.node(f"seeder {number}")
        getter = bench.node(f"getter {number}")
        seeder.stop()
        cid = dataset.plant(seeder.home, root)
        seeder.start()
        ticket = seeder.share(cid)
        for carrier in CARRIERS:
            said = getter.get(ticket, "-o", bench.path("got"), "--carrier", carrier, "--timeout", "20s")
            equal(said.status, 1, str(said))
            assert said.object["code"] in ("block-wrong", "manifest-broken"), str(said)
            assert not os.path.lexists(bench.path("got"))


def on_disk(bench, carrier):
    """Bytes that go bad on the seeder's disk after they were stored."""
    seeder, getter = bench.pair()
    content = bench.bytes(3 * MIB)
    ticket = seeder.share(bench.file("file", content))
    seeder.stop()
    mark, flips = content[MIB + 5000:MIB + 5064], 0
    for at, _, names in os.walk(bench.path("seeder", "blocks")):
        for name in names:
            with open(os.path.join(at, name), "r+b") as pack:
                place = pack.read().find(mark)
                if place >= 0:
                    pack.seek(place)
                    pack.write(bytes(byte ^ 0x55 for byte in mark))
                    flips += 1
    equal(flips, 1, "places of the block in the packs")
    seeder.start()
    ticket = seeder.share(seeder.json("ls").ok().object["cid"])
    said = getter.get(ticket, "-o", bench.path("got"), "--carrier", carrier, "--timeout", "20s")
    said.fails("block-wrong", seeder.peer)
    equal(leftovers(bench.root, "seeder", "getter", "seeder.log", "getter.log", "file"), [])
    equal(getter.json("ls").ok().objects, [])


@case("bytes that went bad on the seeder's disk are refused over udp, and the seeder is named")
def disk_udp(bench):
    on_disk(bench, "udp")


@case("bytes that went bad on the seeder's disk are refused over the stream, and the seeder is named")
def disk_stream(bench):
    on_disk(bench, "stream")


def hostile_name(bench, name):
    dataset = Dataset()
    root = dataset.directory([(b"before", dataset.file(b"fine")), (name, dataset.file(b"evil"))])
    refused(bench, dataset, root, "manifest-hostile", carriers=["stream"])


@case("an entry named .. is refused")
def dots(bench):
    hostile_name(bench, b"..")


@case("an entry named . is refused")
def dot(bench):
    hostile_name(bench, b".")


@case("an entry whose name has a separator is refused")
def separator(bench):
    hostile_name(bench, b"a/b")


@case("an entry that would climb is refused")
def climb(bench):
    hostile_name(bench, b"../outside")


@case("an entry with an absolute path is refused")
def absolute(bench):
    hostile_name(bench, os.fsencode(bench.path("outside")))


@case("an entry without a name is refused")
def nameless(bench):
    hostile_name(bench, b"")


@case("an entry whose name holds a zero byte is refused")
def zero(bench):
    hostile_name(bench, b"ou\0tside")


@case("an entry whose name is not UTF-8 is refused")
def not_utf8(bench):
    hostile_name(bench, b"\xff\xfe")


@case("an entry whose name no file system takes is refused")
def too_long(bench):
    hostile_name(bench, b"n" * 256)


@case("a hostile name deep inside is refused as well, over udp")
def deep(bench):
    dataset = Dataset()
    inner = dataset.directory([(b"..", dataset.file(b"evil"))])
    root = dataset.directory([(b"a", dataset.directory([(b"b", inner)]))])
    refused(bench, dataset, root, "manifest-hostile", carriers=["udp"])


@case("nothing is written through a link: a link and a directory of one name are refused")
def through_link(bench):
    dataset = Dataset()
    outside = os.fsencode(bench.directory("elsewhere"))
    inner = dataset.directory([(b"evil", dataset.file(b"evil"))])
    root = dataset.directory([(b"name", dataset.symlink(outside)), (b"name", inner)])
    refused(bench, dataset, root, "manifest-hostile", carriers=["stream"])
    equal(os.listdir(outside), [])


@case("nothing is written through a link: a link and a file of one name are refused")
def onto_link(bench):
    dataset = Dataset()
    outside = os.fsencode(bench.path("outside"))
    root = dataset.directory([(b"name", dataset.symlink(outside)), (b"name", dataset.file(b"evil"))])
    refused(bench, dataset, root, "manifest-hostile", carriers=["udp"])


@case("two entries of one name are refused")
def duplicates(bench):
    dataset = Dataset()
    root = dataset.directory([(b"name", dataset.file(b"one")), (b"name", dataset.file(b"two"))])
    refused(bench, dataset, root, "manifest-hostile", carriers=["stream"])


@case("bytes that are no node, and nodes that contradict themselves, are refused as broken")
def broken(bench):
    leaf = b"z" * 100
    cases = {
        "garbage": lambda d: d.block(b"\xff" * 40),
        "cut short": lambda d: d.block(node(unixfs(1), [(b"n", d.file(b"x"), 1)])[:-3]),
        "no unixfs": lambda d: d.block(node(b"")),
        "size": lambda d: d.block(node(unixfs(2, sizes=[7], size=7), [(b"", d.file(leaf), 100)])),
        "sizes": lambda d: d.block(node(unixfs(2, sizes=[100, 1], size=101), [(b"", d.file(leaf), 100)])),
        "huge": lambda d: d.block(node(unixfs(2, sizes=[1 << 62, 1 << 62], size=1 << 63),
                                       [(b"", d.file(leaf), 1), (b"", d.file(leaf), 1)])),
        "HAMT": lambda d: d.block(node(unixfs(5, b"\x01") + field(5, 0x22) + field(6, 3),
                                       [(b"00name", d.file(leaf), 1)])),
        "kind": lambda d: d.block(node(unixfs(9))),
    }
    seeder, getter = bench.pair()
    for name, make in cases.items():
        dataset = Dataset()
        root = make(dataset)
        seeder.stop()
        cid = dataset.plant(seeder.home, root)
        seeder.start()
        ticket = seeder.share(cid)
        for carrier in ("udp", "stream", "auto"):
            said = getter.get(ticket, "-o", bench.path("got"), "--timeout", "20s", "--carrier", carrier)
            equal((name, carrier, said.status), (name, carrier, 1), str(said))
            equal((name, carrier, said.object["code"]), (name, carrier, "manifest-broken"), str(said))
            assert not os.path.lexists(bench.path("got")), name


if __name__ == "__main__":
    main()
