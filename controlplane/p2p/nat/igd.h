/* The texts by which an Internet gateway device is found and asked (UPnP Device Architecture 1.1,
 * WANIPConnection:1 and :2): SSDP over UDP, a description in XML over HTTP, SOAP. As little of each
 * as it takes, over bounded bytes of a stranger; what is taken over into a request of ours is
 * checked sign by sign. Pure. */
#pragma once

#include "common/addr.h"
#include "common/bytes.h"

#define HAUL_IGD_PATH_BYTES    256u
#define HAUL_IGD_REQUEST_BYTES 2048u
#define HAUL_IGD_ANSWER_MAX    65536u /* of a whole HTTP answer */

struct haul_igd_text {
    const char *at;
    size_t bytes;
};

/* Where something is to be asked: an IPv4 address with its port, and a path. */
struct haul_igd_url {
    struct haul_addr addr;
    char path[HAUL_IGD_PATH_BYTES]; /* begins with '/', printable */
};

/* "http://192.0.2.1:5000/path"; names and other schemes are refused. */
HAUL_MUST_USE bool haul_igd_url_parse(const char *text, size_t bytes, struct haul_igd_url *url);

/* The question to all devices, for version 1 or 2; and the answer of one: where its description is.
 */
void haul_igd_write_search(struct haul_out *out, unsigned version);
HAUL_MUST_USE bool haul_igd_search_decode(const uint8_t *data, size_t bytes,
                                          struct haul_igd_url *url);

/* An HTTP answer that is coming in; `over` says that no more will. The body is put together in
 * place, so the bytes are changed once it is WHOLE. */
enum haul_http_progress { HAUL_HTTP_PART, HAUL_HTTP_WHOLE, HAUL_HTTP_BAD };
struct haul_http_answer {
    unsigned status;
    char *body;
    size_t body_bytes;
};
enum haul_http_progress haul_http_read(char *data, size_t bytes, bool over,
                                       struct haul_http_answer *answer);

/* Which of its services maps ports, and where that is asked; only at `base`, whose description it
 * is. */
enum haul_igd_kind { HAUL_IGD_IP_1, HAUL_IGD_IP_2, HAUL_IGD_PPP_1, HAUL_IGD_KIND_COUNT };
struct haul_igd_service {
    enum haul_igd_kind kind;
    struct haul_igd_url control;
};
HAUL_MUST_USE bool haul_igd_describe(const char *xml, size_t bytes, const struct haul_igd_url *base,
                                     struct haul_igd_service *service);

/* Requests, head and body. */
struct haul_igd_mapping {
    bool tcp;
    uint16_t outside, inside;
    const struct haul_addr *client; /* whom the ports lead to */
    uint32_t seconds;
};
void haul_igd_write_get(struct haul_out *out, const struct haul_igd_url *url);
void haul_igd_write_address(struct haul_out *out, const struct haul_igd_service *service);
void haul_igd_write_add(struct haul_out *out, const struct haul_igd_service *service,
                        const struct haul_igd_mapping *mapping);
void haul_igd_write_delete(struct haul_out *out, const struct haul_igd_service *service, bool tcp,
                           uint16_t outside);

/* The text of the first element of this name (whatever its namespace); false when there is none. */
HAUL_MUST_USE bool haul_xml_find(const char *xml, size_t bytes, const char *name,
                                 struct haul_igd_text *text);
/* "192.0.2.1"; a number of at most nine digits. */
HAUL_MUST_USE bool haul_igd_ip(const struct haul_igd_text *text, struct haul_addr *ip);
HAUL_MUST_USE bool haul_igd_number(const struct haul_igd_text *text, uint32_t *number);
