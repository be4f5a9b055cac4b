"""Directories and files as bytes, made by hand: well-formed ones, and ones that no node of ours
would make. A Dataset collects blocks under sha2-256 and plants them into the home of a node."""
import base64
import hashlib
import subprocess

from nodes import PLANT_BLOCK, Skip

RAW, DAG_PB = 0x55, 0x70


def uvarint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One protobuf field: a number or bytes."""
    if isinstance(value, int):
        return uvarint(number << 3) + uvarint(value)
    return uvarint(number << 3 | 2) + uvarint(len(value)) + value


def unixfs(kind, data=None, sizes=(), size=None):
    """kind: 0 raw, 1 directory, 2 file, 4 symbolic link, 5 HAMT."""
    out = field(1, kind)
    if data is not None:
        out += field(2, data)
    if size is not None:
        out += field(3, size)
    return out + b"".join(field(4, each) for each in sizes)


def node(data, links=()):
    """links: (name, binary CID, size)."""
    out = b"".join(field(2, field(1, cid) + field(2, name) + field(3, size))
                   for name, cid, size in links)
    return out + field(1, data)


def text(cid):
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


class Dataset:
    def __init__(self):
        self.blocks = []

    def block(self, content, codec=DAG_PB, sent=None):
        """Its binary CID. `sent`: what the home holds under it instead."""
        multihash = b"\x12\x20" + hashlib.sha256(content).digest()
        self.blocks.append((multihash, content if sent is None else sent))
        return bytes([1, codec]) + multihash

    def file(self, content):
        return self.block(content, RAW)

    def symlink(self, target):
        return self.block(node(unixfs(4, target)))

    def directory(self, entries):
        """entries: (name, binary CID), in this order and however often."""
        return self.block(node(unixfs(1), [(name, cid, 1) for name, cid in entries]))

    def plant(self, home, root):
        if not PLANT_BLOCK:
            raise Skip("plant_block was not built")
        lines = [text(root)] + [f"{h.hex()} {content.hex()}" for h, content in self.blocks]
        subprocess.run([PLANT_BLOCK, home], input="\n".join(lines).encode() + b"\n", check=True)
        return text(root)
