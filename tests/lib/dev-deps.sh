# Which Debian packages each kind of work needs, and how they are installed. Sourced by ./dev.
# "a|b" means: the first of these names that the distribution knows.

packages_build="gcc libc6-dev meson ninja-build pkg-config python3 libssl-dev libsodium-dev libprotobuf-c-dev
    protobuf-c-compiler protobuf-compiler liburing-dev liblmdb-dev libjansson-dev libcyaml-dev
    libyaml-dev uthash-dev libmnl-dev libc-ares-dev libcunit1-dev libblake3-dev|librust-blake3-dev git"
[ "$(uname -m)" = x86_64 ] && packages_build="$packages_build libipsec-mb-dev"
# DPDK 22.11: the net over cards that the kernel does not see, and the virtual devices of its tests.
packages_build="$packages_build libdpdk-dev librte-net-memif23|librte-net-memif24
    librte-net-virtio23|librte-net-virtio24 librte-net-vhost23|librte-net-vhost24
    librte-net-af-packet23|librte-net-af-packet24 librte-net-af-xdp23|librte-net-af-xdp24
    librte-net-null23|librte-net-null24 librte-bus-vdev23|librte-bus-vdev24
    librte-mempool-ring23|librte-mempool-ring24"
packages_test="clang-format-14|clang-format clang-14|clang binutils iproute2 iputils-ping nftables procps"
packages_fuzz="clang-14|clang libclang-rt-14-dev|libclang-rt-dev llvm-14|llvm"
packages_bench="iperf3"
packages_interop=""
# A virtual machine with cards (its kernel is fetched, not installed), and what binds and names them there.
packages_card="qemu-system-x86 busybox-static kmod pciutils dpdk librte-net-e1000-23|librte-net-e1000-24
    librte-net-vmxnet3-23|librte-net-vmxnet3-24 librte-net-tap23|librte-net-tap24"

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need KIND...: installs what is missing for these kinds of work. 77 when it cannot.
need() {
    local missing=() kind names name chosen updated=0
    for kind in "$@"; do
        names=packages_$kind
        for name in ${!names}; do
            chosen=
            for choice in ${name//|/ }; do
                installed "$choice" && chosen=$choice && break
            done
            [ -n "$chosen" ] || missing+=("$name")
        done
    done
    [ ${#missing[@]} = 0 ] && return 0
    command -v apt-get >/dev/null || {
        echo "haul is built on Debian; without apt-get, install by hand: ${missing[*]}" >&2
        return 77
    }
    local sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "not root and no sudo; ask an administrator to install: ${missing[*]}" >&2
            return 77
        }
        sudo=sudo
    fi
    echo "installing Debian packages: ${missing[*]}"
    local wanted=()
    $sudo apt-get update -qq >/dev/null 2>&1
    for name in "${missing[@]}"; do
        for choice in ${name//|/ }; do
            apt-cache show "$choice" >/dev/null 2>&1 && wanted+=("$choice") && break
        done
    done
    local log
    log=$(mktemp)
    if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${wanted[@]}" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 77
    fi
    rm -f "$log"
}

clang_format() { command -v clang-format-14 || command -v clang-format; }
