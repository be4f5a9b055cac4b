/* Of DAG-CBOR only what a record may hold is read: one map of definite length with texts as keys,
 * all in their shortest form. Entries of other names are passed over. */
#include "controlplane/p2p/kad/ipns.h"

#include "controlplane/p2p/fields.h"

#define DOMAIN       "ipns-signature:"
#define DOMAIN_BYTES 15u
#define YEAR_MAX     2500u
#define NANO         1000000000u
#define MINUTE       60u

enum {
    FIELD_VALUE = 1,
    FIELD_SIGNATURE_1 = 2,
    FIELD_VALIDITY_TYPE = 3,
    FIELD_VALIDITY = 4,
    FIELD_SEQUENCE = 5,
    FIELD_TTL = 6,
    FIELD_PUBLIC_KEY = 7,
    FIELD_SIGNATURE = 8,
    FIELD_DATA = 9,
    FIELD_COUNT
};

enum {
    CBOR_NUMBER,
    CBOR_NEGATIVE,
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_LIST,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_OTHER
};

/* Keys in the order of DAG-CBOR: by length, then by bytes. */
static const struct entry_kind {
    const char *name;
    uint8_t bytes, type, field; /* the field of version 1 that says the same */
} kinds[] = {
    { "TTL", 3, CBOR_NUMBER, FIELD_TTL },
    { "Value", 5, CBOR_BYTES, FIELD_VALUE },
    { "Sequence", 8, CBOR_NUMBER, FIELD_SEQUENCE },
    { "Validity", 8, CBOR_BYTES, FIELD_VALIDITY },
    { "ValidityType", 12, CBOR_NUMBER, FIELD_VALIDITY_TYPE },
};

struct item {
    bool there;
    uint64_t number; /* or the bytes of what follows */
    const uint8_t *data;
};

/* --- times --- */

static bool digits(struct haul_in *in, unsigned count, uint32_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t digit = haul_in_be(in, 1) - '0';

        if (in->bad || digit > 9)
            return false;
        *value = *value * 10 + (uint32_t)digit;
    }
    return true;
}

static bool is_next(struct haul_in *in, char letter)
{
    if (haul_in_left(in) == 0 || *in->at != (uint8_t)letter)
        return false;
    in->at++;
    return true;
}

static uint32_t days_before(uint32_t year) /* days from the year 0 to the first of March of it */
{
    return year * 365 + year / 4 - year / 100 + year / 400;
}

/* Days since 1970: years begin in March, so that a leap day is the last one. */
static uint32_t days_of(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t from_march = (month + 9) % 12;

    year -= month <= 2;
    return days_before(year) + (from_march * 306 + 5) / 10 + day - 1 - 719468;
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leaps ? 29 : days[month - 1];
}

/* ".5", ".000000001" or nothing. */
static bool fraction_read(struct haul_in *in, uint32_t *nano)
{
    uint32_t scale = NANO / 10;

    *nano = 0;
    if (!is_next(in, '.'))
        return true;
    for (unsigned i = 0; i < 9 && haul_in_left(in) > 0 && *in->at >= '0' && *in->at <= '9';
         i++, scale /= 10)
        *nano += ((uint32_t)haul_in_be(in, 1) - '0') * scale;
    return scale != NANO / 10;
}

/* The minutes to take away. */
static bool offset_read(struct haul_in *in, int32_t *minutes)
{
    uint32_t hour, minute;
    bool east;

    *minutes = 0;
    if (is_next(in, 'Z'))
        return true;
    east = is_next(in, '+');
    if ((!east && !is_next(in, '-')) || !digits(in, 2, &hour) || !is_next(in, ':') ||
        !digits(in, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *minutes = (int32_t)(hour * MINUTE + minute) * (east ? 1 : -1);
    return true;
}

bool haul_ipns_time_read(const uint8_t *text, size_t bytes, uint64_t *nanoseconds)
{
    struct haul_in in = haul_in_from(text, bytes);
    uint32_t year, month, day, hour, minute, second, nano;
    int32_t offset;
    int64_t seconds;

    if (!digits(&in, 4, &year) || !is_next(&in, '-') || !digits(&in, 2, &month) ||
        !is_next(&in, '-') || !digits(&in, 2, &day) || !is_next(&in, 'T') ||
        !digits(&in, 2, &hour) || !is_next(&in, ':') || !digits(&in, 2, &minute) ||
        !is_next(&in, ':') || !digits(&in, 2, &second) || !fraction_read(&in, &nano) ||
        !offset_read(&in, &offset) || !haul_in_done(&in))
        return false;
    if (year < 1970 || year >= YEAR_MAX || month < 1 || month > 12 || day < 1 ||
        day > month_days(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    seconds = (int64_t)days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
              offset * (int64_t)MINUTE;
    if (seconds < 0)
        return false;
    *nanoseconds = (uint64_t)seconds * NANO + nano;
    return true;
}

static void digits_write(char *text, uint32_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10)
        text[i] = (char)('0' + value % 10);
}

void haul_ipns_time_write(uint64_t nanoseconds, char text[HAUL_IPNS_TIME_BYTES])
{
    uint64_t seconds = nanoseconds / NANO;
    uint32_t days = (uint32_t)(seconds / 86400), second = (uint32_t)(seconds % 86400);
    uint32_t year = 1970, month = 1;

    while (days >= 365u + (month_days(year, 2) == 29))
        days -= 365u + (month_days(year++, 2) == 29);
    while (days >= month_days(year, month))
        days -= month_days(year, month++);
    memcpy(text, "0000-00-00T00:00:00.000000000Z", HAUL_IPNS_TIME_BYTES);
    digits_write(text, year, 4);
    digits_write(text + 5, month, 2);
    digits_write(text + 8, days + 1, 2);
    digits_write(text + 11, second / 3600, 2);
    digits_write(text + 14, second / 60 % 60, 2);
    digits_write(text + 17, second % 60, 2);
    digits_write(text + 20, (uint32_t)(nanoseconds % NANO), 9);
}

/* --- DAG-CBOR --- */

/* The head of an item: its type, and its number in the shortest form. */
static uint8_t head_read(struct haul_in *in, uint64_t *number)
{
    uint8_t first = (uint8_t)haul_in_be(in, 1), low = first & 31, type = first >> 5;
    size_t width = low < 24 ? 0 : (size_t)1 << (low & 3);

    *number = low;
    if (low > 27) {
        in->bad = true;
    } else if (width > 0) {
        *number = haul_in_be(in, width);
        in->bad = in->bad ||
                  (type != CBOR_OTHER && (width == 1 ? *number < 24 : *number >> (4 * width) == 0));
    }
    return type;
}

/* Over one item and all that it holds: each holds at least a byte, so their number is bounded. */
static void item_skip(struct haul_in *in)
{
    uint64_t left = 1, number;

    while (left > 0 && !in->bad) {
        uint8_t type = head_read(in, &number);

        left--;
        if (type == CBOR_BYTES || type == CBOR_TEXT)
            (void)haul_in_bytes(in, number);
        else if ((type == CBOR_LIST || type == CBOR_MAP) && number > haul_in_left(in))
            in->bad = true;
        else if (type == CBOR_LIST || type == CBOR_MAP)
            left += type == CBOR_MAP ? 2 * number : number;
        else if (type == CBOR_TAG)
            left++;
    }
}

static void head_write(struct haul_out *out, unsigned type, uint64_t number)
{
    unsigned low = number < 24            ? (unsigned)number
                   : number <= UINT8_MAX  ? 24u
                   : number <= UINT16_MAX ? 25u
                   : number <= UINT32_MAX ? 26u
                                          : 27u;

    haul_out_be(out, type << 5 | low, 1);
    if (low >= 24)
        haul_out_be(out, number, (size_t)1 << (low - 24));
}

static const struct entry_kind *kind_of(const uint8_t *name, size_t bytes)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(kinds); i++) {
        if (bytes == kinds[i].bytes && memcmp(name, kinds[i].name, bytes) == 0)
            return &kinds[i];
    }
    return NULL;
}

static void entry_read(struct haul_in *in, struct item items[FIELD_COUNT])
{
    uint64_t name_bytes;
    bool text = head_read(in, &name_bytes) == CBOR_TEXT;
    const uint8_t *name = haul_in_bytes(in, name_bytes);
    const struct entry_kind *kind = name == NULL ? NULL : kind_of(name, name_bytes);
    struct item *item;

    in->bad = in->bad || !text;
    if (kind == NULL) {
        item_skip(in);
        return;
    }
    item = &items[kind->field];
    in->bad = in->bad || item->there || head_read(in, &item->number) != kind->type;
    if (kind->type == CBOR_BYTES)
        item->data = haul_in_bytes(in, item->number);
    item->there = true;
}

/* All entries of ours are there, each once, but the time to live, which may be missing. */
static bool data_read(const uint8_t *data, size_t bytes, struct item items[FIELD_COUNT])
{
    struct haul_in in = haul_in_from(data, bytes);
    uint64_t count;

    if (head_read(&in, &count) != CBOR_MAP)
        return false;
    for (uint64_t i = 0; i < count && !in.bad; i++)
        entry_read(&in, items);
    return haul_in_done(&in) && items[FIELD_VALUE].there && items[FIELD_SEQUENCE].there &&
           items[FIELD_VALIDITY].there && items[FIELD_VALIDITY_TYPE].there;
}

/* --- records --- */

static bool fields_read(const uint8_t *record, size_t bytes, struct item fields[FIELD_COUNT])
{
    struct haul_in in = haul_in_from(record, bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        bool number = field.number == FIELD_VALIDITY_TYPE || field.number == FIELD_SEQUENCE ||
                      field.number == FIELD_TTL;

        if (field.number >= FIELD_COUNT)
            continue;
        if (number == field.is_bytes)
            return false;
        fields[field.number] = (struct item){ .there = true,
                                              .number = field.is_bytes ? field.bytes : field.value,
                                              .data = field.data };
    }
    return !in.bad;
}

/* What version 1 says, if it is there at all, is what version 2 says. */
static bool agree(const struct item fields[FIELD_COUNT], const struct item items[FIELD_COUNT])
{
    if (fields[FIELD_VALUE].number == 0 && fields[FIELD_SIGNATURE_1].number == 0)
        return true;
    for (size_t i = 0; i < HAUL_COUNT_OF(kinds); i++) {
        const struct item *field = &fields[kinds[i].field], *item = &items[kinds[i].field];

        if (field->number != item->number || (kinds[i].type == CBOR_BYTES && item->number > 0 &&
                                              memcmp(field->data, item->data, item->number) != 0))
            return false;
    }
    return true;
}

static bool signed_by(const uint8_t *key, size_t key_bytes, const struct item *data,
                      const struct item *signature)
{
    uint8_t text[DOMAIN_BYTES + HAUL_IPNS_BYTES_MAX];

    memcpy(text, DOMAIN, DOMAIN_BYTES);
    memcpy(text + DOMAIN_BYTES, data->data, data->number);
    return haul_key_verify(key, key_bytes, text, DOMAIN_BYTES + data->number, signature->data,
                           signature->number);
}

enum haul_ipns_fault haul_ipns_read(const struct haul_peer_id *name, const uint8_t *record,
                                    size_t bytes, struct haul_ipns *ipns)
{
    struct item fields[FIELD_COUNT] = { 0 }, items[FIELD_COUNT] = { 0 };
    struct haul_peer_id owner;
    const uint8_t *key = name->bytes + 2; /* an id of up to 42 bytes holds its key, or a hash */
    size_t key_bytes = name->length - 2u;
    uint64_t ends;

    if (bytes > HAUL_IPNS_BYTES_MAX || !fields_read(record, bytes, fields) ||
        !fields[FIELD_DATA].there || fields[FIELD_DATA].number == 0 ||
        !fields[FIELD_SIGNATURE].there || fields[FIELD_SIGNATURE].number == 0 ||
        !data_read(fields[FIELD_DATA].data, fields[FIELD_DATA].number, items) ||
        items[FIELD_VALIDITY_TYPE].number != 0 ||
        !haul_ipns_time_read(items[FIELD_VALIDITY].data, items[FIELD_VALIDITY].number, &ends) ||
        !agree(fields, items))
        return HAUL_IPNS_MALFORMED;
    if (fields[FIELD_PUBLIC_KEY].there && fields[FIELD_PUBLIC_KEY].number > 0) {
        key = fields[FIELD_PUBLIC_KEY].data;
        key_bytes = fields[FIELD_PUBLIC_KEY].number;
    } else if (name->bytes[0] != 0x00) {
        return HAUL_IPNS_STRANGER;
    }
    if (!haul_key_peer_id(key, key_bytes, &owner) || !haul_peer_id_equal(&owner, name))
        return HAUL_IPNS_STRANGER;
    if (!signed_by(key, key_bytes, &fields[FIELD_DATA], &fields[FIELD_SIGNATURE]))
        return HAUL_IPNS_FORGED;
    *ipns = (struct haul_ipns){ .sequence = items[FIELD_SEQUENCE].number,
                                .ends = ends,
                                .value = items[FIELD_VALUE].data,
                                .value_bytes = items[FIELD_VALUE].number };
    return HAUL_IPNS_GOOD;
}

void haul_ipns_write(const struct haul_key *key, const void *value, size_t value_bytes,
                     uint64_t sequence, uint64_t ends, struct haul_out *out)
{
    uint8_t text[DOMAIN_BYTES + HAUL_IPNS_BYTES_MAX], signature[HAUL_KEY_SIGNATURE_BYTES];
    struct haul_out data = haul_out_to(text + DOMAIN_BYTES, HAUL_IPNS_BYTES_MAX);
    char until[HAUL_IPNS_TIME_BYTES];
    size_t data_bytes;

    memcpy(text, DOMAIN, DOMAIN_BYTES);
    haul_ipns_time_write(ends, until);
    head_write(&data, CBOR_MAP, HAUL_COUNT_OF(kinds));
    for (size_t i = 0; i < HAUL_COUNT_OF(kinds); i++) {
        head_write(&data, CBOR_TEXT, kinds[i].bytes);
        haul_out_bytes(&data, kinds[i].name, kinds[i].bytes);
        if (kinds[i].field == FIELD_VALUE) {
            head_write(&data, CBOR_BYTES, value_bytes);
            haul_out_bytes(&data, value, value_bytes);
        } else if (kinds[i].field == FIELD_VALIDITY) {
            head_write(&data, CBOR_BYTES, sizeof until);
            haul_out_bytes(&data, until, sizeof until);
        } else {
            head_write(&data, CBOR_NUMBER, kinds[i].field == FIELD_SEQUENCE ? sequence : 0);
        }
    }
    out->bad = out->bad || data.bad;
    if (out->bad)
        return;
    data_bytes = (size_t)(data.at - (text + DOMAIN_BYTES));
    haul_key_sign(key, text, DOMAIN_BYTES + data_bytes, signature);
    haul_field_write_bytes(out, FIELD_SIGNATURE, signature, sizeof signature);
    haul_field_write_bytes(out, FIELD_DATA, text + DOMAIN_BYTES, data_bytes);
}
