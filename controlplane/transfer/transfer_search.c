/* Whom to ask for a dataset that only its CID names: the DHT tells providers, they are tried in the
 * order in which they were found, and when none was good they are looked for again. */
#include "controlplane/transfer/transfer_search.h"
#include "common/log.h"
#include "controlplane/dht/dht.h"
#include "controlplane/grants/grants.h"
#include "controlplane/transfer/transfer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_FIRST (1 * HAUL_SECOND)
#define AGAIN_MAX   (30 * HAUL_SECOND)

static haul_time now_of(const struct haul_transfer *transfer)
{
    return haul_loop_now(transfer->parts.loop);
}

static void say(struct haul_transfer *transfer, const char *what, const char *then)
{
    char cid[HAUL_CID_TEXT_BYTES];
    char text[200];

    if (transfer->detached || transfer->search->rounds > 1)
        return;
    haul_cid_print(&transfer->target.root, cid);
    snprintf(text, sizeof text, "%s %s%s", what, cid, then);
    transfer->events.note(transfer->context, text);
}

static void on_found(void *context, const struct haul_peer_id *peer,
                     const struct haul_multiaddr *addresses, size_t count)
{
    struct haul_transfer *transfer = context;
    struct haul_search *search = transfer->search;
    struct haul_provider *provider;

    if (search->count == HAUL_PROVIDERS_MAX)
        return;
    provider = &search->providers[search->count++];
    provider->peer = *peer;
    provider->count = count < HAUL_TICKET_ADDRESSES_MAX ? count : HAUL_TICKET_ADDRESSES_MAX;
    memcpy(provider->addresses, addresses, provider->count * sizeof addresses[0]);
    if (transfer->connection == HAUL_HOST_NO_CONNECTION && !transfer->dialling) {
        transfer->meet_at = now_of(transfer);
        haul_transfer_arm(transfer);
    }
}

static void on_done(void *context, const struct haul_dht_result *result)
{
    struct haul_transfer *transfer = context;
    struct haul_search *search = transfer->search;

    search->query = NULL;
    if (result->found == 0)
        say(transfer, "nobody announces", "; asking again, --timeout ends that");
    if (transfer->connection == HAUL_HOST_NO_CONNECTION && !transfer->dialling) {
        transfer->meet_at = now_of(transfer);
        haul_transfer_arm(transfer);
    }
}

static bool search_begin(struct haul_transfer *transfer, struct haul_error *error)
{
    const struct haul_dht_search wish = { .kind = HAUL_DHT_PROVIDERS,
                                          .key = transfer->target.root.hash.bytes,
                                          .key_bytes = HAUL_HASH_BYTES,
                                          .found_max = HAUL_PROVIDERS_MAX,
                                          .context = transfer,
                                          .found = on_found,
                                          .done = on_done };
    struct haul_search *search = transfer->search;

    search->count = search->next = 0;
    search->rounds++;
    search->pause = search->rounds == 1 ? AGAIN_FIRST : haul_time_min(search->pause * 2, AGAIN_MAX);
    search->again = haul_time_add(now_of(transfer), search->pause);
    say(transfer, "asking the DHT who has", "");
    return haul_dht_search(transfer->parts.dht, &wish, &search->query, error) == 0;
}

bool haul_transfer_next_provider(struct haul_transfer *transfer)
{
    struct haul_search *search = transfer->search;
    struct haul_error error;

    if (search == NULL) {
        search = transfer->search = calloc(1, sizeof *search);
        if (search == NULL) {
            haul_transfer_fail_text(transfer, HAUL_E_SYSTEM, "no memory for a search");
            return false;
        }
    }
    if (search->next < search->count) {
        const struct haul_provider *provider = &search->providers[search->next++];
        struct haul_ticket *ticket = &transfer->target.ticket;

        if (transfer->record.lookup == 0)
            transfer->record.lookup = haul_time_since(transfer->began, now_of(transfer));
        ticket->peer = provider->peer;
        ticket->address_count = provider->count;
        memcpy(ticket->addresses, provider->addresses,
               provider->count * sizeof provider->addresses[0]);
        return true;
    }
    transfer->meet_at = HAUL_TIME_NEVER;
    if (search->failed && search->query == NULL) {
        error = search->why; /* the search ends before it is told */
        haul_transfer_fail(transfer, &error);
        return false;
    }
    if (search->query == NULL && now_of(transfer) < search->again)
        transfer->meet_at = search->again;
    else if (search->query == NULL && !search_begin(transfer, &error))
        transfer->meet_at = search->again;
    haul_transfer_arm(transfer);
    return false;
}

/* Lets go of the peer as a closed transfer does, but keeps what has been verified. */
bool haul_transfer_replace(struct haul_transfer *transfer, const struct haul_error *why)
{
    char text[400];

    if (transfer->search == NULL ||
        (transfer->state != HAUL_TRANSFER_MOVING && !transfer->replacing))
        return false;
    if (transfer->replacing)
        return true;
    transfer->search->failed = true;
    transfer->search->why = *why;
    transfer->replacing = true;
    transfer->state = HAUL_TRANSFER_MEETING;
    transfer->meet_at = HAUL_TIME_NEVER;
    transfer->direct_by = 0;
    transfer->onward = HAUL_HOST_NO_CONNECTION;
    snprintf(text, sizeof text, "%s; asking somebody else", why->text);
    if (!transfer->detached)
        transfer->events.note(transfer->context, text);
    haul_transfer_seek_end(transfer);
    haul_transfer_withdraw_all(transfer);
    haul_transfer_flows_end(transfer);
    haul_log(HAUL_LOG_INFO, "provider-replaced", "text=\"%s\"", why->text);
    haul_transfer_settle(transfer);
    return true;
}
