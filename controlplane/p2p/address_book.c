/* The book: chains over one array, and the rules of which address concerns whom. */
#include "controlplane/p2p/address_book.h"

#include <string.h>

#define NONE        UINT32_MAX
#define EVICT_LOOKS 8u

void haul_address_book_init(struct haul_address_book *book, struct haul_address_book_entry *entries,
                            uint32_t capacity, uint32_t *chains, uint32_t chain_count)
{
    haul_assert(chain_count > 0 && (chain_count & (chain_count - 1)) == 0);
    haul_assert(capacity > 0 && capacity < NONE);
    memset(book, 0, sizeof *book);
    book->entries = entries;
    book->capacity = capacity;
    book->chains = chains;
    book->chain_count = chain_count;
    book->free = NONE;
    for (uint32_t i = 0; i < chain_count; i++)
        chains[i] = NONE;
}

/* FNV-1a: ids are digests and keys, and an attacker can at most make one chain long, up to the
 * capacity of the book. */
static uint32_t *chain_of(const struct haul_address_book *book, const struct haul_peer_id *peer)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < peer->length; i++)
        hash = (hash ^ peer->bytes[i]) * 16777619u;
    return &book->chains[(hash ^ hash >> 16) & (book->chain_count - 1)];
}

static uint32_t find(const struct haul_address_book *book, const struct haul_peer_id *peer)
{
    uint32_t i = *chain_of(book, peer);

    while (i != NONE && !haul_peer_id_equal(&book->entries[i].peer, peer))
        i = book->entries[i].next;
    return i;
}

static void drop(struct haul_address_book *book, uint32_t index)
{
    struct haul_address_book_entry *entry = &book->entries[index];
    uint32_t *link = chain_of(book, &entry->peer);

    while (*link != index)
        link = &book->entries[*link].next;
    *link = entry->next;
    entry->next = book->free;
    entry->ends = 0;
    book->free = index;
    book->count--;
}

/* What others said goes before what peers told themselves. */
static void evict(struct haul_address_book *book, haul_time now)
{
    uint32_t worst = NONE;

    for (uint32_t i = 0; i < EVICT_LOOKS && i < book->fresh; i++) {
        uint32_t at = book->hand;
        const struct haul_address_book_entry *entry = &book->entries[at];

        book->hand = at + 1 < book->fresh ? at + 1 : 0;
        if (entry->ends == 0)
            continue;
        if (worst == NONE || entry->ends <= now ||
            (entry->told == book->entries[worst].told ? entry->ends < book->entries[worst].ends
                                                      : !entry->told))
            worst = at;
        if (entry->ends <= now)
            break;
    }
    if (worst == NONE)
        return;
    if (book->entries[worst].ends <= now)
        book->counters.addresses_expired++;
    else
        book->counters.addresses_evicted++;
    drop(book, worst);
}

static uint32_t take_free(struct haul_address_book *book)
{
    uint32_t index = book->free;

    if (index != NONE) {
        book->free = book->entries[index].next;
        return index;
    }
    return book->fresh < book->capacity ? book->fresh++ : NONE;
}

static struct haul_address_book_entry *entry_of(struct haul_address_book *book,
                                                const struct haul_peer_id *peer, haul_time now)
{
    uint32_t index = find(book, peer);
    uint32_t *chain = chain_of(book, peer);

    if (index != NONE) {
        struct haul_address_book_entry *known = &book->entries[index];

        if (known->ends <= now) {
            known->told = false;
            known->bytes = 0;
            book->counters.addresses_expired++;
        }
        return known;
    }
    if (book->count == book->capacity)
        evict(book, now);
    index = take_free(book);
    if (index == NONE)
        return NULL;
    book->entries[index] = (struct haul_address_book_entry){ .peer = *peer, .next = *chain };
    *chain = index;
    book->count++;
    book->counters.addresses_learned++;
    return &book->entries[index];
}

static bool holds(const uint8_t *list, size_t bytes, const struct haul_multiaddr *address)
{
    for (size_t at = 0; at < bytes; at += 1u + list[at]) {
        if (list[at] == address->length && memcmp(list + at + 1, address->bytes, list[at]) == 0)
            return true;
    }
    return false;
}

static void append(uint8_t *list, uint16_t *bytes, unsigned *count,
                   const struct haul_multiaddr *address)
{
    if (address->length == 0 || address->length > UINT8_MAX ||
        *count == HAUL_ADDRESS_BOOK_ADDRESSES_MAX ||
        *bytes + 1u + address->length > HAUL_ADDRESS_BOOK_BYTES || holds(list, *bytes, address))
        return;
    list[*bytes] = (uint8_t)address->length;
    memcpy(list + *bytes + 1, address->bytes, address->length);
    *bytes = (uint16_t)(*bytes + 1u + address->length);
    ++*count;
}

static size_t read_list(const struct haul_address_book_entry *entry,
                        struct haul_multiaddr *addresses, size_t capacity)
{
    size_t count = 0;

    for (size_t at = 0; at < entry->bytes && count < capacity;
         at += 1u + entry->addresses[at], count++) {
        memset(&addresses[count], 0, sizeof addresses[count]);
        addresses[count].length = entry->addresses[at];
        memcpy(addresses[count].bytes, entry->addresses + at + 1, entry->addresses[at]);
    }
    return count;
}

static void write_list(struct haul_address_book_entry *entry,
                       const struct haul_multiaddr *addresses, size_t count)
{
    uint8_t list[HAUL_ADDRESS_BOOK_BYTES];
    uint16_t bytes = 0;
    unsigned kept = 0;

    for (size_t i = 0; i < count; i++)
        append(list, &bytes, &kept, &addresses[i]);
    for (size_t at = 0; at < entry->bytes; at += 1u + entry->addresses[at]) {
        struct haul_multiaddr old = { .length = entry->addresses[at] };

        memcpy(old.bytes, entry->addresses + at + 1, old.length);
        append(list, &bytes, &kept, &old);
    }
    memcpy(entry->addresses, list, bytes);
    entry->bytes = bytes;
}

void haul_address_book_hear(struct haul_address_book *book, const struct haul_peer_id *peer,
                            const struct haul_multiaddr *addresses, size_t count, haul_time now,
                            haul_time life)
{
    struct haul_address_book_entry *entry;

    if (count == 0)
        return;
    entry = entry_of(book, peer, now);
    if (entry == NULL || entry->told)
        return;
    write_list(entry, addresses, count);
    entry->ends = haul_time_max(entry->ends, haul_time_add(now, life));
}

void haul_address_book_tell(struct haul_address_book *book, const struct haul_peer_id *peer,
                            const struct haul_multiaddr *addresses, size_t count, haul_time now,
                            haul_time life)
{
    struct haul_address_book_entry *entry;

    if (count == 0)
        return;
    entry = entry_of(book, peer, now);
    if (entry == NULL)
        return;
    entry->bytes = 0;
    entry->told = true;
    write_list(entry, addresses, count);
    entry->ends = haul_time_add(now, life);
}

size_t haul_address_book_find(const struct haul_address_book *book, const struct haul_peer_id *peer,
                              haul_time now, struct haul_multiaddr *addresses, size_t capacity)
{
    uint32_t index = find(book, peer);

    if (index == NONE || book->entries[index].ends <= now)
        return 0;
    return read_list(&book->entries[index], addresses, capacity);
}

void haul_address_book_forget(struct haul_address_book *book, const struct haul_peer_id *peer)
{
    uint32_t index = find(book, peer);

    if (index != NONE)
        drop(book, index);
}

/* --- which address concerns whom --- */

enum haul_addr_scope haul_address_reach(const struct haul_multiaddr *address)
{
    struct haul_multiaddr_name name;
    struct haul_addr ip;

    if (haul_multiaddr_ip(address, &ip))
        return haul_addr_scope(&ip);
    return haul_multiaddr_name(address, &name) ? HAUL_ADDR_PUBLIC : HAUL_ADDR_SPECIAL;
}

bool haul_address_fits(const struct haul_multiaddr *address, enum haul_addr_scope scope,
                       enum haul_addr_scope floor)
{
    enum haul_addr_scope reach = haul_address_reach(address);

    if (reach == HAUL_ADDR_SPECIAL || reach < floor)
        return false;
    return scope == HAUL_ADDR_SPECIAL ? reach == HAUL_ADDR_PUBLIC : reach >= scope;
}

size_t haul_addresses_filter(struct haul_multiaddr *addresses, size_t count,
                             enum haul_addr_scope scope, enum haul_addr_scope floor)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (!haul_address_fits(&addresses[i], scope, floor))
            continue;
        if (kept != i)
            addresses[kept] = addresses[i];
        kept++;
    }
    return kept;
}

uint32_t haul_address_group(const struct haul_addr *ip)
{
    if (haul_addr_scope(ip) != HAUL_ADDR_PUBLIC)
        return 0;
    if (ip->family == 4)
        return 0x04000000u | (uint32_t)ip->ip[0] << 8 | ip->ip[1];
    return 0x80000000u | (uint32_t)(ip->ip[0] & 0x7f) << 24 | (uint32_t)ip->ip[1] << 16 |
           (uint32_t)ip->ip[2] << 8 | ip->ip[3];
}
