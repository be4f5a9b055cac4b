"""The DHT of a network made of all kinds: each node announces a dataset, and each finds all."""
import base64
import contextlib
import os
import time

import cases
import peers

PREFIX = "/interop"
EACH = 3
PATIENCE = 60
CONFIG = """listen: {{tcp: ["127.0.0.1:0"], udp: ["127.0.0.1:0"]}}
slots: {{filling: 8, serving: 8, control: 8}}
dht: {{mode: server, prefix: {prefix}, addresses: any, per-network: none, bootstrap: [{bootstrap}]}}
"""


def cid_of(key):
    """The text of the raw CID with this multihash."""
    return "b" + base64.b32encode(b"\x01\x55" + bytes.fromhex(key)).decode().lower().rstrip("=")


class HaulMember:
    """A haul node in the network; it announces a file that it shares."""

    def __init__(self, work, number, bootstrap):
        self.kind = peers.HAUL_KIND
        self.home = os.path.join(work, f"member{number}")
        cases.haul(self.home, "init")
        with open(os.path.join(self.home, "config.yaml"), "w", encoding="utf-8") as file:
            names = ", ".join(f'"{other.address}"' for other in bootstrap)
            file.write(CONFIG.format(prefix=PREFIX, bootstrap=names))
        self.node = cases.HaulNode(work, f"member{number}")
        path, _ = cases.block_file(work, f"content{number}", 1000)
        root, self.address = cases.share(self.node, path)
        self.id, self.key = self.address.rsplit("/", 1)[1], root[2:].hex()

    def close(self):
        self.node.close()

    def provide(self):
        done = cases.haul(self.home, "dht", "provide", cid_of(self.key))
        return None if done.returncode == 0 else done.stderr.strip()[-200:]

    def put(self, space, peer, value):
        path = os.path.join(self.home, "value")
        with open(path, "wb") as file:
            file.write(bytes.fromhex(value))
        done = cases.haul(self.home, "dht", "put-value", f"/{space}/{peer}", path, "--timeout", "20s")
        return None if done.returncode == 0 else done.stderr.strip()[-200:]

    def value(self, space, peer):
        done = cases.haul(self.home, "dht", "get-value", f"/{space}/{peer}", "--timeout", "20s")
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()[-200:]

    def publish(self, _):
        """Its own name, and the record of it as it holds that itself."""
        done = cases.haul(self.home, "dht", "publish", cid_of(self.key), "--json", "--timeout", "20s")
        if done.returncode != 0:
            return {"ok": False, "why": done.stdout.strip()[-200:]}
        return {"ok": True, "value": self.value("ipns", self.id)}

    def providers(self, key):
        done = cases.haul(self.home, "dht", "providers", cid_of(key), "--json", "--timeout", "20s")
        return [row["peer"] for row in peers.objects(done.stdout)[0] if row.get("event") == "peer"]


class Member:
    """A go, rust or js peer in the network."""

    def __init__(self, kind):
        self.kind = kind
        self.peer = peers.Peer(kind, "--kad", PREFIX)
        self.id, self.address = self.peer.id, self.peer.address
        self.key = "1220" + os.urandom(32).hex()

    def close(self):
        self.peer.close()

    def join(self, others):
        for other in others:
            self.peer.ask("dial", other.address)
            self.peer.ask("identify", other.id)

    def provide(self):
        return cases.outcome(self.peer.ask("provide", self.key))

    def put(self, space, peer, value):
        return cases.outcome(self.peer.ask("put", key_of(space, peer), value))

    def value(self, space, peer):
        return self.peer.ask("value", key_of(space, peer)).get("value")

    def publish(self, sequence):
        return self.peer.ask("publish", sequence)

    def providers(self, key):
        return self.peer.ask("providers", key).get("providers", [])


def public_key(peer):
    """The key inside of an Ed25519 peer id in base58, in hex."""
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for letter in peer:
        number = number * 58 + digits.index(letter)
    return number.to_bytes(38, "big")[2:].hex()


def key_of(space, peer):
    return ("/" + space + "/").encode().hex() + "0024" + public_key(peer)


def gets(member, space, peer, value, deadline):
    """Why the member does not get that value of the key; None when it does."""
    while (got := member.value(space, peer)) != value:
        if time.monotonic() > deadline:
            return f"{member.id} gets {str(got)[:60]} for /{space}/{peer}"
        time.sleep(0.2)
    return None


def values(members, deadline):
    """Public keys that one of each kind puts, and IPNS records that go and haul make, then newer ones: who
    gets what. js is one of those who keep them; its program has no command for it.
    Yields (kind that gets, kind that puts, why)."""
    speaking = [member for member in members if member.kind.name != "js"]
    putting = {member.kind.name: member for member in speaking}
    for putter in putting.values():
        why = putter.put("pk", putter.id, public_key(putter.id))
        for getter in speaking:
            yield getter.kind.name, putter.kind.name, why or gets(getter, "pk", putter.id,
                                                                  public_key(putter.id), deadline)
    for sequence in (1, 2):
        for publisher in ("go", "haul"):
            if publisher not in putting:
                continue
            said = putting[publisher].publish(sequence)
            for getter in speaking:
                # rust validates nothing and takes the first record that it hears of, which may be old.
                if getter.kind.name == "rust" and sequence == 2:
                    continue
                yield getter.kind.name, publisher, cases.outcome(said) or gets(
                    getter, "ipns", putting[publisher].id, said["value"], deadline)


def finds(member, sought, deadline):
    """Whether the member finds who announces; records travel, so it may ask again for a while."""
    while True:
        if sought.id in member.providers(sought.key):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def mixed(kinds, work):
    """Twelve nodes where all kinds are there. Yields (kind that asks, what of whom, why not)."""
    with contextlib.ExitStack() as stack:
        members = []
        for kind in kinds:
            for _ in range(EACH):
                members.append(Member(kind))
                stack.callback(members[-1].close)
        for at, member in enumerate(members):
            member.join([members[at - step] for step in (1, 2, EACH + 1) if at - step >= 0])
        for number in range(EACH):
            members.append(HaulMember(work, number, members[number::EACH]))
            stack.callback(members[-1].close)
        failures = {}
        for member in members:
            if (why := member.provide()) is not None:
                failures[member.id] = why
        deadline = time.monotonic() + PATIENCE
        for seeker in members:
            for sought in members:
                if seeker is sought:
                    continue
                why = failures.get(sought.id)
                if why is None and not finds(seeker, sought, deadline):
                    why = f"{seeker.id} does not find {sought.id}"
                yield seeker.kind.name, "finds " + sought.kind.name, why
        for getter, putter, why in values(members, time.monotonic() + PATIENCE):
            yield getter, "gets of " + putter, why
