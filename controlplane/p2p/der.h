/* DER elements (X.690) as cursors over the input, for the few structures that peers show: strict,
 * definite lengths in minimal form (10.1) up to 65535. */
#pragma once

#include "common/bytes.h"

enum haul_der_tag {
    HAUL_DER_INTEGER = 0x02,
    HAUL_DER_BITS = 0x03,
    HAUL_DER_OCTETS = 0x04,
    HAUL_DER_SEQUENCE = 0x30,
};

/* One element with that tag: a cursor over its content. Where it is malformed or another, both
 * cursors are bad. */
struct haul_in haul_der_read(struct haul_in *in, enum haul_der_tag tag);
