/* The keys of the configuration, each declared once; conf.h says where values come from and what
 * they look like. */
#pragma once

/* X(CONSTANT, "section.key", KIND, "default", "range", "meaning"). Range: the choices for CHOICE;
 * "least..most" for numbers, with a word before it ("none|1..8", "auto|1..8") when the number may
 * be left out or is the node's to find. */
#define HAUL_CONF_KEYS(X)                                                                          \
    X(LISTEN_TCP, "listen.tcp", ADDRESSES, "0.0.0.0:4501, [::]:4501", NULL,                        \
      "where to listen for libp2p connections; without an entry: nowhere")                         \
    X(LISTEN_UDP, "listen.udp", ADDRESSES, "0.0.0.0:4501, [::]:4501", NULL,                        \
      "where the fast path sends from and receives; further workers take the ports after it")      \
    X(FAST_NETWORKS, "fast.networks", NETWORKS, "", NULL,                                          \
      "networks in which the fast path may be tried whatever the scope of the control connection") \
    X(NET_BACKEND, "net.backend", CHOICE, "auto", "auto|uring|mmsg",                               \
      "how datagrams are sent and received; auto takes io_uring where the kernel allows it")       \
    X(NET_RECEIVE_BUFFER, "net.receive-buffer", SIZE, "8MiB", "64KiB..1GiB",                       \
      "the kernel's receive buffer to ask for, a socket")                                          \
    X(DPDK_DEVICE, "dpdk.device", TEXT, "", NULL,                                                  \
      "the port that the fast path has beside the kernel: 0000:3b:00.0, or "                       \
      "net_af_xdp0,iface=eth1; without one, none and DPDK is not started")                         \
    X(DPDK_ADDRESSES, "dpdk.addresses", TEXT, "", NULL,                                            \
      "IP addresses of that port with the length of their networks: 192.0.2.7/24, 2001:db8::7/64") \
    X(DPDK_GATEWAYS, "dpdk.gateways", TEXT, "", NULL,                                              \
      "where that port sends what is not for its own networks: 192.0.2.1, 2001:db8::1")            \
    X(DPDK_PORT, "dpdk.port", COUNT, "4501", "1..65535", "UDP port on it")                         \
    X(DPDK_MTU, "dpdk.mtu", COUNT, "1500", "1280..9600",                                           \
      "the largest IP packet that the port's network carries")                                     \
    X(DPDK_VLAN, "dpdk.vlan", COUNT, "none", "none|1..4094", "VLAN of its frames")                 \
    X(DPDK_SEGMENTATION, "dpdk.segmentation", CHOICE, "auto", "auto|off",                          \
      "auto: the card cuts trains into datagrams where its driver has that; off: haul always")     \
    X(DPDK_PAGES, "dpdk.pages", CHOICE, "auto", "auto|huge|ordinary",                              \
      "memory of DPDK; auto takes huge pages where enough are free; a card needs them")            \
    X(DPDK_MEMORY, "dpdk.memory", COUNT, "none", "none|64..65536",                                 \
      "MiB of memory for DPDK; none: what its queues need")                                        \
    X(DPDK_BUFFERS, "dpdk.buffers", COUNT, "none", "none|512..1048576",                            \
      "frames that the port has room for; none: as many as its queues and workers hold")           \
    X(STORE_KIND, "store.kind", CHOICE, "file", "file|memory",                                     \
      "where stored blocks live; memory forgets them at the end")                                  \
    X(STORE_BACKEND, "store.backend", CHOICE, "auto", "auto|uring|posix",                          \
      "how files are read and written; auto takes io_uring where the kernel allows it")            \
    X(STORE_DIRECTORY, "store.directory", TEXT, "blocks", "a directory",                           \
      "directory of the block store; a relative one is inside the home directory")                 \
    X(SLOTS_FILLING, "slots.filling", COUNT, "80", "8..65536",                                     \
      "MiB of memory for blocks that are being received, divided among the workers")               \
    X(SLOTS_SERVING, "slots.serving", COUNT, "80", "8..65536",                                     \
      "MiB of memory for blocks that are being sent, divided likewise")                            \
    X(SLOTS_CONTROL, "slots.control", COUNT, "32", "4..4096",                                      \
      "MiB of memory for blocks that the control plane reads, writes or streams")                  \
    X(FLOW_CONGESTION, "flow.congestion", CHOICE, "bbr", "bbr|ledbat|fixed",                       \
      "how the rate follows the path; ledbat yields to other traffic, fixed is for rate tests")    \
    X(FLOW_RATE, "flow.rate", RATE, "none", "none|100kbit..1Tbit",                                 \
      "the most that one flow sends; with fixed congestion control, the rate itself")              \
    X(FLOW_WANTS, "flow.wants", COUNT, "256", "1..2048",                                           \
      "blocks that may be asked for at once from one peer")                                        \
    X(FLOW_LANES, "flow.lanes", COUNT, "8", "1..8",                                                \
      "flows of one get with one peer, where both have a worker for each; further ones than the "  \
      "first are at most half of limits.grants-per-peer")                                          \
    X(CIPHER_BACKEND, "cipher.backend", CHOICE, "auto", "auto|ipsec-mb|openssl",                   \
      "who computes the fast path's ciphers; auto measures at start")                              \
    X(WORKER_COUNT, "worker.count", COUNT, "1", "1..8",                                            \
      "workers of the data plane, a core and a UDP port each: each flow runs on one of them")      \
    X(WORKER_CPU, "worker.cpu", COUNT, "none", "none|0..4095",                                     \
      "processor on which the data plane's worker stays; further workers have the ones after it")  \
    X(WORKER_SPIN, "worker.spin", BOOL, "false", NULL,                                             \
      "poll instead of sleeping: lower delay for one whole processor")                             \
    X(STREAM_SEAL_THREADS, "stream.seal-threads", COUNT, "auto", "auto|0..8",                      \
      "threads that seal and open bulk of libp2p streams over Noise; auto: half of the cores "     \
      "beyond those of the workers and the control thread, at most 4")                             \
    X(STREAM_CONNECTIONS, "stream.connections", COUNT, "auto", "auto|1..8",                        \
      "connections with one peer that a get over streams makes use of; auto: as many as there "    \
      "are threads that seal")                                                                     \
    X(HASH_DEFAULT, "hash.default", CHOICE, "blake3", "blake3|sha2-256",                           \
      "hash of what is put without --hash")                                                        \
    X(LIMITS_CONNECTIONS, "limits.connections", COUNT, "256", "1..65536",                          \
      "libp2p connections at once")                                                                \
    X(LIMITS_CONNECTIONS_OF_PEERS, "limits.connections-of-peers", COUNT, "192", "1..65536",        \
      "of these, opened by peers")                                                                 \
    X(LIMITS_CONNECTIONS_PER_PEER, "limits.connections-per-peer", COUNT, "8", "1..65536",          \
      "libp2p connections with one peer")                                                          \
    X(LIMITS_CONNECTIONS_PER_ADDRESS, "limits.connections-per-address", COUNT, "64", "1..65536",   \
      "libp2p connections from one IP address, or one /64 of IPv6")                                \
    X(LIMITS_HALF_OPEN, "limits.half-open", COUNT, "64", "1..65536",                               \
      "connections whose peer is not proven yet; the oldest makes room for a new one")             \
    X(LIMITS_HALF_OPEN_PER_ADDRESS, "limits.half-open-per-address", COUNT, "32", "1..65536",       \
      "of these, from one IP address, or one /64 of IPv6; its oldest makes room likewise")         \
    X(LIMITS_STREAMS, "limits.streams", COUNT, "4096", "1..1000000",                               \
      "streams opened by peers, of all connections together")                                      \
    X(LIMITS_STREAM_MEMORY, "limits.stream-memory", SIZE, "256MiB", "1MiB..64GiB",                 \
      "received bytes that may wait for this node, of all streams together; a quarter of it for "  \
      "one connection")                                                                            \
    X(LIMITS_STREAM_WINDOWS, "limits.stream-windows", SIZE, "1GiB", "1MiB..64GiB",                 \
      "by which the receive windows of all streams together may grow")                             \
    X(PEERS_ALLOW, "peers.allow", TEXT, "", NULL,                                                  \
      "peer ids, or @FILE of them: with an entry, everybody else is kept out")                     \
    X(PEERS_DENY, "peers.deny", TEXT, "", NULL, "peer ids, or @FILE of them, that are kept out")   \
    X(PEERS_MDNS, "peers.mdns", CHOICE, "off", "on|off",                                           \
      "whether peers on the same link are looked for, and told of this node (multicast DNS)")      \
    X(LIMITS_GRANTS_PER_PEER, "limits.grants-per-peer", COUNT, "4", "1..64",                       \
      "live fast-path grants to one peer")                                                         \
    X(LIMITS_GRANTS_PER_ADDRESS, "limits.grants-per-address", COUNT, "16", "1..64",                \
      "live fast-path grants to one IP address")                                                   \
    X(SECURITY_ORDER, "security.order", CHOICE, "noise,tls", "noise,tls|tls,noise|noise|tls",      \
      "which secure channel connections use: when dialling the first that the peer speaks")        \
    X(PRIVATE_KEY_FILE, "private.key-file", TEXT, "", NULL,                                        \
      "key of a private network (/key/swarm/psk/1.0.0/): only peers that have it are met")         \
    X(DHT_MODE, "dht.mode", CHOICE, "off", "off|client|server|auto",                               \
      "whether the node joins a DHT: off; asking alone; or answering as well; auto: it answers "   \
      "while it can be reached from elsewhere")                                                    \
    X(DHT_PREFIX, "dht.prefix", TEXT, "/haul", "a path such as /haul; /ipfs is the public one",    \
      "which DHT: the protocol is this and /kad/1.0.0")                                            \
    X(DHT_BOOTSTRAP, "dht.bootstrap", LIST, "",                                                    \
      "multiaddrs that end in /p2p/PEER; /dnsaddr and /dns names are resolved",                    \
      "whom to call to join the DHT")                                                              \
    X(DHT_ADDRESSES, "dht.addresses", CHOICE, "public", "public|any",                              \
      "which addresses of peers are believed and told; private clusters say any")                  \
    X(DHT_PER_NETWORK, "dht.per-network", COUNT, "3", "none|1..512",                               \
      "how many peers of one network (IPv4 /16, IPv6 /32) the routing table takes")                \
    X(DHT_REPUBLISH, "dht.republish", DURATION, "22h", "1s..44h",                                  \
      "how often announced datasets are announced again; records live for 48h")                    \
    X(RELAY_SERVE, "relay.serve", CHOICE, "false", "false|true|auto",                              \
      "whether this node is a relay for peers that nobody can dial; auto: while it can be "        \
      "reached from elsewhere itself")                                                             \
    X(RELAY_USE, "relay.use", LIST, "", "multiaddrs that end in /p2p/PEER, at most 4",             \
      "relays at which this node keeps a place, so that it can be reached through them")           \
    X(RELAY_PLACES, "relay.places", COUNT, "128", "1..4096",                                       \
      "peers that a relay keeps a place for")                                                      \
    X(RELAY_PLACES_PER_ADDRESS, "relay.places-per-address", COUNT, "8", "1..4096",                 \
      "of these, from one IP address, or one /64 of IPv6")                                         \
    X(RELAY_PLACE_TIME, "relay.place-time", DURATION, "1h", "2s..24h",                             \
      "how long a place lasts unless it is renewed")                                               \
    X(RELAY_CIRCUITS, "relay.circuits", COUNT, "64", "1..4096",                                    \
      "connections that a relay passes on at once")                                                \
    X(RELAY_CIRCUITS_PER_PEER, "relay.circuits-per-peer", COUNT, "16", "1..4096",                  \
      "of these, to or from one peer")                                                             \
    X(RELAY_PACE_PER_PEER, "relay.pace-per-peer", COUNT, "30", "1..10000",                         \
      "places that one peer may ask a relay for in a minute, and likewise connections")            \
    X(RELAY_PACE_PER_NETWORK, "relay.pace-per-network", COUNT, "120", "1..10000",                  \
      "likewise all peers of one network (IPv4 /16, IPv6 /32)")                                    \
    X(RELAY_CIRCUIT_TIME, "relay.circuit-time", DURATION, "2m", "none|1s..24h",                    \
      "after so long a relay cuts a connection off")                                               \
    X(RELAY_CIRCUIT_BYTES, "relay.circuit-bytes", SIZE, "128KiB", "none|16KiB..1TiB",              \
      "after so many bytes each way a relay cuts a connection off; none: it carries data")         \
    X(PUNCH_ENABLED, "punch.enabled", BOOL, "true", NULL,                                          \
      "whether a direct way is looked for to peers that were met through a relay (DCUtR)")         \
    X(PUNCH_ADDRESSES, "punch.addresses", CHOICE, "public", "public|any",                          \
      "which addresses are told and knocked at for that; private networks say any")                \
    X(NAT_MAP, "nat.map", CHOICE, "off", "auto|off",                                               \
      "whether the gateway of this network is asked to forward this node's ports "                 \
      "(PCP, NAT-PMP, UPnP; over IPv6, to let them in: PCP)")                                      \
    X(NAT_SERVE, "nat.serve", CHOICE, "auto", "auto|on|off",                                       \
      "whether peers that ask are dialled, to tell them if they can be reached (AutoNAT); auto: "  \
      "while this node can be reached itself")                                                     \
    X(DNS_SERVERS, "dns.servers", LIST, "", "servers such as 192.0.2.1:53",                        \
      "who resolves names in multiaddrs; without an entry: whom the system asks")                  \
    X(LOG_LEVEL, "log.level", CHOICE, "info", "error|warn|info|debug",                             \
      "the least important lines that are still logged")                                           \
    X(CONTROL_GROUP, "control.group", TEXT, "", NULL,                                              \
      "group that may use the control socket too; without one, its owner alone")
