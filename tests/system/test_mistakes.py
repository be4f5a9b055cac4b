#!/usr/bin/env python3
"""Mistakes at the command line: told in the form that was asked for, before anything is done; what
an unprivileged user may not write or send; and an interrupt that leaves nothing behind."""
import os
import shutil
import signal
import socket
import subprocess

from nodes import HAUL, Skip, case, contains, equal, leftovers, main, same, wait_for

NOBODY = 65534


@case("mistakes in commands and options are one object with --json, wherever it stands, and exit 2")
def usage(bench):
    mistakes = [
        ("get", "--carier", "udp", "x"), ("get", "--carrier", "pigeon", "x"), ("get", "-x"),
        ("get",), ("get", "a", "b"), ("put", "--hash", "md5", "x"), ("get", "--timeout", "soon", "x"),
        ("perf", "loop", "--size", "1.5G"), ("perf", "loop", "--runs", "0"), ("ls", "--json=yes"),
        ("gett", "x"), ("share", "--offf", "x"),
    ]
    for words in mistakes:
        for line in ([words[0], "--json", *words[1:]], [*words, "--json"]):
            done = bench.run(line[0], *line[1:])
            equal((done.status, done.err), (2, b""), str(done))
            equal(done.object["code"], "usage", str(done))
        plain = bench.run(*words)
        equal((plain.status, plain.out), (2, b""), str(plain))
        contains(plain.err.decode(), "[usage]")
    for option in ("--home", "--output"):
        bench.run("get", "--json", option, "", "x").fails("usage", f"{option} needs a value", status=2)
    bench.run("node", "--json", "--set").fails("usage", "--set needs a value", status=2)
    # Behind -- it is a name, not an option.
    equal(bench.run("get", "--carrier", "pigeon", "--", "--json").out, b"")


@case("a share with somebody who cannot be is refused before anything is stored or started")
def share(bench):
    file = bench.file("file", 2 << 20)
    home = bench.path("home")
    for running in (False, True):
        if running:
            bench.node("home")
        for bad in ("nonsense", "", "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p0"):
            bench.run("share", "--json", "--home", home, "--to", bad, file).fails("peer-malformed")
        if not running:
            equal(os.path.exists(home), False, "a home was made for it")
    listed = bench.run("ls", "--json", "--home", home).ok()
    equal(listed.objects, [], "something was stored")


@case("words that are far too long are refused by name, and the node is not said to be away")
def long_words(bench):
    node, word = bench.node("home"), 100000 * "a"
    for verb, code in (("find", "peer-malformed"), ("provide", "cid-malformed"), ("providers", "cid-malformed"),
                       ("get-value", "value-key"), ("publish", "cid-malformed")):
        node.json("dht", verb, word).fails(code)
        node.json("dht", verb, "/ipns/" + word).fails(code)
    node.json("get", word, "-o", bench.path("got")).fails("limit")
    node.json("ls", word).fails("limit")
    node.json("status").ok()


class Stranger:
    """Commands of a user without rights; they take the program with them, as it may lie in a
    directory that is closed to others."""

    def __init__(self, bench):
        self.bench, self.launcher = bench, []
        self.program = bench.path("haul")
        shutil.copy(HAUL, self.program)
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                raise Skip("setpriv is not there")
            os.chmod(bench.root, 0o755)
            self.launcher = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        self.own(bench.directory("own"))
        self.home = bench.path("own/home")

    def own(self, path):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        return path

    def run(self, command, *words):
        process = self.bench.popen([*self.launcher, self.program, command, "--json", "--home",
                                    self.home, *words],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self.bench.finish(process)


@case("a user without rights: targets that cannot be written are refused by name and nothing is left")
def unwritable(bench):
    stranger = Stranger(bench)
    cid = stranger.run("put", bench.file("public/file", 3 << 20)).ok().object["cid"]
    tree = stranger.run("put", bench.path("public")).ok().object["cid"]
    closed = bench.directory("closed")
    os.chmod(closed, 0o555)
    if os.geteuid() != 0:
        os.chmod(bench.path("public"), 0o555)
    for what in (cid, tree):
        for target in (os.path.join(closed, "got"), "/proc/got", bench.path("closed/none/got")):
            stranger.run("get", what, "-o", target).fails("target-unwritable", target)
    equal(leftovers(closed), [])
    target = os.path.join(stranger.own(bench.directory("own/here")), "got")
    stranger.run("get", tree, "-o", target).ok()
    equal(os.stat(target).st_uid, os.stat(stranger.home).st_uid, "whose file it is")
    os.chmod(bench.path("public"), 0o755)


@case("a user without rights: sources that cannot be read, and special files, are refused by name")
def unreadable(bench):
    stranger = Stranger(bench)
    tree = bench.directory("tree")
    secret = bench.file("tree/a secret", 100)
    os.chmod(secret, 0)
    stranger.run("put", tree).fails("source-unreadable", "a secret")
    os.unlink(secret)
    os.mkfifo(bench.path("tree/a pipe"))
    stranger.run("put", tree).fails("source-special", "a pipe")
    os.unlink(bench.path("tree/a pipe"))
    with socket.socket(socket.AF_UNIX) as unix:
        os.chdir(tree)  # the name of a socket is short
        unix.bind("a socket")
        os.chdir("/")
        stranger.run("put", tree).fails("source-special", "a socket")
    stranger.run("put", "/dev/null").fails("source-special", "/dev/null")
    equal(stranger.run("ls").ok().objects, [], "something was stored")


@case("an empty file that is kept is stored, and serves others")
def empty(bench):
    seeder, getter = bench.pair()
    third = bench.node("third")
    bench.file("tree/empty")
    for name in ("tree", "tree/empty"):
        shared = seeder.json("share", bench.path(name)).ok().object
        target = bench.path("one " + name.replace("/", " "))
        getter.get(shared["ticket"], "-o", target, "--keep").ok()
        contains([row["cid"] for row in getter.json("ls").ok().objects], shared["cid"], "kept")
        again = getter.share(shared["cid"])
        for carrier in ("udp", "stream"):
            other = f"{target} {carrier}"
            third.get(again, "-o", other, "--carrier", carrier).ok()
            same(other, bench.path(name))


@case("an interrupted rate test leaves no directory and no process behind, whenever it comes")
def interrupted(bench):
    place = bench.directory("tmp")
    bench.environment["TMPDIR"] = place

    def made(depth):
        return lambda: sum(len(files) + len(names) for _, names, files in os.walk(place)) >= depth

    for depth in (1, 2, 3, 8, 12, 16):
        process = bench.start("perf", "loop", "--size", "64M", "--runs", "50", "--json")
        wait_for(made(depth), f"{depth} names below {place}")
        process.send_signal(signal.SIGINT)
        done = bench.finish(process)
        equal(done.status, 1, str(done))
        equal(done.object["code"], "cancelled", str(done))
        equal(os.listdir(place), [], f"left behind after an interrupt at {depth}")


if __name__ == "__main__":
    main()
