/* A peer id that is read prints to texts that read back as the same one; any text is safe to read.
 */
#include "controlplane/p2p/peerid.h"

#include <string.h>

static void check_round_trip(const struct haul_peer_id *id)
{
    char text[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_peer_id back;

    haul_peer_id_print(id, text);
    haul_assert(haul_peer_id_parse(text, &back) && haul_peer_id_equal(&back, id));
    haul_peer_id_print_cid(id, text);
    haul_assert(haul_peer_id_parse(text, &back) && haul_peer_id_equal(&back, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_peer_id id;
    char text[600];

    if (haul_peer_id_decode(data, size, &id))
        check_round_trip(&id);
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = '\0';
        if (haul_peer_id_parse(text, &id))
            check_round_trip(&id);
    }
    return 0;
}
