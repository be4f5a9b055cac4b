/* The table of errors, and the one function that fills a struct haul_error. */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct error_info {
    const char *name;
    const char *meaning;
    const char *next;
};

static const struct error_info errors[HAUL_E_COUNT] = {
    [HAUL_OK] = { "ok", "nothing is wrong", "carry on" },
#define X(constant, code, meaning, next) [HAUL_E_##constant] = { code, meaning, next },
    HAUL_ERRORS(X)
#undef X
};

int haul_fail(struct haul_error *error, enum haul_error_code code, const char *format, ...)
{
    va_list list;

    if (error == NULL)
        return -1;
    error->code = code;
    va_start(list, format);
    vsnprintf(error->text, sizeof error->text, format, list);
    va_end(list);
    return -1;
}

const char *haul_error_name(enum haul_error_code code)
{
    return code < HAUL_E_COUNT ? errors[code].name : "unknown";
}

const char *haul_error_meaning(enum haul_error_code code)
{
    return code < HAUL_E_COUNT ? errors[code].meaning : "an error of a newer version";
}

const char *haul_error_next(enum haul_error_code code)
{
    return code < HAUL_E_COUNT ? errors[code].next : "update haul";
}

bool haul_error_again(enum haul_error_code code)
{
    static const enum haul_error_code again[] = {
        HAUL_E_PEER_UNREACHABLE, HAUL_E_PEER_GONE, HAUL_E_CARRIER_FAILED, HAUL_E_NODE_ABSENT,
        HAUL_E_STORE_FAILED,     HAUL_E_LIMIT,     HAUL_E_REFUSED,        HAUL_E_TIMEOUT,
        HAUL_E_CANCELLED,        HAUL_E_SYSTEM,
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(again); i++) {
        if (again[i] == code)
            return true;
    }
    return false;
}

enum haul_error_code haul_error_find(const char *name)
{
    enum haul_error_code code = HAUL_OK;

    while (code < HAUL_E_COUNT && strcmp(errors[code].name, name) != 0)
        code++;
    return code;
}
