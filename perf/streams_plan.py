"""What perf/streams.py measures when it measures everything: groups of cells, and the aims that each
group decides. A ratio is made of cells of one group and one round, which follow one another."""
import collections
import json
import time

Cell = collections.namedtuple("Cell", "what peer security rtt_ms streams link")
Step = collections.namedtuple("Step", "round group cells seconds")
Aim = collections.namedtuple("Aim", "group text least form of")
PLAIN = ("tcp", "fast", "pipe", "byte")  # not a libp2p stream: once, whatever the security and the streams
STACKS = ("go", "rust", "js", "js-warm")
GIGABIT = 125000000
ROUNDS = 5        # of the groups that decide an aim
TABLE_ROUNDS = 3  # of those that only fill the tables
SECONDS = 1
FIRST_SLACK = 0.05  # of a round trip: what processors may take


def rates(security, rtt, names, streams=1, link=0):
    return [Cell("rate", name, "none" if name in PLAIN else security, rtt, 1 if name in PLAIN else streams, link)
            for name in names]


def firsts(security):
    return [Cell("first", name, "none" if name in PLAIN else security, 60, 1, 0)
            for name in ("haul", "byte", "go", "rust", "js")]


AIM_GROUPS = {
    "noise": rates("noise", 0, ["go", "haul", "pipe", "rust", "js", "js-warm", "tcp"]),
    "tls": rates("tls", 0, ["go", "haul", "rust", "js", "js-warm"]),
    "far": rates("noise", 60, ["rust", "haul", "tcp", "go", "js", "js-warm"]),
    "with go": rates("noise", 0, ["haul>go", "go", "go>haul"]),
    "with rust": rates("noise", 0, ["haul>rust", "rust", "rust>haul"]),
    "with js": rates("noise", 0, ["haul>js-warm", "js-warm", "js-warm>haul"]),
    "link": rates("noise", 60, ["haul"], link=GIGABIT),
    "first noise": firsts("noise"),
    "first tls": firsts("tls"),
}
STEADY = "far, steady"  # a second at 60 ms is for the better part the growth of windows: the same without
LONGER = {"link": 2, STEADY: 4}
TABLE_GROUPS = {
    STEADY: rates("noise", 60, ["rust", "haul", "tcp"]),
    "4 ms": rates("noise", 4, ["haul", "go", "rust", "rust-fixed", "js", "tcp"]),
    "20 ms": rates("noise", 20, ["haul", "go", "rust", "rust-fixed", "js", "tcp"]),
    "fixed": rates("noise", 0, ["rust-fixed", "fast"]) + rates("noise", 60, ["rust-fixed"]),
    "100 near": rates("noise", 0, ["haul", "rust", "rust-fixed"], 100) + rates("noise", 4, ["haul", "rust", "rust-fixed"], 100),
    "100 far": rates("noise", 20, ["haul", "rust", "rust-fixed"], 100) + rates("noise", 60, ["haul", "rust", "rust-fixed"], 100),
}


def best(values):
    """Of the other stacks with themselves; None unless each of them was measured."""
    found = [values.get(name) for name in STACKS if name in values]
    return max(found) if len({name[:2] for name in STACKS if name in values}) == 3 else None


def over(top, bottom):
    return top / bottom if top and bottom else None


def of_both(most, values):
    """The smaller of 4 times the best of them and 0.7 of plaintext TCP."""
    if not most or not values.get("tcp"):
        return None
    return over(values.get("haul"), min(4 * most, 0.7 * values["tcp"]))


def with_peer(text, pair, alone):
    return Aim("with " + alone.split("-")[0], text, 0.95, "x", lambda values: over(values.get(pair), values.get(alone)))


AIMS = [
    Aim("noise", "one stream, loopback, Noise, beside the best of go, rust, js", 2, "x",
        lambda values: over(values.get("haul"), best(values))),
    Aim("noise", "the same beside the sealed stream pipe", 0.85, "x",
        lambda values: over(values.get("haul"), values.get("pipe"))),
    Aim("tls", "one stream, loopback, TLS, beside the best of them", 2, "x",
        lambda values: over(values.get("haul"), best(values))),
    Aim("far", "60 ms, beside the smaller of 4 x the best of them and 0.7 x plaintext TCP", 1, "x",
        lambda values: of_both(best(values), values)),
    Aim(STEADY, "the same for four seconds, beside rust, the best of them there", 1, "x",
        lambda values: of_both(values.get("rust"), values)),
    with_peer("haul to go, beside go with itself", "haul>go", "go"),
    with_peer("go to haul", "go>haul", "go"),
    with_peer("haul to rust, beside rust with itself", "haul>rust", "rust"),
    with_peer("rust to haul", "rust>haul", "rust"),
    with_peer("haul to js, beside js with itself", "haul>js-warm", "js-warm"),
    with_peer("js to haul", "js-warm>haul", "js-warm"),
    Aim("link", "60 ms on a link of 1 Gbit/s, its start included", 0.9, "of it",
        lambda values: over(values.get("haul"), GIGABIT)),
    Aim("first noise", "connect, authenticate, first byte, Noise, at 60 ms", -3, "round trips",
        lambda values: over(values.get("haul"), values.get("byte"))),
    Aim("first tls", "the same, TLS", -3, "round trips", lambda values: over(values.get("haul"), values.get("byte"))),
]


def met(aim, value):
    """A negative aim is a most."""
    return value >= aim.least if aim.least > 0 else value <= -aim.least + FIRST_SLACK


def plan(rounds):
    for turn in range(rounds):
        for group, cells in AIM_GROUPS.items():
            yield Step(turn, group, cells, SECONDS * LONGER.get(group, 1))
        for group, cells in TABLE_GROUPS.items() if turn < TABLE_ROUNDS else ():
            yield Step(turn, group, cells, SECONDS * LONGER.get(group, 1))


def resume(path, steps):
    """The last run in the file that has not ended, and how many of its steps are done; or a new run."""
    done = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in map(json.loads, file):
                if line.get("done"):
                    done.setdefault(line["run"], set()).add((line["round"], line["group"]))
    except FileNotFoundError:
        pass
    if done:
        last = max(done)
        count = sum((step.round, step.group) in done[last] for step in steps)
        if count < len(steps):
            return last, count
    return int(time.time()), 0
