#!/usr/bin/env python3
"""The style of this tree, as a test: ./dev lint, and part of ./dev test.

lint.py BUILD-DIRECTORY   (a release build: the purity check reads its libraries)

Each check is a function that yields complaints; the closing line counts checks.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release").resolve()

# Which folders a folder's files may include from, itself apart. Longest prefix wins. Layers point
# strictly down and neither plane includes the other; controlplane/cmd composes both.
LAYERS = {
    "common": [],
    "hw": ["common"],
    "dataplane/ethernet": ["common"],
    "dataplane/flow": ["common", "dataplane/aead/aead.h"],
    "dataplane/aead": ["common"],
    "dataplane/net": ["common", "hw", "dataplane/ethernet"],
    "dataplane/store": ["common", "hw"],
    "dataplane": ["common", "hw", "dataplane"],
    "controlplane/p2p": ["common"],
    "controlplane/content": ["common"],
    "controlplane/host": ["common", "hw", "controlplane/p2p"],
    "controlplane/seam": ["common", "controlplane/host"],
    "controlplane/datasets": ["common", "controlplane/p2p", "controlplane/content", "controlplane/host",
                              "controlplane/seam"],
    "controlplane/grants": ["common", "controlplane/p2p", "controlplane/host", "controlplane/seam",
                            "controlplane/datasets"],
    "controlplane/behaviours": ["common", "hw", "controlplane/p2p", "controlplane/host", "controlplane/seam",
                                "controlplane/datasets", "controlplane/grants"],
    "controlplane/nat": ["common", "hw", "controlplane/p2p", "controlplane/host", "controlplane/behaviours"],
    "controlplane/dht": ["common", "hw", "controlplane/p2p", "controlplane/host", "controlplane/behaviours"],
    "controlplane/transfer": ["common", "hw", "controlplane/p2p", "controlplane/content", "controlplane/host",
                              "controlplane/ticket.h", "controlplane/usage.h", "controlplane/seam", "controlplane/datasets",
                              "controlplane/grants", "controlplane/behaviours", "controlplane/dht"],
    "controlplane/ctl": ["common", "hw", "controlplane/p2p", "controlplane/host", "controlplane/home.h"],
    "controlplane/node": ["common", "hw", "controlplane"],
    "controlplane/cmd": ["common", "hw", "dataplane/dataplane.h", "controlplane", "dataplane/net/net.h",
                         "dataplane/store/store.h", "perf"],
    "controlplane": ["common", "hw", "controlplane/p2p", "controlplane/host"],
    "perf": ["common", "hw", "dataplane"],
    "conf": [],
    "tests": ["common", "hw", "dataplane", "controlplane", "tests", "perf"],
}

# Names of other people's libraries, and the only files that may use them.
DPDK = r"\b(rte|RTE)_"
THIRD_PARTY = {
    r"\bio_uring_": ["dataplane/net/net_uring.c", "dataplane/store/io_uring.c"],
    r"\bIMB_": ["dataplane/aead/", "common/chacha_poly.c"],
    DPDK: ["dataplane/net/dpdk/", "perf/pipe_port"],
    r"\bmdb_": ["controlplane/datasets/catalog"],
    r"\bjson_(object|array|string|integer|real|dump)": ["controlplane/transfer/record", "controlplane/cmd/",
                                                        "controlplane/ctl/"],
    r"\bblake3_hasher_": ["common/hash.c"],
    r"\byaml_|\bcyaml_": ["common/conf"],
    r"\bares_": ["controlplane/dht/names.c"],
    r"\bmnl_": ["dataplane/net/", "hw/"],
    r"\bCLOCK_MONOTONIC\b": ["common/clock.c", "dataplane/worker.c"],
    r"\b__atomic_|\batomic_": ["common/counters.h", "common/ring.c", "hw/placement"],
}

BANNED = [
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|alloca|strtok)\s*\(", "banned function"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "unfinished by its own words"),
    (r"\btypedef\s+(struct|union|enum)\b", "typedef of a struct, union or enum"),
]

# What the pure libraries may leave undefined (docs/STYLE.md, purity).
PURE = {
    "dataplane/flow/libflow.a": r"haul_\w+|mem(cpy|set|cmp|move)|str(len|cmp|ncmp)",
    "dataplane/ethernet/libethernet.a": r"haul_\w+|mem(cpy|set|cmp|move)|__cpu_model",
    "controlplane/p2p/libp2p.a": r"haul_\w+|mem(cpy|set|cmp|move|chr)|str(len|cmp|ncmp|chr|nlen)"
                                 r"|(EVP|OPENSSL|CRYPTO|OSSL|BN|ECDSA|EC|d2i|i2d|RAND|SSL|BIO|X509|ASN1|OBJ|ERR|TLS)_\w+|protobuf_c_\w+"
                                 r"|(sodium|crypto_stream_xsalsa20)_\w+",
}
COMPILER = r"__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(popcount|clz|ctz|udiv|umod)\w+"

LINES_MAX_C = 800
LINES_MAX_H = 250
FUNCTION_MAX = 70
COLUMNS_MAX = 100


def tracked(*suffixes):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True,
                           capture_output=True, check=False).stdout.split("\n")
    if names == [""]:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
                 if p.is_file() and "build" not in p.parts and ".git" not in p.parts]
    return [n for n in sorted(set(names)) if n.endswith(suffixes) and (ROOT / n).is_file()]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def layers():
    for name in tracked(".c", ".h"):
        room = max((p for p in LAYERS if name.startswith(p + "/")), key=len, default=None)
        if room is None:
            yield f"{name}: lies in no layer"
            continue
        own = str(pathlib.Path(name).parent)
        for number, line in enumerate(text(name).split("\n"), 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not found or found[1].endswith(".pb-c.h"):
                continue
            target = found[1]
            if target.startswith(own + "/") or target.startswith(room + "/"):
                continue
            if not any(target == a or target.startswith(a + "/") for a in LAYERS[room]):
                yield f"{name}:{number}: {room} may not include {target}"


def third_party():
    for name in tracked(".c", ".h"):
        if name.startswith("tests/"):
            continue
        body = re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"', "", text(name), flags=re.S)
        for pattern, homes in THIRD_PARTY.items():
            if name.startswith("perf/") and pattern != DPDK: # rate tests may call what they measure
                continue
            if re.search(pattern, body) and not any(name.startswith(h) for h in homes):
                yield f"{name}: uses {pattern} outside {', '.join(homes)}"


def words():
    for name in tracked(".c", ".h"):
        for number, line in enumerate(text(name).split("\n"), 1):
            for pattern, why in BANNED:
                if re.search(pattern, line):
                    yield f"{name}:{number}: {why}"
        if re.search(r"(^|/)(util|utils|helper|misc)\.[ch]$", name):
            yield f"{name}: a file needs a noun for its name"


def sizes():
    for name in tracked(".c", ".h"):
        lines = text(name).split("\n")
        cap = LINES_MAX_C if name.endswith(".c") else LINES_MAX_H
        if len(lines) > cap:
            yield f"{name}: {len(lines)} lines, at most {cap}"
        start = None
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield f"{name}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
            if line.endswith((" ", "\t")):
                yield f"{name}:{number}: blank at the end of the line"
            if line == "{":
                start = number
            elif line.startswith("}") and start is not None:
                if number - start - 1 > FUNCTION_MAX:
                    yield f"{name}:{start}: a function of {number - start - 1} lines, at most {FUNCTION_MAX}"
                start = None


def headers():
    for name in tracked(".h"):
        if "#pragma once" not in text(name):
            yield f"{name}: no #pragma once"
        if name.startswith(("tests/",)):
            continue
        if not text(name).lstrip().startswith("/*"):
            yield f"{name}: does not open with what it is"


def purity():
    for library, allowed in PURE.items():
        path = BUILD / library
        if not path.exists():
            yield f"{library}: not built in {BUILD.name}"
            continue
        listing = subprocess.run(["nm", "-u", str(path)], text=True, capture_output=True,
                                 check=False).stdout
        symbols = set(re.findall(r"^\s+U (\S+)", listing, re.M))
        if not symbols:
            yield f"{library}: nothing to check"
        for symbol in sorted(symbols):
            if symbol == "haul_clock_read" or \
                    not re.fullmatch(f"{allowed}|{COMPILER}", symbol.split("@")[0]):
                yield f"{library}: needs {symbol}: not pure"


def calls():
    """Which file of the program calls which, by the symbols of the objects in the build."""
    defined, needed = {}, {}
    for path in BUILD.rglob("*.c.o"):
        target = path.parent.relative_to(BUILD).parent
        if target.parts[:1] == ("tests",):
            continue
        sources = [p for p in (ROOT / target).rglob("*.c")
                   if str(p.relative_to(ROOT / target)).replace("/", "_") == path.name[:-2]]
        if not sources:
            continue # left over from a file that is no more
        name = str(sources[0].relative_to(ROOT))
        listing = subprocess.run(["nm", str(path)], text=True, capture_output=True, check=False).stdout
        needed[name] = set(re.findall(r"^\s+U (\S+)", listing, re.M))
        for symbol in re.findall(r"^\S+ [TDRBVW] (\S+)", listing, re.M):
            defined[symbol] = name
    return {name: {defined[s] for s in symbols if s in defined} - {name} for name, symbols in needed.items()}


def circles():
    """Layers point down inside a room as well: no files call each other in a loop."""
    graph = calls()
    if not graph:
        yield f"no objects in {BUILD.name}"
    reach = {}
    for name in graph:
        seen, todo = set(), [name]
        while todo:
            for other in graph.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        reach[name] = seen
    told = set()
    for name in sorted(graph):
        loop = sorted(other for other in reach[name] if name in reach.get(other, ()))
        if not loop or name in told:
            continue
        told.update(loop)
        yield f"{' '.join(loop)}: call each other in a circle"


def integers():
    for name in tracked(".c", ".h"):
        if name.startswith(("dataplane/flow/", "dataplane/ethernet/")):
            body = re.sub(r"/\*.*?\*/|\"(\\.|[^\"])*\"", "", text(name), flags=re.S)
            if re.search(r"\b(float|double)\b", body):
                yield f"{name}: floating point: a seed must give one trace with any compiler"


def format_():
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None:
        yield "clang-format is missing"
        return
    names = tracked(".c", ".h")
    done = subprocess.run([tool, "--dry-run", "--Werror"] + names, cwd=ROOT, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        bad = sorted(set(re.findall(r"^([^:\s]+\.[ch]):", done.stderr, re.M)))
        for name in bad:
            yield f"{name}: not formatted (./dev fmt)"


def tests_exist():
    """Every module has a test that includes its header, or a line in untested.txt with the reason. A
    file without a header of its own (conn_out.c) belongs to the module it is named after (conn.h)."""
    known = text("tests/lint/untested.txt").split("\n")
    reasons = {line.split(None, 1)[0] for line in known if line and not line.startswith("#")}
    bodies = "".join(text(n) for n in tracked(".c", ".h") if n.startswith(("tests/", "perf/")))
    for name in tracked(".c"):
        if name.startswith(("tests/", "perf/", "controlplane/cmd/")) or name in reasons:
            continue
        stem = name[:-2]
        headers = [stem + ".h"]
        while "_" in stem.rsplit("/", 1)[1]:
            stem = stem.rsplit("_", 1)[0]
            headers.append(stem + ".h")
        if not any(f'"{header}"' in bodies for header in headers):
            yield f"{name}: no test includes {headers[0]}"
    for name in reasons:
        if not (ROOT / name).exists():
            yield f"tests/lint/untested.txt: {name} is no more"


def places():
    for name in tracked(".c", ".h", ".md", ".py", ".sh", ".build", ".json", ".yaml", ".toml", "dev", "run"):
        for number, line in enumerate(text(name).split("\n"), 1):
            if re.search(r"https?://[a-z0-9.-]*(registry|proxy|index|deb)\.", line):
                yield f"{name}:{number}: names a registry host"


def named_things():
    """What ARCHITECTURE.md names exists: its files, and its functions as definitions in C."""
    page = text("docs/ARCHITECTURE.md")
    for name in sorted(set(re.findall(r"`((?:common|controlplane|dataplane|hw|tests|conf|docs)/[\w/.]*)`", page))):
        if not (ROOT / name).exists():
            yield f"docs/ARCHITECTURE.md names {name}, which is not there"
    bodies = "\n".join(text(n) for n in tracked(".c"))
    for name in sorted(set(re.findall(r"`(haul_\w+)`", page))):
        if not re.search(rf"^[^\s#/].*\b{name}\(", bodies, re.M):
            yield f"docs/ARCHITECTURE.md names {name}(), which is not there"


def lines_with_tests(page):
    """Every line of its table names tests, and they exist: functions of unit tests, cases of system tests,
    fuzz targets, tests of the simulator."""
    for row in [line.split("|") for line in text(page).split("\n") if line.startswith("| ")][1:]:
        named, body = 0, ""
        for word, file, quoted, case in re.findall(
                r"\b(unit|system|sim|fuzz) ([\w, -]+?)(?=[:;]|\s*$)|`(\w+)`|\"([^\"]+)\"", row[3].strip()):
            if word:
                body = ""
                for name in file.split(", ") if word == "fuzz" else [file]:
                    path = {"unit": f"tests/unit/test_{name}.c", "system": f"tests/system/test_{name}.py",
                            "sim": "tests/sim/meson.build", "fuzz": f"tests/fuzz/fuzz_{name}.c"}[word]
                    if not (ROOT / path).exists() or (word == "sim" and f"test('{name}'" not in text(path)):
                        yield f"{page}: {row[1].strip()}: there is no {word} {name}"
                        continue
                    body, named = text(path), named + (word in ("sim", "fuzz"))
            elif (f"static void {quoted}(void)" if quoted else f'"{case}"') in body:
                named += 1
            else:
                yield f"{page}: {row[1].strip()}: no test there is called {quoted or case}"
        if not named:
            yield f"{page}: {row[1].strip()}: names no test"


def advisories():
    yield from lines_with_tests("docs/SECURITY-TESTS.md")


def faults():
    """The same for what may happen to a port; what tells of it is counted or logged, and every cause for
    which a frame is dropped has a line."""
    page = "docs/FAULT-TESTS.md"
    yield from lines_with_tests(page)
    headers = "\n".join(text(n) for n in tracked(".h"))
    code = headers + "\n".join(text(n) for n in tracked(".c"))
    told = {name for line in text(page).split("\n") if line.startswith("| ")
            for name in re.findall(r"`([\w-]+)`", line.split("|")[2])}
    for name in sorted(told):
        found = f'"{name}"' in code if "-" in name else re.search(
            rf"\bX\({name.removeprefix('ether_')}, ", headers)
        if not found:
            yield f"{page}: nothing tells {name}"
    drops = re.search(r"define HAUL_ETHER_DROPS\(X\)(.*?)\n\n", text("dataplane/ethernet/packet.h"), re.S)[1]
    for name in re.findall(r"X\((\w+),", drops):
        if f"ether_{name}" not in told:
            yield f"{page}: no line for ether_{name}"


CHECKS = [layers, third_party, words, sizes, headers, purity, circles, integers, format_, tests_exist, places,
          named_things, advisories, faults]


def main():
    passed = failed = 0
    for check in CHECKS:
        complaints = list(check())
        for complaint in complaints[:40]:
            print(complaint)
        if len(complaints) > 40:
            print(f"... and {len(complaints) - 40} more of {check.__name__}")
        print(f"{'ok    ' if not complaints else 'FAILED'} {check.__name__.strip('_')}")
        passed, failed = passed + (not complaints), failed + bool(complaints)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
