#!/usr/bin/env python3
"""What goes in comes out: trees of every kind over every carrier."""
import os
import stat

from nodes import case, contains, equal, leftovers, main, same, wait_for

MIB = 1 << 20


def tree(bench):
    """Every kind of thing that a dataset can hold."""
    bench.directory("tree/empty directory")
    bench.file("tree/empty file")
    bench.file("tree/one byte", 1)
    bench.file("tree/one block", MIB)
    bench.file("tree/a byte more", MIB + 1)
    bench.file("tree/deep/er/est/three blocks", 3 * MIB)
    bench.file("tree/deep/twice", b"the same content\n")
    bench.file("tree/deep/er/twice", b"the same content\n")
    bench.file("tree/Ünïcode/日本語 🚚", 1000)
    bench.file("tree/-o", b"a name like an option")
    bench.file("tree/line\nbreak", b"\0\xff")
    os.symlink("../one block", bench.path("tree/deep/link"))
    os.symlink("/nowhere/at all", bench.path("tree/dangling"))
    os.symlink("deep", bench.path("tree/link to a directory"))
    return bench.path("tree")


def total(path):
    return sum(os.lstat(os.path.join(at, f)).st_size for at, _, files in os.walk(path)
               for f in files if not os.path.islink(os.path.join(at, f)))


def fetch_tree(bench, carrier):
    seeder, getter = bench.pair()
    source = tree(bench)
    ticket = seeder.share(source)
    record = getter.get(ticket, "-o", bench.path("got"), "--carrier", carrier).ok().object
    same(source, bench.path("got"))
    equal(record["event"], "transfer")
    equal(record["verified"], True)
    assert record["bytes"] >= total(source) - len(b"the same content\n"), record
    equal(sum(record["bytes_by_carrier"].values()), record["bytes"], "bytes by carrier")
    equal(leftovers(bench.root, "seeder", "getter", "tree", "got", "seeder.log", "getter.log"), [])
    return record


@case("a tree of every kind comes over udp as it was, and udp alone carried it")
def udp(bench):
    record = fetch_tree(bench, "udp")
    equal(list(record["bytes_by_carrier"]), ["udp"])
    equal(record["carrier"], "udp")


@case("a tree of every kind comes over the stream as it was, and the stream alone carried it")
def stream(bench):
    record = fetch_tree(bench, "stream")
    equal(list(record["bytes_by_carrier"]), ["stream"])
    equal(record["carrier"], "stream")


@case("auto brings the tree as well, and says what carried how much")
def auto(bench):
    record = fetch_tree(bench, "auto")
    assert set(record["bytes_by_carrier"]) <= {"udp", "stream"}, record


@case("two nodes need no configuration beyond their homes: default ports, or free ones")
def defaults(bench):
    nothing = {key: None for key in ("listen.tcp", "listen.udp")}
    seeder, getter = bench.pair(settings=nothing)
    assert seeder.tcp_port != getter.tcp_port
    ticket = seeder.share(bench.file("file", 2 * MIB))
    getter.get(ticket, "-o", bench.path("got")).ok()
    same(bench.path("file"), bench.path("got"))


@case("single files of 0, 1 MiB, 1 MiB + 1 and 3 MiB bytes come whole over each carrier")
def sizes(bench):
    seeder, getter = bench.pair()
    for size in (0, MIB, MIB + 1, 3 * MIB):
        ticket = seeder.share(bench.file(f"file {size}", size))
        for carrier in ("udp", "stream"):
            target = bench.path(f"got {size} {carrier}")
            getter.get(ticket, "-o", target, "--carrier", carrier).ok()
            same(bench.path(f"file {size}"), target)


@case("the same dataset can be fetched again and again, by either carrier, from one node")
def again(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("file", 20 * MIB))
    for number, carrier in enumerate(("udp", "stream", "udp", "auto", "stream")):
        target = bench.path(f"got {number}")
        getter.get(ticket, "-o", target, "--carrier", carrier).ok()
        same(bench.path("file"), target)
    # Nothing was asked to be kept.
    equal(getter.json("ls").ok().objects, [])


@case("modes and times are kept with --preserve; without it, put counts the dropped executables")
def preserve(bench):
    seeder, getter = bench.pair()
    for name, mode in (("run", 0o755), ("also", 0o711), ("plain", 0o640), ("suid", 0o4755)):
        bench.file(f"tree/{name}", name.encode())
        os.chmod(bench.path("tree", name), mode)
        os.utime(bench.path("tree", name), ns=(1, 1_234_567_890_987_654_321))
    bench.directory("tree/private")
    os.chmod(bench.path("tree/private"), 0o700)
    plain = seeder.json("put", bench.path("tree")).ok().object
    equal(plain["executables_dropped"], 3)
    said = seeder.run("put", bench.path("tree")).ok()
    contains(said.err.decode() + said.text, "3", "the count of dropped executable bits")
    kept = seeder.json("share", "--preserve", bench.path("tree")).ok().objects
    equal(kept[0]["executables_dropped"], 0)
    assert kept[0]["cid"] != plain["cid"]
    getter.get(kept[-1]["ticket"], "-o", bench.path("got")).ok()
    for name, mode in (("run", 0o755), ("also", 0o711), ("plain", 0o640), ("suid", 0o755),
                       ("private", 0o700)):
        facts = os.stat(bench.path("got", name))
        equal(oct(stat.S_IMODE(facts.st_mode)), oct(mode), name)
        if name != "private":
            equal(facts.st_mtime_ns, 1_234_567_890_987_654_321, name)


@case("put - stores standard input, and get -o - writes it to standard output")
def pipes(bench):
    seeder, getter = bench.pair()
    content = bench.bytes(5 * MIB + 17)
    cid = seeder.json("put", "-", input=content).ok().object["cid"]
    bench.file("file", content)
    equal(cid, seeder.put(bench.path("file")), "the same bytes have the same CID")
    ticket = seeder.share(cid)
    for carrier in ("udp", "stream"):
        got = getter.run("get", ticket, "-o", "-", "--carrier", carrier, "--quiet").ok()
        assert got.out == content, f"{len(got.out)} bytes of {len(content)} over {carrier}"
    empty = seeder.json("put", "-", input=b"").ok().object
    equal(empty["bytes"], 0)


@case("a file or a directory out of a dataset comes by TICKET/path and by CID/path")
def parts(bench):
    seeder, getter = bench.pair()
    source = tree(bench)
    ticket = seeder.share(source)
    cid = seeder.json("ls").ok().object["cid"]
    for number, path in enumerate(("deep/er", "Ünïcode/日本語 🚚", "a byte more", "empty directory")):
        getter.get(f"{ticket}/{path}", "-o", bench.path(f"got {number}")).ok()
        same(os.path.join(source, path), bench.path(f"got {number}"))
        # The seeder's own node has it all, and needs nobody.
        seeder.get(f"{cid}/{path}", "-o", bench.path(f"own {number}")).ok()
        same(os.path.join(source, path), bench.path(f"own {number}"))
    getter.get(f"{ticket}/deep/nothing", "-o", bench.path("none")).fails("path-unknown", "nothing")
    getter.get(f"{ticket}/one byte/more", "-o", bench.path("none")).fails("path-unknown")
    assert not os.path.lexists(bench.path("none"))


@case("ls shows a directory at the peer, in order, with kinds, sizes and link targets")
def listing(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(tree(bench))
    rows = getter.json("ls", ticket).ok().objects
    names = [row["name"] for row in rows]
    equal(names, sorted(names, key=os.fsencode))
    equal(set(names), set(os.listdir(bench.path("tree"))))
    kinds = {row["name"]: row for row in rows}
    equal(kinds["empty directory"]["kind"], "directory")
    equal(kinds["a byte more"]["bytes"], MIB + 1)
    equal(kinds["dangling"]["target"], "/nowhere/at all")
    inner = getter.json("ls", f"{ticket}/deep/er").ok().objects
    equal([row["name"] for row in inner], ["est", "twice"])
    # A line break in a name stays one line for a person, too.
    equal(len(getter.run("ls", ticket).ok().text.split("\n")), len(names))


@case("ls of a file that is one block asks the peer for it, and so does not show what the peer has not")
def listed_alone(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("small", 1000))
    row = getter.json("ls", ticket).ok().object
    equal((row["kind"], row["bytes"]), ("file", 1000))
    equal(seeder.json("ls", seeder.json("ls").ok().object["cid"]).ok().object["bytes"], 1000)
    seeder.json("share", "--off", seeder.json("ls").ok().object["cid"]).ok()
    getter.json("ls", ticket, "--timeout", "20s").fails("cid-unknown")


@case("names and depths that cannot be are refused with codes of their own")
def too_long(bench):
    seeder = bench.node("seeder")
    cid = seeder.put(bench.file("file", 1000))
    longest = bench.path("n" * 223)
    seeder.get(cid, "-o", longest).ok()
    same(bench.path("file"), longest)
    for name in ("n" * 224, "n" * 255, "n" * 300):
        seeder.get(cid, "-o", bench.path(name)).fails("target-name")
    seeder.get(cid, "-o", "/".join([bench.path("d")] * 400)).fails("target-name")
    path = bench.path("deep")
    for _ in range(202):
        os.mkdir(path)
        path += "/d"
    seeder.json("put", bench.path("deep")).fails("source-depth", "200")
    seeder.json("put", bench.path("deep/d")).ok()


@case("a directory of 6,000 names travels as a HAMT, complete over either carrier")
def sharded(bench):
    seeder, getter = bench.pair()
    for number in range(6000):
        bench.file(f"tree/entry number {number:04d} of a directory with many of them", b"%d" % number)
    put = seeder.json("put", bench.path("tree")).ok().object
    equal(put["files"], 6000)
    assert put["blocks"] > 6100, "one node for 6,000 names is no HAMT"
    ticket = seeder.share(put["cid"])
    equal(len(getter.json("ls", ticket).ok().objects), 6000)
    for carrier in ("udp", "stream"):
        getter.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok()
        same(bench.path("tree"), bench.path(carrier))
    path = "entry number 4321 of a directory with many of them"
    equal(getter.run("get", "--quiet", f"{ticket}/{path}", "-o", "-").ok().out, b"4321")


@case("without -o the dataset goes to the store: ls shows it, it can be shared on, private until then")
def stored(bench):
    seeder, getter = bench.pair()
    third = bench.node("third")
    source = tree(bench)
    ticket = seeder.share(source)
    cid = getter.get(ticket).ok().object["cid"]
    row, = getter.json("ls").ok().objects
    equal((row["cid"], row["complete"], row["shared_to_all"], row["shared_to"]), (cid, True, False, []))
    seeder.stop()
    onward = getter.share(cid)
    third.get(onward, "-o", bench.path("got")).ok()
    same(source, bench.path("got"))
    getter.get(cid, "-o", bench.path("own")).ok()
    same(source, bench.path("own"))


@case("--keep writes the files and stores the blocks as well")
def keep(bench):
    seeder, getter = bench.pair()
    source = tree(bench)
    ticket = seeder.share(source)
    cid = getter.get(ticket, "-o", bench.path("got"), "--keep").ok().object["cid"]
    same(source, bench.path("got"))
    equal([(row["cid"], row["complete"]) for row in getter.json("ls").ok().objects], [(cid, True)])
    seeder.stop()
    getter.get(cid, "-o", bench.path("again")).ok()
    same(source, bench.path("again"))


@case("sha2-256 gives the CIDs that other IPFS tools compute, and travels on either carrier")
def sha256(bench):
    seeder, getter = bench.pair()
    hello = bench.file("hello", b"hello world\n")
    equal(seeder.put(hello, "--hash", "sha2-256"),
          "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4")
    equal(seeder.put(bench.directory("empty"), "--hash", "sha2-256"),
          "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354")
    source = tree(bench)
    ticket = seeder.share(source, "--hash", "sha2-256")
    for carrier in ("udp", "stream"):
        getter.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok()
        same(source, bench.path(carrier))


@case("what is stored survives the node: after a restart it is listed, shared and fetched as before")
def restart(bench):
    seeder, getter = bench.pair()
    source = tree(bench)
    ticket = seeder.share(source)
    cid = seeder.json("ls").ok().object["cid"]
    peer = seeder.peer
    seeder.stop()
    seeder.start()
    equal(seeder.peer, peer)
    row, = seeder.json("ls").ok().objects
    equal((row["cid"], row["shared_to_all"]), (cid, True))
    getter.get(seeder.share(cid), "-o", bench.path("got")).ok()
    same(source, bench.path("got"))


@case("without a node, put, share, ls and get run one for their own duration")
def alone(bench):
    home = ("--home", bench.path("home"))
    source = bench.file("file", 2 * MIB + 5)
    cid = bench.run("put", *home, "--json", source).ok().object["cid"]
    equal(bench.run("share", *home, "--json", cid).ok().object["serving"], False)
    equal(bench.run("ls", *home, "--json").ok().object["cid"], cid)
    bench.run("get", *home, "--json", cid, "-o", bench.path("got")).ok()
    same(source, bench.path("got"))
    bench.run("status", *home, "--json").fails("node-absent")


@case("a get waits for a peer that is not there yet, says for whom, and then completes")
def waiting(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("file", MIB))
    peer, port = seeder.peer, seeder.tcp_port
    seeder.stop()
    get = bench.start("get", "--home", getter.home, ticket, "-o", bench.path("got"))
    said = b""

    def told():
        nonlocal said
        said += os.read(get.stderr.fileno(), 4096)
        return peer.encode() in said

    wait_for(told, "a note that names the peer")
    seeder.settings["listen.tcp"] = f"127.0.0.1:{port}"
    seeder.start()
    get.communicate(timeout=60)
    equal(get.returncode, 0, said.decode())
    same(bench.path("file"), bench.path("got"))


if __name__ == "__main__":
    main()
