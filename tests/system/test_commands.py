#!/usr/bin/env python3
"""Commands without a peer: help, homes, configuration, and the datasets of one node."""
import os
import socket
import subprocess

from nodes import case, contains, equal, main, same

HELLO = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"  # "hello world\n", SHA2-256


@case("help, completion and manual page know every command, and every error code is explained")
def usage(bench):
    said = bench.run("help").ok()
    equal(bench.run("--help").ok().out, said.out)
    commands = ("init", "id", "node", "put", "share", "get", "ls", "status", "perf", "config",
                "explain", "version")
    manual = bench.run("help", "man").ok().text
    for command in commands:
        contains(said.text, command)
        contains(bench.run("help", command).ok().text, f"usage: haul {command}")
        equal(bench.run(command, "--help").ok().out, bench.run("help", command).out)
        contains(manual, f"haul {command}")
    completion = bench.run("help", "completion").ok().out
    equal(subprocess.run(["bash", "-n"], input=completion, check=False).returncode, 0, "completion")
    contains(manual, "target\\-exists")
    codes = [row["code"] for row in bench.run("explain", "--json").ok().objects]
    assert len(codes) == len(set(codes)) > 25, codes
    for code in codes:
        contains(manual, code.replace("-", "\\-"))
    bench.run("explain", "--json", "nothing").fails("usage", status=2)


@case("config says what every key is, and where its value came from")
def configuration(bench):
    home = bench.path("home")
    bench.run("init", "--home", home).ok()
    rows = {row["key"]: row for row in bench.run("config", "--json", "--home", home).ok().objects}
    assert all(row["origin"] == "default" for row in rows.values()), rows
    with open(bench.path("home/config.yaml"), "w", encoding="utf-8") as file:
        file.write("slots:\n  filling: 9\n")

    def value(*words):
        row = bench.run("config", "slots.filling", "--json", "--home", home, *words).ok().object
        return row["value"], row["origin"]

    equal(value(), ("9", "file"))
    bench.environment["HAUL_SLOTS_FILLING"] = "10"
    equal(value(), ("10", "environment"))
    equal(value("--set", "slots.filling=11"), ("11", "option"))


@case("init is repeatable, id prints both forms, and HAUL_HOME names the home")
def homes(bench):
    home = bench.path("home")
    first = bench.run("init", "--home", home).ok().text
    equal(bench.run("init", "--home", home).ok().text, first)
    forms = bench.run("id", "--home", home).ok().text.splitlines()
    equal((forms[0], forms[1][:4], len(forms)), (first, "bafz", 2))
    bench.environment["HAUL_HOME"] = home
    equal(bench.run("id").ok().text.splitlines(), forms)
    bench.run("status", "--json").fails("node-absent")
    bench.run("status", "--json", "--home", bench.path("none")).fails("node-absent")
    equal(os.path.exists(bench.path("none")), False, "status made a home")


@case("rubbish on the control socket harms nobody")
def rubbish(bench):
    node = bench.node("node")
    for junk in (b"\xff" * 4096, b"\x04\x00\x00\x00abcd", b"\x00\x00\x00\x80", b""):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(bench.path("node/control.sock"))
            client.sendall(junk)
    node.json("status").ok()


@case("a directory has one CID wherever it is put; ls shows what is stored, by name and by path")
def put(bench):
    node = bench.node("node")
    bench.file("tree/inner/run", b"#!/bin/sh\n")
    bench.file("tree/empty")
    os.symlink("../away", bench.path("tree/link"))
    cid = node.put(bench.path("tree"))
    equal(bench.run("put", bench.path("tree"), "--home", bench.path("fresh")).ok().text, cid)
    listed = node.run("ls").ok().text
    contains(listed, cid)
    contains(listed, "private")
    rows = [(row["name"], row["kind"]) for row in node.json("ls", cid).ok().objects]
    equal(rows, [("empty", "file"), ("inner", "directory"), ("link", "link")])
    equal([row["name"] for row in node.json("ls", f"{cid}/inner").ok().objects], ["run"])
    node.json("ls", f"{cid}/no").fails("path-unknown")
    node.get(f"{cid}/no", "-o", bench.path("no")).fails("path-unknown")
    node.get(cid, "-o", bench.path("copy")).ok()
    same(bench.path("tree"), bench.path("copy"))
    equal(node.run("get", f"{cid}/inner/run", "-o", "-").ok().out, b"#!/bin/sh\n")
    node.get(cid, "-o", "-").fails("usage", status=2)  # a directory is no stream of bytes
    equal(node.run("put", "-", "--hash", "sha2-256", input=b"hello world\n").ok().text, HELLO)


@case("what is not stored cannot be shared, and a CID that nobody is known to have is cid-unknown")
def unknown(bench):
    node = bench.node("node")
    node.json("share", HELLO).fails("cid-unknown")
    node.get(HELLO, "-o", bench.path("got")).fails("cid-unknown")
    node.json("put", bench.path("nowhere")).fails("source-unreadable", "nowhere")


if __name__ == "__main__":
    main()
