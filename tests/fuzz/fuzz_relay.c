/* Messages of a relay, hop, stop and voucher by the first byte: views stay inside the input, and
 * what is read can be written and read again. */
#include "controlplane/p2p/relay_message.h"

#include <string.h>

static void message(const uint8_t *data, size_t size, bool stop)
{
    static struct haul_relay_message read, again;
    static uint8_t written[4 * HAUL_RELAY_MESSAGE_MAX];
    struct haul_out out = haul_out_to(written, sizeof written);

    if (!haul_relay_decode(data, size, stop, &read))
        return;
    haul_assert(read.address_count <= HAUL_RELAY_ADDRESSES_MAX);
    haul_assert(read.voucher == NULL ||
                (read.voucher >= data && read.voucher + read.voucher_bytes <= data + size));
    haul_relay_encode(&read, stop, &out);
    if (out.bad)
        return; /* a voucher longer than ours may be */
    haul_assert(haul_relay_decode(written, (size_t)(out.at - written), stop, &again));
    haul_assert(again.kind == read.kind && again.has_peer == read.has_peer &&
                again.has_limit == read.has_limit && again.limit.bytes == read.limit.bytes &&
                again.limit.seconds == read.limit.seconds && again.expires == read.expires &&
                again.address_count == read.address_count &&
                again.voucher_bytes == read.voucher_bytes &&
                haul_peer_id_equal(&again.peer, &read.peer));
    if (read.kind == HAUL_RELAY_STATUS)
        haul_assert(again.status == read.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_relay_voucher voucher;

    if (size == 0)
        return 0;
    if (data[0] % 3 != 2)
        message(data + 1, size - 1, data[0] % 3 == 1);
    else if (haul_relay_voucher_open(data + 1, size - 1, &voucher))
        haul_assert(voucher.relay.length > 0 && voucher.peer.length > 0);
    return 0;
}
