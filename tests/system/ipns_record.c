/* ipns_record SEED VALUE SEQUENCE SECONDS FILE: writes an IPNS record of the key that the number
 * SEED makes, good for so many seconds from now, and prints the peer id that it is the name of. */
#include "controlplane/p2p/kad/ipns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int count, char **words)
{
    static uint8_t record[HAUL_IPNS_BYTES_MAX];
    struct haul_out out = haul_out_to(record, sizeof record);
    char name[HAUL_PEER_ID_TEXT_BYTES];
    uint8_t seed[32] = { 0 };
    struct haul_key key;
    uint64_t ends;
    FILE *file;

    if (count != 6)
        return 2;
    seed[0] = (uint8_t)strtoul(words[1], NULL, 10);
    ends = (uint64_t)time(NULL) + strtoull(words[4], NULL, 10);
    haul_key_from_seed(&key, seed);
    haul_ipns_write(&key, words[2], strlen(words[2]), strtoull(words[3], NULL, 10),
                    ends * UINT64_C(1000000000), &out);
    file = fopen(words[5], "wb");
    if (out.bad || file == NULL ||
        fwrite(record, 1, (size_t)(out.at - record), file) != (size_t)(out.at - record) ||
        fclose(file) != 0)
        return 1;
    haul_peer_id_print(&key.id, name);
    puts(name);
    return 0;
}
