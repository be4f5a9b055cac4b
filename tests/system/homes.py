"""Nodes at home, behind a router whose gateway program (gateway.py) they ask for ports."""
import json
import os
import subprocess
import sys
import threading

from internet import Internet
from nodes import equal, wait_for

NODE = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "nat.map": "auto",
        "slots.filling": "8", "slots.serving": "8", "slots.control": "8"}
GATEWAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway.py")


class Gateway:
    """The router's program, and what it was asked."""

    def __init__(self, bench, router, mode, outside):
        self.asked = []
        process = bench.popen([*router.inside, sys.executable, GATEWAY, mode, router.gateway, outside],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.input, self.output = process.stdin, process.stdout
        self.output.readline()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.output:
            self.asked.append(json.loads(line))

    def start_anew(self, announces):
        """It has forgotten everything; it tells so, or not."""
        self.input.write(b"announce\n" if announces else b"say nothing\n")
        self.input.flush()

    def all(self, **wanted):
        return [line for line in self.asked if wanted.items() <= line.items()]


def home(bench, mode, **settings):
    """A node behind a router that speaks `mode`."""
    internet = Internet(bench)
    router = internet.router("r", "8.70.0.1")
    gateway = Gateway(bench, router, mode, "8.70.0.1")
    host = internet.behind(router, "h", "10.0.0.2")
    node = bench.node("n", launcher=host.inside, settings={**NODE, **settings})
    return internet, gateway, node


def mapping(node):
    return node.status().get("mapping", {})


def mapped(node, method):
    wait_for(lambda: mapping(node).get("tcp") and mapping(node).get("udp"), "both ports to be mapped")
    equal(mapping(node)["method"], method)
    return mapping(node)["tcp"], mapping(node)["udp"]
