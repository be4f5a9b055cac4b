#!/usr/bin/env python3
"""Ports of DPDK with two queue pairs, each with a worker of its own: over vhost and virtio-user, where
the sender chooses the queue, and over af_packet, where the kernel does."""
from nodes import case, equal, main, same, wait_for
from ports import MIB, linked, memif, moves, pair, ports, settings, vhost

TWO = {"worker.count": "2"}
AF_PACKET = "net_af_packet0,iface={},framesz=2048,framecnt=1024,blocksz=4096,qpairs=2"


def queues(node, name):
    """That counter of each queue pair."""
    status = node.status()
    return [status[f"dpdk-{i}"][name] for i in range(status["dpdk"]["queues"])]


def workers(node, name):
    """That counter of each worker."""
    status = node.status()
    return [status[f"worker-{i}"][name] for i in range(status["worker"]["count"])]


def adds_up(node, name):
    """The sum that the port tells, once nothing moves."""
    status = node.status()
    return status["dpdk"][name] == sum(status[f"dpdk-{i}"][name] for i in (0, 1))


def gets_at_once(bench, pairs, size):
    """Several gets side by side: (seeder, getter, name)."""
    started = []
    for seeder, getter, name in pairs:
        ticket = seeder.share(bench.file(name, size))
        started.append((name, bench.start("get", "--home", getter.home, "--json", ticket, "-o",
                                          bench.path(name + ".got"), "--carrier", "dpdk")))
    for name, get in started:
        record = bench.finish(get).ok().object
        equal(list(record["bytes_by_carrier"]), ["dpdk"])
        same(bench.path(name), bench.path(name + ".got"))


def check_both_worked(node):
    status = node.status()
    equal((status["dpdk"]["queues"], status["dpdk"]["link_up"]), (2, 1))
    equal([status[f"dpdk-{i}"]["address"].rsplit(":", 1)[1] for i in (0, 1)], ["4501", "4502"])
    for name in ("tx_datagrams", "rx_datagrams"):
        assert min(queues(node, name)) > 10, (name, queues(node, name))
        wait_for(lambda name=name: adds_up(node, name), f"the sum of {name}")
    # What came to the wrong queue and found room is taken there.
    wait_for(lambda: sum(queues(node, "handed_over")) == sum(queues(node, "handed_in")),
             "all that was handed over to be taken")


@case("two nodes with two queue pairs fetch from each other over vhost, one worker each way")
def over_vhost(bench):
    a, b = vhost(bench, 2, **TWO)
    gets_at_once(bench, ((a, b, "there"), (b, a, "back")), 24 * MIB + 5)
    check_both_worked(a)
    check_both_worked(b)
    a.stop()
    b.stop()


@case("one get over vhost moves by both queue pairs and both workers of both nodes")
def one_get(bench):
    a, b = vhost(bench, 2, **TWO)

    def by_both(turn):
        """Whether either worker of either node moved a quarter: on a busy machine the second flow may come late."""
        before = workers(a, "served_bytes"), workers(b, "fetched_bytes"), queues(a, "tx_datagrams")
        record = moves(bench, a, b, f"tree {turn}", 96 * MIB)
        check_both_worked(a)
        check_both_worked(b)
        assert record["wire_bytes"] > record["bytes"], record
        wait_for(lambda: sum(workers(a, "served_bytes")) - sum(before[0]) > 92 * MIB, "the seeder to know")
        after = workers(a, "served_bytes"), workers(b, "fetched_bytes"), queues(a, "tx_datagrams")
        served, fetched, sent = ([n - m for m, n in zip(*each)] for each in zip(before, after))
        # Blocks leave by the queue pair of the worker that serves them.
        return min(served + fetched) > 24 * MIB and min(sent) > 24 * MIB // 1408

    assert any(by_both(turn) for turn in range(5)), "one worker always moved nearly all"
    a.stop()
    b.stop()


@case("beside a port whose interrupt is slept on, what comes over kernel UDP wakes the worker at once")
def kernel_beside(bench):
    a, b = vhost(bench)
    file = bench.file("file", 48 * MIB)  # which took minutes where only a timer woke it
    record = b.get(a.share(file), "-o", bench.path("got"), "--carrier", "udp", "--timeout", "25s").ok().object
    equal(list(record["bytes_by_carrier"]), ["udp"])
    same(file, bench.path("got"))


@case("two nodes with two queue pairs fetch from each other over af_packet, whatever queue the kernel takes")
def over_af_packet(bench):
    a, b = ports(bench, AF_PACKET, TWO)
    # The kernel's hash of addresses and ports knows nothing of workers: some of it, and all that tells
    # of neighbours, comes to one queue alone.
    for turn in range(2):
        gets_at_once(bench, ((a, b, f"there {turn}"), (b, a, f"back {turn}")), 4 * MIB)
        check_both_worked(a)
        check_both_worked(b)


@case("with ports alone, a peer that is killed while both its workers receive is met again by both")
def killed(bench):
    socket = bench.path("vhost")
    seeder, getter = pair(bench, f"net_vhost0,iface={socket},client=1,queues=2",
                          f"net_virtio_user0,path={socket},queues=2,server=1", **TWO, listen_udp="")
    small, ticket = bench.file("small", 4 * MIB), seeder.share(bench.file("large", 96 * MIB))
    gets = [bench.start("get", "--home", getter.home, "--json", ticket, "-o", bench.path(name),
                        "--carrier", "dpdk") for name in ("one", "two")]
    wait_for(lambda: min(queues(getter, "rx_datagrams")) > 500, "both workers to receive")
    getter.kill()
    for get in gets:
        bench.finish(get)
    getter.start()
    linked(seeder, getter)
    ticket = seeder.share(small)
    for name in ("three", "four"):  # a worker each
        getter.get(ticket, "-o", bench.path(name), "--carrier", "dpdk").ok()
        same(small, bench.path(name))
    assert min(queues(getter, "rx_datagrams")) > 100, queues(getter, "rx_datagrams")


@case("memif has one queue pair: the first worker's flows go over it, the second one has kernel UDP")
def over_memif(bench):
    a, b = pair(bench, memif(bench, "server"), memif(bench, "client"), **TWO)
    for turn in range(2):
        moves(bench, a, b, f"tree {turn}", 2 * MIB)
    for node in (a, b):
        equal(node.status()["dpdk"]["queues"], 1)
        assert "dpdk-1" not in node.status()
        equal(node.status()["worker-1"]["serves"] + node.status()["worker-1"]["fetches"], 0)
    alone = memif(bench, "server").replace("memif,", "another,")
    refused = bench.run("node", "--home", bench.path("alone"), "--json", "--set", "worker.count=2",
                        "--set", "listen.udp=", "--set", "listen.tcp=127.0.0.1:0",
                        *(word for key, value in settings(alone, 3).items()
                          if key.startswith("dpdk") for word in ("--set", f"{key}={value}")))
    refused.fails("config-key", "1 queue pair")


if __name__ == "__main__":
    main()
