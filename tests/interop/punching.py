"""Direct ways between haul and other implementations, each behind a gateway of its own, in an internet
of namespaces: who meets whom through a relay, and what DCUtR makes of it.

    punching.py HAUL KIND...        prints one JSON line a result: {"row", "case", "why", "how"}, or {"skip"}

Each peer is met in both roles: it dials haul through the relay, and haul begins to punch; or haul gets
a block of it, and it begins. Behind each is a cone gateway, which keeps port numbers, or a symmetric one,
which takes another port for every destination. Two cones must meet directly; with a symmetric gateway
neither side can know the other's port, and what was begun through the relay has to go on through it."""
import json
import os
import sys
import threading
import time
import traceback

HAUL, KIND_NAMES = sys.argv[1], sys.argv[2:]
sys.argv[1:] = [HAUL]
sys.dont_write_bytecode = True
import peers  # noqa: E402
import texts  # noqa: E402
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system"))
from internet import Internet  # noqa: E402
from nodes import Bench, Skip, wait_for  # noqa: E402

KINDS = ("cone", "symmetric")
SLOTS = {"slots.filling": "8", "slots.serving": "8", "slots.control": "8"}
RELAY, OTHER_RELAY = "45.1.0.1", "45.1.0.2"
BLOCK = 20_000  # little enough for a relay that cuts connections off
PATIENCE = 90
ATTEMPTS = 3  # punches before whoever began gives up
printing = threading.Lock()


def note(row, case, why, how=None):
    with printing:
        print(json.dumps({"row": row, "case": case, "why": why, "how": how}), flush=True)


def direct(status, peer):
    """Whether a connection to that peer runs directly; None: there is none at all."""
    lines = status.get("connections", {}).get("connection", [])
    mine = [line for line in ([lines] if isinstance(lines, str) else lines) if peer in line]
    return any("relayed" not in line for line in mine) if mine else None


class Relay:
    """haul's is without limits, so a get goes through it by itself; go's has those of its library."""

    def __init__(self, name, address, peer_id):
        self.name, self.address, self.id = name, f"/ip4/{address}/tcp/4001/p2p/{peer_id}", peer_id


class Home:
    """A gateway with machines behind it; each has a port of its own, as they share one address."""

    def __init__(self, internet, number, kind):
        self.internet, self.kind, self.address = internet, kind, f"45.1.{number}.1"
        self.router = internet.router(f"g{number}", self.address, symmetric=kind == "symmetric", silent=True)
        self.number, self.count = number, 0

    def machine(self):
        self.count += 1
        address, port = f"10.0.0.{1 + self.count}", 4500 + self.count
        return self.internet.behind(self.router, f"h{self.number}-{self.count}", address), address, port


class Other:
    """A peer of another implementation behind a gateway: in one role, at one relay."""

    def __init__(self, kind, role, home, relay, path):
        self.kind, self.role, self.home, self.relay = kind, role, home, relay
        host, address, self.port = home.machine()
        self.peer = peers.Peer(kind, "--security", "noise", "--listen", f"/ip4/{address}/tcp/{self.port}",
                               "--place", relay.address, "--dcutr", "on", "--file", path, wrap=host.inside)
        self.root = bytes.fromhex(self.peer.serving["root"])

    def seen(self):
        """How the relay sees it: None when that is as its gateway should make it."""
        line = self.peer.ask("identify", self.relay.id)
        kept = line.get("observed") == f"/ip4/{self.home.address}/tcp/{self.port}"
        good = line.get("ok") and kept == (self.home.kind == "cone")
        return None if good else f"behind a {self.home.kind} gateway seen as {line}"


class Row:
    """One of the matrix: haul behind one kind of gateway, the peer behind one."""

    def __init__(self, bench, node, node_kind, other, served):
        self.bench, self.node, self.node_kind, self.other, self.served = bench, node, node_kind, other, served
        self.name = f"{node_kind}-{other.home.kind}"
        self.wanted = "direct" if self.name == "cone-cone" else "relayed"
        self.id = other.peer.id
        self.run = self.got = self.lost = None
        self.met = False

    def begin(self):
        if self.other.role == "begins":  # haul dials
            self.got = self.bench.path(f"got-{id(self)}")
            address = f"{self.other.relay.address}/p2p-circuit/p2p/{self.id}"
            self.run = self.bench.start("get", "--home", self.node.home, "--json", "--carrier", "stream", "--timeout",
                                        "60s", texts.ticket_make(self.other.root, address), "-o", self.got)
            return
        line = self.other.peer.ask("dial", f"{self.other.relay.address}/p2p-circuit/p2p/{self.node.peer}")
        if not line["ok"]:
            self.lost = f"the relayed connection: {line}"

    def moved(self):
        """None when what was asked for came through whatever there was."""
        if self.other.role == "begins":
            done = self.bench.finish(self.run)
            if done.status:
                return str(done)
            return None if open(self.got, "rb").read() == self.served else "other bytes came"
        root = self.node.block
        line = self.other.peer.ask("block", self.node.peer, root.hex(), BLOCK, BLOCK)
        return None if line.get("bytes") == BLOCK else json.dumps(line)

    def end(self):
        """Why the row failed, or None, and how the two are connected now."""
        if self.lost:
            return self.lost, None
        how = {True: "direct", False: "relayed", None: "lost"}[direct(self.node.status(), self.id)]
        if how != self.wanted:
            return f"{how} instead of {self.wanted}; punches of haul: {self.node.status()['punch']}", how
        if how == "direct":
            line = self.other.peer.ask("direct", self.node.peer)
            if not line["ok"]:
                return f"there: {line}", how
        line = self.other.peer.ask("ping", self.node.peer, 3)
        return (None if line["ok"] else f"ping over it: {line}"), how


def over(node, rows):
    """Whether all who punch with that node have met or given up."""
    status = node.status()
    punch = status["punch"]
    for row in rows:
        row.met = row.met or bool(direct(status, row.id))
    failed = sum(not row.met for row in rows if row.other.role == "is met")
    asked = sum(1 if row.met else ATTEMPTS for row in rows if row.other.role == "begins")
    return punch["failed"] >= failed and punch["asked"] >= asked and \
        all(row.met for row in rows if row.wanted == "direct")


def together(calls):
    """Runs them at once, each in a thread; what each returned."""
    results = [None] * len(calls)

    def run(at):
        try:
            results[at] = calls[at]()
        except Exception as error:
            results[at] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def relays(bench, internet, close):
    host = internet.host("r", RELAY)
    at = f"{RELAY}:4001"
    node = bench.node("relay", host.inside, settings={
        **SLOTS, "listen.tcp": at, "listen.udp": at, "relay.serve": "true", "relay.circuit-bytes": "none",
        "relay.circuit-time": "none", "relay.pace-per-peer": "1000", "relay.pace-per-network": "1000",
        "relay.places-per-address": "64", "relay.circuits-per-peer": "64"})
    made = [Relay("haul", RELAY, node.peer)]
    if "go" in KIND_NAMES:
        host = internet.host("o", OTHER_RELAY)
        peer = peers.Peer(peers.KINDS["go"], "--security", "noise", "--listen", f"/ip4/{OTHER_RELAY}/tcp/4001",
                          "--relay", "on", wrap=host.inside)
        close.append(peer.close)
        made.append(Relay("go", OTHER_RELAY, peer.id))
    return made


def own(bench, internet, middles, number, kind):
    """haul, behind a gateway of that kind, with a place at each relay."""
    host, _, port = Home(internet, number, kind).machine()
    node = bench.node(f"haul-{kind}", host.inside, settings={
        **SLOTS, "listen.tcp": f"0.0.0.0:{port}", "listen.udp": f"0.0.0.0:{port}",
        "relay.use": ",".join(middle.address for middle in middles)})
    path = bench.file(f"of haul {kind}", BLOCK)
    line = node.json("share", path, "--hash", "sha2-256").ok().object
    node.block = texts.ticket_root(line["ticket"])
    wait_for(lambda: node.status()["relay"]["places"] == len(middles), f"the places of haul behind a {kind} gateway")
    return node


def matrix(bench, close):
    internet = Internet(bench)
    middles = relays(bench, internet, close)
    nodes = {kind: own(bench, internet, middles, 1 + at, kind) for at, kind in enumerate(KINDS)}
    homes = {kind: Home(internet, 3 + at, kind) for at, kind in enumerate(KINDS)}
    path = bench.file("of a peer", BLOCK)
    served = open(path, "rb").read()
    others = []

    def start(kind, role, home, relay):
        others.append(Other(kind, role, home, relay, path))
        close.append(others[-1].peer.close)

    wanted = [(peers.KINDS[name], role, homes[gateway], middle) for name in KIND_NAMES for role in ("is met", "begins")
              for gateway in KINDS for middle in middles]
    for why, each in zip(together([lambda each=each: start(*each) for each in wanted]), wanted):
        if why:
            raise RuntimeError(f"{each[0].name}: {why}")
    for why, other in zip(together([other.seen for other in others]), others):
        if why:
            raise RuntimeError(f"{other.kind.name} {why}")
    rows = [Row(bench, nodes[kind], kind, other, served) for other in others for kind in KINDS]
    began = time.monotonic()
    by_other = [[row for row in rows if row.other is other] for other in others]
    for row in rows:  # what a thread starts ends with it
        if row.other.role == "begins":
            row.begin()
    together([lambda mine=mine: [row.begin() for row in mine] for mine in by_other if mine[0].other.role != "begins"])
    for node in nodes.values():
        mine = [row for row in rows if row.node is node and not row.lost]
        while not over(node, mine) and time.monotonic() < began + PATIENCE:  # the rows say what came of it
            time.sleep(0.2)
    print(f"punches through gateways took {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)

    def finish(mine):
        for row in mine:
            why = row.moved()
            end, how = row.end()
            verb = "punches" if row.other.role == "begins" else "is punched to"
            note([row.other.kind.name, verb, "via", row.other.relay.name], row.name, why or end, how)

    for why in together([lambda mine=mine: finish(mine) for mine in by_other]):
        if why:
            raise RuntimeError(why)


bench, close = Bench(0), []
try:
    matrix(bench, close)
except Skip as why:
    print(json.dumps({"skip": str(why)}), flush=True)
except Exception as error:
    traceback.print_exc()
    note(["punching"], "run", f"{type(error).__name__}: {error}")
finally:
    together(close)
    bench.close()
