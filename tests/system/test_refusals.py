#!/usr/bin/env python3
"""What goes wrong says so: a stable code, with what, and what to do next; and leaves nothing behind."""
import base64
import hashlib
import os
import shutil
import socket
import stat
import subprocess

from nodes import HAUL, Skip, case, contains, equal, leftovers, main, same, wait_for

MIB = 1 << 20
NOBODY = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"


def ticket_bytes(ticket):
    body = ticket.removeprefix("haul:").upper()
    return base64.b32decode(body + "=" * (-len(body) % 8))[:-4]


def ticket_text(data):
    data += hashlib.sha256(data).digest()[:4]
    return "haul:" + base64.b32encode(data).decode().lower().rstrip("=")


@case("another peer at the address than the ticket names is a peer-mismatch, on either carrier")
def wrong_peer(bench):
    seeder, getter = bench.pair()
    other = bench.node("other")
    source = bench.file("file", MIB)
    mine, theirs = ticket_bytes(seeder.share(source)), ticket_bytes(other.share(source))
    # Version, CID, then the peer id with its length: those of the one, addresses of the other.
    end = 1 + 36 + 1 + mine[37]
    crossed = ticket_text(mine[:end] + theirs[end:])
    for carrier in ("udp", "stream", "auto"):
        getter.get(crossed, "-o", bench.path("got"), "--carrier", carrier, "--timeout",
                   "15s").fails("peer-mismatch")
        assert not os.path.lexists(bench.path("got"))


@case("a peer that cannot be reached is named, within the time given with --timeout")
def unreachable(bench):
    seeder, getter = bench.pair()
    ticket, peer = seeder.share(bench.file("file", MIB)), seeder.peer
    seeder.stop()
    said = getter.get(ticket, "-o", bench.path("got"), "--timeout", "2s")
    equal(said.status, 1, str(said))
    assert said.object["code"] in ("peer-unreachable", "timeout"), str(said)
    contains(said.object["text"], peer)
    assert 1.5 < said.seconds < 12, said.seconds
    equal(getter.json("ls", ticket, "--timeout", "1s").status, 1)


@case("malformed CIDs, tickets, peers, keys, options and commands are told apart, each with its hint")
def malformed(bench):
    node = bench.node("node")
    ticket = node.share(bench.file("file", 10))
    for what in ("x", "bafy", NOBODY[:-3], NOBODY + "aa", "Qm", "/", "../x"):
        node.get(what, "-o", bench.path("got")).fails("cid-malformed", f"'{what}'")
    node.get("bafk" + "9" * 400, "-o", bench.path("got")).fails("cid-malformed")
    slip = ticket[:60] + ("a" if ticket[60] != "a" else "b") + ticket[61:]
    for what in ("haul:", "haul:zzz", slip, ticket[:-2], ticket + "a", "haul:" + "a" * 5000,
                 ticket_text(b"\x09" + ticket_bytes(ticket)[1:])):
        node.get(what, "-o", bench.path("got")).fails("ticket-malformed")
    node.get(ticket.upper().replace("HAUL:", "haul:"), "-o", bench.path("capitals")).ok()
    node.json("share", bench.path("file"), "--to", "somebody").fails("peer-malformed", "somebody")
    node.json("ls", "nonsense").fails("cid-malformed")
    for arguments in (["get"], ["get", "a", "b"], ["put"], ["ls", "--carrier", "udp"], ["get", "--bogus"],
                      ["get", NOBODY, "--timeout", "soon"], ["get", NOBODY, "--carrier", "pigeon"],
                      ["shar"], []):
        done = bench.run(*(arguments or ["--nonsense"]))
        equal(done.status, 2, str(done))
        contains(done.err.decode(), "haul help", str(done))
    contains(bench.run("shar").err.decode(), "'share'", "the nearest command")
    equal(bench.run("explain", "target-exists").ok().text != "", True)
    equal(bench.run("help").ok().status, 0)


@case("an unknown configuration key is refused with the nearest name, wherever it stands")
def configuration(bench):
    home = bench.path("home")
    bench.run("init", "--home", home).ok()

    def refuses(*parts, settings=(), environment=None):
        bench.environment.update(environment or {})
        arguments = [word for each in settings for word in ("--set", each)]
        bench.run("node", "--home", home, "--json", *arguments).fails("config-key", *parts)
        for key in environment or {}:
            del bench.environment[key]

    refuses("slots.fillin", "slots.filling", settings=["slots.fillin=9"])
    refuses("slots.filling", "8", settings=["slots.filling=7"])
    refuses("net.backend", "mmsg", settings=["net.backend=carrier-pigeon"])
    refuses("listen.tcp", settings=["listen.tcp=127.0.0.1"])
    refuses("listen.udp", settings=["listen.udp=/ip4/127.0.0.1/tcp/99999"])
    refuses("fast.networks", settings=["fast.networks=10.0.0.0/33"])
    refuses("HAUL_NET_BACKEN", environment={"HAUL_NET_BACKEN": "mmsg"})
    bench.file("home/config.yaml", b"slots:\n  fillings: 9\n")
    refuses("config.yaml", "slots.filling")
    bench.file("home/config.yaml", b"slots: [\n")
    refuses("config.yaml")
    bench.file("home/config.yaml", b"a: &a [*a, *a]\n")
    refuses("config.yaml")


@case("a target that exists, of whatever kind, is left as it is")
def exists(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("source", 1000))
    bench.file("file", b"mine")
    bench.directory("directory")
    os.symlink("nowhere", bench.path("dangling"))
    os.mkfifo(bench.path("pipe"))
    for name in ("file", "directory", "dangling", "pipe", "directory/", ".", "directory/.."):
        getter.get(ticket, "-o", bench.path(name)).fails("target-exists")
    with open(bench.path("file"), "rb") as file:
        equal(file.read(), b"mine")
    equal(os.readlink(bench.path("dangling")), "nowhere")
    equal(os.listdir(bench.path("directory")), [])


@case("a target that cannot be written is refused before anything is fetched")
def unwritable(bench):
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("source", MIB))
    bench.file("file")
    for name in ("file/below", "no such directory/got"):
        getter.get(ticket, "-o", bench.path(name)).fails("target-unwritable", name)
    assert "connections" not in getter.status(), "a peer was dialled in vain"
    getter.get(ticket, "-o", "/proc/got").fails("target-unwritable")


@case("a disk that fills up ends the get with target-unwritable and leaves nothing behind")
def full(bench):
    if os.geteuid() != 0:
        raise Skip("mounting needs root")
    seeder, getter = bench.pair()
    ticket = seeder.share(bench.file("source", 12 * MIB))
    small = bench.directory("small")
    command = 'mount -t tmpfs -o size=4m none "$1" && cd "$1" && shift && "$@"; s=$?; ls -A; exit $s'
    got = subprocess.run(["unshare", "-m", "sh", "-c", command, "sh", small, HAUL, "get", "--home",
                          getter.home, "--json", "--quiet", ticket, "-o", "got"],
                         capture_output=True, timeout=60, env=bench.environment)
    if b"mount" in got.stderr or b"unshare" in got.stderr:
        raise Skip(got.stderr.decode().strip())
    said = got.stdout.decode()
    equal(got.returncode, 1, said)
    contains(said, '"target-unwritable"')
    equal(len(said.strip().split("\n")), 1, f"names left on the disk: {said}")
    getter.get(ticket, "-o", bench.path("got")).ok()


@case("special files and names that are not UTF-8 are refused by name, and nothing is stored")
def special(bench):
    node = bench.node("node")
    bench.file("tree/fine", 100)
    os.mkfifo(bench.path("tree/a pipe"))
    node.json("put", bench.path("tree")).fails("source-special", "a pipe")
    os.unlink(bench.path("tree/a pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(bench.path("tree/a socket"))
        node.json("put", bench.path("tree")).fails("source-special", "a socket")
    os.unlink(bench.path("tree/a socket"))
    node.json("put", "/dev/null").fails("source-special", "/dev/null")
    with open(os.fsencode(bench.path("tree")) + b"/bad \xff name", "wb"):
        pass
    node.json("put", bench.path("tree")).fails("source-name", "bad")
    os.unlink(os.fsencode(bench.path("tree")) + b"/bad \xff name")
    node.json("put", bench.path("nothing")).fails("source-unreadable", "nothing")
    equal(node.json("ls").ok().objects, [])
    node.put(bench.path("tree"))


@case("a second node on one home is refused, and the first one goes on")
def busy(bench):
    node = bench.node("node")
    bench.run("node", "--json", "--home", node.home).fails("node-busy", node.home)
    node.put(bench.file("file", 10))


@case("a home of another format is left alone")
def format(bench):
    home = bench.path("home")
    bench.run("init", "--home", home).ok()
    for content in (b"haul home 2\n", b"", b"haul home 1", b"\0" * 5000):
        bench.file("home/format", content)
        for command in (["node"], ["status"], ["ls"], ["put", HAUL]):
            bench.run(*command, "--json", "--home", home).fails("home-format", home)


@case("a key that others may read, or that is no key, is refused; a fresh one is 0600")
def key(bench):
    home = bench.path("home")
    bench.run("init", "--home", home).ok()
    path = bench.path("home/identity.key")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    equal(stat.S_IMODE(os.stat(home).st_mode), 0o700)
    who = bench.run("id", "--json", "--home", home).ok().object["peer"]
    for mode in (0o640, 0o604, 0o660, 0o644):
        os.chmod(path, mode)
        bench.run("node", "--json", "--home", home).fails("key-unsafe", path)
    os.chmod(path, 0o600)
    equal(bench.run("id", "--json", "--home", home).ok().object["peer"], who)
    with open(path, "r+b") as file:
        file.truncate(20)
    bench.run("node", "--json", "--home", home).fails("key-unsafe", path)
    shutil.copy(path, bench.path("elsewhere"))
    os.unlink(path)
    os.symlink(bench.path("elsewhere"), path)
    bench.run("node", "--json", "--home", home).fails("key-unsafe")


@case("a seeder that dies in mid-transfer is waited for, and --timeout ends that; what came is of use when it is back")
def dies(bench):
    seeder = bench.node("seeder", settings={"flow.rate": "8Mbit"})
    getter = bench.node("getter")
    ticket = seeder.share(bench.file("file", 12 * MIB))
    get = bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path("got"),
                      "--carrier", "udp", "--timeout", "12s")
    wait_for(lambda: getter.status()["worker"]["fetched_bytes"] > 0, "a first block")
    seeder.kill()
    done = bench.finish(get)
    equal(done.status, 1, str(done))
    assert done.object["code"] in ("peer-gone", "timeout", "peer-unreachable", "carrier-failed"), str(done)
    assert not os.path.exists(bench.path("got"))
    seeder.settings["flow.rate"] = "none"
    seeder.start()
    again = seeder.share(bench.path("file"))
    getter.get(again, "-o", bench.path("got")).ok()
    same(bench.path("file"), bench.path("got"))
    equal(leftovers(bench.root, "seeder", "getter", "seeder.log", "getter.log", "file", "got"), [])


@case("an interrupted get that brought less than a mebibyte leaves no part behind, and the node goes on")
def interrupted(bench):
    seeder = bench.node("seeder", settings={"flow.rate": "1Mbit"})
    getter = bench.node("getter")
    ticket = seeder.share(bench.file("file", 12 * MIB))
    get = bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path("got"),
                      "--carrier", "udp")
    wait_for(lambda: leftovers(bench.root, "seeder", "getter", "seeder.log", "getter.log", "file"),
             "a part")
    get.terminate()
    bench.finish(get).fails("cancelled")
    equal(leftovers(bench.root, "seeder", "getter", "seeder.log", "getter.log", "file"), [])
    small = seeder.share(bench.file("small", 1000))
    getter.get(small, "-o", bench.path("got")).ok()


if __name__ == "__main__":
    main()
