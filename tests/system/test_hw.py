#!/usr/bin/env python3
"""haul hw probe on this machine, and the profiles that docs/DPDK.md hands out."""
import glob
import os
import shutil
import subprocess

from nodes import HAUL, Done, Skip, case, contains, equal, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def rows(done, event):
    return [row for row in done.ok().objects if row["event"] == event]


@case("the probe tells of this machine, its ports and each backend, with a remedy where one fails")
def probe(bench):
    done = bench.run("hw", "probe", "--json")
    machine = rows(done, "machine")[0]
    equal(len(machine["cpus"]), os.sysconf("SC_NPROCESSORS_ONLN"))
    names = {row["name"] for row in rows(done, "port")}
    assert set(os.listdir("/sys/class/net")) - {"bonding_masters"} <= names, names
    backends = rows(done, "backend")
    assert {"udp-uring", "udp-mmsg", "dpdk-memif", "dpdk-vhost"} <= {row["backend"] for row in backends}
    for row in backends:
        assert row["reason"], row
        assert row["usable"] == (row["remedy"] is None), row
    assert next(row for row in backends if row["backend"] == "udp-mmsg")["usable"]
    text = bench.run("hw", "probe").ok().text
    for word in ("machine", "ports", "backends", "lo"):
        contains(text, word)


@case("a veth that is made in a namespace appears, and is offered to af_xdp and af_packet")
def veth(bench):
    holder = bench.popen(["unshare", "-n", "-m", "sh", "-c",
                          "ip link add one type veth peer name two && mount -t sysfs none /sys && echo up && "
                          "exec sleep 600"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if holder.stdout.readline() != b"up\n":
        raise Skip("a namespace with its own sysfs is refused here")
    process = bench.popen(["nsenter", "-t", str(holder.pid), "-n", "-m", HAUL, "hw", "probe", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    done = Done(["hw", "probe"], process.returncode, out, err, 0)
    port = next(row for row in rows(done, "port") if row["name"] == "one")
    equal((port["kind"], port["driver"], port["mtu"]), ("virtual", "veth", 1500))
    about = {row["backend"] for row in rows(done, "backend") if row["port"] == "one"}
    equal(about, {"dpdk-af_xdp", "dpdk-af_packet"})


@case("another word behind hw is refused with what there is")
def other(bench):
    done = bench.run("hw", "prob", "--json")
    equal(done.status, 2)
    contains(done.object["text"], "haul hw probe")


@case("every profile is a configuration that haul takes, and names a device")
def profiles(bench):
    found = sorted(set(glob.glob(os.path.join(ROOT, "conf/*.yaml"))) - {os.path.join(ROOT, "conf/haul.yaml")})
    assert len(found) >= 4, found
    if b"dpdk.device" not in bench.run("config").ok().out:
        raise Skip("this haul has no dpdk.device")
    for number, profile in enumerate(found):
        home = bench.directory(f"home{number}")
        shutil.copy(profile, os.path.join(home, "config.yaml"))
        done = bench.run("config", "dpdk.device", "--home", home)
        equal(done.status, 0, f"{profile}: {done}")
        contains(done.text, "net_" if "card" not in profile else "0000:3b", profile)


if __name__ == "__main__":
    main()
