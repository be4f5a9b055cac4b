#!/bin/bash
# ./dev demo: two nodes with their own keys, sockets and stores; one shares a real directory tree of 1
# to 2 GiB, the other gets it by ticket over the sealed UDP carrier; then the two trees are compared. A
# second pair of nodes moves a part of it over ports of DPDK that share memory, or it says why not.
#
#   demo.sh [MIB]     size of the tree, 1280 by default
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
haul=${HAUL:-$PWD/build/release/controlplane/cmd/haul}
mib=${1:-1280}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/haul-demo-XXXXXX") || exit 1
pids=()

finish() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() {
    echo "demo: $*" >&2
    for log in "$work"/*.log; do
        [ -s "$log" ] && echo "--- ${log##*/}" >&2 && tail -n 20 "$log" >&2
    done
    exit 1
}

need_mib=$((mib * 2 + mib / 2 + 256))
have_mib=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
[ "$have_mib" -ge "$need_mib" ] || {
    echo "demo: needs $need_mib MiB in ${work%/*}, which has $have_mib; name another place in TMPDIR"
    exit 77
}

# A tree that people know, copied so that nothing changes under us, filled up with generated files
# where this machine has less.
echo "collecting a tree of about $mib MiB from /usr/share and /usr/lib"
mkdir "$work/tree"
used=0
while read -r kib path; do
    [ $((used + kib)) -le $((mib * 1024)) ] || continue
    mkdir -p "$work/tree$(dirname "$path")"
    cp -a --no-preserve=ownership,xattr "$path" "$work/tree$path" 2>/dev/null || {
        rm -rf "${work:?}/tree$path"
        continue
    }
    used=$((used + kib))
done < <(du -sk /usr/share/* /usr/lib/* 2>/dev/null | sort -rn)
# What cannot be stored, or not read back by this user, is no part of a demonstration.
find "$work/tree" ! -type f ! -type d ! -type l -delete
find "$work/tree" -type f ! -readable -delete
number=0
while [ $((used + 65536)) -le $((mib * 1024)) ]; do
    mkdir -p "$work/tree/generated"
    head -c 67108864 /dev/urandom >"$work/tree/generated/$number"
    used=$((used + 65536))
    number=$((number + 1))
done
files=$(find "$work/tree" -type f | wc -l)
links=$(find "$work/tree" -type l | wc -l)
bytes=$(find "$work/tree" -type f -printf '%s\n' | awk '{ s += $1 } END { printf "%d", s }')
echo "the tree: $files files, $links symbolic links, $bytes bytes"

start_node() { # NAME: its own home, key, sockets and store
    "$haul" init --home "$work/$1" >"$work/$1.init" 2>&1 || fail "init of $1: $(cat "$work/$1.init")"
    "$haul" node --home "$work/$1" >"$work/$1.out" 2>"$work/$1.log" &
    pids+=($!)
    for _ in $(seq 100); do
        "$haul" status --home "$work/$1" >/dev/null 2>&1 && return 0
        kill -0 "${pids[-1]}" 2>/dev/null || fail "node $1 ended"
        sleep 0.1
    done
    fail "node $1 did not start"
}
start_node seeder
start_node getter
echo "two nodes: $("$haul" id --home "$work/seeder") and $("$haul" id --home "$work/getter")"

echo "share"
ticket=$("$haul" share --preserve --quiet --home "$work/seeder" "$work/tree") || fail "share"
ticket=$(printf '%s\n' "$ticket" | grep -o 'haul:[^ ]*' | tail -n 1)
[ -n "$ticket" ] || fail "share printed no ticket"
echo "ticket: $ticket"

echo "get"
"$haul" get --home "$work/getter" "$ticket" -o "$work/got" 2>&1 | tee "$work/get.txt"
[ "${PIPESTATUS[0]}" = 0 ] || fail "get"

echo "compare"
diff -r --no-dereference "$work/tree" "$work/got" >"$work/diff" || {
    head "$work/diff"
    fail "the trees differ"
}
list() { (cd "$1" && find . -printf '%y %P %l %m\n' | LC_ALL=C sort); }
diff <(list "$work/tree" | sed 's/ 0*[1-7]\([0-7]\{3\}\)$/ \1/') <(list "$work/got") >"$work/diff" || {
    head "$work/diff"
    fail "types, links or modes differ"
}
echo "equal: bytes, links and modes of $files files and $links links"

# The same record is in the log of the node that fetched.
python3 - "$work/getter.log" "$work/get.txt" <<'PYTHON' || fail "less than 95 % came over udp"
import json, re, sys
records = [json.loads(m) for m in re.findall(r'\{"event":\s*"transfer".*\}', open(sys.argv[1]).read())]
if not records:
    sys.exit("no record in the log")
carried = records[-1]["bytes_by_carrier"]
share = carried.get("udp", 0) / max(1, sum(carried.values()))
print(f"by carrier: {carried}; udp {100 * share:.2f} %")
sys.exit(0 if share >= 0.95 else 1)
PYTHON

# --- the same over DPDK ---

part=$work/tree
if [ "$bytes" -gt 536870912 ]; then
    mkdir "$work/part" && part=$work/part
    kib=0
    while read -r size path; do
        [ $((kib + size)) -le 393216 ] || continue
        cp -a "$path" "$part/" && kib=$((kib + size))
    done < <(du -sk "$work"/tree/usr/share/* "$work"/tree/generated/* 2>/dev/null | sort -rn)
fi

row() { # what a get printed: its size and its rate
    sed -n 's/^ *\(size\|rate\) *\(.*\)/\2/p' "$1" | head -n 2 | paste -sd ' ' | sed 's/, every block verified/,/'
}

port_node() { # NAME NUMBER ROLE
    "$haul" init --home "$work/$1" >"$work/$1.init" 2>&1 || return 1
    "$haul" node --home "$work/$1" --set listen.tcp=127.0.0.1:0 --set listen.udp=127.0.0.1:0 \
        --set "dpdk.device=net_memif0,role=$3,socket=$work/memif,socket-abstract=no" \
        --set "dpdk.addresses=10.77.0.$2/24" --set fast.networks=10.77.0.0/24 \
        --set dpdk.pages=ordinary >"$work/$1.out" 2>"$work/$1.log" &
    pids+=($!)
    for _ in $(seq 100); do
        "$haul" status --home "$work/$1" >/dev/null 2>&1 && return 0
        kill -0 "${pids[-1]}" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}
over_dpdk() {
    port_node port-seeder 1 server && port_node port-getter 2 client || return 1
    ticket=$("$haul" share --preserve --quiet --home "$work/port-seeder" "$part" | grep -o 'haul:[^ ]*' |
        tail -n 1)
    "$haul" get --home "$work/port-getter" "$ticket" -o "$work/port-got" --carrier dpdk \
        >"$work/port-get.txt" 2>&1 && diff -r --no-dereference "$part" "$work/port-got" >"$work/diff"
}
if over_dpdk; then
    dpdk=$(row "$work/port-get.txt")
else
    dpdk="not shown: $(grep -h '^haul: ' "$work"/port-*.log "$work"/port-get.txt 2>/dev/null | head -n 1)"
    case $dpdk in *dpdk-absent* | *dpdk-device*) ;; *) fail "dpdk: $dpdk" ;; esac
fi
echo
echo "udp            $(row "$work/get.txt")"
echo "dpdk (memif)   $dpdk"
