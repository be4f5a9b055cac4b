/* With whom a dataset is shared, as its row in the catalog says: whom it allows, and what a wish
 * makes of it. Pure; what is left when a wish is refused is not to be kept. */
#pragma once

#include "controlplane/datasets/catalog.h"

/* Whether the dataset is complete is not asked here. */
bool haul_shares_allow(const struct haul_dataset *dataset, const struct haul_peer_id *peer);

/* As haul_catalog_change says. */
HAUL_MUST_USE int haul_shares_change(struct haul_dataset *dataset,
                                     const struct haul_catalog_sharing *wish,
                                     struct haul_error *error);
