/* Putting a tree, for the commands that put. */
#pragma once

#include "common/cid.h"
#include "controlplane/cmd/attach.h"

/* Walks `path` ("-": standard input), hands it to the node file by file, and says what was dropped.
 * `cid` is the text of the root. */
HAUL_MUST_USE int haul_put_run(const struct haul_options *options, struct haul_attach *attach,
                               const char *path, char cid[HAUL_CID_TEXT_BYTES],
                               struct haul_error *error);
