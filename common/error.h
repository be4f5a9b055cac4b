/* What a person is told when something goes wrong: a stable code, what was wrong with what, and
 * what to do next. Codes are declared once in the table below; `haul explain CODE` and the
 * documentation are loops over it. A code, once released, keeps its meaning for ever. */
#pragma once

#include "common/base.h"

/* X(constant, "code", "what it means", "what to do next") */
#define HAUL_ERRORS(X)                                                                             \
    X(USAGE, "usage", "the command line does not make sense",                                      \
      "see `haul help` and `haul help COMMAND`")                                                   \
    X(CONFIG_KEY, "config-key", "an unknown configuration key or a value out of its range",        \
      "see `haul config` for every key, its range and its default")                                \
    X(CID_MALFORMED, "cid-malformed", "the text is not a CID that haul understands",               \
      "copy the whole CID; haul reads CIDv1 and CIDv0 with BLAKE3 or SHA2-256")                    \
    X(TICKET_MALFORMED, "ticket-malformed", "the text is not a ticket",                            \
      "copy the whole ticket as `haul share` printed it")                                          \
    X(ADDRESS_MALFORMED, "address-malformed", "the text is not a multiaddr that haul can use",     \
      "write /ip4/192.0.2.1/tcp/4501/p2p/PEER or /ip6/.../tcp/...")                                \
    X(PEER_MALFORMED, "peer-malformed", "the text is not a peer id",                               \
      "copy the whole peer id as `haul id` printed it")                                            \
    X(CID_UNKNOWN, "cid-unknown", "nobody who was asked has this dataset for us",                  \
      "check the CID, and that its holder shares it with this node (`haul share`)")                \
    X(PEER_MISMATCH, "peer-mismatch", "another peer answered at this address than the one asked",  \
      "ask the holder for a fresh ticket; somebody else has the address now")                      \
    X(PEER_NETWORK, "peer-network", "the peer is not of the same private network",                 \
      "compare `network` in `haul status` of both nodes; copy the same key file to both")          \
    X(PEER_FORBIDDEN, "peer-forbidden", "this node's configuration does not allow this peer",      \
      "see peers.allow and peers.deny in `haul config`")                                           \
    X(PEER_UNREACHABLE, "peer-unreachable", "no address of the peer answered",                     \
      "check that the peer runs (`haul status` there) and that a firewall lets its port through")  \
    X(PEER_PROTOCOL, "peer-protocol", "the peer broke the protocol and was disconnected",          \
      "update the older of the two nodes; report the code if both are current")                    \
    X(PEER_GONE, "peer-gone", "the peer went away before the transfer was complete",               \
      "run the command again when the peer is back")                                               \
    X(BLOCK_WRONG, "block-wrong", "a peer sent bytes that do not match the block's hash",          \
      "nothing wrong was stored; get the dataset from another peer")                               \
    X(CARRIER_FAILED, "carrier-failed", "the carrier that was asked for cannot reach the peer",    \
      "use --carrier auto, or check that UDP passes between the two nodes")                        \
    X(MANIFEST_HOSTILE, "manifest-hostile", "a directory names an entry that is not allowed",      \
      "nothing outside the target was touched; do not trust this dataset")                         \
    X(MANIFEST_BROKEN, "manifest-broken", "a node of the dataset is malformed or inconsistent",    \
      "the dataset was built by a faulty tool; nothing can be extracted from it")                  \
    X(PATH_UNKNOWN, "path-unknown", "the dataset has no such path", "list it with `haul ls`")      \
    X(TARGET_EXISTS, "target-exists", "the target exists already",                                 \
      "name another target or remove it first")                                                    \
    X(TARGET_UNWRITABLE, "target-unwritable", "the target cannot be written",                      \
      "check the directory's permissions and the free space")                                      \
    X(SOURCE_UNREADABLE, "source-unreadable", "a file or directory cannot be read",                \
      "check its permissions, or leave it out")                                                    \
    X(SOURCE_SPECIAL, "source-special", "a device, socket or pipe cannot be stored",               \
      "leave it out; files, directories and symbolic links can be stored")                         \
    X(SOURCE_NAME, "source-name", "a file name is not UTF-8",                                      \
      "rename the file; other systems could not name it either")                                   \
    X(SOURCE_CHANGED, "source-changed", "a file changed while it was read",                        \
      "put it again when nothing writes to it")                                                    \
    X(NODE_ABSENT, "node-absent", "no node runs in this home directory",                           \
      "start one with `haul node`, or name its home with --home")                                  \
    X(NODE_BUSY, "node-busy", "another node runs in this home directory",                          \
      "use it, or name another directory with --home")                                             \
    X(HOME_FORMAT, "home-format", "the home directory was written by an incompatible version",     \
      "use the version of haul that wrote it, or another directory with --home")                   \
    X(KEY_UNSAFE, "key-unsafe", "the identity key file is missing, malformed or open to others",   \
      "chmod 600 the file, or `haul init` in a new home")                                          \
    X(STORE_FAILED, "store-failed", "the block store failed",                                      \
      "check the disk, its free space and the log of the node")                                    \
    X(LIMIT, "limit", "a limit was reached",                                                       \
      "wait for running work to end, or raise the limit in the configuration")                     \
    X(REFUSED, "refused", "the peer that was asked, or this node, refused",                        \
      "see the reason given; each node decides what it serves and to whom")                        \
    X(TIMEOUT, "timeout", "the time given with --timeout ran out",                                 \
      "allow more time, or see `haul status` for what the transfer waited for")                    \
    X(CANCELLED, "cancelled", "the transfer was cancelled", "run it again")                        \
    X(SYSTEM, "system", "the operating system refused something haul needs",                       \
      "see the reason given")                                                                      \
    X(NOT_POSSIBLE, "not-possible", "this machine cannot do what was asked",                       \
      "see the reason given")                                                                      \
    X(DPDK_ABSENT, "dpdk-absent", "this haul was built without DPDK",                              \
      "build it where libdpdk-dev is installed, or leave dpdk.device empty")                       \
    X(DPDK_MEMORY, "dpdk-memory", "there are not enough free huge pages for DPDK",                 \
      "reserve some: echo 128 >/proc/sys/vm/nr_hugepages; or stop what holds them")                \
    X(DPDK_PAGES, "dpdk-pages", "the huge pages that DPDK had found free were taken by others",    \
      "start again, or set dpdk.pages to ordinary")                                                \
    X(DPDK_PERMISSION, "dpdk-permission", "this user may not use the device with DPDK",            \
      "see the reason given: run as root, or give the program the capability it names")            \
    X(DPDK_DEVICE, "dpdk-device", "DPDK cannot find or start the device",                          \
      "see the reason given; docs/DPDK.md lists devices and their drivers")                        \
    X(DPDK_BOUND, "dpdk-bound", "the card belongs to a driver of the kernel",                      \
      "bind it to vfio-pci (dpdk-devbind.py -b vfio-pci ADDRESS) unless you reach the machine by " \
      "it")                                                                                        \
    X(DPDK_IOMMU, "dpdk-iommu", "vfio-pci wants an IOMMU for the card, and there is none on",      \
      "boot with intel_iommu=on or amd_iommu=on, and enable VT-d or AMD-Vi in the firmware")       \
    X(DPDK_FAILED, "dpdk-failed", "DPDK refused to start",                                         \
      "see the reason given; log.level debug shows what DPDK says itself")                         \
    X(TARGET_NAME, "target-name", "the name or the path of the target cannot be used",             \
      "choose a name of at most 223 bytes: its part stands beside it under a longer one")          \
    X(SOURCE_DEPTH, "source-depth", "directories are nested too deeply to be stored",              \
      "put the inner ones by themselves; 200 inside each other can be stored")                     \
    X(VALUE_KEY, "value-key", "the text is not a key that the DHT keeps values under",             \
      "write /pk/PEER or /ipns/PEER; what nobody can validate nobody keeps")                       \
    X(VALUE_INVALID, "value-invalid", "the value is not a record that belongs to the key",         \
      "see the reason given; every peer of the DHT would refuse it too")                           \
    X(VALUE_OLD, "value-old", "a newer value of the key is there already",                         \
      "get that one (`haul dht get-value`), and put one with a higher sequence number")            \
    X(VALUE_UNKNOWN, "value-unknown",                                                              \
      "no peer of the DHT that was asked holds a value of the key",                                \
      "check the key; values run out after 48 hours unless they are put again")                    \
    X(INTERNAL, "internal", "haul contradicted itself", "report it, with the log of the node")

enum haul_error_code {
    HAUL_OK = 0,
#define X(constant, code, meaning, next) HAUL_E_##constant,
    HAUL_ERRORS(X)
#undef X
        HAUL_E_COUNT
};

/* Filled by whoever finds the fault; carried up unchanged. */
struct haul_error {
    enum haul_error_code code;
    char text[256]; /* what was wrong, with what: one clause without a full stop */
};

/* Sets *error (which may be NULL) and returns -1, so that a caller can `return haul_fail(...)`. */
int haul_fail(struct haul_error *error, enum haul_error_code code, const char *format, ...)
    HAUL_PRINTF(3, 4);

/* The stable code ("target-exists"), its meaning and what to do next. */
const char *haul_error_name(enum haul_error_code code);
const char *haul_error_meaning(enum haul_error_code code);
const char *haul_error_next(enum haul_error_code code);

/* The same command may succeed later, without a change to what it asks for or to where it runs. */
bool haul_error_again(enum haul_error_code code);

/* HAUL_E_COUNT when there is no such code. */
enum haul_error_code haul_error_find(const char *name);
