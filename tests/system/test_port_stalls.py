#!/usr/bin/env python3
"""A port of DPDK whose queue is no longer taken from, in the middle of a transfer: the other end's process
stands still and comes back. What waited is dropped after a second, counted and told, and the transfer goes
on where it was."""
import os
import signal

from nodes import case, equal, main, wait_for
from ports import begin, ends_whole, moves, under_way, vhost


class Still:
    """A node whose process stands still meanwhile."""

    def __init__(self, node):
        self.node = node

    def __enter__(self):
        os.kill(self.node.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.node.pid, signal.SIGCONT)


def port(node):
    return node.status()["dpdk"]


def small(bench):
    """A seeder on vhost and a getter on virtio-user, with a ring between them that is smaller than the first
    window: it is full soon after nothing takes from it, at the latest when the flow takes everything for lost
    and begins anew, whatever rate the machine's load left to it. The transfer takes two seconds at least, so
    that it is not over before it is held up."""
    return vhost(bench, ring=32, flow_rate="400Mbit")


def getter_stands_still(bench, seeder, getter):
    command, _ = begin(bench, seeder, getter)
    before = port(seeder)["tx_full"]
    with Still(getter):
        wait_for(lambda: port(seeder)["tx_full"] > before, "the seeder's queue to be full")
    arrived = port(getter)["rx_datagrams"]
    wait_for(lambda: port(getter)["rx_datagrams"] > arrived, "what was held back")
    assert command.poll() is None, "the transfer is over already"
    before = port(seeder)["tx_stalls"]
    with Still(getter):
        wait_for(lambda: port(seeder)["tx_stalls"] > before, "the seeder to count a queue that stands still")
        wait_for(lambda: "dpdk-queue-stalled" in seeder.log(), "the seeder to tell of it")
    ends_whole(bench, command)
    found = port(seeder)
    assert found["tx_full"] > 0 and found["tx_dropped"] > 0, found
    equal((found["link_up"], found["link_downs"]), (1, 0))


@case("vhost: a seeder that stands still for good ends the get, which says how to go on; for a moment it does not")
def seeder_stands_still(bench):
    seeder, getter = vhost(bench)
    command, ticket = begin(bench, seeder, getter)
    with Still(seeder):
        bench.finish(command).fails("peer-gone", "stopped answering")
    command = under_way(bench, getter, ticket)
    with Still(seeder):
        # The getter has sent all that it had to say, and nothing comes.
        last = [0, 0]

        def is_quiet():
            now = port(getter)["rx_datagrams"]
            last[:] = [now, last[1] + 1 if now == last[0] else 0]
            return last[1] > 10

        wait_for(is_quiet, "nothing to arrive any more")
        assert command.poll() is None
    ends_whole(bench, command)


@case("vhost: the getter stands still for a moment, and for more than a second, and the transfer goes on")
def getter_of_vhost(bench):
    getter_stands_still(bench, *small(bench))


@case("virtio-user: the getter stands still for a moment, and for more than a second, and the transfer goes on")
def getter_of_virtio(bench):
    getter_stands_still(bench, *reversed(small(bench)))


@case("with few buffers all are held in mid-transfer, which is told, and goes on both ways")
def few_buffers(bench):
    """virtio-user's ring of receive buffers cannot be filled up again while trains hold the others."""
    first, second = vhost(bench, dpdk_buffers="512")
    command, _ = begin(bench, first, second)
    wait_for(lambda: "dpdk-no-buffer" in second.log(), "the getter to tell of it")
    ends_whole(bench, command)
    found = port(second)
    assert found["rx_no_frame"] > 0 and found["frames_free"] < 512, found
    moves(bench, second, first, "back")


if __name__ == "__main__":
    main(at_once=4)  # they mostly wait
