#!/usr/bin/env python3
"""Streams whose bulk threads seal and open: gets between real nodes."""
import os

from nodes import case, equal, main, same

MIB = 1 << 20
THREADS = {"stream.seal-threads": "2"}


@case("with threads that seal at both ends, or at one, a get over streams brings an equal tree")
def equal_trees(bench):
    tree = bench.directory("tree")
    for i in range(5):
        with open(os.path.join(tree, f"file{i}"), "wb") as file:
            file.write(bench.bytes(8 * MIB + 77 * i))
    for number, (mine, yours) in enumerate(((THREADS, THREADS), (THREADS, {}), ({}, THREADS))):
        seeder = bench.node(f"seeder{number}", settings=yours)
        getter = bench.node(f"getter{number}", settings=mine)
        got = bench.path(f"got{number}")
        record = bench.run("get", "--home", getter.home, "--json", seeder.share(tree), "-o", got,
                           "--carrier", "stream").ok().object
        equal(list(record["bytes_by_carrier"]), ["stream"])
        same(tree, got)
        for node, settings, what in ((seeder, yours, "sealed"), (getter, mine, "opened")):
            host = node.status()["host"]
            if settings == THREADS:
                equal(host["seal_threads"], 2)
                assert host[what + "_apart_bytes"] > 20 * MIB, (what, host[what + "_apart_bytes"])
        seeder.stop()
        getter.stop()


if __name__ == "__main__":
    main()
