/* Names and UTF-8. */
#include "controlplane/content/name.h"

#include <string.h>

/* Bytes of the character at `at`, or 0 when it is malformed. The bounds of the second byte exclude
 * overlong forms, surrogates and what lies beyond the last code point (RFC 3629, section 4). */
static size_t character_bytes(const uint8_t *at, size_t left)
{
    uint8_t first = at[0], low = 0x80, high = 0xbf;
    size_t bytes;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (left < bytes || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return bytes;
}

bool haul_utf8_valid(const char *text, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)text;

    while (bytes > 0) {
        size_t step = character_bytes(at, bytes);

        if (step == 0)
            return false;
        at += step;
        bytes -= step;
    }
    return true;
}

bool haul_name_allowed(const char *name, size_t bytes)
{
    if (bytes == 0 || bytes > HAUL_NAME_BYTES_MAX)
        return false;
    if (name[0] == '.' && (bytes == 1 || (bytes == 2 && name[1] == '.')))
        return false;
    return memchr(name, '/', bytes) == NULL && memchr(name, 0, bytes) == NULL &&
           haul_utf8_valid(name, bytes);
}

void haul_name_print(const char *name, size_t bytes, char text[HAUL_NAME_TEXT_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)name[i];

        if (at + sizeof "\\xNN..." > HAUL_NAME_TEXT_BYTES) {
            memcpy(text + at, "...", 3);
            at += 3;
            break;
        }
        if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
            text[at++] = (char)byte;
            continue;
        }
        text[at++] = '\\';
        text[at++] = 'x';
        text[at++] = hex[byte >> 4];
        text[at++] = hex[byte & 15];
    }
    text[at] = 0;
}
