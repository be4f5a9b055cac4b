/* How a connection fails: the first fault is the one that counts. */
#include "controlplane/p2p/conn_parts.h"

bool haul_conn_fail(struct haul_conn *conn, enum haul_conn_fault fault)
{
    if (conn->fault == HAUL_CONN_SOUND)
        conn->fault = fault;
    conn->phase = HAUL_CONN_OVER;
    conn->in_at = conn->in_end;
    return false;
}

const char *haul_conn_fault_name(enum haul_conn_fault fault)
{
    static const char *const names[HAUL_CONN_FAULT_COUNT] = {
        [HAUL_CONN_SOUND] = "sound",
        [HAUL_CONN_NOT_LIBP2P] = "not-libp2p",
        [HAUL_CONN_OTHER_NETWORK] = "other-network",
        [HAUL_CONN_NO_SECURITY] = "no-security",
        [HAUL_CONN_MALFORMED] = "malformed",
        [HAUL_CONN_FORGED] = "forged",
        [HAUL_CONN_IDENTITY] = "identity",
        [HAUL_CONN_OTHER_PEER] = "other-peer",
        [HAUL_CONN_NO_MUXER] = "no-muxer",
        [HAUL_CONN_MUXER_BROKEN] = "muxer-broken",
        [HAUL_CONN_LATE] = "late",
        [HAUL_CONN_STALLED] = "stalled",
    };

    return names[fault];
}
