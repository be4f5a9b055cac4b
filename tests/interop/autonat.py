"""AutoNAT with another implementation, in an internet of namespaces, as peers judge public addresses alone.

    autonat.py HAUL KIND            prints one JSON line a result: {"row", "case", "why"}, or {"skip"}

Both versions and both directions: the peer asks haul and haul asks the peer, of an address that can
be reached and of one behind a firewall. Three servers in networks of their own answer haul."""
import json
import os
import queue
import subprocess
import sys
import threading

HAUL, KIND = sys.argv[1:3]
sys.argv[1:] = [HAUL]
sys.dont_write_bytecode = True
import peers  # noqa: E402
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system"))
from internet import CLOSED, Internet  # noqa: E402
from nodes import Bench, Skip, wait_for  # noqa: E402

NODE = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "slots.filling": "8",
        "slots.serving": "8", "slots.control": "8"}


kind = peers.KINDS[KIND]


def note(row, case, why=None):
    print(json.dumps({"row": row, "case": case, "why": why}), flush=True)


class Peer:
    def __init__(self, bench, host, version):
        self.process = bench.popen([*host.inside, *kind.command, "--security", "noise",
                                    "--autonat", version, "--listen", f"/ip4/{host.address}/tcp/4501"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        said = self.line()
        if "address" not in said:
            raise RuntimeError(f"{kind.name} did not start: {said}")
        self.address = said["address"]

    def read(self):
        for line in self.process.stdout:
            for said in peers.objects(line.decode(errors="replace"))[0]:
                self.lines.put(said)
        self.lines.put(None)

    def line(self):
        said = self.lines.get(timeout=60)
        if said is None:
            raise RuntimeError(f"{kind.name} has ended")
        return said

    def ask(self, *words):
        self.process.stdin.write((" ".join(words) + "\n").encode())
        self.process.stdin.flush()
        return self.line()


def place(internet, name, address, closed=False):
    host = internet.host(name, address)
    host.address = address
    if closed:
        host.rules(CLOSED)
    return host


def peer_asks(bench, version):
    internet = Internet(bench)
    server = bench.node("server", launcher=place(internet, "s", "8.10.0.1").inside,
                        settings={**NODE, "nat.serve": "on"})
    for wanted, address in (("public", "8.50.0.1"), ("private", "8.60.0.1")):
        peer = Peer(bench, place(internet, wanted, address, wanted == "private"), version)
        line = peer.ask("dial", f"/ip4/8.10.0.1/tcp/4501/p2p/{server.peer}")
        if line["ok"]:
            line = peer.ask("reach", server.peer, version, f"/ip4/{address}/tcp/4501")
        note(f"{kind.name} asks", f"v{version} {wanted}",
             None if line.get("reachability") == wanted else json.dumps(line))


def haul_asks(bench, version):
    internet = Internet(bench)
    servers = [Peer(bench, place(internet, f"s{i}", f"8.{10 + i}.0.1"), version) for i in range(3)]
    met = ",".join(server.address for server in servers)
    for wanted, address in (("reachable", "8.50.0.1"), ("unreachable", "8.60.0.1")):
        host = place(internet, wanted, address, wanted == "unreachable")
        node = bench.node(wanted, launcher=host.inside,
                          settings={**NODE, "dht.mode": "client", "dht.bootstrap": met})
        seen = lambda: node.status()["reachability"]  # noqa: E731
        try:
            wait_for(lambda: seen()["node"] == wanted, wanted)
            proofs = seen()["autonat_proofs"]
            note(f"{kind.name} answers", f"v{version} {wanted}",
                 None if (proofs > 0) == (version == "2" and wanted == "reachable") else f"{proofs} proofs")
        except AssertionError:
            note(f"{kind.name} answers", f"v{version} {wanted}", json.dumps(seen()))


for number, (case, role) in enumerate(((peer_asks, "asks"), (haul_asks, "answers"))):
    for version in ("2", "1"):
        lack = kind.lacks.get(f"autonat {version} {role}")
        if lack:
            print(json.dumps({"skip": f"v{version}, {kind.name} {role}: {lack}"}), flush=True)
            continue
        bench = Bench(number)
        try:
            case(bench, version)
        except Skip as why:
            print(json.dumps({"skip": str(why)}), flush=True)
        except Exception as error:
            note(f"{kind.name} {role}", f"v{version}", f"{type(error).__name__}: {error}")
        finally:
            bench.close()
