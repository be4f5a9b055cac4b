/* Scanning forward over text, never behind its end. */
#include "controlplane/p2p/nat/igd.h"

static const char *const kinds[HAUL_IGD_KIND_COUNT] = {
    [HAUL_IGD_IP_1] = "urn:schemas-upnp-org:service:WANIPConnection:1",
    [HAUL_IGD_IP_2] = "urn:schemas-upnp-org:service:WANIPConnection:2",
    [HAUL_IGD_PPP_1] = "urn:schemas-upnp-org:service:WANPPPConnection:1",
};

/* --- text --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is(const struct haul_igd_text *text, const char *what)
{
    return text->bytes == strlen(what) && memcmp(text->at, what, text->bytes) == 0;
}

static bool begins(const struct haul_igd_text *text, const char *what)
{
    return text->bytes >= strlen(what) && memcmp(text->at, what, strlen(what)) == 0;
}

static struct haul_igd_text trimmed(const char *at, size_t bytes)
{
    while (bytes > 0 && is_space(*at)) {
        at++;
        bytes--;
    }
    while (bytes > 0 && is_space(at[bytes - 1]))
        bytes--;
    return (struct haul_igd_text){ .at = at, .bytes = bytes };
}

/* Where `what` begins at or behind `from`; `bytes` when it does not. */
static size_t find(const char *text, size_t bytes, size_t from, const char *what)
{
    size_t length = strlen(what);

    for (size_t i = from; length <= bytes && i <= bytes - length; i++) {
        if (text[i] == what[0] && memcmp(text + i, what, length) == 0)
            return i;
    }
    return bytes;
}

bool haul_igd_number(const struct haul_igd_text *text, uint32_t *number)
{
    uint32_t value = 0;

    if (text->bytes == 0 || text->bytes > 9)
        return false;
    for (size_t i = 0; i < text->bytes; i++) {
        if (text->at[i] < '0' || text->at[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text->at[i] - '0');
    }
    *number = value;
    return true;
}

bool haul_igd_ip(const struct haul_igd_text *text, struct haul_addr *ip)
{
    struct haul_addr read = { .family = 4 };
    size_t from = 0;

    for (size_t i = 0; i < 4; i++) {
        size_t end = i < 3 ? find(text->at, text->bytes, from, ".") : text->bytes;
        struct haul_igd_text part = { .at = text->at + from, .bytes = end - from };
        uint32_t value;

        if (part.bytes > 3 || !haul_igd_number(&part, &value) || value > 255 ||
            (i < 3 && end == text->bytes))
            return false;
        read.ip[i] = (uint8_t)value;
        from = end + 1;
    }
    *ip = read;
    return true;
}

static bool path_take(const char *text, size_t bytes, char path[HAUL_IGD_PATH_BYTES])
{
    size_t used = 0;

    if (bytes == 0 || text[0] != '/')
        path[used++] = '/';
    if (bytes > HAUL_IGD_PATH_BYTES - 2)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        /* Nothing that could end a line of our request. */
        if (text[i] <= ' ' || text[i] > '~')
            return false;
        path[used++] = text[i];
    }
    path[used] = '\0';
    return true;
}

bool haul_igd_url_parse(const char *text, size_t bytes, struct haul_igd_url *url)
{
    struct haul_igd_text whole = { .at = text, .bytes = bytes }, host, port;
    struct haul_igd_url read = { 0 };
    size_t at = strlen("http://"), slash, colon;
    uint32_t number = 80;

    if (!begins(&whole, "http://"))
        return false;
    slash = find(text, bytes, at, "/");
    colon = find(text, slash, at, ":");
    host = (struct haul_igd_text){ .at = text + at, .bytes = colon - at };
    port = (struct haul_igd_text){ .at = text + colon + 1,
                                   .bytes = colon < slash ? slash - colon - 1 : 0 };
    if (!haul_igd_ip(&host, &read.addr) ||
        (colon < slash && (!haul_igd_number(&port, &number) || number == 0 || number > 65535)) ||
        !path_take(text + slash, bytes - slash, read.path))
        return false;
    read.addr.port = (uint16_t)number;
    *url = read;
    return true;
}

/* --- SSDP --- */

static void put(struct haul_out *out, const char *text)
{
    haul_out_bytes(out, text, strlen(text));
}

static void put_number(struct haul_out *out, uint64_t value)
{
    char digits[20];
    size_t count = 0;

    do
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    haul_out_bytes(out, digits + sizeof digits - count, count);
}

static void put_ip(struct haul_out *out, const struct haul_addr *addr)
{
    for (size_t i = 0; i < 4; i++) {
        if (i > 0)
            put(out, ".");
        put_number(out, addr->ip[i]);
    }
}

void haul_igd_write_search(struct haul_out *out, unsigned version)
{
    put(out, "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n"
             "MX: 1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:");
    put_number(out, version);
    put(out, "\r\n\r\n");
}

/* The value of a header line; false when there is none in the head. */
static bool header_find(const char *head, size_t bytes, const char *name,
                        struct haul_igd_text *value)
{
    size_t length = strlen(name);

    for (size_t at = find(head, bytes, 0, "\n"); at < bytes; at = find(head, bytes, at, "\n")) {
        size_t i = 0;
        size_t end;

        at++;
        end = find(head, bytes, at, "\n");
        while (i < length && at + i < end && lower(head[at + i]) == name[i])
            i++;
        if (i == length && at + i < end && head[at + i] == ':') {
            *value = trimmed(head + at + i + 1, end - at - i - 1);
            return true;
        }
    }
    return false;
}

bool haul_igd_search_decode(const uint8_t *data, size_t bytes, struct haul_igd_url *url)
{
    struct haul_igd_text whole = { .at = (const char *)data, .bytes = bytes }, value;

    if (find(whole.at, bytes, 0, "\r\n\r\n") == bytes || !begins(&whole, "HTTP/1.1 200") ||
        !header_find(whole.at, bytes, "st", &value) ||
        !begins(&value, "urn:schemas-upnp-org:device:InternetGatewayDevice:"))
        return false;
    return header_find(whole.at, bytes, "location", &value) &&
           haul_igd_url_parse(value.at, value.bytes, url);
}

/* --- HTTP --- */

/* A number in hexadecimal at the start of a line of chunks. */
static bool hex_read(const char *text, size_t bytes, size_t *value)
{
    size_t read = 0, i;

    for (i = 0; i < bytes && i < 7; i++) {
        char c = lower(text[i]);

        if (c >= '0' && c <= '9')
            read = read * 16 + (size_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            read = read * 16 + (size_t)(c - 'a' + 10);
        else
            break;
    }
    if (i == 0 || (i < bytes && text[i] != ';' && !is_space(text[i])))
        return false;
    *value = read;
    return true;
}

/* Walks the chunks; with `body` it moves them together. */
static enum haul_http_progress chunks(char *data, size_t bytes, bool move, size_t *total)
{
    size_t at = 0, put_at = 0;

    for (;;) {
        size_t end = find(data, bytes, at, "\r\n"), chunk;

        if (end == bytes)
            return bytes - at > 64 ? HAUL_HTTP_BAD : HAUL_HTTP_PART;
        if (!hex_read(data + at, end - at, &chunk) || chunk > HAUL_IGD_ANSWER_MAX)
            return HAUL_HTTP_BAD;
        at = end + 2;
        if (chunk == 0) {
            *total = put_at;
            return HAUL_HTTP_WHOLE;
        }
        if (bytes - at < chunk + 2)
            return HAUL_HTTP_PART;
        if (memcmp(data + at + chunk, "\r\n", 2) != 0)
            return HAUL_HTTP_BAD;
        if (move)
            memmove(data + put_at, data + at, chunk);
        put_at += chunk;
        at += chunk + 2;
    }
}

enum haul_http_progress haul_http_read(char *data, size_t bytes, bool over,
                                       struct haul_http_answer *answer)
{
    struct haul_igd_text whole = { .at = data, .bytes = bytes }, value, status;
    size_t head = find(data, bytes, 0, "\r\n\r\n");
    struct haul_http_answer read = { 0 };
    enum haul_http_progress progress;
    uint32_t length;

    if (head == bytes)
        return over || bytes >= HAUL_IGD_ANSWER_MAX ? HAUL_HTTP_BAD : HAUL_HTTP_PART;
    status = (struct haul_igd_text){ .at = data + 9, .bytes = 3 };
    if (head < 12 || !begins(&whole, "HTTP/1.") || !haul_igd_number(&status, &length))
        return HAUL_HTTP_BAD;
    read.status = length;
    read.body = data + head + 4;
    read.body_bytes = bytes - head - 4;
    if (header_find(data, head + 2, "transfer-encoding", &value)) {
        if (!is(&value, "chunked"))
            return HAUL_HTTP_BAD;
        progress = chunks(read.body, read.body_bytes, false, &read.body_bytes);
        if (progress == HAUL_HTTP_WHOLE)
            (void)chunks(read.body, bytes - head - 4, true, &read.body_bytes);
    } else if (header_find(data, head + 2, "content-length", &value)) {
        if (!haul_igd_number(&value, &length) || length > HAUL_IGD_ANSWER_MAX)
            return HAUL_HTTP_BAD;
        progress = read.body_bytes < length ? HAUL_HTTP_PART : HAUL_HTTP_WHOLE;
        if (progress == HAUL_HTTP_WHOLE)
            read.body_bytes = length;
    } else {
        progress = over ? HAUL_HTTP_WHOLE : HAUL_HTTP_PART;
    }
    if (progress == HAUL_HTTP_WHOLE)
        *answer = read;
    return progress == HAUL_HTTP_PART && over ? HAUL_HTTP_BAD : progress;
}

/* --- XML --- */

bool haul_xml_find(const char *xml, size_t bytes, const char *name, struct haul_igd_text *text)
{
    size_t length = strlen(name);

    for (size_t at = find(xml, bytes, 0, name); at < bytes; at = find(xml, bytes, at + 1, name)) {
        size_t open = at, close, end;

        /* "<name>", "<ns:name>" or "<name attribute...>" */
        if (open > 0 && xml[open - 1] == ':') {
            open--;
            while (open > 0 && xml[open - 1] != '<' && !is_space(xml[open - 1]) &&
                   xml[open - 1] != '/')
                open--;
        }
        if (open == 0 || xml[open - 1] != '<' || at + length == bytes ||
            (xml[at + length] != '>' && !is_space(xml[at + length])))
            continue;
        close = find(xml, bytes, at + length, ">");
        end = find(xml, bytes, close, "<");
        if (end == bytes)
            return false;
        *text = trimmed(xml + close + 1, end - close - 1);
        return true;
    }
    return false;
}

/* A path, or a whole address of the same machine. */
static bool control_take(const struct haul_igd_text *text, const struct haul_igd_url *base,
                         struct haul_igd_url *control)
{
    struct haul_igd_url read = { .addr = base->addr };

    if (begins(text, "http://")) {
        if (!haul_igd_url_parse(text->at, text->bytes, &read) ||
            memcmp(read.addr.ip, base->addr.ip, sizeof read.addr.ip) != 0)
            return false;
    } else if (!path_take(text->at, text->bytes, read.path)) {
        return false;
    }
    *control = read;
    return true;
}

bool haul_igd_describe(const char *xml, size_t bytes, const struct haul_igd_url *base,
                       struct haul_igd_service *service)
{
    size_t at = find(xml, bytes, 0, "<service>");

    while (at < bytes) {
        size_t end = find(xml, bytes, at, "</service>");
        struct haul_igd_text type, control;

        if (haul_xml_find(xml + at, end - at, "serviceType", &type) &&
            haul_xml_find(xml + at, end - at, "controlURL", &control)) {
            for (size_t i = 0; i < HAUL_IGD_KIND_COUNT; i++) {
                struct haul_igd_service read = { .kind = (enum haul_igd_kind)i };

                if (is(&type, kinds[i]) && control_take(&control, base, &read.control)) {
                    *service = read;
                    return true;
                }
            }
        }
        at = find(xml, bytes, end, "<service>");
    }
    return false;
}

/* --- requests --- */

static void put_head(struct haul_out *out, const char *verb, const struct haul_igd_url *url)
{
    put(out, verb);
    put(out, url->path);
    put(out, " HTTP/1.1\r\nHost: ");
    put_ip(out, &url->addr);
    put(out, ":");
    put_number(out, url->addr.port);
    put(out, "\r\nConnection: close\r\n");
}

void haul_igd_write_get(struct haul_out *out, const struct haul_igd_url *url)
{
    put_head(out, "GET ", url);
    put(out, "\r\n");
}

static void put_element(struct haul_out *out, const char *name, const char *text)
{
    put(out, "<");
    put(out, name);
    put(out, ">");
    put(out, text);
    put(out, "</");
    put(out, name);
    put(out, ">");
}

static void put_element_number(struct haul_out *out, const char *name, uint64_t value)
{
    char text[24];
    struct haul_out to = haul_out_to(text, sizeof text - 1);

    put_number(&to, value);
    *to.at = '\0';
    put_element(out, name, text);
}

static void put_call(struct haul_out *out, const struct haul_igd_service *service,
                     const char *action, const char *arguments, size_t argument_bytes)
{
    static const char before[] =
        "<?xml version=\"1.0\"?>\r\n"
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
        "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:";
    static const char behind[] = "></s:Body></s:Envelope>";
    const char *kind = kinds[service->kind];
    size_t bytes = strlen(before) + 2 * strlen(action) + strlen(" xmlns:u=\"") + strlen(kind) +
                   strlen("\">") + argument_bytes + strlen("</u:") + strlen(behind);

    put_head(out, "POST ", &service->control);
    put(out, "Content-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: \"");
    put(out, kind);
    put(out, "#");
    put(out, action);
    put(out, "\"\r\nContent-Length: ");
    put_number(out, bytes);
    put(out, "\r\n\r\n");
    put(out, before);
    put(out, action);
    put(out, " xmlns:u=\"");
    put(out, kind);
    put(out, "\">");
    haul_out_bytes(out, arguments, argument_bytes);
    put(out, "</u:");
    put(out, action);
    put(out, behind);
}

void haul_igd_write_address(struct haul_out *out, const struct haul_igd_service *service)
{
    put_call(out, service, "GetExternalIPAddress", "", 0);
}

void haul_igd_write_add(struct haul_out *out, const struct haul_igd_service *service,
                        const struct haul_igd_mapping *mapping)
{
    uint8_t text[768], client[20];
    struct haul_out to = haul_out_to(text, sizeof text);
    struct haul_out to_client = haul_out_to(client, sizeof client - 1);

    put_ip(&to_client, mapping->client);
    *to_client.at = '\0';
    put_element(&to, "NewRemoteHost", "");
    put_element_number(&to, "NewExternalPort", mapping->outside);
    put_element(&to, "NewProtocol", mapping->tcp ? "TCP" : "UDP");
    put_element_number(&to, "NewInternalPort", mapping->inside);
    put_element(&to, "NewInternalClient", (const char *)client);
    put_element(&to, "NewEnabled", "1");
    put_element(&to, "NewPortMappingDescription", "haul");
    put_element_number(&to, "NewLeaseDuration", mapping->seconds);
    out->bad |= to.bad;
    put_call(out, service, "AddPortMapping", (const char *)text, (size_t)(to.at - text));
}

void haul_igd_write_delete(struct haul_out *out, const struct haul_igd_service *service, bool tcp,
                           uint16_t outside)
{
    uint8_t text[256];
    struct haul_out to = haul_out_to(text, sizeof text);

    put_element(&to, "NewRemoteHost", "");
    put_element_number(&to, "NewExternalPort", outside);
    put_element(&to, "NewProtocol", tcp ? "TCP" : "UDP");
    out->bad |= to.bad;
    put_call(out, service, "DeletePortMapping", (const char *)text, (size_t)(to.at - text));
}
