/* Which names a directory entry may have. The names of a fetched dataset come from strangers: what
 * is not allowed here could escape the target directory or be two spellings of one entry. */
#pragma once

#include "common/base.h"

#define HAUL_NAME_BYTES_MAX 255u

/* 1 to 255 bytes of well-formed UTF-8 without NUL and without '/', and neither "." nor "..". */
bool haul_name_allowed(const char *name, size_t bytes);

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF). */
bool haul_utf8_valid(const char *text, size_t bytes);

/* A name for a message: everything that is not printable ASCII as \xNN, cut with "..." at the end
 * of the space. */
#define HAUL_NAME_TEXT_BYTES 128u

void haul_name_print(const char *name, size_t bytes, char text[HAUL_NAME_TEXT_BYTES]);
