#!/usr/bin/env python3
"""The fast path's own hole, punched by the messages of an offer through a relay."""
from internet import Internet
from nodes import case, equal, main, same, wait_for

MIB = 1 << 20
RELAY = "45.1.0.1"
LISTEN = {"listen.tcp": "0.0.0.0:4501", "listen.udp": "0.0.0.0:4501", "slots.filling": "8",
          "slots.serving": "8", "slots.control": "8"}
UDP_ALONE = {"punch.enabled": "false"}  # no direct connection comes before


def relay(bench, internet):
    """It only introduces: what moves moves by a way of its own."""
    host, at = internet.host("r", RELAY), f"{RELAY}:4001"
    node = bench.node("relay", host.inside, settings={**LISTEN, "listen.tcp": at, "listen.udp": at,
                                                      "relay.serve": "true"})
    return f"/ip4/{RELAY}/tcp/4001/p2p/{node.peer}"


def behind(bench, internet, number, name, at, silent=True, **settings):
    """A node behind a cone gateway of its own, with a place at the relay; and the gateway."""
    router = internet.router(f"g{number}", f"45.1.1.{number}", silent=silent)
    node = bench.node(name, internet.behind(router, f"h{number}", "10.0.0.2").inside,
                      settings={**LISTEN, **UDP_ALONE, "relay.use": at, **settings})
    wait_for(lambda: node.status()["relay"]["places"] == 1, f"a place of {name}")
    return node, router


@case("probes cross between gateways that answer strangers, as each waits for the other's word")
def crossing(bench):
    internet = Internet(bench, delay=25)
    at = relay(bench, internet)
    seeder, first = behind(bench, internet, 1, "seeder", at, silent=False)
    getter, second = behind(bench, internet, 2, "getter", at, silent=False)
    # A probe that finds a gateway before its own side has sent one is known there as a stranger's, and
    # takes the place of the flow that was to follow: the port is no longer kept. Forgotten sooner here than elsewhere.
    for router in (first, second):
        router.run("sh", "-c", "echo 8 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout")
    first.run("ping", "-c", "1", "45.1.1.2")  # neighbours on one wire look for each other first; far ones do not
    source = bench.file("file", 3 * MIB)
    ticket = seeder.share(source)
    for attempt in range(4):  # a machine that stumbles for longer than the way is long spoils one
        done = getter.get(ticket, "-o", bench.path("got"), "--carrier", "udp", "--timeout", "20s")
        if done.status == 0:
            break
        print(f"  attempt {attempt}: {done}", flush=True)
        wait_for(lambda: all("dport=4501" not in line for router in (first, second) for line in
                             router.run("cat", "/proc/net/nf_conntrack").splitlines() if " udp " in line),
                 "the gateways to forget")
    done.ok()
    same(source, bench.path("got"))


@case("an offer that a busy peer refuses through a relay is made again, in growing pauses, and granted then")
def busy(bench):
    internet = Internet(bench)
    at = relay(bench, internet)
    seeder, _ = behind(bench, internet, 1, "seeder", at, **{"limits.grants-per-peer": "1"})
    getter, _ = behind(bench, internet, 2, "getter", at)
    large, small = bench.file("large", 48 * MIB), bench.file("small", MIB)
    tickets = [seeder.share(source) for source in (large, small)]
    refused = lambda: seeder.status()["offers"]["refused_busy"]  # noqa: E731
    first = bench.start("get", "--home", getter.home, tickets[0], "-o", "-", "--carrier", "udp")
    first.stdout.read(2 * MIB)  # what is not read holds the rest back, and with it the only flow
    equal(refused(), 0)
    second = bench.start("get", "--home", getter.home, "--json", tickets[1], "-o", bench.path("got"), "--carrier", "udp",
                         "--timeout", "60s")
    wait_for(lambda: refused() >= 2, "the offer to be repeated")
    first.kill()
    first.wait()
    bench.finish(second).ok()
    same(small, bench.path("got"))
    assert refused() <= 8, f"{refused()} offers were refused"


@case("gets that end while a direct way is still looked for end once, each with its file")
def ends(bench):
    internet = Internet(bench)
    at = relay(bench, internet)
    seeder, _ = behind(bench, internet, 1, "seeder", at)
    getter, _ = behind(bench, internet, 2, "getter", at)
    source = bench.file("file", 1000)
    ticket = seeder.share(source)
    for turn in range(4):
        runs = [bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path(f"got-{turn}-{number}"),
                            "--carrier", "stream", "--timeout", "60s") for number in range(6)]
        for number, run in enumerate(runs):
            bench.finish(run).ok()
            same(source, bench.path(f"got-{turn}-{number}"))


if __name__ == "__main__":
    main()
