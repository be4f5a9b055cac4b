/* Two families: bases that are a power of two go bit by bit (RFC 4648 without padding), bases 36
 * and 58 are one big number with leading zero digits kept, which costs the square of the length:
 * hence the cap on the text. Left-over bits must be zero, so that bytes have one spelling in each
 * base. */
#include "common/multibase.h"

#include <string.h>

struct base {
    char prefix;
    bool any_case; /* digits and prefix are understood in capitals too */
    uint8_t radix;
    uint8_t bits; /* of one digit; 0: not a power of two */
    const char *digits;
};

static const struct base bases[] = {
    { 'f', true, 16, 4, "0123456789abcdef" },
    { 'b', true, 32, 5, "abcdefghijklmnopqrstuvwxyz234567" },
    { 'k', true, 36, 0, "0123456789abcdefghijklmnopqrstuvwxyz" },
    { 'z', false, 58, 0, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz" },
    { 'u', false, 64, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" },
};

static const struct base *base_find(char prefix, bool capitals)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(bases); i++) {
        if (bases[i].prefix == prefix ||
            (capitals && bases[i].any_case && bases[i].prefix - 'a' + 'A' == prefix))
            return &bases[i];
    }
    return NULL;
}

/* The value of a digit, or -1. */
static int digit_value(const struct base *base, char digit)
{
    const char *at;

    if (base->any_case && digit >= 'A' && digit <= 'Z')
        digit = (char)(digit - 'A' + 'a');
    at = digit == 0 ? NULL : strchr(base->digits, digit);
    return at == NULL ? -1 : (int)(at - base->digits);
}

static ptrdiff_t decode_bits(const struct base *base, const char *text, size_t length,
                             uint8_t *data, size_t capacity)
{
    uint32_t held = 0;
    unsigned held_bits = 0;
    size_t bytes = 0;

    for (size_t i = 0; i < length; i++) {
        int value = digit_value(base, text[i]);

        if (value < 0)
            return -1;
        held = held << base->bits | (uint32_t)value;
        held_bits += base->bits;
        if (held_bits >= 8) {
            if (bytes == capacity)
                return -1;
            held_bits -= 8;
            data[bytes++] = (uint8_t)(held >> held_bits);
            held &= (1u << held_bits) - 1;
        }
    }
    /* A whole spare digit, or bits that belong to no byte: another spelling of the same bytes. */
    return held != 0 || held_bits >= base->bits ? -1 : (ptrdiff_t)bytes;
}

static ptrdiff_t encode_bits(const struct base *base, const uint8_t *data, size_t bytes, char *text,
                             size_t capacity)
{
    uint32_t held = 0;
    unsigned held_bits = 0;
    size_t length = 0;

    if ((bytes * 8 + base->bits - 1) / base->bits >= capacity)
        return -1;
    for (size_t i = 0; i < bytes; i++) {
        held = held << 8 | data[i];
        held_bits += 8;
        while (held_bits >= base->bits) {
            held_bits -= base->bits;
            text[length++] = base->digits[held >> held_bits];
            held &= (1u << held_bits) - 1;
        }
    }
    if (held_bits > 0)
        text[length++] = base->digits[held << (base->bits - held_bits)];
    text[length] = 0;
    return (ptrdiff_t)length;
}

static ptrdiff_t decode_number(const struct base *base, const char *text, size_t length,
                               uint8_t *data, size_t capacity)
{
    uint8_t number[HAUL_MULTIBASE_TEXT_MAX]; /* little-endian; a digit is less than a byte */
    size_t zeros = 0, used = 0;

    while (zeros < length && text[zeros] == base->digits[0])
        zeros++;
    for (size_t i = zeros; i < length; i++) {
        int value = digit_value(base, text[i]);
        uint32_t carry = (uint32_t)value;

        if (value < 0)
            return -1;
        for (size_t at = 0; at < used; at++) {
            carry += (uint32_t)number[at] * base->radix;
            number[at] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0)
            number[used++] = (uint8_t)carry;
    }
    if (zeros + used > capacity)
        return -1;
    memset(data, 0, zeros);
    for (size_t i = 0; i < used; i++)
        data[zeros + i] = number[used - 1 - i];
    return (ptrdiff_t)(zeros + used);
}

static ptrdiff_t encode_number(const struct base *base, const uint8_t *data, size_t bytes,
                               char *text, size_t capacity)
{
    uint8_t number[HAUL_MULTIBASE_TEXT_MAX]; /* little-endian digits */
    size_t zeros = 0, used = 0;

    while (zeros < bytes && data[zeros] == 0)
        zeros++;
    for (size_t i = zeros; i < bytes; i++) {
        uint32_t carry = data[i];

        for (size_t at = 0; at < used; at++) {
            carry += (uint32_t)number[at] << 8;
            number[at] = (uint8_t)(carry % base->radix);
            carry /= base->radix;
        }
        while (carry != 0) {
            if (used == sizeof number)
                return -1;
            number[used++] = (uint8_t)(carry % base->radix);
            carry /= base->radix;
        }
    }
    if (zeros + used >= capacity)
        return -1;
    memset(text, base->digits[0], zeros);
    for (size_t i = 0; i < used; i++)
        text[zeros + i] = base->digits[number[used - 1 - i]];
    text[zeros + used] = 0;
    return (ptrdiff_t)(zeros + used);
}

static ptrdiff_t base_decode(const struct base *base, const char *text, uint8_t *data,
                             size_t capacity)
{
    size_t length = strnlen(text, HAUL_MULTIBASE_TEXT_MAX + 1);

    if (length > HAUL_MULTIBASE_TEXT_MAX)
        return -1;
    return base->bits != 0 ? decode_bits(base, text, length, data, capacity)
                           : decode_number(base, text, length, data, capacity);
}

static ptrdiff_t base_encode(const struct base *base, const uint8_t *data, size_t bytes, char *text,
                             size_t capacity)
{
    /* Longer bytes would give text that no decoder of ours looks at. */
    if (bytes > HAUL_MULTIBASE_TEXT_MAX)
        return -1;
    return base->bits != 0 ? encode_bits(base, data, bytes, text, capacity)
                           : encode_number(base, data, bytes, text, capacity);
}

ptrdiff_t haul_multibase_decode(const char *text, uint8_t *data, size_t capacity)
{
    const struct base *base = text[0] == 0 ? NULL : base_find(text[0], true);

    return base == NULL ? -1 : base_decode(base, text + 1, data, capacity);
}

ptrdiff_t haul_base58_decode(const char *text, uint8_t *data, size_t capacity)
{
    return base_decode(base_find('z', false), text, data, capacity);
}

ptrdiff_t haul_multibase_encode(char base, const uint8_t *data, size_t bytes, char *text,
                                size_t capacity)
{
    const struct base *found = base_find(base, false);
    ptrdiff_t length;

    haul_assert(found != NULL);
    if (capacity < 2)
        return -1;
    length = base_encode(found, data, bytes, text + 1, capacity - 1);
    if (length < 0)
        return -1;
    text[0] = base;
    return length + 1;
}

ptrdiff_t haul_base58_encode(const uint8_t *data, size_t bytes, char *text, size_t capacity)
{
    return base_encode(base_find('z', false), data, bytes, text, capacity);
}
