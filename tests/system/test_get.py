#!/usr/bin/env python3
"""Two nodes: every way to get a dataset, by both carriers, and what is refused."""
import json
import os
import signal
import subprocess
import threading
import time

import rig
from rig import check, code, haul, path, text


def make_tree(root):
    """Big and small, empty, deep, many, links, modes, names of other alphabets."""
    os.makedirs(os.path.join(root, "a", "b", "c"))
    os.makedirs(os.path.join(root, "many"))
    os.makedirs(os.path.join(root, "empty directory"))
    with open(os.path.join(root, "big"), "wb") as file:
        file.write(os.urandom(9_000_001))
    open(os.path.join(root, "a", "empty"), "wb").close()
    for number in range(600):
        with open(os.path.join(root, "many", f"file {number}"), "wb") as file:
            file.write(b"%d" % number * (number % 50))
    with open(os.path.join(root, "a", "b", "c", "Übung – 文.txt"), "wb") as file:
        file.write(b"deep")
    with open(os.path.join(root, "run"), "wb") as file:
        file.write(b"#!/bin/sh\nexit 0\n")
    os.chmod(os.path.join(root, "run"), 0o755)
    os.chmod(os.path.join(root, "a", "b"), 0o750)
    os.symlink("big", os.path.join(root, "link"))
    os.symlink("/nowhere/at all", os.path.join(root, "a", "dangling"))
    os.utime(os.path.join(root, "run"), (1_000_000_000, 1_000_000_000))


def record_of(done):
    return json.loads(done.stdout.decode().splitlines()[-1])


def carriers(seeder, getter, tree):
    ticket = text(haul("share", tree, "--preserve", home=seeder.home, ok=True))
    for carrier in ("udp", "stream", "auto"):
        target = path("got-" + carrier)
        done = haul("get", ticket, "--carrier", carrier, "-o", target, "--json", home=getter.home,
                    ok=True)
        record = record_of(done)
        moved = "stream" if carrier == "stream" else "udp"
        check(f"{carrier}: the trees are equal in bytes, links and modes", rig.same(tree, target))
        check(f"{carrier}: the time of a file is kept",
              os.stat(os.path.join(target, "run")).st_mtime == 1_000_000_000)
        check(f"{carrier}: the record says what moved it",
              record["bytes_by_carrier"] == {moved: record["bytes"]} and record["verified"]
              and record["carrier"] == moved, record)
        check(f"{carrier}: times are in order",
              0 < record["ttfb_s"] <= record["t50_s"] <= record["t90_s"] <= record["t100_s"]
              <= record["durable_s"], record)
    check("no part is left beside a target", rig.leftovers(rig.work) == [])
    big = open(os.path.join(tree, "big"), "rb").read()
    for carrier in ("udp", "stream"):
        check(f"{carrier}: a file out of the dataset goes to standard output",
              haul("get", ticket + "/big", "--carrier", carrier, "-o", "-", home=getter.home,
                   ok=True).stdout == big)
    haul("get", ticket + "/a", "-o", path("part"), home=getter.home, ok=True)
    check("a directory out of the dataset", rig.same(os.path.join(tree, "a"), path("part")))
    check("a path that is not there is path-unknown",
          code(haul("get", ticket + "/a/x", "-o", path("x"), home=getter.home)) == (1, "path-unknown"))
    check("a directory does not go to standard output",
          haul("get", ticket, "-o", "-", home=getter.home).returncode == 2)
    names = [json.loads(row)["name"]
             for row in text(haul("ls", ticket, "--json", home=getter.home, ok=True)).splitlines()]
    check("ls lists at the peer", names == sorted(os.listdir(tree), key=str.encode), names)
    return ticket


def store(seeder, getter, tree, ticket):
    cid = text(haul("get", ticket, home=getter.home, ok=True))
    check("without -o the dataset is in the store", cid in text(haul("ls", home=getter.home)))
    again = text(haul("share", cid, home=getter.home, ok=True))
    haul("get", again, "-o", path("again"), home=seeder.home, ok=True)
    check("what was got can be shared again", rig.same(tree, path("again")))
    third = rig.Node("third")
    haul("get", again, "-o", path("kept"), "--keep", home=third.home, ok=True)
    check("--keep writes the target and the store",
          rig.same(tree, path("kept")) and cid in text(haul("ls", home=third.home)))
    haul("get", again, "-o", path("kept-stream"), "--keep", "--carrier", "stream",
         home=rig.Node("fourth").home, ok=True)
    check("--keep over the stream", rig.same(tree, path("kept-stream")))


def sharing(seeder, getter):
    data = os.urandom(2_000_000)
    cid = text(haul("put", "-", home=seeder.home, stdin=data, ok=True))
    shared = text(haul("share", cid, home=seeder.home, ok=True))
    haul("share", cid, "--off", home=seeder.home, ok=True)
    for carrier in ("udp", "stream", "auto"):
        check(f"{carrier}: what is stored and not shared is refused as unknown",
              code(haul("get", shared, "--carrier", carrier, "-o", path("x"), home=getter.home))
              == (1, "cid-unknown"))
    haul("share", cid, "--to", seeder.peer, home=seeder.home, ok=True)
    for carrier in ("udp", "stream"):
        check(f"{carrier}: what is shared with another peer is refused as unknown",
              code(haul("get", shared, "--carrier", carrier, "-o", path("x"), home=getter.home))
              == (1, "cid-unknown"))
    haul("share", cid, "--to", getter.peer, home=seeder.home, ok=True)
    for carrier in ("udp", "stream"):
        check(f"{carrier}: what is shared with this peer is got",
              haul("get", shared, "--carrier", carrier, "-o", "-", home=getter.home, ok=True).stdout
              == data)
    check("nothing is left of what was refused", rig.leftovers(rig.work) == []
          and not os.path.exists(path("x")))


def peers(seeder, getter):
    gone = rig.Node("gone")
    lost = text(haul("share", "-", home=gone.home, stdin=b"gone", ok=True))
    gone.stop()
    began = time.monotonic()
    done = haul("get", lost, "-o", path("x"), "--timeout", "1s", home=getter.home)
    check("a peer that is not there: timeout, after waiting and saying for whom",
          code(done) == (1, "timeout") and gone.peer.encode() in done.stderr
          and 0.9 < time.monotonic() - began < 20, done.stderr)
    back = subprocess.Popen([rig.HAUL, "get", lost, "-o", path("late"), "--home", getter.home],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    check("without --timeout it waits", back.poll() is None)
    back.send_signal(signal.SIGINT)
    check("an interrupt ends it and leaves nothing", back.wait(20) == 1
          and rig.leftovers(rig.work) == [])
    # Another node now listens where the ticket's peer was.
    ticket = text(haul("share", "-", home=seeder.home, stdin=b"elsewhere", ok=True))
    address = seeder.status()["node"]["address"]
    number = int((address if isinstance(address, str) else address[0]).rsplit("/", 1)[1])
    seeder.stop()
    other = rig.Node("impostor", f"listen.tcp=127.0.0.1:{number}")
    check("another peer at the ticket's address is peer-mismatch",
          code(haul("get", ticket, "-o", path("x"), "--timeout", "20s", home=getter.home))
          == (1, "peer-mismatch"))
    other.stop()


def going_away(getter):
    seeder = rig.Node("leaving", perf=False)
    source = path("large")
    with open(source, "wb") as file:
        for _ in range(300):
            file.write(os.urandom(1 << 20))
    ticket = text(haul("share", source, home=seeder.home, ok=True))
    results = {}

    def get(carrier):
        results[carrier] = haul("get", ticket, "--carrier", carrier, "-o", path("l-" + carrier),
                                home=getter.home)

    for carrier in ("udp", "stream"):
        node = seeder if seeder.alive() else rig.Node("leaving")
        ticket = text(haul("share", text(haul("put", source, home=node.home, ok=True)),
                           home=node.home, ok=True))
        thread = threading.Thread(target=get, args=(carrier,))
        thread.start()
        rig.wait_until(lambda: rig.leftovers(rig.work), 30)
        node.stop(signal.SIGKILL)
        thread.join()
        check(f"{carrier}: a peer that dies in the middle is peer-gone, and nothing is left",
              code(results[carrier]) == (1, "peer-gone") and rig.leftovers(rig.work) == [],
              results[carrier].stderr)
    os.remove(source)


def main():
    seeder, getter = rig.Node("seeder"), rig.Node("getter")
    tree = path("tree")
    make_tree(tree)
    ticket = carriers(seeder, getter, tree)
    store(seeder, getter, tree, ticket)
    sharing(seeder, getter)
    going_away(getter)
    peers(seeder, getter)


rig.main(main)
