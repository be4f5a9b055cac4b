#!/usr/bin/env python3
"""What the interop suite makes of programs that die: a reason, and no error of its own."""
import os
import sys

from nodes import case, equal, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "interop"))
import peers  # noqa: E402

LINES = [{"row": "one", "case": "first", "why": None}, {"row": "one", "case": "second", "why": None}]
WHOLE = r'printf "%s\n" "{\"row\": \"one\", \"case\": \"first\", \"why\": null}" ' \
        r'"{\"row\": \"one\", \"case\": \"second\", \"why\": null}"; '


def told(script, seconds=60):
    return peers.told_by(["sh", "-c", script], seconds)


@case("what a program told before it ended counts, and how it ended is the fault")
def faults(bench):
    equal(told(WHOLE), (LINES, None))
    equal(told(WHOLE + "exit 3"), (LINES, "ended with 3"))
    equal(told("true"), ([], "told nothing"))
    equal(told(WHOLE + 'echo "[1]"'), (LINES, "ended, and the last that it said was '[1]'"))


@case("a program that dies or is ended in mid-line is a fault with that line in it")
def cut(bench):
    equal(told(WHOLE + "printf '{\"row\": \"tw'; kill -9 $$"),
          (LINES, "ended with -9, and the last that it said was '{\"row\": \"tw'"))
    equal(told(WHOLE + "printf '{\"row\": \"tw'; exec sleep 60", 2),
          (LINES, "not done within 2 s, and the last that it said was '{\"row\": \"tw'"))
    equal(told(r"printf '\377\376'; exit 1"), ([], "ended with 1, and the last that it said was '\ufffd\ufffd'"))


@case("a peer that dies in mid-line fails what it was asked with the reason")
def peer(bench):
    peers.BUILD = bench.root

    def started(script):
        return peers.Peer(peers.Kind("odd", ["sh", "-c", script], bench.root, [], None))

    listening = "echo '{\"event\": \"listening\", \"address\": \"/ip4/127.0.0.1/tcp/1/p2p/X\"}'; "
    with started(listening + "read line; printf '{\"case\": \"pi'; kill -9 $$") as odd:
        equal(odd.ask("ping", "X", 1), {"ok": False, "why": "odd ended with -9, and said '{\"case\": \"pi'"})
        equal(odd.ask("ping", "X", 1)["why"], "odd ended with -9, and said '{\"case\": \"pi'")
    try:
        started("printf '{\"event'; exit 1")
    except RuntimeError as error:
        equal(str(error), "odd did not start: odd ended with 1, and said '{\"event'")
    else:
        raise AssertionError("it started")


if __name__ == "__main__":
    main()
