/* Tickets: any text is safe to read; bytes behind a good checksum too; what is read prints to a
 * text that reads the same. Input that does not begin like a ticket is taken for the bytes of one.
 */
#include "common/multibase.h"
#include "controlplane/ticket.h"

#include <string.h>

static void check(const char *text)
{
    char again[HAUL_TICKET_TEXT_BYTES];
    struct haul_ticket back;
    struct haul_target target;

    if (haul_target_parse(text, &target, NULL) < 0 || !target.has_ticket)
        return;
    haul_ticket_print(&target.ticket, again);
    haul_assert(haul_ticket_parse(again, &back, NULL) == 0);
    haul_assert(memcmp(&back, &target.ticket, sizeof back) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024] = "haul:";

    if (size >= 5 && size < sizeof text && memcmp(data, "haul:", 5) == 0) {
        memcpy(text, data, size);
        text[size] = '\0';
        check(text);
    } else if (size < 296) {
        uint8_t whole[300];
        char encoded[600];
        struct haul_hash hash;

        memcpy(whole, data, size);
        haul_hash_of(HAUL_HASH_SHA2_256, data, size, &hash);
        memcpy(whole + size, hash.bytes + 2, 4);
        haul_assert(haul_multibase_encode('b', whole, size + 4, encoded, sizeof encoded) > 0);
        memcpy(text + 5, encoded + 1, strlen(encoded));
        check(text);
    }
    return 0;
}
