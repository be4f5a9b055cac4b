"""An archive of the kind that the kernel unpacks as its first root (cpio, "newc")."""


def _entry(number, name, mode, content):
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(text):
    return text + b"\0" * (-len(text) % 4)


def archive(directories, files):
    """Bytes of an archive with these directories, and files {name: where its content lies}."""
    parts = [_entry(i + 1, name, 0o040755, b"") for i, name in enumerate(directories)]
    for i, (name, path) in enumerate(files.items()):
        with open(path, "rb") as content:
            parts.append(_entry(1000 + i, name, 0o100755, content.read()))
    return b"".join([*parts, _entry(0, "TRAILER!!!", 0, b"")])
