#!/usr/bin/env python3
"""A DHT of real nodes: they find each other through one, and a CID alone finds a dataset."""
import os
import subprocess

from dagpb import RAW, Dataset, node as unixfs_node, unixfs
from nodes import case, equal, main, same, wait_for

NODES = 8
NOBODY = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
# All of them lie on loopback, where no address is public and there is one network.
JOIN = {
    "dht.mode": "server",
    "dht.addresses": "any",
    "dht.per-network": "none",
    "slots.filling": "8",
    "slots.serving": "8",
    "slots.control": "8",
}


def facts(node):
    return node.json("status").ok().object["dht"]


def network(bench, count, **settings):
    """Nodes that were told of the first alone, when all know all."""
    nodes = [bench.node("n0", settings={**JOIN, **settings})]
    first = f"/ip4/127.0.0.1/tcp/{nodes[0].tcp_port}/p2p/{nodes[0].peer}"
    for i in range(1, count):
        nodes.append(bench.node(f"n{i}", settings={**JOIN, "dht.bootstrap": first, **settings}))
    for node in nodes:
        wait_for(lambda n=node: facts(n)["peers"] >= count - 1, f"{node.name} to know all others")
    return nodes, first


def announced(node, cid):
    return wait_for(lambda: node.json("dht", "providers", cid).status == 0, f"{cid} to be announced")


def providers(node, cid):
    return {row["peer"] for row in node.json("dht", "providers", cid).objects if row["event"] == "peer"}


@case("8 nodes that know one of them find all, and a CID alone fetches what one shares")
def find(bench):
    nodes, first = network(bench, NODES)
    source = bench.file("file", 3 << 20)
    shared = nodes[3].json("share", source, "--announce").ok().object
    equal(shared["announced"], True)
    announced(nodes[5], shared["cid"])
    rows = nodes[5].json("dht", "providers", shared["cid"]).ok().objects
    equal([row["peer"] for row in rows if row["event"] == "peer"], [nodes[3].peer])
    nodes[6].get(shared["cid"], "-o", bench.path("got")).ok()
    same(source, bench.path("got"))
    # A client answers nobody and is found by nobody, and finds all the same.
    client = bench.node("client", settings={**JOIN, "dht.mode": "client", "dht.bootstrap": first})
    client.get(shared["cid"], "-o", bench.path("again"), "--carrier", "stream").ok()
    same(source, bench.path("again"))
    assert client.peer not in [row["peer"] for row in nodes[0].json("dht", "peers").ok().objects]
    # Without a running node a command runs one for itself, which has to join first.
    client.stop()
    with open(bench.path("client/config.yaml"), "w") as out:
        out.write('listen: {tcp: ["127.0.0.1:0"], udp: ["127.0.0.1:0"]}\n'
                  f'dht: {{mode: client, addresses: any, per-network: none, bootstrap: ["{first}"]}}\n')
    found = client.json("dht", "find", nodes[7].peer).ok().objects
    equal(found[0]["peer"], nodes[7].peer)


@case("what is shared without --announce is not announced, and what ends is withdrawn")
def silence(bench):
    nodes, _ = network(bench, 3)
    cid = nodes[1].put(bench.file("file", 1 << 20))
    nodes[1].json("share", cid).ok()
    nodes[2].json("dht", "providers", cid).fails("cid-unknown")
    nodes[1].json("dht", "provide", cid).ok()
    announced(nodes[2], cid)
    other = nodes[1].put(bench.file("other", 1 << 20))
    nodes[1].json("dht", "provide", other).fails("refused")
    nodes[1].json("share", other, "--announce").ok()
    equal(facts(nodes[1])["announced_datasets"], 1)
    nodes[1].json("share", other, "--off").ok()
    equal(facts(nodes[1])["announced_datasets"], 0)


@case("a provider that sends wrong bytes is replaced by another one, and named when there is none")
def replaced(bench):
    nodes, _ = network(bench, 5)
    liars, honest, getter = nodes[1:3], nodes[3], nodes[4]
    content = [bench.bytes(1 << 20) for _ in range(12)]
    spoilt = content[7][:5000] + b"wrong" + content[7][5005:]
    for node in (*liars, honest):
        data = Dataset()
        leaves = [data.block(leaf, RAW, sent=spoilt if node in liars and leaf is content[7] else leaf)
                  for leaf in content]
        root = data.block(unixfs_node(unixfs(2, sizes=[1 << 20] * 12, size=12 << 20),
                                      [(b"", cid, 1 << 20) for cid in leaves]))
        node.stop()
        cid = data.plant(node.home, root)
        node.start()
    for node in nodes[1:4]:
        wait_for(lambda n=node: facts(n)["peers"] >= 4, f"{node.name} to know all others")
    for node in liars:
        node.json("share", cid, "--announce").ok()
    wait_for(lambda: len(providers(getter, cid)) == 2, "both liars to be found")
    for carrier in ("udp", "stream", "auto"):
        said = getter.get(cid, "-o", bench.path("got"), "--carrier", carrier, "--timeout", "20s")
        said.fails("block-wrong")
        assert any(node.peer in said.object["text"] for node in liars), str(said)
    honest.json("share", cid, "--announce").ok()
    wait_for(lambda: len(providers(getter, cid)) == 3, "all three to be found")
    for carrier in ("udp", "stream", "auto"):
        target = bench.path(carrier)
        getter.get(cid, "-o", target, "--carrier", carrier, "--timeout", "40s").ok()
        with open(target, "rb") as got:
            equal(got.read() == b"".join(content), True, carrier)
    assert getter.log().count("event=provider-replaced") >= 6, getter.log()


@case("a provider that dies in mid-transfer is replaced by another one, and no byte is lost")
def dies(bench):
    nodes, _ = network(bench, 4)
    getter = nodes[3]
    file = bench.file("file", 32 << 20)
    for node in nodes[1:3]:
        cid = node.json("share", file, "--announce").ok().object["cid"]
    wait_for(lambda: len(providers(getter, cid)) == 2, "both providers to be found")
    # Nobody reads: it rests when some MiB wait.
    get = bench.start("get", "--home", getter.home, cid, "-o", "-", "--carrier", "stream")
    serving = wait_for(lambda: [node for node in nodes[1:3] if node.status()["blocks"]["answered"] > 4],
                       "a provider to serve")
    serving[0].kill()
    done = bench.finish(get)
    equal(done.status, 0, str(done.err))
    with open(file, "rb") as content:
        assert done.out == content.read(), "other bytes"
    assert "event=provider-replaced" in getter.log(), getter.log()


def ipns(bench, name, sequence, seconds=3600, value="/ipfs/bafkqaaa"):
    """A record in a file, and the key that it belongs to."""
    path = bench.path(name)
    words = [os.environ["IPNS_RECORD"], "1", value, str(sequence), str(seconds), path]
    return "/ipns/" + subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip(), path


@case("a value that one node puts every other gets, a newer one replaces it, and an older one does not")
def values(bench):
    nodes, _ = network(bench, 4)
    key, old = ipns(bench, "old", 5)
    nodes[3].json("dht", "get-value", key).fails("value-unknown")
    put = nodes[1].json("dht", "put-value", key, old).ok().object
    equal((put["event"], put["taken"], put["refused"]), ("put", 3, 0))
    nodes[3].json("dht", "get-value", key, "-o", bench.path("got")).ok()
    same(old, bench.path("got"))
    _, new = ipns(bench, "new", 6, value="/ipfs/bafkqabaa")
    nodes[2].json("dht", "put-value", key, new).ok()
    for node in nodes:
        rows = node.json("dht", "get-value", key).ok().objects
        with open(new, "rb") as file:
            equal(rows[0]["value"], file.read().hex())
        equal((rows[1]["worse"], rows[1]["invalid"]), (0, 0))
    nodes[0].json("dht", "put-value", key, old).fails("value-old")
    # The public key of a peer lies in its id, and its holder answers for it.
    shown = nodes[0].json("dht", "get-value", "/pk/" + nodes[2].peer).ok().objects
    equal(shown[0]["value"][:8], "08011220")
    nodes[0].run("dht", "get-value", "/pk/" + nodes[2].peer, "-o", bench.path("key")).ok()
    put = nodes[3].json("dht", "put-value", "/pk/" + nodes[2].peer, bench.path("key")).ok().object
    equal(put["taken"] + put["holders"], 3)


@case("what a node publishes under its own name every other gets, and what it publishes next instead of it")
def published(bench):
    nodes, _ = network(bench, 4)
    name, target = "/ipns/" + nodes[1].peer, "/ipfs/" + NOBODY
    said = nodes[1].json("dht", "publish", NOBODY).ok().object
    equal([said[what] for what in ("event", "name", "target", "sequence", "hours", "taken", "refused")],
          ["published", name, target, 0, 48, 3, 0])
    got = nodes[3].json("dht", "get-value", name).ok().objects[0]
    equal((got["target"], got["sequence"]), (target, 0))
    # A restart forgets what it has published, and the others know.
    nodes[1].stop()
    nodes[1].start()
    wait_for(lambda: facts(nodes[1])["peers"] >= 3, "the node to be there again")
    cid = nodes[1].put(bench.file("file", 1000))
    said = nodes[1].run("dht", "publish", cid).ok()
    equal(said.out.decode().strip(), name)
    for node in nodes:
        got = node.json("dht", "get-value", name).ok().objects[0]
        equal((got["target"], got["sequence"]), ("/ipfs/" + cid, 1))
    # Nobody publishes in somebody else's name, nor what is no CID.
    nodes[2].json("dht", "publish", name).fails("cid-malformed")
    nodes[2].json("dht", "publish").fails("usage", status=2)


@case("who holds a worse value, or lost it, is told the best by whoever asks next")
def corrected(bench):
    nodes, first = network(bench, 3)
    key, old = ipns(bench, "old", 1)
    nodes[1].json("dht", "put-value", key, old).ok()
    # A node that begins again has lost what it held.
    nodes[2].stop()
    nodes[2].start()
    wait_for(lambda: facts(nodes[2])["peers"] >= 2, "the node to be there again")
    rows = nodes[0].json("dht", "get-value", key).ok().objects
    equal(rows[1]["told"], 1)
    wait_for(lambda: facts(nodes[0])["values_taken"] == 1, "it to be told")
    # Asked alone, with the others gone, it answers.
    nodes[1].stop()
    nodes[0].stop()
    late = bench.node("late", settings={**JOIN, "dht.bootstrap": f"/ip4/127.0.0.1/tcp/{nodes[2].tcp_port}/p2p/{nodes[2].peer}"})
    wait_for(lambda: facts(late)["peers"] >= 1, "the late one to know one")
    late.json("dht", "get-value", key, "-o", bench.path("got")).ok()
    same(old, bench.path("got"))


@case("keys that nobody validates, wrong, large and run out values are refused by name before anybody is asked")
def no_values(bench):
    nodes, _ = network(bench, 2)
    node, (key, good) = nodes[0], ipns(bench, "good", 1)
    stranger = "/ipns/" + nodes[1].peer
    for what in ("/v/hello", "hello", "/ipns/hello", "/pk/", key + "x", "/other" + key[5:]):
        node.json("dht", "get-value", what).fails("value-key")
        node.json("dht", "put-value", what, good).fails("value-key")
    node.json("dht", "put-value", stranger, good).fails("value-invalid", "signature")
    node.json("dht", "put-value", "/pk/" + nodes[1].peer, good).fails("value-invalid")
    node.json("dht", "put-value", key, ipns(bench, "over", 2, seconds=0)[1]).fails("value-invalid", "run out")
    with open(good, "rb") as file:
        record = file.read()
    for name, content in (("empty", b""), ("cut", record[:-1]), ("zeros", bytes(10240)), ("large", bytes(10241)),
                          ("forged", record[:10] + bytes([record[10] ^ 1]) + record[11:])):
        with open(bench.path(name), "wb") as file:
            file.write(content)
        node.json("dht", "put-value", key, bench.path(name)).fails("value-invalid")
    node.json("dht", "put-value", key, bench.path("nowhere")).fails("source-unreadable")
    node.json("dht", "put-value", key).fails("usage", status=2)
    node.json("dht", "get-value").fails("usage", status=2)
    equal(facts(node)["values_told"], 0)


@case("a node that knows no peer of the DHT says so, and not that the key has no value")
def nobody_to_ask(bench):
    node = bench.node("alone", settings=JOIN)
    key, _ = ipns(bench, "record", 1)
    node.json("dht", "get-value", key).fails("peer-unreachable", "dht.bootstrap")
    node.json("dht", "publish", NOBODY).fails("peer-unreachable")


@case("announced datasets are announced again in time, also after a restart")
def again(bench):
    nodes, _ = network(bench, 3, **{"dht.republish": "2s"})
    source = bench.file("file", 1 << 20)
    cid = nodes[1].json("share", source, "--announce").ok().object["cid"]
    announced(nodes[2], cid)
    nodes[1].stop()
    nodes[1].start()
    wait_for(lambda: facts(nodes[1])["announced"] >= 1, "the announcement after the restart")
    equal(facts(nodes[1])["announced_datasets"], 1)
    wait_for(lambda: facts(nodes[1])["announced"] >= 2, "the announcement two seconds later")


@case("a CID that nobody announces is waited for until the time runs out")
def waiting(bench):
    nodes, _ = network(bench, 3)
    said = nodes[2].run("get", NOBODY, "-o", bench.path("got"), "--timeout", "2s")
    assert said.status != 0 and f"nobody announces {NOBODY}; asking again" in said.err.decode(), said
    nodes[2].get(NOBODY, "-o", bench.path("got"), "--timeout", "2s").fails("timeout")
    nodes[1].json("dht", "find", NOBODY).fails("peer-malformed")
    nodes[1].json("dht", "lose", NOBODY).fails("usage", status=2)
    equal(facts(nodes[0])["mode"], "server")


@case("without configuration no DHT is joined, asked or told")
def off(bench):
    node = bench.node("alone")
    assert "dht" not in node.json("status").ok().object
    cid = node.put(bench.file("file", 1 << 20))
    node.json("share", cid, "--announce").fails("refused")
    node.json("dht", "peers").fails("refused")
    node.get(NOBODY, "-o", bench.path("got")).fails("cid-unknown")


main()
