#!/usr/bin/env python3
"""Rates over ports of DPDK, each beside its sealed pipe and dpdk-testpmd: the table of docs/decisions/0014.

ports.py [--build DIRECTORY] [--size 1G] [--rounds 3] [--only WORD] [--json]

One run of each case and of testpmd a round, so that no case has a better minute than another. `haul perf loop` measures
the round trip between the two cores before and after each run and its pipe, and makes again what straddled
two classes; figures of different classes are never mixed. Root gives af_xdp a network namespace of its own.
Without huge pages (640 MiB free) memif copies.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
HUGE_FREE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
HUGE_PAGES = 320
TESTPMD_SECONDS = 2
PMD_BYTES = 64 << 20  # for the buffers of a testpmd
FIELDS = 42 + 24 + 16  # of a frame beside its payload

DPDK = ("--carrier", "dpdk")
PLAIN = ("--hash", "none")
LARGE = ("--mtu", "9000")
# name, arguments of `haul perf loop`, share that it is held against, what that is a share of
CASES = (
    ("memif 1408 AES-128-GCM", (*DPDK, *PLAIN), 0.85, "pipe"),
    ("memif 8192 AES-128-GCM", (*DPDK, *PLAIN, *LARGE), 0.85, "pipe"),
    ("memif 1408 verified", DPDK, 0.9, "pipe"),
    ("memif 8192 verified", (*DPDK, *LARGE), 0.9, "pipe"),
    ("memif 1408 no cipher", (*DPDK, *PLAIN, "--cipher", "none"), 0.7, "pipe"),
    ("vhost 1408 AES-128-GCM", (*DPDK, *PLAIN, "--device", "vhost"), 0.85, "pipe"),
    ("af_xdp 1408 AES-128-GCM", (*DPDK, *PLAIN, "--device", "af_xdp"), 0.8, "testpmd"),
    ("kernel UDP verified", ("--carrier", "udp"), None, "pipe"),
)


def huge():
    return HUGE_FREE.exists() and int(HUGE_FREE.read_text(encoding="ascii")) >= HUGE_PAGES


class Namespace:
    """A network namespace with loopback and a veth pair haul0, haul1; None where it is refused."""

    SCRIPT = ("ip link set lo up && ip link add haul0 type veth peer name haul1 && "
              "sysctl -qw net.ipv6.conf.haul0.disable_ipv6=1 net.ipv6.conf.haul1.disable_ipv6=1 && "
              "ip link set haul0 up && ip link set haul1 up && echo up && exec sleep 3600")

    def __enter__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", self.SCRIPT], text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        up = self.holder.stdout.readline() == "up\n"
        return ("nsenter", "-t", str(self.holder.pid), "-n") if up else None

    def __exit__(self, *_):
        self.holder.terminate()
        self.holder.wait()


def loop(haul, inside, arguments, size):
    """One run that was kept: what its line says; or why there is none."""
    done = subprocess.run([*inside, haul, "perf", "loop", "--json", "--size", size, "--runs", "1", *arguments],
                          text=True, capture_output=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    runs = [line for line in lines if "run" in line and line["kept"]]
    if runs:
        return runs[-1]
    said = [line.get("message") or line.get("text") or line.get("error") for line in lines]
    return str(([s for s in said if s] or [done.stderr.strip() or "no run was kept"])[-1])[:120]


def testpmd(inside, sender, receiver, frame):
    """Gbit/s of frames of that length from one dpdk-testpmd to another, each on one core."""
    if shutil.which("dpdk-testpmd") is None:
        return None
    memory = ["--in-memory", "--single-file-segments"] if huge() else ["--no-huge"]
    cpus = sorted(os.sched_getaffinity(0))

    def start(role, device, mode, cpu):
        return subprocess.Popen(
            [*inside, "dpdk-testpmd", f"--lcores=0@{cpu},1@{cpu}", "-m", "128", "--no-pci", "--no-telemetry",
             *memory, f"--file-prefix=haul-pmd-{os.getpid()}-{role}", f"--vdev={device}", "--",
             f"--forward-mode={mode}", f"--txpkts={frame}", "--stats-period=1", "--burst=64",
             f"--total-num-mbufs={min(16384, PMD_BYTES // (frame + 512))}",
             f"--mbuf-size={max(2176, frame + 256)}", "--no-lsc-interrupt"],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    first = start("rx", receiver, "rxonly", cpus[-1])
    time.sleep(1)
    second = start("tx", sender, "txonly", cpus[0])
    time.sleep(1 + TESTPMD_SECONDS)
    second.terminate()
    first.terminate()
    text = first.communicate()[0]
    second.communicate()
    # What arrived, not what was to be sent; the seconds in which nothing came are start and end.
    rates = [int(rate) for rate in re.findall(r"Rx-bps:\s+(\d+)", text) if int(rate) > 0]
    return statistics.median(rates) / 1e9 if rates else None


def testpmds(inside, devices):
    """Of those devices, by their first word."""
    found = []
    with tempfile.TemporaryDirectory(prefix="haul-ports-") as directory:
        lends = ",zero-copy=yes" if huge() else ""
        memif = f"net_memif0,bsize=9216,socket={directory}/memif,socket-abstract=no,role="
        for payload in (1408, 8192) if "memif" in devices else ():
            rate = testpmd((), memif + "client" + lends, memif + "server", payload + FIELDS)
            found.append((f"testpmd memif {payload}", rate))
        if "vhost" in devices:
            rate = testpmd((), f"net_virtio_user0,path={directory}/vhost,queues=1,queue_size=1024",
                           f"net_vhost0,iface={directory}/vhost,queues=1", 1408 + FIELDS)
            found.append(("testpmd vhost 1408", rate))
        if inside is not None and "af_xdp" in devices:
            rate = testpmd(inside, "net_af_xdp0,iface=haul0", "net_af_xdp0,iface=haul1", 1408 + FIELDS)
            found.append(("testpmd af_xdp 1408", rate))
    return found


def flow_costs(build):
    """Nanoseconds that the flow's own work costs a datagram, sent and received."""
    done = subprocess.run([build / "perf/flow_bench", "blocks=512"], text=True, capture_output=True, check=False)
    return dict(re.findall(r"^\s+(output|input)\s+([\d.]+) ns", done.stdout, re.M))


def spread(values, form="{:.2f}"):
    middle, least, most = (form.format(v) for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}-{most})"


def report(cases, runs, missing, pmd, costs):
    print(f"\n{'case':26} {'cores':5} runs  {'Gbit/s':20} {'pipe':20} {'share':18} aim   core to core, ns")
    for name, _, aim, of in cases:
        if not runs[name]:
            print(f"{name:26} {missing[name]}")
        for cores in sorted({run["placement"] for run in runs[name]}):
            here = [run for run in runs[name] if run["placement"] == cores]
            rates = [run["bytes"] * 8 / 1e9 / run["seconds"] for run in here]
            pipes = [run["pipe_bytes_per_second"] * 8 / 1e9 for run in here if "pipe_bytes_per_second" in run]
            shares = [run["share_of_pipe"] for run in here if "share_of_pipe" in run]
            if of == "testpmd":
                pipes = pmd.get("testpmd af_xdp 1408", [])
                shares = [rate * (1408 + FIELDS) / 1408 / statistics.median(pipes) for rate in rates] if pipes else []
            ends = [run[key] for run in here for key in ("core_to_core_ns", "core_to_core_after_ns")]
            verdict = "" if aim is None or not shares else f"{aim:.2f} " + (
                "met" if statistics.median(shares) >= aim else "missed")
            print(f"{name:26} {cores:5} {len(here):4}  {spread(rates):20} {spread(pipes) if pipes else '-':20} "
                  f"{spread(shares) if shares else '-':18} {verdict:11} {min(ends):.0f}-{max(ends):.0f}")
    for title, rates in pmd.items():
        print(f"{title:26} {spread(rates) + ' Gbit/s of frames' if rates else 'not possible here'}")
    for what, cost in costs.items():
        print(f"flow, {what:20} {cost} ns a datagram; aim 30")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--size", default="1G")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true", help="the lines of the runs, and no table")
    asked = parser.parse_args()
    cases = [case for case in CASES if asked.only in case[0]]
    runs, missing, pmd = {case[0]: [] for case in cases}, {}, {}
    with Namespace() as inside:
        for number in range(asked.rounds):
            for name, arguments, _, _ in cases:
                veth = "af_xdp" in arguments
                if veth and inside is None:
                    missing[name] = "a network namespace is refused: run as root"
                    continue
                run = loop(asked.build / "controlplane/cmd/haul", inside if veth else (), arguments, asked.size)
                if isinstance(run, str):
                    missing[name] = run
                    continue
                run["case"] = name
                run["seconds"] = run["t100_s"]
                runs[name].append(run)
                if asked.json:
                    print(json.dumps(run), flush=True)
                else:
                    print(f"round {number + 1}  {name:26} {run['bytes'] * 8 / 1e9 / run['seconds']:6.2f} Gbit/s  "
                          f"share {run.get('share_of_pipe', 0):.2f}  core to core {run['core_to_core_ns']:.0f} "
                          f"{run['core_to_core_after_ns']:.0f} ns {run['placement']}", flush=True)
            for title, rate in testpmds(inside, {name.split()[0] for name, *_ in cases}):
                pmd.setdefault(title, []).extend([] if rate is None else [rate])
        if not asked.json:
            report(cases, runs, missing, pmd, flow_costs(asked.build))


main()
