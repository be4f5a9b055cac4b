#!/usr/bin/env python3
"""A wire on which everything takes its time, as this kernel delays nothing by itself.

    slow_wire.py MILLISECONDS      then a line "A B" on standard input: joins these two interfaces

What comes in at one of a pair leaves at the other so much later, in order. Each line is answered by one
when the pair is joined."""
import collections
import select
import socket
import sys
import time

EVERY_PROTOCOL = 0x0003
SOL_PACKET, IGNORE_OUTGOING = 263, 23

delay = int(sys.argv[1]) / 1000
other = {}  # socket to that at the other end
on_the_way = collections.deque()  # (when it arrives, socket, frame)


def tap(name):
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    made.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind((name, 0))
    return made


while True:
    wait = max(0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
    for ready in select.select([sys.stdin, *other], [], [], wait)[0]:
        if ready is sys.stdin:
            words = sys.stdin.readline().split()
            if not words:
                sys.exit(0)
            first, second = map(tap, words)
            other[first], other[second] = second, first
            print("joined", flush=True)
        else:
            frame = ready.recv(1 << 16)
            on_the_way.append((time.monotonic() + delay, other[ready], frame))
    while on_the_way and on_the_way[0][0] <= time.monotonic():
        _, way, frame = on_the_way.popleft()
        try:
            way.send(frame)
        except OSError:
            pass  # lost, as frames are
