"""The cases: each takes a peer that dials and one that listens, and gives results."""
import os
import shutil
import subprocess
import time

import peers
import texts

MIB = 1 << 20
PUSHED = "/interop/pushed/1"
NO_BLOCK = "01551220" + "00" * 32


def outcome(line, good=True, why=None):
    """The result of a case: None when it passed, otherwise the reason."""
    if not line.get("ok"):
        return str(line.get("why", "failed"))
    return None if good else str(why or line)


def dial(dialer, listener, security):
    line = dialer.ask("dial", listener.address)
    said = [str(line.get(name, wanted)) for name, wanted in (("security", security), ("muxer", "yamux"))]
    return outcome(line, security in said[0] and "yamux" in said[1])


def ping(dialer, listener):
    line = dialer.ask("ping", listener.id, 3)
    return outcome(line, len(line.get("round_trips_us", [])) == 3)


def identify(asker, told):
    """What `told` has said of itself, as `asker` understood it."""
    line = asker.ask("identify", told.id)
    good = bool(line.get("agent")) and "127.0.0.1" in line.get("observed", "")
    if told.kind is peers.HAUL_KIND:
        good = good and line["agent"].startswith("haul") and "/ipfs/ping/1.0.0" in line["protocols"]
    return outcome(line, good)


def push(pusher, told):
    """A protocol that begins later is heard of. haul's host keeps no lists of protocols: it must
    take the push without harm, which the cases after this one show."""
    line = pusher.ask("push", told.id)
    if outcome(line) is None and told.kind is not peers.HAUL_KIND:
        line = told.ask("knows", pusher.id, PUSHED)
    return outcome(line)


def perf(dialer, listener, up, down, streams=1):
    line = dialer.ask("perf", listener.id, up, down, streams, patience=peers.PATIENCE + (up + down) * streams / 1e7)
    return outcome(line, line.get("bytes") == (up + down) * streams)


def bare(dialer, listener, security, full):
    """Everything that two connected peers do. Yields (case, None or why it failed)."""
    big, each = (1024 * MIB, 10 * MIB) if full else (64 * MIB, MIB)
    if security == "tls" and any("much over tls" in peer.kind.lacks for peer in (dialer, listener)):
        each = MIB
    why = dial(dialer, listener, security)
    yield "dial", why
    if why is not None:
        return
    yield "ping", ping(dialer, listener)
    yield "pinged", ping(listener, dialer)
    yield "identify", identify(dialer, listener)
    yield "identified", identify(listener, dialer)
    yield "push", push(dialer, listener)
    yield "pushed", push(listener, dialer)
    yield "perf up", perf(dialer, listener, big, 0)
    yield "perf down", perf(dialer, listener, 0, big)
    yield "100 streams", perf(dialer, listener, each, each, 100)
    yield "ping after", ping(dialer, listener)
    yield "close", outcome(dialer.ask("close", listener.id))


# --- through relays ---

def through(relay, listener, dialer):
    """A whole connection inside a relay's stream, both ways."""
    why = outcome(dialer.ask("dial", f"{relay.address}/p2p-circuit/p2p/{listener.id}"))
    yield "dial", why
    if why is not None:
        return
    yield "ping", ping(dialer, listener)
    yield "pinged", ping(listener, dialer)
    yield "identify", outcome(dialer.ask("identify", listener.id))
    yield "identified", outcome(listener.ask("identify", dialer.id))


def upgraded(relay, listener, dialer):
    """Two peers that met through a relay meet directly: the one that was dialled begins."""
    why = outcome(dialer.ask("dial", f"{relay.address}/p2p-circuit/p2p/{listener.id}"))
    yield "dial", why
    if why is not None:
        return
    yield "direct", outcome(dialer.ask("direct", listener.id))
    yield "direct there", outcome(listener.ask("direct", dialer.id))
    yield "ping", ping(dialer, listener)
    yield "pinged", ping(listener, dialer)


# --- the program ---

def haul(home, *arguments):
    return subprocess.run([peers.HAUL, *arguments, "--home", home], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=peers.PATIENCE)


class HaulNode:
    def __init__(self, work, name, *options):
        self.home = os.path.join(work, name)
        self.log_path = os.path.join(work, name + ".log")
        haul(self.home, "init")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([peers.HAUL, "node", "--home", self.home, *options],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=log)
        deadline = time.monotonic() + peers.PATIENCE
        while haul(self.home, "status").returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.close()
                with open(self.log_path, encoding="utf-8") as log:
                    raise RuntimeError("the node did not start: " + log.read().strip()[-300:])
            time.sleep(0.1)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def share(node, path):
    """Shares a file of one block. Its root CID and the node's address."""
    done = haul(node.home, "share", path, "--hash", "sha2-256", "--json")
    tickets = [line["ticket"] for line in peers.objects(done.stdout)[0] if "ticket" in line]
    if not tickets:
        raise RuntimeError("share: " + done.stderr.strip()[-300:])
    return texts.ticket_read(tickets[0])


def block_file(work, name, size=1_000_003):
    path = os.path.join(work, name)
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path, size


def fetched_by(kind, security, node, work):
    """A peer fetches from the program, whole and in ranges, and is refused what is not shared."""
    path, size = block_file(work, "block")
    root, address = share(node, path)
    with peers.Peer(kind, "--security", security) as peer:
        line = peer.ask("dial", address)
        yield "dial", outcome(line)
        if not line.get("ok"):
            return
        id = address.rsplit("/", 1)[1]
        line = peer.ask("identify", id)
        yield "identify", outcome(line, "/haul/blocks/1" in line.get("protocols", []))
        line = peer.ask("block", id, root.hex(), size, MIB)
        yield "block", outcome(line, line.get("bytes") == size)
        line = peer.ask("block", id, root.hex(), size, 300_000)
        yield "block in ranges", outcome(line, line.get("bytes") == size)
        line = peer.ask("block", id, NO_BLOCK, 1, MIB)
        yield "not shared", None if line.get("why") == "status 1" else str(line)


def served_by(kind, security, node, work):
    """The program gets a dataset that a peer serves."""
    path, _ = block_file(work, "served")
    target = os.path.join(work, "fetched")
    with peers.Peer(kind, "--security", security, "--file", path) as peer:
        ticket = texts.ticket_make(bytes.fromhex(peer.serving["root"]), peer.address)
        got = haul(node.home, "get", ticket, "-o", target, "--carrier", "stream")
        same = os.path.exists(target) and open(target, "rb").read() == open(path, "rb").read()
        yield "get", None if got.returncode == 0 and same else got.stderr.strip()[-300:] or "other bytes"
    shutil.rmtree(target, ignore_errors=True)
    if os.path.exists(target):
        os.remove(target)
