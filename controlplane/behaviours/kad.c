/* Streams of the DHT. One reader serves both directions; a stream that asks too fast, or does not
 * read its answers, is not read from until it may go on. */
#include "controlplane/behaviours/kad.h"

#include "common/counters.h"
#include "controlplane/host/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define IDLE_MAX    (60 * HAUL_SECOND)
#define RESUME_WAIT (50 * HAUL_MILLISECOND)

struct reader {
    uint8_t length[HAUL_KAD_LENGTH_BYTES_MAX];
    uint8_t length_bytes;
    bool framed;
    size_t want, have;
    uint8_t *body;
};

struct haul_kad_question {
    struct haul_kad *kad;
    struct haul_stream *stream;
    haul_kad_answer_fn *done;
    void *context;
    haul_time deadline;
    bool answered;
    size_t at, bytes;
    LIST_ENTRY(haul_kad_question) link;
    uint8_t frames[];
};

/* The state of a stream. */
struct line {
    struct haul_kad *kad;
    struct haul_stream *stream;
    struct haul_kad_question *question; /* ours; NULL on an inbound stream, or when it is over */
    struct reader reader;
    uint8_t *out; /* what could not be written yet */
    size_t out_at, out_bytes;
    uint64_t credit; /* requests, in nanoseconds of their rate */
    haul_time credited;
    bool ended, waiting;
    LIST_ENTRY(line) link; /* while waiting */
};

struct haul_kad {
    struct haul_kad_conf conf;
    struct haul_timer *timer;
    LIST_HEAD(, haul_kad_question) questions;
    LIST_HEAD(, line) waiting;
    uint32_t question_count;
    struct haul_kad_counters counters;
    uint8_t answer[HAUL_KAD_LENGTH_BYTES_MAX + HAUL_KAD_SENT_BYTES_MAX];
};

static haul_time now_of(const struct haul_kad *kad)
{
    return haul_loop_now(kad->conf.loop);
}

static void arm(struct haul_kad *kad)
{
    struct haul_kad_question *question;
    haul_time at = HAUL_TIME_NEVER;

    LIST_FOREACH(question, &kad->questions, link)
    at = haul_time_min(at, question->deadline);
    if (!LIST_EMPTY(&kad->waiting))
        at = haul_time_min(at, haul_time_add(now_of(kad), RESUME_WAIT));
    haul_loop_timer_set(kad->timer, at);
}

/* --- reading --- */

enum progress { MORE, WHOLE, FAULT };

static enum progress read_length(struct reader *reader, uint8_t byte, size_t bytes_max)
{
    struct haul_in in;

    if (reader->length_bytes == sizeof reader->length)
        return FAULT;
    reader->length[reader->length_bytes++] = byte;
    if (byte & 0x80)
        return MORE;
    in = haul_in_from(reader->length, reader->length_bytes);
    reader->want = (size_t)haul_in_uvarint(&in);
    if (!haul_in_done(&in) || reader->want > bytes_max)
        return FAULT;
    reader->body = malloc(reader->want + 1);
    if (reader->body == NULL)
        return FAULT;
    reader->length_bytes = 0;
    reader->have = 0;
    reader->framed = true;
    return reader->want == 0 ? WHOLE : MORE;
}

static enum progress read_some(struct reader *reader, struct haul_in *in, size_t bytes_max)
{
    size_t bytes;

    if (!reader->framed)
        return read_length(reader, (uint8_t)haul_in_be(in, 1), bytes_max);
    bytes = reader->want - reader->have;
    if (bytes > haul_in_left(in))
        bytes = haul_in_left(in);
    haul_in_copy(in, reader->body + reader->have, bytes);
    reader->have += bytes;
    return reader->have == reader->want ? WHOLE : MORE;
}

static void reader_clear(struct reader *reader)
{
    free(reader->body);
    *reader = (struct reader){ 0 };
}

/* --- asking --- */

static void question_end(struct haul_kad_question *question, const struct haul_kad_message *answer)
{
    struct haul_kad *kad = question->kad;
    haul_kad_answer_fn *done = question->done;
    void *context = question->context;
    bool sent = question->at == question->bytes;

    if (question->stream != NULL)
        ((struct line *)haul_stream_state(question->stream))->question = NULL;
    LIST_REMOVE(question, link);
    kad->question_count--;
    if (answer != NULL)
        haul_counter_add(&kad->counters.answers, 1);
    else if (question->answered)
        haul_counter_add(&kad->counters.unanswered, 1);
    free(question);
    arm(kad);
    done(context, answer, sent);
}

static void question_write(struct haul_kad_question *question)
{
    question->at += haul_stream_write(question->stream, question->frames + question->at,
                                      question->bytes - question->at);
    /* The end of what has no answer tells that it was taken: the peer closes behind it. */
    if (question->at == question->bytes && !question->answered)
        haul_stream_close(question->stream);
}

static void answer_read(struct line *line, struct haul_in *in)
{
    struct haul_stream *stream = line->stream;
    struct haul_kad *kad = line->kad;
    enum progress progress = MORE;
    struct haul_kad_message answer;

    while (haul_in_left(in) > 0 && progress == MORE)
        progress = read_some(&line->reader, in, HAUL_KAD_ANSWER_BYTES_MAX);
    if (progress == MORE)
        return;
    if (progress == WHOLE &&
        haul_kad_message_decode(line->reader.body, line->reader.want, &answer)) {
        haul_stream_close(stream);
        question_end(line->question, &answer);
    } else {
        haul_counter_add(&kad->counters.faulty_answers, 1);
        haul_stream_reset(stream);
        question_end(line->question, NULL);
    }
    reader_clear(&line->reader);
}

bool haul_kad_ask(struct haul_kad *kad, struct haul_host *host, uint64_t connection,
                  const void *frames, size_t bytes, bool answered, haul_kad_answer_fn *done,
                  void *context)
{
    struct haul_kad_question *question;

    if (kad->question_count == HAUL_KAD_QUESTIONS_MAX)
        return false;
    question = malloc(sizeof *question + bytes);
    if (question == NULL)
        return false;
    *question =
        (struct haul_kad_question){ .kad = kad,
                                    .done = done,
                                    .context = context,
                                    .deadline = haul_time_add(now_of(kad), HAUL_KAD_ANSWER_WAIT),
                                    .answered = answered,
                                    .bytes = bytes };
    memcpy(question->frames, frames, bytes);
    LIST_INSERT_HEAD(&kad->questions, question, link);
    kad->question_count++;
    if (haul_host_stream(host, connection, &haul_kad_behaviour, question) == NULL) {
        LIST_REMOVE(question, link);
        kad->question_count--;
        free(question);
        return false;
    }
    haul_counter_add(&kad->counters.questions, 1);
    arm(kad);
    return true;
}

/* --- answering --- */

/* One request's worth of credit, or a wait. */
static bool may_ask(struct line *line)
{
    const uint64_t cost = HAUL_SECOND / HAUL_KAD_RATE;
    haul_time now = now_of(line->kad);

    line->credit += haul_time_since(line->credited, now);
    line->credited = now;
    if (line->credit > cost * HAUL_KAD_BURST)
        line->credit = cost * HAUL_KAD_BURST;
    if (line->credit < cost) {
        haul_counter_add(&line->kad->counters.throttled, 1);
        if (!line->waiting)
            LIST_INSERT_HEAD(&line->kad->waiting, line, link);
        line->waiting = true;
        arm(line->kad);
        return false;
    }
    line->credit -= cost;
    return true;
}

static bool answer_write(struct line *line, const uint8_t *data, size_t bytes)
{
    size_t written = haul_stream_write(line->stream, data, bytes);

    if (written == bytes)
        return true;
    line->out = malloc(bytes - written);
    if (line->out == NULL)
        return false;
    memcpy(line->out, data + written, bytes - written);
    line->out_at = 0;
    line->out_bytes = bytes - written;
    return true;
}

static bool request_take(struct line *line)
{
    struct haul_kad *kad = line->kad;
    struct haul_host *host = haul_stream_host(line->stream);
    uint8_t *body = kad->answer + HAUL_KAD_LENGTH_BYTES_MAX, *frame;
    struct haul_out out = haul_out_to(body, HAUL_KAD_SENT_BYTES_MAX);
    struct haul_kad_asker asker = { .id = *haul_stream_peer(line->stream) };
    struct haul_connection_facts facts;

    haul_counter_add(&kad->counters.requests, 1);
    if (kad->conf.server == NULL) /* it was one when the stream began */
        return false;
    if (!haul_host_facts(host, haul_stream_connection(line->stream), &facts))
        return false;
    haul_kad_key_of_peer(&asker.id, &asker.key);
    asker.scope = haul_addr_scope(&facts.remote);
    asker.network = haul_address_group(&facts.remote);
    switch (haul_kad_serve(kad->conf.server, &asker, line->reader.body, line->reader.want,
                           now_of(kad), &out)) {
    case HAUL_KAD_REFUSAL:
        return false;
    case HAUL_KAD_SILENCE:
        return true;
    case HAUL_KAD_ANSWER:
        break;
    }
    frame = haul_kad_frame(kad->answer, (size_t)(out.at - body));
    return answer_write(line, frame, (size_t)(out.at - frame));
}

/* Takes requests for as long as their answers leave. */
static void requests_read(struct line *line, struct haul_in *in)
{
    while (haul_in_left(in) > 0 && line->out == NULL) {
        enum progress progress;

        /* A new message begins: may it? */
        if (!line->reader.framed && line->reader.length_bytes == 0 && !may_ask(line))
            return;
        progress = read_some(&line->reader, in, HAUL_KAD_REQUEST_BYTES_MAX);
        if (progress == MORE)
            continue;
        if (progress == FAULT || !request_take(line)) {
            haul_stream_reset(line->stream);
            in->at = in->end;
            return;
        }
        reader_clear(&line->reader);
    }
}

static void line_finish(struct line *line)
{
    if (line->ended && line->out == NULL && line->question == NULL && !line->waiting)
        haul_stream_close(line->stream);
}

static void timer_due(void *context)
{
    struct haul_kad *kad = context;
    struct haul_kad_question *question, *next_question;
    struct line *line;

    while ((line = LIST_FIRST(&kad->waiting)) != NULL) {
        LIST_REMOVE(line, link);
        line->waiting = false;
        haul_stream_resume(line->stream);
        line_finish(line);
    }
    for (question = LIST_FIRST(&kad->questions); question != NULL; question = next_question) {
        next_question = LIST_NEXT(question, link);
        if (now_of(kad) < question->deadline)
            continue;
        if (question->stream != NULL)
            haul_stream_reset(question->stream);
        question_end(question, NULL);
        /* Others may have ended or begun in that call. */
        next_question = LIST_FIRST(&kad->questions);
    }
    arm(kad);
}

/* --- the table --- */

static void kad_identified(struct haul_host *host, void *service, uint64_t connection,
                           const struct haul_identified *told)
{
    struct haul_kad *kad = service;

    if (kad->conf.identified != NULL)
        kad->conf.identified(kad->conf.context, connection, told,
                             haul_host_speaks(host, connection, &haul_kad_behaviour));
}

static void kad_opened(struct haul_stream *stream, void *argument)
{
    struct line *line = haul_stream_state(stream);

    line->kad = haul_stream_service(stream);
    line->stream = stream;
    line->credit = HAUL_KAD_BURST * (HAUL_SECOND / HAUL_KAD_RATE);
    line->credited = now_of(line->kad);
    if (haul_stream_inbound(stream)) {
        if (line->kad->conf.server == NULL)
            haul_stream_reset(stream);
        return;
    }
    line->question = argument;
    line->question->stream = stream;
    question_write(line->question);
}

static size_t kad_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct line *line = haul_stream_state(stream);
    struct haul_in in = haul_in_from(data, bytes);

    if (haul_stream_inbound(stream))
        requests_read(line, &in);
    else if (line->question != NULL && line->question->answered)
        answer_read(line, &in);
    else
        in.at = in.end; /* nothing more was asked for */
    return (size_t)(in.at - data);
}

static void kad_writable(struct haul_stream *stream)
{
    struct line *line = haul_stream_state(stream);

    if (line->question != NULL) {
        question_write(line->question);
        return;
    }
    if (line->out == NULL)
        return;
    line->out_at +=
        haul_stream_write(stream, line->out + line->out_at, line->out_bytes - line->out_at);
    if (line->out_at < line->out_bytes)
        return;
    free(line->out);
    line->out = NULL;
    haul_stream_resume(stream);
    line_finish(line);
}

static void kad_ended(struct haul_stream *stream)
{
    struct line *line = haul_stream_state(stream);

    line->ended = true;
    if (line->question != NULL)
        question_end(line->question, NULL);
    line_finish(line);
}

static void kad_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct line *line = haul_stream_state(stream);

    (void)end;
    /* Of a stream that ends before it opened only the argument is there. */
    if (line->kad == NULL && haul_stream_argument(stream) != NULL)
        line->question = haul_stream_argument(stream);
    if (line->question != NULL) {
        line->question->stream = NULL;
        question_end(line->question, NULL);
        line->question = NULL;
    }
    if (line->waiting)
        LIST_REMOVE(line, link);
    reader_clear(&line->reader);
    free(line->out);
}

const struct haul_behaviour haul_kad_behaviour = {
    .protocol = HAUL_KAD_PROTOCOL,
    .state_bytes = sizeof(struct line),
    .inbound_per_peer_max = HAUL_KAD_STREAMS_PER_PEER,
    .outbound_per_peer_max = HAUL_KAD_STREAMS_PER_PEER,
    .idle_max = IDLE_MAX,
    .identified = kad_identified,
    .opened = kad_opened,
    .input = kad_input,
    .ended = kad_ended,
    .writable = kad_writable,
    .closed = kad_closed,
};

int haul_kad_open(struct haul_kad **kad, const struct haul_kad_conf *conf, struct haul_error *error)
{
    struct haul_kad *made = calloc(1, sizeof *made);

    if (made != NULL)
        made->timer = haul_loop_timer(conf->loop, timer_due, made);
    if (made == NULL || made->timer == NULL) {
        free(made);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the DHT");
    }
    made->conf = *conf;
    *kad = made;
    return 0;
}

void haul_kad_server_change(struct haul_kad *kad, struct haul_kad_server *server)
{
    kad->conf.server = server;
}

void haul_kad_close(struct haul_kad *kad)
{
    if (kad == NULL)
        return;
    haul_assert(LIST_EMPTY(&kad->questions));
    haul_loop_timer_free(kad->timer);
    free(kad);
}

const struct haul_kad_counters *haul_kad_counters(const struct haul_kad *kad)
{
    return &kad->counters;
}
