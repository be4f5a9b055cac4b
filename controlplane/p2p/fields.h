/* Fields of a protobuf message as views into its bytes, for the few messages that the pure machines
 * read themselves. Readers take any order and skip what they do not know; groups and numbers out of
 * range are malformed. Writers emit minimal varints. */
#pragma once

#include "common/bytes.h"

struct haul_field {
    uint32_t number;
    bool is_bytes;       /* length-delimited: data and bytes; else a number in value */
    uint64_t value;      /* varint, or fixed 32 or 64 bits */
    const uint8_t *data; /* valid as long as the input is */
    size_t bytes;
};

/* The next field; false at the end, or with in->bad set where the message is malformed. */
bool haul_field_next(struct haul_in *in, struct haul_field *field);

void haul_field_write_bytes(struct haul_out *out, uint32_t number, const void *data, size_t bytes);
void haul_field_write_value(struct haul_out *out, uint32_t number, uint64_t value);
void haul_field_write_fixed64(struct haul_out *out, uint32_t number, uint64_t value);

/* How many bytes haul_field_write_bytes would write. */
size_t haul_field_bytes(uint32_t number, size_t bytes);
