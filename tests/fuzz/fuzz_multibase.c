/* Bytes encode and decode to themselves in every base; text that decodes has one spelling, but for
 * capitals. */
#include "common/multibase.h"

#include <string.h>

#define BYTES_MAX 300u

static void check_bytes(const uint8_t *data, size_t size)
{
    static const char prefixes[] = "fbkzu";
    char text[HAUL_MULTIBASE_TEXT_MAX * 2];
    uint8_t back[BYTES_MAX];

    for (const char *prefix = prefixes; *prefix != 0; prefix++) {
        ptrdiff_t length = haul_multibase_encode(*prefix, data, size, text, sizeof text);

        if (length < 0 || (size_t)length > HAUL_MULTIBASE_TEXT_MAX)
            continue;
        haul_assert(haul_multibase_decode(text, back, sizeof back) == (ptrdiff_t)size);
        haul_assert(memcmp(back, data, size) == 0);
    }
}

static void check_text(const uint8_t *data, size_t size)
{
    char text[HAUL_MULTIBASE_TEXT_MAX + 2], again[HAUL_MULTIBASE_TEXT_MAX * 2];
    uint8_t bytes[HAUL_MULTIBASE_TEXT_MAX];
    ptrdiff_t count;

    memcpy(text, data, size);
    text[size] = 0;
    count = haul_multibase_decode(text, bytes, sizeof bytes);
    if (count < 0)
        return;
    if (text[0] >= 'A' && text[0] <= 'Z')
        text[0] = (char)(text[0] - 'A' + 'a');
    haul_assert(haul_multibase_encode(text[0], bytes, (size_t)count, again, sizeof again) ==
                (ptrdiff_t)strlen(text));
    haul_assert(text[0] == 'z' || text[0] == 'u' ? strcmp(text, again) == 0
                                                 : strcasecmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[BYTES_MAX];

    check_bytes(data, size < BYTES_MAX ? size : BYTES_MAX);
    if (size <= HAUL_MULTIBASE_TEXT_MAX + 1)
        check_text(data, size);
    haul_assert(haul_base58_decode("", bytes, sizeof bytes) == 0);
    return 0;
}
