/* The texts and messages in which gateways are asked, of gateways that are well-behaved or not. */
#include "controlplane/p2p/nat/igd.h"
#include "controlplane/p2p/nat/natpmp.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct haul_igd_url url_of(const char *text)
{
    struct haul_igd_url url;

    memset(&url, 0, sizeof url);
    CU_ASSERT_TRUE_FATAL(haul_igd_url_parse(text, strlen(text), &url));
    return url;
}

static void addresses_are_numbers_with_a_port_and_a_printable_path(void)
{
    static const char *const bad[] = {
        "https://10.0.0.1/",    "http://router/",      "http://10.0.0/",
        "http://10.0.0.256/",   "http://10.0.0.1:0/",  "http://10.0.0.1:65536/",
        "http://10.0.0.1:80x/", "http://10.0.0.1/a b", "http://10.0.0.1/a\r\nHost: x",
        "http://10.0.0.1.5/",   "http:/10.0.0.1/",     ""
    };
    struct haul_igd_url url = url_of("http://10.0.0.1:5000/a/b?c");
    char text[400] = "http://10.0.0.1/";

    CU_ASSERT_EQUAL(url.addr.port, 5000);
    CU_ASSERT_EQUAL(url.addr.ip[3], 1);
    CU_ASSERT_STRING_EQUAL(url.path, "/a/b?c");
    url = url_of("http://10.0.0.1");
    CU_ASSERT_EQUAL(url.addr.port, 80);
    CU_ASSERT_STRING_EQUAL(url.path, "/");
    for (size_t i = 0; i < HAUL_COUNT_OF(bad); i++)
        CU_ASSERT_FALSE(haul_igd_url_parse(bad[i], strlen(bad[i]), &url));
    memset(text + 16, 'x', sizeof text - 17);
    CU_ASSERT_FALSE(haul_igd_url_parse(text, strlen(text), &url));
    CU_ASSERT_TRUE(haul_igd_url_parse(text, 16 + HAUL_IGD_PATH_BYTES - 4, &url));
}

static void answers_to_the_search_name_a_gateway_and_a_place(void)
{
    static const char good[] =
        "HTTP/1.1 200 OK\r\nst:urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\n"
        "LOCATION:  http://10.0.0.1:5000/d.xml \r\n\r\n";
    static const char other[] = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n"
                                "LOCATION: http://10.0.0.1:5000/d.xml\r\n\r\n";
    struct haul_igd_url url;
    uint8_t search[512];
    struct haul_out out = haul_out_to(search, sizeof search);

    CU_ASSERT_TRUE(haul_igd_search_decode((const uint8_t *)good, strlen(good), &url));
    CU_ASSERT_STRING_EQUAL(url.path, "/d.xml");
    CU_ASSERT_FALSE(haul_igd_search_decode((const uint8_t *)other, strlen(other), &url));
    for (size_t cut = 0; cut < strlen(good); cut++)
        CU_ASSERT_FALSE(haul_igd_search_decode((const uint8_t *)good, cut, &url));
    haul_igd_write_search(&out, 1);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_EQUAL(memcmp(out.at - 4, "\r\n\r\n", 4), 0);
}

static enum haul_http_progress read_http(const char *text, bool over,
                                         struct haul_http_answer *answer)
{
    static char data[4096];

    strncpy(data, text, sizeof data - 1);
    return haul_http_read(data, strlen(text), over, answer);
}

static void http_answers_end_where_they_say(void)
{
    struct haul_http_answer answer = { 0 };
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\n";

    CU_ASSERT_EQUAL(read_http("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabcdef", false, &answer),
                    HAUL_HTTP_WHOLE);
    CU_ASSERT_EQUAL(answer.status, 500);
    CU_ASSERT_EQUAL(answer.body_bytes, 3);
    CU_ASSERT_EQUAL(read_http("HTTP/1.0 200 OK\r\n\r\nabc", false, &answer), HAUL_HTTP_PART);
    CU_ASSERT_EQUAL(read_http("HTTP/1.0 200 OK\r\n\r\nabc", true, &answer), HAUL_HTTP_WHOLE);
    CU_ASSERT_EQUAL(answer.body_bytes, 3);
    CU_ASSERT_EQUAL(read_http(chunked, false, &answer), HAUL_HTTP_WHOLE);
    CU_ASSERT_EQUAL_FATAL(answer.body_bytes, 13);
    CU_ASSERT_EQUAL(memcmp(answer.body, "abc0123456789", 13), 0);
}

static void http_answers_that_are_cut_or_contradict_themselves_are_bad(void)
{
    static const char *const bad[] = {
        "SIP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: ",
    };
    struct haul_http_answer answer;

    for (size_t i = 0; i < HAUL_COUNT_OF(bad); i++)
        CU_ASSERT_EQUAL(read_http(bad[i], true, &answer), HAUL_HTTP_BAD);
}

static void the_service_that_maps_ports_is_found_among_others(void)
{
    static const char xml[] =
        "<root><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>"
        "<controlURL>/l3</controlURL></service><service>"
        "<controlURL>\n ctl/ip </controlURL><serviceType> "
        "urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType></service></root>";
    static const char *const bad[] = {
        "",
        "<service>",
        "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>",
        "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
        "<controlURL>http://10.0.0.9/x</controlURL></service>",
        "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
        "<controlURL>/x&#13;\r\nX: y</controlURL></service>",
        "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:11</serviceType>"
        "<controlURL>/x</controlURL></service>",
    };
    struct haul_igd_url base = url_of("http://10.0.0.1:5000/d.xml");
    struct haul_igd_service service;

    CU_ASSERT_TRUE_FATAL(haul_igd_describe(xml, strlen(xml), &base, &service));
    CU_ASSERT_EQUAL(service.kind, HAUL_IGD_PPP_1);
    CU_ASSERT_STRING_EQUAL(service.control.path, "/ctl/ip");
    CU_ASSERT_EQUAL(service.control.addr.port, 5000);
    for (size_t i = 0; i < HAUL_COUNT_OF(bad); i++)
        CU_ASSERT_FALSE(haul_igd_describe(bad[i], strlen(bad[i]), &base, &service));
}

static void elements_are_found_whatever_their_namespace(void)
{
    static const char xml[] = "<a><NewExternalIPAddressX>1</NewExternalIPAddressX>"
                              "<u:NewExternalIPAddress xml:lang=\"x\"> 9.8.7.6\n</u:x></a>";
    struct haul_igd_text text;
    struct haul_addr ip;

    CU_ASSERT_TRUE_FATAL(haul_xml_find(xml, strlen(xml), "NewExternalIPAddress", &text));
    CU_ASSERT_TRUE(haul_igd_ip(&text, &ip));
    CU_ASSERT_EQUAL(ip.ip[0], 9);
    CU_ASSERT_FALSE(haul_xml_find(xml, strlen(xml), "errorCode", &text));
}

static void requests_are_whole_and_say_how_long_they_are(void)
{
    struct haul_igd_service service = { .kind = HAUL_IGD_IP_2,
                                        .control = url_of("http://10.0.0.1:5000/c") };
    struct haul_addr client = { .family = 4, .ip = { 192, 168, 100, 200 } };
    struct haul_igd_mapping mapping = {
        .tcp = true, .outside = 65535, .inside = 65534, .client = &client, .seconds = 3600
    };
    static char data[HAUL_IGD_REQUEST_BYTES + 1];
    struct haul_http_answer answer;

    for (unsigned i = 0; i < 3; i++) {
        struct haul_out out = haul_out_to(data, HAUL_IGD_REQUEST_BYTES);
        char *end;
        size_t bytes;

        if (i == 0)
            haul_igd_write_address(&out, &service);
        else if (i == 1)
            haul_igd_write_add(&out, &service, &mapping);
        else
            haul_igd_write_delete(&out, &service, false, 1);
        CU_ASSERT_FALSE_FATAL(out.bad);
        *out.at = 0;
        end = strstr(data, "\r\n\r\n");
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        bytes = strlen(end + 4);
        /* Read as if it were an answer, it ends exactly at its end. */
        memcpy(data, "HTTP/1.1 200", 12);
        CU_ASSERT_EQUAL(haul_http_read(data, strlen(data), false, &answer), HAUL_HTTP_WHOLE);
        CU_ASSERT_EQUAL(answer.body_bytes, bytes);
        CU_ASSERT_PTR_NOT_NULL(strstr(data, "WANIPConnection:2#"));
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(data, "<NewProtocol>UDP</NewProtocol>"));
}

static void nat_pmp_answers_are_whole_or_nothing(void)
{
    static const uint8_t address[] = { 0, 128, 0, 0, 0, 0, 0, 9, 8, 7, 6, 5 };
    static const uint8_t mapped[] = { 0, 130, 0, 0, 0, 0, 0, 9, 0x11, 0x95, 0x12, 0, 0, 0, 14, 16 };
    struct haul_natpmp_answer answer;
    uint8_t data[16];
    struct haul_out out = haul_out_to(data, sizeof data);

    CU_ASSERT_TRUE(haul_natpmp_decode(address, sizeof address, &answer));
    CU_ASSERT_EQUAL(answer.op, HAUL_NATPMP_ADDRESS);
    CU_ASSERT_EQUAL(answer.external.ip[0], 8);
    CU_ASSERT_EQUAL(answer.epoch, 9);
    CU_ASSERT_TRUE(haul_natpmp_decode(mapped, sizeof mapped, &answer));
    CU_ASSERT_EQUAL(answer.op, HAUL_NATPMP_TCP);
    CU_ASSERT_EQUAL(answer.inside, 4501);
    CU_ASSERT_EQUAL(answer.outside, 4608);
    CU_ASSERT_EQUAL(answer.seconds, 3600);
    for (size_t cut = 0; cut < sizeof mapped; cut++)
        CU_ASSERT_FALSE(haul_natpmp_decode(mapped, cut, &answer));
    for (size_t cut = 0; cut < sizeof address; cut++)
        CU_ASSERT_FALSE(haul_natpmp_decode(address, cut, &answer));
    CU_ASSERT_FALSE(haul_natpmp_decode(mapped, 12, &answer));
    memcpy(data, mapped, sizeof data);
    data[1] = 131;
    CU_ASSERT_FALSE(haul_natpmp_decode(data, sizeof data, &answer));
    data[1] = 2;
    CU_ASSERT_FALSE(haul_natpmp_decode(data, sizeof data, &answer));
    haul_natpmp_write_map(&out, HAUL_NATPMP_UDP, 4501, 0, 0);
    CU_ASSERT_EQUAL(out.at - data, 12);
    CU_ASSERT_EQUAL(data[1], 1);
    haul_natpmp_write_address(&out);
    CU_ASSERT_EQUAL(out.at - data, 14);
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(addresses_are_numbers_with_a_port_and_a_printable_path),
        T(answers_to_the_search_name_a_gateway_and_a_place),
        T(http_answers_end_where_they_say),
        T(http_answers_that_are_cut_or_contradict_themselves_are_bad),
        T(the_service_that_maps_ports_is_found_among_others),
        T(elements_are_found_whatever_their_namespace),
        T(requests_are_whole_and_say_how_long_they_are),
        T(nat_pmp_answers_are_whole_or_nothing),
    };
#undef T

    return unit_main("igd", tests, HAUL_COUNT_OF(tests));
}
