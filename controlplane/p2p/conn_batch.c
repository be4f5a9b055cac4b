/* What is handed out of a connection to be sealed or opened, and how it comes back. */
#include "controlplane/p2p/conn_batch.h"

#include "controlplane/p2p/conn_parts.h"

static struct haul_conn_place *place_at(struct haul_conn_batches *batches, uint32_t number)
{
    return &batches->places[(batches->head + number) % HAUL_CONN_BATCHES_MAX];
}

static void pop(struct haul_conn_batches *batches)
{
    batches->head = (batches->head + 1) % HAUL_CONN_BATCHES_MAX;
    batches->count--;
}

bool haul_conn_defers(const struct haul_conn *conn)
{
    return conn->defers && conn->phase == HAUL_CONN_UP &&
           conn->secure.security == HAUL_SECURITY_NOISE && conn->psk_out.psk == NULL;
}

/* Takes the next place for whole messages at `at`, as many as make a batch. */
static struct haul_conn_batch *give(struct haul_conn *conn, bool opening,
                                    struct haul_conn_batch *batches, uint8_t *buffer, size_t at,
                                    size_t bytes)
{
    struct haul_conn_batches *out = opening ? &conn->opening : &conn->sealing;
    uint32_t number = (out->head + out->count) % HAUL_CONN_BATCHES_MAX;
    struct haul_conn_batch *batch = &batches[number];
    size_t took;
    uint32_t messages = haul_noise_count(buffer + at, bytes, HAUL_CONN_BATCH_BYTES_MAX, &took);

    if (messages == 0 || (opening && took < HAUL_CONN_BATCH_BYTES_MIN) ||
        !haul_noise_batch_init(&batch->noise, &conn->secure.noise, opening, buffer + at, took,
                               messages))
        return NULL;
    batch->place = number;
    out->places[number] = (struct haul_conn_place){ .at = at, .messages = messages };
    out->count++;
    return batch;
}

/* --- sealing --- */

/* How much of what is laid out lies in one piece, from out_laid on. */
static size_t laid_piece(const struct haul_conn *conn)
{
    if (conn->out_wrap == 0 || conn->out_laid + conn->laid_bytes == conn->out_end)
        return conn->laid_bytes;
    return conn->out_wrap - conn->out_laid;
}

static void laid_took(struct haul_conn *conn, size_t bytes)
{
    conn->laid_bytes -= bytes;
    conn->out_laid += bytes;
    if (conn->laid_bytes > 0 && conn->out_wrap != 0 && conn->out_laid == conn->out_wrap)
        conn->out_laid = 0;
}

struct haul_conn_batch *haul_conn_defer_seal(struct haul_conn *conn,
                                             struct haul_conn_batch *batches)
{
    struct haul_conn_batch *batch;

    if (!haul_conn_defers(conn) || conn->sealing.count == HAUL_CONN_BATCHES_MAX ||
        conn->laid_bytes < HAUL_CONN_BATCH_BYTES_MIN)
        return NULL;
    batch = give(conn, false, batches, conn->out, conn->out_laid, laid_piece(conn));
    if (batch != NULL)
        laid_took(conn, batch->noise.bytes);
    return batch;
}

bool haul_conn_seal_laid(struct haul_conn *conn)
{
    while (conn->laid_bytes > 0 && conn->sealing.count == 0) {
        size_t bytes = laid_piece(conn);
        struct haul_noise_batch batch;
        uint32_t messages = haul_noise_count(conn->out + conn->out_laid, bytes, bytes, &bytes);

        if (!haul_noise_batch_init(&batch, &conn->secure.noise, false, conn->out + conn->out_laid,
                                   bytes, messages))
            return haul_conn_fail(conn, HAUL_CONN_STALLED);
        haul_noise_batch_run(&batch);
        haul_assert(batch.good == messages);
        laid_took(conn, bytes);
    }
    return true;
}

size_t haul_conn_sendable(const struct haul_conn *conn)
{
    size_t end = conn->out_wrap != 0 ? conn->out_wrap : conn->out_end;
    size_t first;

    if (conn->sealing.count > 0)
        first = conn->sealing.places[conn->sealing.head].at;
    else if (conn->laid_bytes > 0)
        first = conn->out_laid;
    else
        return end - conn->out_at;
    /* Where writing went on at the start, what lies before out_at comes behind the piece. */
    return first < conn->out_at ? end - conn->out_at : first - conn->out_at;
}

/* --- opening --- */

struct haul_conn_batch *haul_conn_defer_open(struct haul_conn *conn,
                                             struct haul_conn_batch *batches)
{
    size_t at = conn->opening.count > 0 ? conn->in_given : conn->in_at;
    struct haul_conn_batch *batch;

    if (!haul_conn_defers(conn) || conn->opening.count == HAUL_CONN_BATCHES_MAX ||
        conn->in_end - at < HAUL_CONN_BATCH_BYTES_MIN)
        return NULL;
    batch = give(conn, true, batches, conn->in, at, conn->in_end - at);
    if (batch != NULL)
        conn->in_given = at + batch->noise.bytes;
    return batch;
}

enum haul_conn_opened haul_conn_next_opened(struct haul_conn *conn, uint8_t **data, size_t *bytes)
{
    struct haul_conn_place *place = place_at(&conn->opening, 0);
    uint8_t *message = conn->in + conn->in_at;

    if (!place->back)
        return HAUL_CONN_OPENED_LATER;
    if (place->good == 0)
        return HAUL_CONN_OPENED_FORGED;
    *bytes = haul_noise_frame(message) - HAUL_NOISE_TAG_BYTES;
    *data = message + HAUL_NOISE_FRAME_BYTES;
    conn->in_at += HAUL_NOISE_FRAME_BYTES + haul_noise_frame(message);
    place->good--;
    if (--place->messages == 0)
        pop(&conn->opening);
    if (conn->in_wrap != 0 && conn->in_at == conn->in_wrap) {
        conn->in_at = 0;
        conn->in_wrap = 0;
    }
    return HAUL_CONN_OPENED_DATA;
}

/* --- both --- */

bool haul_conn_defer_due(const struct haul_conn *conn)
{
    size_t at = conn->opening.count > 0 ? conn->in_given : conn->in_at;

    return haul_conn_defers(conn) && (conn->laid_bytes >= HAUL_CONN_BATCH_BYTES_MIN ||
                                      conn->in_end - at >= HAUL_CONN_BATCH_BYTES_MIN);
}

void haul_conn_batch_back(struct haul_conn *conn, const struct haul_conn_batch *batch)
{
    struct haul_conn_batches *out = batch->noise.opening ? &conn->opening : &conn->sealing;
    struct haul_conn_place *place = &out->places[batch->place];

    haul_assert(!place->back);
    place->back = true;
    place->good = batch->noise.good;
    if (batch->noise.opening)
        return;
    haul_assert(place->good == place->messages);
    while (conn->sealing.count > 0 && place_at(&conn->sealing, 0)->back)
        pop(&conn->sealing);
}
