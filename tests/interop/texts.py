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


def ticket_make(root, address):
    """A ticket for the dataset `root` at /ip4/127.0.0.1/tcp/PORT/p2p/ID. All lengths are below 128."""
    parts = address.split("/")
    peer = base58_decode(parts[6])
    place = LOOPBACK + int(parts[4]).to_bytes(2, "big")
    body = b"\x01" + root + bytes([len(peer)]) + peer + bytes([1, len(place)]) + place
    body += hashlib.sha256(body).digest()[:4]
    return "haul:" + base64.b32encode(body).decode().lower().rstrip("=")


def ticket_read(text):
    """Root CID, and the loopback address of the peer as a multiaddr."""
    encoded = text.removeprefix("haul:").upper()
    body = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    root, at = body[1:37], 38 + body[37]
    peer = base58_encode(body[38:at])
    count, at = body[at], at + 1
    for _ in range(count):
        place = body[at + 1:at + 1 + body[at]]
        if place[:6] == LOOPBACK:
            return root, f"/ip4/127.0.0.1/tcp/{int.from_bytes(place[6:8], 'big')}/p2p/{peer}"
        at += 1 + body[at]
    raise ValueError("the ticket names no loopback address")
