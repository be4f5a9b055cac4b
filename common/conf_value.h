/* One configuration value as text: is it what its kind and range allow, and which number is it?
 * Used by conf.c alone. Pure. */
#pragma once

#include "common/conf.h"

/* A number with its unit, by kind: COUNT, SIZE, RATE or DURATION. A fraction of up to nine digits
 * is allowed where there is a unit. False when malformed or beyond 63 bits. */
HAUL_MUST_USE bool haul_conf_number_parse(enum haul_conf_kind kind, const char *text, size_t bytes,
                                          uint64_t *number);

/* Checks a value against its key; lists are given joined by commas. Numbers, booleans (0 and 1)
 * come out in *number. False when it is not allowed. */
HAUL_MUST_USE bool haul_conf_value_check(enum haul_conf_key key, const char *text,
                                         uint64_t *number);

/* The next item of a list joined by commas, without blanks around it; false after the last. *cursor
 * starts at the text. An empty item comes out with no bytes. */
bool haul_conf_item_next(const char **cursor, const char **item, size_t *bytes);
HAUL_MUST_USE bool haul_conf_address_parse(const char *item, size_t bytes, struct haul_addr *addr);

/* `where` is where the text stands, for the refusal. A value of a weaker origin changes nothing. */
HAUL_MUST_USE int haul_conf_key_find(const char *where, const char *name, enum haul_conf_key *key,
                                     struct haul_error *error);
HAUL_MUST_USE int haul_conf_take(struct haul_conf *conf, const char *where, enum haul_conf_key key,
                                 const char *text, enum haul_conf_origin origin,
                                 struct haul_error *error);
