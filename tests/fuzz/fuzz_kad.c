/* A request of a stranger to a DHT node that knows a few peers: whatever it holds is answered
 * within 16 KiB or refused, and the answer can be read. */
#include "controlplane/p2p/kad/server.h"

#include <string.h>

#define PEERS 64u

static struct haul_kad_table table;
static struct haul_kad_entry entries[128];
static struct haul_kad_providers providers;
static struct haul_kad_provider provider_entries[16];
static struct haul_kad_records records;
static struct haul_kad_value values[4];
static struct haul_address_book book;
static struct haul_address_book_entry book_entries[128];
static uint32_t chains[2][8];

static struct haul_peer_id peer(uint8_t n)
{
    struct haul_peer_id id = { .length = 38, .bytes = { 0x00, 0x24, 0x08, 0x01, 0x12, 0x20, n } };

    return id;
}

static void server_init(struct haul_kad_server *server)
{
    const struct haul_kad_table_limits limits = { 0, 0 };
    struct haul_multiaddr address;
    struct haul_kad_contact own;
    struct haul_peer_id id = peer(0);

    haul_kad_contact_of(&id, 0, &own);
    haul_assert(haul_multiaddr_parse("/ip4/8.8.8.8/tcp/4001", &address));
    haul_kad_table_init(&table, &own.key, entries, HAUL_COUNT_OF(entries), &limits);
    haul_kad_providers_init(&providers, &own.key, provider_entries, 16, chains[0], 8);
    haul_kad_records_init(&records, &own.key, values, HAUL_COUNT_OF(values));
    haul_address_book_init(&book, book_entries, HAUL_COUNT_OF(book_entries), chains[1], 8);
    for (uint8_t n = 1; n <= PEERS; n++) {
        struct haul_kad_contact contact;

        id = peer(n);
        haul_kad_contact_of(&id, 0, &contact);
        (void)haul_kad_table_answered(&table, &contact, 1);
        haul_address_book_tell(&book, &id, &address, 1, 0, HAUL_SECOND);
    }
    *server = (struct haul_kad_server){ .table = &table,
                                        .providers = &providers,
                                        .records = &records,
                                        .book = &book,
                                        .own = own.id,
                                        .floor = HAUL_ADDR_LOOPBACK };
}

/* Everything that can be read of a message, read. */
static void read_all(const struct haul_kad_message *message)
{
    static const enum haul_kad_list lists[] = { HAUL_KAD_CLOSER, HAUL_KAD_PROVIDERS };

    for (size_t i = 0; i < HAUL_COUNT_OF(lists); i++) {
        struct haul_kad_peers peers = haul_kad_peers_of(message, lists[i]);
        struct haul_multiaddr addresses[HAUL_KAD_ADDRESSES_READ_MAX];
        struct haul_kad_peer read;
        uint32_t count = 0;

        while (haul_kad_peers_next(&peers, &read)) {
            size_t known = haul_kad_peer_addresses(&read, addresses, HAUL_COUNT_OF(addresses));

            haul_assert(known <= HAUL_COUNT_OF(addresses));
            for (size_t j = 0; j < known; j++)
                haul_assert(addresses[j].length > 0);
            haul_assert(++count <= HAUL_KAD_PEERS_READ_MAX);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t answer[HAUL_KAD_SENT_BYTES_MAX];
    struct haul_kad_asker asker = { .id = peer(200), .scope = HAUL_ADDR_PUBLIC };
    struct haul_kad_server server;
    struct haul_kad_message message;

    if (haul_kad_message_decode(data, size, &message))
        read_all(&message);
    server_init(&server);
    haul_kad_key_of_peer(&asker.id, &asker.key);
    /* The second time it meets what the first one left. */
    for (unsigned i = 0; i < 2; i++) {
        struct haul_out out = haul_out_to(answer, sizeof answer);
        enum haul_kad_verdict verdict =
            haul_kad_serve(&server, &asker, data, size, HAUL_SECOND / 2, &out);

        haul_assert(!out.bad);
        haul_assert((out.at == answer) == (verdict != HAUL_KAD_ANSWER));
        if (verdict == HAUL_KAD_ANSWER) {
            haul_assert(haul_kad_message_decode(answer, (size_t)(out.at - answer), &message));
            read_all(&message);
        }
    }
    return 0;
}
