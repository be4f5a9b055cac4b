#!/usr/bin/env python3
"""Who may have what: stored is private, shared is shared, and nobody learns the difference."""
import shutil

from nodes import case, equal, main, same, wait_for

# The CID of a block that nobody has.
NOBODY = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"


def refusal(node, bench, what, carrier):
    """What a refused asker is told, without what differs from one CID to the next."""
    error = node.get(what, "-o", bench.path("got"), "--carrier", carrier, "--timeout", "20s")
    error.fails("cid-unknown")
    equal(node.json("ls").ok().objects, [], "what a refused get leaves in the store")
    return error.object["text"]


def ticket_for(bench, seeder, cid):
    """A ticket as a peer would write it who merely guesses: made by sharing, then taken back."""
    ticket = seeder.share(cid)
    seeder.json("share", cid, "--off").ok()
    return ticket


@case("what is put and not shared is refused on either carrier, exactly as if it did not exist")
def private(bench):
    seeder, getter = bench.pair()
    source = bench.file("file", 3 << 20)
    cid = seeder.put(source)
    equal(seeder.json("ls").ok().object["shared_to_all"], False)
    ticket = ticket_for(bench, seeder, cid)
    said = {carrier: refusal(getter, bench, ticket, carrier) for carrier in ("udp", "stream", "auto")}
    # Now a node that has nothing at all answers under the same identity.
    peer, port = seeder.peer, seeder.tcp_port
    seeder.stop()
    for part in ("blocks", "catalog"):
        shutil.rmtree(bench.path("seeder", part))
    seeder.settings["listen.tcp"] = f"127.0.0.1:{port}"
    seeder.start()
    equal(seeder.peer, peer)
    equal(seeder.json("ls").ok().objects, [])
    for carrier, text in said.items():
        equal(refusal(getter, bench, ticket, carrier), text, f"the refusal over {carrier}")


@case("a part of a dataset that is not shared is refused, though another dataset holds it")
def inner(bench):
    seeder, getter = bench.pair()
    bench.file("tree/inner/file", 2 << 20)
    seeder.share(bench.path("tree"))
    alone = seeder.put(bench.path("tree/inner"))
    refusal(getter, bench, ticket_for(bench, seeder, alone), "stream")
    refusal(getter, bench, ticket_for(bench, seeder, alone), "udp")


@case("share --to lets that peer alone have it, and more peers one by one")
def named(bench):
    seeder, friend = bench.pair()
    other = bench.node("other")
    source = bench.file("file", 2 << 20)
    cid = seeder.put(source)
    ticket = seeder.share(cid, "--to", friend.peer)
    row = seeder.json("ls").ok().object
    equal((row["shared_to_all"], row["shared_to"]), (False, [friend.peer]))
    for carrier in ("udp", "stream"):
        friend.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok()
        same(source, bench.path(carrier))
        refusal(other, bench, ticket, carrier)
    seeder.share(cid, "--to", other.peer)
    other.get(ticket, "-o", bench.path("second")).ok()
    friend.get(ticket, "-o", bench.path("third")).ok()


@case("share --off ends it for everybody, and says so; a later share begins it again")
def off(bench):
    seeder, getter = bench.pair()
    source = bench.file("file", 2 << 20)
    ticket = seeder.share(source)
    getter.get(ticket, "-o", bench.path("first")).ok()
    ended = seeder.json("share", "--off", seeder.json("ls").ok().object["cid"]).ok().object
    equal(ended["event"], "unshared")
    for carrier in ("udp", "stream"):
        refusal(getter, bench, ticket, carrier)
    seeder.share(ended["cid"])
    getter.get(ticket, "-o", bench.path("second")).ok()
    same(source, bench.path("second"))


@case("what share --off leaves others with is said: everybody, some named peers, or nobody")
def rest(bench):
    node = bench.node("node")
    cid = node.put(bench.file("file", 1000))
    one, two, three = (bench.node(name).peer for name in ("one", "two", "three"))

    def off(*words):
        said = node.run("share", cid, "--off", *words).ok().err.decode()
        row = node.json("ls").ok().object
        told = node.json("share", cid, "--off", *words).ok().object
        equal((told["shared_to_all"], told["shared_to"]), (row["shared_to_all"], len(row["shared_to"])))
        return said

    node.share(cid)
    said = off("--to", one)
    assert f"still shared with everybody: {cid}" in said and "no longer" not in said, said
    for peer in (one, two, three):
        node.share(cid, "--to", peer)
    assert f"still shared with 2 named peers: {cid}" in off("--to", one)
    assert f"still shared with 1 named peer: {cid}" in off("--to", two)
    assert f"no longer shared: {cid}" in off("--to", three)
    node.share(cid)
    assert f"no longer shared: {cid}" in off()
    # A denial that ends says nothing of shares, unless one was named beside it.
    node.share(cid)
    node.json("share", cid, "--deny", one).ok()
    said = off("--deny", one)
    assert f"no longer denied: {cid}" in said and "shared" not in said, said
    node.json("share", cid, "--deny", one).ok()
    said = off("--deny", one, "--to", two)
    assert "no longer denied" in said and "still shared with everybody" in said, said


@case("share --deny keeps one peer from it on either carrier, and nobody else, until that is taken back")
def denied(bench):
    seeder, getter = bench.pair()
    other = bench.node("other")
    source = bench.file("file", 2 << 20)
    cid = seeder.put(source)
    ticket = seeder.share(cid)
    equal(seeder.json("share", cid, "--deny", getter.peer).ok().object["event"], "denied")
    row = seeder.json("ls").ok().object
    equal((row["shared_to_all"], row["shared_to"], row["denied_to"]), (True, [], [getter.peer]))
    assert "(denied to 1)" in seeder.run("ls").ok().text, seeder.run("ls").text
    for carrier in ("udp", "stream"):
        refusal(getter, bench, ticket, carrier)
        other.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok()
        same(source, bench.path(carrier))
    # A share to everybody does not end it, one to that very peer says so, and a restart keeps it.
    seeder.share(cid)
    seeder.json("share", cid, "--to", getter.peer).fails("refused", "--deny")
    seeder.stop()
    seeder.start()
    equal(seeder.json("ls").ok().object["denied_to"], [getter.peer])
    refusal(getter, bench, seeder.share(cid), "auto")
    equal(seeder.json("share", cid, "--off", "--deny", getter.peer).ok().object["event"], "denial-ended")
    getter.get(seeder.share(cid), "-o", bench.path("at last")).ok()
    same(source, bench.path("at last"))
    seeder.json("share", cid, "--deny", "nobody").fails("peer-malformed")


@case("a denial of what is private or for named peers gives it to nobody, also when the share beside it is refused")
def denied_alone(bench):
    seeder, other = bench.pair()
    cid = seeder.put(bench.file("file", 1 << 20))
    ticket = ticket_for(bench, seeder, cid)
    one, two = bench.node("one").peer, bench.node("two").peer

    def private(denied):
        row = seeder.json("ls").ok().object
        equal((row["shared_to_all"], row["shared_to"], sorted(row["denied_to"])), (False, [], sorted(denied)))

    seeder.json("share", cid, "--to", one, "--deny", one).fails("usage", "both", status=2)
    private([])
    seeder.json("share", cid, "--deny", one).ok()
    seeder.json("share", cid, "--to", two, "--to", one).fails("refused", "--deny")
    private([one])
    seeder.json("share", cid, "--off", "--deny", one).ok()
    seeder.json("share", cid, "--to", two).ok()
    for peer in (two, one):
        seeder.json("share", cid, "--deny", peer).ok()
    private([one, two])
    seeder.json("share", cid).ok()
    seeder.json("share", cid, "--off").ok()
    seeder.json("share", cid, "--deny", one).ok()
    private([one, two])
    refusal(other, bench, ticket, "auto")
    # Both in one command: it is for the one alone.
    seeder.json("share", cid, "--off", "--deny", one, "--deny", two).ok()
    equal(seeder.json("share", cid, "--to", one, "--deny", two).ok().object["event"], "shared")
    row = seeder.json("ls").ok().object
    equal((row["shared_to_all"], row["shared_to"], row["denied_to"]), (False, [one], [two]))


@case("a share that is refused changes nothing: not who may have it, nor what is announced, and what was put for it is private")
def refused(bench):
    alone = bench.node("alone")
    joined = bench.node("joined", settings={"dht.mode": "server", "dht.addresses": "any"})
    path, peer = bench.file("file", 1 << 20), bench.node("peer").peer
    cid = alone.put(path)

    def unchanged(node, cid, asks):
        before = node.json("ls").ok().objects
        for code, status, words in asks:
            node.json("share", *words, cid).fails(code, status=status)
            equal(node.json("ls").ok().objects, before, f"what {words} leaves")

    # Nothing to announce in: private stays private, named peers stay the only ones.
    nowhere = [("refused", 1, ["--announce"]), ("refused", 1, ["--announce", "--deny", peer]),
               ("usage", 2, ["--announce", "--to", peer]), ("usage", 2, ["--announce", "--off"])]
    unchanged(alone, cid, nowhere)
    alone.json("share", cid, "--to", peer).ok()
    unchanged(alone, cid, nowhere)
    alone.json("share", "--announce", bench.file("new", 1000)).fails("refused", "DHT")
    equal([(row["shared_to_all"], row["shared_to"]) for row in alone.json("ls").ok().objects],
          [(False, [peer]), (False, [])])
    # A DHT, and one that is announced there; one that is not shared.
    announced = joined.json("share", "--announce", path).ok().object["cid"]
    private = joined.put(bench.file("private", 1000))
    joined.json("share", announced, "--deny", peer).ok()
    unchanged(joined, announced, [("usage", 2, ["--announce", "--to", peer]), ("usage", 2, ["--announce", "--off"]),
                                  ("refused", 1, ["--to", peer])])
    unchanged(joined, private, [("refused", 1, ["--announce", "--deny", peer])])
    joined.json("share", NOBODY, "--announce").fails("cid-unknown")
    equal(joined.status()["dht"]["announced_datasets"], 1)
    joined.json("share", announced, "--off").ok()
    equal(joined.status()["dht"]["announced_datasets"], 0)


def sent(node):
    """Blocks that it has sent, on either carrier."""
    status = node.status()
    return status["grants"]["wants_served"] + status["blocks"]["answered"]


@case("a denial in mid-transfer ends it on either carrier: what is open already is asked again")
def denied_meanwhile(bench):
    seeder, getter = bench.pair()
    for carrier in ("udp", "stream"):
        source = bench.file(carrier, 64 << 20)
        ticket = seeder.share(source)
        cid = next(row["cid"] for row in seeder.json("ls").ok().objects if row["name"] == carrier)
        # Nobody reads: the transfer rests when some MiB wait, with all that it was granted open.
        before = sent(seeder)
        get = bench.start("get", "--home", getter.home, ticket, "-o", "-", "--carrier", carrier,
                          "--timeout", "20s", "--json")
        wait_for(lambda: sent(seeder) > before + 4, "the transfer to begin")
        seeder.json("share", cid, "--deny", getter.peer).ok()
        done = bench.finish(get)
        assert done.status != 0 and len(done.out) < 64 << 20, (carrier, done.status, len(done.out))
        refusal(getter, bench, ticket, carrier)


@case("a CID without a ticket is looked for here alone, and nothing is announced")
def here(bench):
    seeder, getter = bench.pair()
    cid = seeder.put(bench.file("file", 1000))
    seeder.share(cid)
    getter.get(cid, "-o", bench.path("got")).fails("cid-unknown")
    getter.get(NOBODY, "-o", bench.path("got")).fails("cid-unknown")
    seeder.json("share", NOBODY).fails("cid-unknown", NOBODY)
    equal("connections" in getter.status(), False, "a connection to anybody")


if __name__ == "__main__":
    main()
