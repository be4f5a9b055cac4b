#!/usr/bin/env python3
"""What a page of docs/ tells its reader to do, done as it stands there: `./dev demo nats` shows it."""
import os
import re

from internet import Internet
from nodes import case, equal, main, same, wait_for

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "DHT.md")
MIB = 1 << 20


def configurations():
    """The two that the page shows: of the machine that can be dialled, and of those that cannot."""
    with open(PAGE, encoding="utf-8") as page:
        found = re.findall(r"^```yaml\n(.*?)^```$", page.read(), re.M | re.S)
    equal(len(found), 2, "configurations in docs/DHT.md")
    return found


def started(bench, host, name, configuration):
    """A node with this config.yaml; smaller buffers are all that the page does not say."""
    home = bench.path(name)
    bench.run("init", "--home", home).ok()
    with open(os.path.join(home, "config.yaml"), "w", encoding="utf-8") as file:
        file.write(configuration)
    print(f"{name}: config.yaml\n    " + configuration.strip().replace("\n", "\n    "), flush=True)
    return bench.node(name, host.inside, settings={"listen.tcp": None, "listen.udp": None})


def typed(node, *words):
    """A command as somebody would type it there, and what it says."""
    print(f"{node.name}$ haul " + " ".join(os.path.basename(word) if "/" in word else word for word in words), flush=True)
    done = node.run(*words).ok()
    print("".join(f"    {line}\n" for line in (done.text + "\n" + done.err.decode()).splitlines() if line.strip()),
          end="", flush=True)
    return done


def direct(node, peer):
    lines = node.status().get("connections", {}).get("connection", [])
    return any(peer in line and "relayed" not in line for line in ([lines] if isinstance(lines, str) else lines))


@case("docs/DHT.md across two gateways: a CID alone fetches from behind one what is shared behind another")
def by_cid(bench):
    first, others = configurations()
    internet = Internet(bench)
    meeting = started(bench, internet.host("m", "45.1.0.1"), "meeting", first)
    told = lambda: str(meeting.status()["node"].get("announced_address", []))  # noqa: E731
    wait_for(lambda: "/ip4/45.1.0.1/tcp/4501" in told(), "its address")
    address = f"/ip4/45.1.0.1/tcp/4501/p2p/{meeting.peer}"
    seeder, getter = (
        started(bench, internet.behind(internet.router(f"g{number}", f"45.1.1.{number}", silent=True), name, "10.0.0.2"),
                name, others.replace("ADDRESS", address))
        for number, name in enumerate(("seeder", "getter"), 1))
    for node in (seeder, getter):
        wait_for(lambda node=node: node.status()["relay"]["places"] == 1, f"a place of {node.name}")
    source = bench.file("dataset", 16 * MIB)
    cid = typed(seeder, "put", source).text
    typed(seeder, "share", "--announce", cid)
    typed(getter, "get", cid, "-o", bench.path("copy"))
    same(source, bench.path("copy"))
    wait_for(lambda: direct(getter, seeder.peer), "a direct connection")
    equal(meeting.status()["relay"]["circuits_cut"], 0)


main()
