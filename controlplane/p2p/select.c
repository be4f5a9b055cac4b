#include "controlplane/p2p/select.h"

#define HEADER "/multistream/1.0.0"

void haul_select_dial(struct haul_select *select, const char *const *protocols, size_t count)
{
    haul_assert(count <= HAUL_SELECT_DIAL_MAX);
    haul_select_listen(select, protocols, count);
    select->dialer = true;
}

void haul_select_listen(struct haul_select *select, const char *const *protocols, size_t count)
{
    haul_assert(count > 0 && count <= UINT16_MAX);
    for (size_t i = 0; i < count; i++)
        haul_assert(strlen(protocols[i]) <= HAUL_SELECT_NAME_MAX);
    *select = (struct haul_select){ .protocols = protocols, .count = (uint16_t)count };
}

static void write_name(struct haul_out *out, const char *name)
{
    size_t bytes = strlen(name);

    haul_out_uvarint(out, bytes + 1);
    haul_out_bytes(out, name, bytes);
    haul_out_be(out, '\n', 1);
}

/* The answer to `ls`: one frame that holds a frame for each protocol, as many as fit. */
static void write_list(const struct haul_select *select, struct haul_out *out)
{
    size_t bytes = 1;
    size_t shown = 0;

    for (; shown < select->count; shown++) {
        size_t frame = strlen(select->protocols[shown]) + 1;

        frame += haul_uvarint_bytes(frame);
        if (bytes + frame > HAUL_SELECT_FRAME_MAX)
            break;
        bytes += frame;
    }
    haul_out_uvarint(out, bytes);
    for (size_t i = 0; i < shown; i++)
        write_name(out, select->protocols[i]);
    haul_out_be(out, '\n', 1);
}

/* One byte of the length: at most two of them, minimal, 1 to 1024. False when it is out of that. */
static bool read_length(struct haul_select *select, uint8_t byte)
{
    if (select->length_bytes == 1 && byte == 0)
        return false;
    select->frame_bytes |= (uint16_t)((byte & 0x7f) << (7 * select->length_bytes));
    select->length_bytes++;
    select->framed = (byte & 0x80) == 0;
    if (!select->framed)
        return select->length_bytes < 2;
    return select->frame_bytes >= 1 && select->frame_bytes <= HAUL_SELECT_FRAME_MAX;
}

/* Reads up to the end of the frame: only the beginning is kept, for no name of ours is longer. */
static void read_frame(struct haul_select *select, struct haul_in *in)
{
    size_t bytes = (size_t)(select->frame_bytes - select->frame_read);
    const uint8_t *at;

    if (bytes > haul_in_left(in))
        bytes = haul_in_left(in);
    at = haul_in_bytes(in, bytes);
    if (bytes == 0)
        return;
    for (size_t i = 0; i < bytes && select->frame_read + i < sizeof select->name; i++)
        select->name[select->frame_read + i] = (char)at[i];
    select->frame_read = (uint16_t)(select->frame_read + bytes);
    select->last = at[bytes - 1];
}

/* True when the frame just read is `name` and '\n'. */
static bool frame_is(const struct haul_select *select, const char *name)
{
    size_t bytes = strlen(name);

    return select->frame_bytes == bytes + 1 && memcmp(select->name, name, bytes) == 0;
}

static void propose(struct haul_select *select, struct haul_out *out)
{
    write_name(out, select->protocols[select->index]);
    select->proposed = true;
}

static enum haul_select_state dialer_reads(struct haul_select *select, struct haul_out *out)
{
    if (frame_is(select, select->protocols[select->index]))
        return HAUL_SELECT_AGREED;
    if (!frame_is(select, "na"))
        return HAUL_SELECT_BROKEN;
    if (select->index + 1 == select->count)
        return HAUL_SELECT_REFUSED;
    select->index++;
    propose(select, out);
    return HAUL_SELECT_RUNNING;
}

/* The name is the dialer's and may be anything. */
static void note_unspoken(const struct haul_select *select)
{
    struct haul_select_unspoken *unspoken = select->unspoken;
    size_t bytes = select->frame_bytes - 1u;

    if (unspoken == NULL)
        return;
    unspoken->count++;
    memset(unspoken->last, 0, sizeof unspoken->last);
    for (size_t i = 0; i < bytes && i < sizeof unspoken->last - 1; i++)
        unspoken->last[i] = select->name[i] > ' ' && select->name[i] <= '~' ? select->name[i] : '?';
}

static enum haul_select_state listener_reads(struct haul_select *select, struct haul_out *out)
{
    for (uint16_t i = 0; i < select->count; i++) {
        if (frame_is(select, select->protocols[i])) {
            write_name(out, select->protocols[i]);
            select->index = i;
            return HAUL_SELECT_AGREED;
        }
    }
    if (frame_is(select, "ls") && !select->listed) {
        write_list(select, out);
        select->listed = true;
        return HAUL_SELECT_RUNNING;
    }
    write_name(out, "na");
    note_unspoken(select);
    select->answers++;
    return select->answers < HAUL_SELECT_PROPOSALS_MAX ? HAUL_SELECT_RUNNING : HAUL_SELECT_REFUSED;
}

static enum haul_select_state frame_ends(struct haul_select *select, struct haul_out *out)
{
    if (select->last != '\n')
        return HAUL_SELECT_BROKEN;
    if (!select->met) {
        select->met = frame_is(select, HEADER);
        return select->met ? HAUL_SELECT_RUNNING : HAUL_SELECT_BROKEN;
    }
    return select->dialer ? dialer_reads(select, out) : listener_reads(select, out);
}

enum haul_select_state haul_select_step(struct haul_select *select, struct haul_in *in,
                                        struct haul_out *out)
{
    haul_assert(haul_out_left(out) >= HAUL_SELECT_OUT_BYTES && !out->bad);
    if (!select->greeted) {
        write_name(out, HEADER);
        select->greeted = true;
        if (select->dialer)
            propose(select, out);
    }
    while (select->state == HAUL_SELECT_RUNNING && haul_in_left(in) > 0) {
        if (!select->framed) {
            if (!read_length(select, *haul_in_bytes(in, 1)))
                select->state = HAUL_SELECT_BROKEN;
            continue;
        }
        read_frame(select, in);
        if (select->frame_read < select->frame_bytes)
            continue;
        select->state = (uint8_t)frame_ends(select, out);
        select->frame_bytes = 0;
        select->frame_read = 0;
        select->length_bytes = 0;
        select->framed = false;
    }
    haul_assert(!out->bad);
    return (enum haul_select_state)select->state;
}

bool haul_select_early(const struct haul_select *select)
{
    if (select->state == HAUL_SELECT_AGREED)
        return true;
    return select->state == HAUL_SELECT_RUNNING && select->dialer && select->proposed &&
           select->index + 1 == select->count;
}
