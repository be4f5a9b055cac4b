/* Whatever decodes or parses as a CID prints, parses and encodes back to itself. */
#include "common/cid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[HAUL_CID_TEXT_BYTES], input[256];
    uint8_t bytes[HAUL_CID_BYTES];
    struct haul_cid cid, back;

    if (haul_cid_decode(data, size, &cid)) {
        struct haul_out out = haul_out_to(bytes, sizeof bytes);

        haul_cid_encode(&out, &cid);
        haul_assert(!out.bad && out.at == out.end);
        haul_assert(haul_cid_decode(bytes, sizeof bytes, &back) && haul_cid_equal(&cid, &back));
        haul_cid_print(&cid, text);
        haul_assert(haul_cid_parse(text, &back) && haul_cid_equal(&cid, &back));
    }
    if (size >= sizeof input)
        return 0;
    memcpy(input, data, size);
    input[size] = 0;
    if (haul_cid_parse(input, &cid)) {
        haul_cid_print(&cid, text);
        haul_assert(haul_cid_parse(text, &back) && haul_cid_equal(&cid, &back));
    }
    return 0;
}
