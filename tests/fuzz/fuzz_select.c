/* multistream-select, both roles: any bytes, cut anywhere, end in the same state and answer. The
 * first byte says how long the pieces are. */
#include "controlplane/p2p/select.h"

static const char *const names[] = { "/noise", "/yamux/1.0.0", "/ipfs/id/1.0.0" };

struct result {
    enum haul_select_state state;
    size_t left;
    size_t sent_bytes;
    uint8_t sent[2 * HAUL_SELECT_OUT_BYTES];
};

static void run(bool dialer, const uint8_t *data, size_t size, size_t piece, struct result *result)
{
    struct haul_select select;
    size_t at = 0;

    if (dialer)
        haul_select_dial(&select, names, HAUL_COUNT_OF(names));
    else
        haul_select_listen(&select, names, HAUL_COUNT_OF(names));
    result->sent_bytes = 0;
    do {
        size_t bytes = size - at < piece ? size - at : piece;
        struct haul_in in = haul_in_from(data + at, bytes);
        struct haul_out out = haul_out_to(result->sent + result->sent_bytes,
                                          sizeof result->sent - result->sent_bytes);

        result->state = haul_select_step(&select, &in, &out);
        result->sent_bytes = (size_t)(out.at - result->sent);
        at += bytes - haul_in_left(&in);
        haul_assert(haul_in_left(&in) == 0 || result->state != HAUL_SELECT_RUNNING);
    } while (at < size && result->state == HAUL_SELECT_RUNNING);
    result->left = size - at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct result whole, cut;

    if (size == 0)
        return 0;
    for (int dialer = 0; dialer < 2; dialer++) {
        run(dialer, data + 1, size - 1, SIZE_MAX, &whole);
        run(dialer, data + 1, size - 1, (size_t)data[0] + 1, &cut);
        haul_assert(whole.state == cut.state && whole.left == cut.left);
        haul_assert(whole.sent_bytes == cut.sent_bytes);
        haul_assert(memcmp(whole.sent, cut.sent, whole.sent_bytes) == 0);
        haul_assert(whole.sent_bytes <= HAUL_SELECT_OUT_BYTES);
    }
    return 0;
}
