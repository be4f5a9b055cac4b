/* The node starts again in the same process: for what cannot be begun twice in one program. Home,
 * standard descriptors and process id stay what they are; everything else is made anew. */
#pragma once

#include "controlplane/cmd/option.h"

/* With the options of before and one more setting ("dpdk.pages=ordinary"). Returns only when that
 * is not possible. */
void haul_node_again(const struct haul_options *options, const char *setting);
