/* Vectors are written in hex, as specifications print them. */
#pragma once

#include "common/base.h"

/* Decodes pairs of hex digits up to the end mark; returns the bytes written. Traps on a bad digit
 * or when they do not fit: vectors are ours. */
static inline size_t unit_hex(const char *text, uint8_t *data, size_t capacity)
{
    size_t bytes = 0;

    for (; text[0] != '\0'; text += 2) {
        unsigned value = 0;

        for (int i = 0; i < 2; i++) {
            char c = text[i];

            haul_assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
            value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        haul_assert(bytes < capacity);
        data[bytes++] = (uint8_t)value;
    }
    return bytes;
}
