#!/usr/bin/env python3
"""Commands without a peer: homes, options, errors, exit codes, put and the datasets of one node."""
import json
import os
import socket
import stat
import subprocess

import rig
from rig import check, code, haul, path, text


def usage():
    check("no arguments print the commands", haul().returncode == 0 and b"share" in haul().stdout)
    check("an unknown command is usage, and the nearest is named",
          haul("gett").returncode == 2 and b"did you mean 'get'" in haul("gett").stderr)
    check("an unknown option is usage, and the nearest is named",
          haul("get", "x", "--carier", "udp").returncode == 2
          and b"did you mean --carrier" in haul("get", "x", "--carier", "udp").stderr)
    check("too few arguments are usage", haul("get").returncode == 2)
    check("an error has its code on the screen and in --json",
          json.loads(haul("explain", "nothing", "--json").stdout)["code"] == "usage")
    for command in ("init", "node", "put", "get", "ls", "share", "status", "perf", "config"):
        check(f"help says what {command} does", b"usage: haul " + command.encode()
              in haul("help", command).stdout and haul(command, "--help").returncode == 0)
    check("the completion is valid bash",
          subprocess.run(["bash", "-n"], input=haul("help", "completion").stdout,
                         check=False).returncode == 0)
    check("the manual page names every command",
          all(name in haul("help", "man").stdout for name in (b"haul share", b"target\\-exists")))
    check("every error code is explained",
          len(text(haul("explain", "--json")).splitlines()) > 25
          and "rename" not in text(haul("explain", "target-exists"))
          and "target" in text(haul("explain", "target-exists")))


def configuration():
    home = path("configured")
    haul("init", home=home, ok=True)
    check("an unknown key is refused, and the nearest is named",
          code(haul("config", "listen.tpc", home=home)) == (2, "config-key")
          and b"listen.tcp" in haul("config", "listen.tpc", home=home).stderr)
    with open(os.path.join(home, "config.yaml"), "w", encoding="utf-8") as file:
        file.write("slots:\n  filing: 10\n")
    done = haul("node", home=home)
    check("a node does not start with an unknown key in its file, and names the nearest",
          code(done) == (1, "config-key") and b"filling" in done.stderr, done.stderr)
    with open(os.path.join(home, "config.yaml"), "w", encoding="utf-8") as file:
        file.write("slots:\n  filling: 9\n")
    row = json.loads(text(haul("config", "slots.filling", "--json", home=home)))
    check("config says where a value came from", (row["value"], row["origin"]) == ("9", "file"), row)


def homes():
    home = path("home")
    first = text(haul("init", home=home, ok=True))
    check("init is repeatable", text(haul("init", home=home, ok=True)) == first)
    check("id prints both forms", text(haul("id", home=home)).splitlines()[0] == first
          and text(haul("id", home=home)).splitlines()[1].startswith("bafz"))
    key = os.path.join(home, "identity.key")
    check("the key is private", stat.S_IMODE(os.stat(key).st_mode) == 0o600)
    check("HAUL_HOME names the home", text(haul("id", env={"HAUL_HOME": home})).startswith(first))
    os.chmod(key, 0o644)
    check("a key that is open to others is refused", code(haul("id", home=home)) == (1, "key-unsafe"))
    os.chmod(key, 0o600)
    with open(os.path.join(home, "format"), "w", encoding="utf-8") as file:
        file.write("haul home 99\n")
    check("a home of another format is refused", code(haul("id", home=home)) == (1, "home-format"))
    check("status without a home says that no node runs",
          code(haul("status", home=path("none"))) == (1, "node-absent"))


def one_node():
    node = rig.Node("one")
    check("a second node in the same home is refused",
          code(haul("node", home=node.home)) == (1, "node-busy"))
    control = os.path.join(node.home, "control.sock")
    check("the control socket is private", stat.S_IMODE(os.stat(control).st_mode) == 0o600)
    status = node.status()
    check("status says what is in use",
          status["net"]["backend"] in ("uring", "mmsg") and "gcm" in status["cipher"]["in_use"]
          and status["net"]["receive_buffer_bytes"] > 0 and status["net"]["segments_max"] > 0, status)
    for junk in (b"\xff" * 4096, b"\x04\x00\x00\x00abcd", b"\x00\x00\x00\x80", b""):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(control)
            client.sendall(junk)
    check("rubbish on the control socket harms nobody", haul("status", home=node.home).returncode == 0)
    forced = rig.Node("forced", "net.backend=mmsg", "store.backend=posix", "cipher.backend=openssl")
    status = forced.status()
    check("each part can be forced, and status says so",
          (status["net"]["backend"], status["store"]["backend"], status["cipher"]["in_use"])
          == ("mmsg", "file/posix", "aes-128-gcm/openssl"), status)
    return node


def put(node):
    tree = path("tree")
    os.makedirs(os.path.join(tree, "inner"))
    with open(os.path.join(tree, "inner", "run"), "wb") as file:
        file.write(b"#!/bin/sh\n")
    os.chmod(os.path.join(tree, "inner", "run"), 0o755)
    os.symlink("../away", os.path.join(tree, "link"))
    open(os.path.join(tree, "empty"), "wb").close()
    done = haul("put", tree, home=node.home, ok=True)
    check("put says how many executable bits it drops", b"1 executable" in done.stderr, done.stderr)
    cid = text(done)
    check("a directory has the same CID from another node",
          text(haul("put", tree, home=path("fresh"), ok=True)) == cid)
    check("ls shows what is stored, and that it is private",
          cid in text(haul("ls", home=node.home)) and "private" in text(haul("ls", home=node.home)))
    rows = [json.loads(row) for row in text(haul("ls", cid, "--json", home=node.home)).splitlines()]
    check("ls lists a directory by name",
          [(row["name"], row["kind"]) for row in rows]
          == [("empty", "file"), ("inner", "directory"), ("link", "link")], rows)
    check("ls goes deeper by path", "run" in text(haul("ls", cid + "/inner", home=node.home)))
    check("a path that is not there is path-unknown",
          code(haul("ls", cid + "/no", home=node.home)) == (1, "path-unknown"))
    check("get from the own store works without a ticket",
          haul("get", cid, "-o", path("copy"), home=node.home, ok=True).returncode == 0
          and rig.same(tree, path("copy"), modes=False))
    check("get of a file goes to standard output",
          haul("get", cid + "/inner/run", "-o", "-", home=node.home, ok=True).stdout == b"#!/bin/sh\n")
    data = os.urandom(3_000_000)
    cid = text(haul("put", "-", home=node.home, stdin=data, ok=True))
    check("standard input is put and got back",
          haul("get", cid, "-o", "-", home=node.home, ok=True).stdout == data)
    check("sha2-256 gives the CID that other tools compute",
          text(haul("put", "-", "--hash", "sha2-256", home=node.home, stdin=b"hello world\n", ok=True))
          == "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4")


def refused_sources(node):
    tree = path("special")
    os.makedirs(tree)
    os.mkfifo(os.path.join(tree, "a pipe"))
    done = haul("put", tree, home=node.home)
    check("a pipe is refused by name", code(done) == (1, "source-special") and b"a pipe" in done.stderr)
    os.remove(os.path.join(tree, "a pipe"))
    open(os.path.join(tree.encode(), b"bad-\xff"), "wb").close()
    check("a name that is not UTF-8 is refused by name",
          code(haul("put", tree, home=node.home)) == (1, "source-name"))
    check("a source that is not there is source-unreadable",
          code(haul("put", path("nowhere"), home=node.home)) == (1, "source-unreadable"))
    if os.geteuid() != 0:
        secret = path("secret")
        open(secret, "wb").close()
        os.chmod(secret, 0)
        check("a source that cannot be read is source-unreadable",
              code(haul("put", secret, home=node.home)) == (1, "source-unreadable"))


def malformed(node):
    for what, expected in (("bafynonsense", "cid-malformed"), ("haul:aaaa", "ticket-malformed"),
                           ("", "cid-malformed"), ("../etc/passwd", "cid-malformed")):
        check(f"'{what}' is {expected}",
              code(haul("get", what, "-o", path("x"), home=node.home)) == (1, expected),
              haul("get", what, "-o", path("x"), home=node.home).stderr)
    elsewhere = text(haul("put", "-", home=path("fresh"), stdin=b"elsewhere", ok=True))
    check("a CID that nobody is known to have is cid-unknown",
          code(haul("get", elsewhere, "-o", path("x"), home=node.home)) == (1, "cid-unknown"))
    cid = text(haul("put", "-", home=node.home, stdin=b"x", ok=True))
    check("a malformed peer is peer-malformed",
          code(haul("share", cid, "--to", "nobody", home=node.home)) == (1, "peer-malformed"))
    check("an unknown dataset cannot be shared",
          code(haul("share", elsewhere, home=node.home)) == (1, "cid-unknown"))


def targets(node):
    cid = text(haul("put", "-", home=node.home, stdin=b"target", ok=True))
    existing = path("existing")
    open(existing, "wb").close()
    check("a target that exists is refused",
          code(haul("get", cid, "-o", existing, home=node.home)) == (1, "target-exists")
          and os.path.getsize(existing) == 0)
    check("a target in a directory that is not there is target-unwritable",
          code(haul("get", cid, "-o", path("no", "where"), home=node.home)) == (1, "target-unwritable"))
    if os.geteuid() == 0:
        check("a target on a file system that refuses is target-unwritable",
              code(haul("get", cid, "-o", "/proc/haul-target", home=node.home))
              == (1, "target-unwritable"))
    else:
        os.makedirs(path("closed"), mode=0o555)
        check("a target in a closed directory is target-unwritable",
              code(haul("get", cid, "-o", path("closed", "x"), home=node.home))
              == (1, "target-unwritable"))
    check("nothing is left beside a target that failed", rig.leftovers(rig.work) == [])


def without_a_node():
    home = path("lonely")
    cid = text(haul("put", "-", home=home, stdin=b"lonely", ok=True))
    check("put and get run a node for their own duration",
          haul("get", cid, "-o", "-", home=home, ok=True).stdout == b"lonely")
    done = haul("share", cid, home=home, ok=True)
    check("share without a node prints the ticket and says that a node must run",
          text(done).startswith("haul:") and b"haul node" in done.stderr)
    check("no node is left running", code(haul("status", home=home)) == (1, "node-absent"))


def main():
    usage()
    configuration()
    homes()
    node = one_node()
    put(node)
    refused_sources(node)
    malformed(node)
    targets(node)
    without_a_node()


rig.main(main)
