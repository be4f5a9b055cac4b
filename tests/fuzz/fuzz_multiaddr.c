/* Multiaddrs: binary that is accepted prints to text that parses to the same binary; text that is
 * accepted is printed in one way. */
#include "controlplane/p2p/multiaddr.h"

#include <string.h>

static void check(const struct haul_multiaddr *addr)
{
    char text[HAUL_MULTIADDR_TEXT_BYTES];
    struct haul_multiaddr back;
    struct haul_addr socket_addr;

    haul_multiaddr_print(addr, text);
    haul_assert(haul_multiaddr_parse(text, &back));
    haul_assert(back.length == addr->length && memcmp(back.bytes, addr->bytes, addr->length) == 0);
    if (haul_multiaddr_tcp(addr, &socket_addr)) {
        haul_multiaddr_from_tcp(&back, &socket_addr);
        haul_assert(memcmp(back.bytes, addr->bytes, back.length) == 0);
    }
    back = *addr;
    haul_multiaddr_strip_peer(&back);
    haul_assert(back.length <= addr->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_multiaddr addr;
    char text[1024];

    if (haul_multiaddr_decode(data, size, &addr))
        check(&addr);
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = '\0';
        if (haul_multiaddr_parse(text, &addr))
            check(&addr);
    }
    return 0;
}
