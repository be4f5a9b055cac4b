#!/usr/bin/env python3
"""What commands print: one JSON object a line with --json, clean text without, and exit codes."""
import os

from nodes import case, contains, equal, main

RECORD = ("event", "cid", "bytes", "carrier", "bytes_by_carrier", "seconds", "rate_bytes_per_second",
          "lookup_s", "dial_s", "negotiate_s", "ttfb_s", "t50_s", "t90_s", "t100_s", "durable_s",
          "verified", "wire_bytes", "duplicate_bytes", "lost_datagrams", "cpu_seconds",
          "peak_rss_bytes", "limited_by")


@case("with --json every command prints one object a line, on success and on failure")
def objects(bench):
    seeder, getter = bench.pair()
    file = bench.file("tree/file", 3 << 20)
    ticket = seeder.share(bench.path("tree"))
    cid = seeder.json("ls").ok().object["cid"]
    rows = [
        bench.run("init", "--json", "--home", bench.path("fresh")), seeder.json("id"),
        seeder.json("config"), seeder.json("config", "slots.filling"), seeder.json("put", file),
        seeder.json("put", "-", input=b"x"), seeder.json("share", file), seeder.json("ls"),
        seeder.json("share", cid, "--off"), seeder.json("share", cid), seeder.json("ls", cid),
        getter.json("ls", ticket), getter.get(ticket), getter.get(ticket, "-o", bench.path("got")),
        getter.json("status"), bench.run("version", "--json"), bench.run("explain", "--json"),
    ]
    for done in rows:
        assert done.ok().objects, f"{done} printed no object"
        equal(done.err, b"", f"standard error of {done.args}")
    failures = [
        (getter.get(ticket, "-o", bench.path("got")), 1), (getter.get("nonsense"), 1),
        (bench.run("status", "--json", "--home", bench.path("none")), 1),
        (seeder.json("put", bench.path("none")), 1), (bench.run("get", "--json"), 2),
        (bench.run("explain", "--json", "no-such-code"), 2),
    ]
    for done, status in failures:
        equal(done.status, status, str(done))
        error = done.object
        equal(sorted(error), ["code", "event", "next", "text"], str(done))
        assert bench.run("explain", error["code"]).ok().text


@case("a transfer's record has every field, and its figures do not contradict each other")
def record(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("file", 7 << 20))
    for carrier in ("udp", "stream"):
        got = getter.get(ticket, "-o", bench.path(carrier), "--carrier", carrier).ok().object
        equal(sorted(got), sorted(RECORD))
        assert 0 < got["ttfb_s"] <= got["t50_s"] <= got["t90_s"] <= got["t100_s"] <= got["seconds"], got
        assert got["t100_s"] <= got["durable_s"] and got["wire_bytes"] >= got["bytes"] == 7 << 20, got
        # The same record stands in the log.
        contains(getter.log(), '"event":"transfer"')


@case("without --json results go to standard output and talk to standard error; --quiet is silent")
def text(bench):
    seeder, getter = bench.pair()
    ticket = seeder.run("share", bench.file("file", 3 << 20)).ok()
    equal(ticket.out.count(b"\n"), 1)
    assert ticket.text.startswith("haul:")
    said = getter.run("get", ticket.text, "-o", bench.path("got"), "--carrier", "udp").ok()
    equal(said.out, b"")
    contains(said.err.decode(), "udp")
    assert b"\x1b" not in said.err and b"\r" not in said.err, "colour or progress in a pipe"
    quiet = getter.run("get", "--quiet", ticket.text, "-o", bench.path("quiet")).ok()
    equal((quiet.out, quiet.err), (b"", b""))
    failed = getter.run("get", ticket.text, "-o", bench.path("got"))
    equal((failed.status, failed.out), (1, b""))
    contains(failed.err.decode(), "[target-exists]")
    contains(failed.err.decode(), "remove it")


@case("names cannot speak to the terminal: escape sequences in listings and messages are shown as text")
def escapes(bench):
    node = bench.node("node")
    evil = "\x1b]0;owned\x07\x1b[31m\r\n"
    bench.file(f"tree/{evil}", 10)
    cid = node.put(bench.path("tree"))
    for said in (node.run("ls", cid), node.run("get", f"{cid}/{evil}/none", "-o", bench.path("got")),
                 node.run("put", bench.path("tree", evil, "none"))):
        assert b"\x1b" not in said.out + said.err and b"\x07" not in said.out + said.err, str(said)
    equal(node.json("ls", cid).ok().object["name"], evil)
    os.rename(bench.path("tree"), bench.path("\x1b[31mred"))
    node.put(bench.path("\x1b[31mred"))
    assert b"\x1b" not in node.run("ls").ok().out


@case("names and link targets that are not UTF-8 are text as well, and no object lacks them")
def not_utf8(bench):
    node = bench.node("node")
    os.symlink(b"to\xff", os.fsencode(bench.path("link")))
    os.makedirs(os.fsencode(bench.root) + b"/tree\xfe")
    os.rename(bench.path("link"), os.fsencode(bench.root) + b"/tree\xfe/link")
    cid = node.put(os.fsencode(bench.root) + b"/tree\xfe")
    equal(node.json("ls").ok().object["name"], "tree\\xfe")
    equal(node.json("ls", cid).ok().object["target"], "to\\xff")
    node.get(cid, "-o", bench.path("got")).ok()
    equal(os.readlink(os.fsencode(bench.path("got/link"))), b"to\xff")


if __name__ == "__main__":
    main()
