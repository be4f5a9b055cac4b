"""What haul's texts hold: peer ids in base58, tickets (controlplane/ticket.h)."""
import base64
import hashlib

B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LOOPBACK = bytes([4, 127, 0, 0, 1, 6])


def base58_decode(text):
    number = 0
    for letter in text:
        number = number * 58 + B58.index(letter)
    ones = len(text) - len(text.lstrip("1"))
    return bytes(ones) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def base58_encode(data):
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = B58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def place_of(address):
    """Peer id, and what comes before it, of /ip4/ADDRESS/tcp/PORT[/p2p/RELAY/p2p-circuit]/p2p/ID."""
    where, peer = address.rsplit("/p2p/", 1)
    words = iter(where.split("/")[1:])
    place = b""
    for word in words:
        if word == "ip4":
            place += bytes([4, *map(int, next(words).split("."))])
        elif word == "tcp":
            place += b"\x06" + int(next(words)).to_bytes(2, "big")
        elif word == "p2p":
            relay = base58_decode(next(words))
            place += b"\xa5\x03" + bytes([len(relay)]) + relay
        elif word == "p2p-circuit":
            place += b"\xa2\x02"
    return base58_decode(peer), place


def ticket_make(root, address):
    """A ticket for the dataset `root` at that address. All lengths are below 128."""
    peer, place = place_of(address)
    body = b"\x01" + root + bytes([len(peer)]) + peer + bytes([1, len(place)]) + place
    body += hashlib.sha256(body).digest()[:4]
    return "haul:" + base64.b32encode(body).decode().lower().rstrip("=")


def ticket_bytes(text):
    encoded = text.removeprefix("haul:").upper()
    return base64.b32decode(encoded + "=" * (-len(encoded) % 8))


def ticket_root(text):
    return ticket_bytes(text)[1:37]


def ticket_read(text):
    """Root CID, and the loopback address of the peer as a multiaddr."""
    body = ticket_bytes(text)
    root, at = body[1:37], 38 + body[37]
    peer = base58_encode(body[38:at])
    count, at = body[at], at + 1
    for _ in range(count):
        place = body[at + 1:at + 1 + body[at]]
        if place[:6] == LOOPBACK:
            return root, f"/ip4/127.0.0.1/tcp/{int.from_bytes(place[6:8], 'big')}/p2p/{peer}"
        at += 1 + body[at]
    raise ValueError("the ticket names no loopback address")
