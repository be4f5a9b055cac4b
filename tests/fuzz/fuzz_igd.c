/* What a gateway may say, by the first byte: an answer to the search, an answer over HTTP with a
 * description or a fault in it, or a NAT-PMP answer. */
#include "controlplane/p2p/nat/igd.h"
#include "controlplane/p2p/nat/natpmp.h"

static void over_http(char *data, size_t size, bool over)
{
    struct haul_igd_url base = { .addr = { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 80 } };
    struct haul_http_answer answer;
    struct haul_igd_service service;
    struct haul_igd_text text;
    uint8_t request[HAUL_IGD_REQUEST_BYTES];
    struct haul_out out = haul_out_to(request, sizeof request);

    if (haul_http_read(data, size, over, &answer) != HAUL_HTTP_WHOLE)
        return;
    haul_assert(answer.body >= data && answer.body + answer.body_bytes <= data + size);
    if (haul_xml_find(answer.body, answer.body_bytes, "errorCode", &text))
        haul_assert(text.at >= data && text.at + text.bytes <= data + size);
    if (!haul_igd_describe(answer.body, answer.body_bytes, &base, &service))
        return;
    /* Whatever it names, our request has one head, and that ends before the body. */
    haul_igd_write_address(&out, &service);
    haul_assert(!out.bad && service.control.addr.ip[3] == 1 && service.control.path[0] == '/');
    for (const char *at = service.control.path; *at != '\0'; at++)
        haul_assert(*at > ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char copy[HAUL_IGD_ANSWER_MAX];
    struct haul_natpmp_answer answer;
    struct haul_igd_url url;

    if (size == 0 || size > sizeof copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    if (data[0] == 0)
        (void)!haul_natpmp_decode(data + 1, size - 1, &answer);
    else if (data[0] == 1)
        (void)!haul_igd_search_decode(data + 1, size - 1, &url);
    else
        over_http(copy, size - 1, data[0] == 2);
    return 0;
}
