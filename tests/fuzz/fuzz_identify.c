/* The identify message: views stay inside the input. */
#include "controlplane/behaviours/identify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_identify identify;

    if (!haul_identify_decode(data, size, &identify))
        return 0;
    if (identify.agent != NULL)
        haul_assert((const uint8_t *)identify.agent >= data &&
                    (const uint8_t *)identify.agent + identify.agent_bytes <= data + size);
    if (identify.public_key != NULL)
        haul_assert(identify.public_key >= data &&
                    identify.public_key + identify.public_key_bytes <= data + size);
    return 0;
}
