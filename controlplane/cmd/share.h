/* Sharing, for the commands that share. */
#pragma once

#include "controlplane/cmd/attach.h"

/* Shares the dataset as the options say and prints what share prints. */
HAUL_MUST_USE int haul_share_run(const struct haul_options *options, struct haul_attach *attach,
                                 const char *cid, struct haul_error *error);
