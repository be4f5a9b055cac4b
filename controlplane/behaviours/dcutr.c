#include "controlplane/behaviours/dcutr.h"

#include "common/counters.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/address_book.h"
#include "controlplane/p2p/dcutr_message.h"
#include "controlplane/p2p/inbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A first packet that was lost, or came before the other gateway was open, is sent again after 1 s;
 * a connection that is there by the deadline may prove itself behind it. */
#define DIAL_MAX      (2 * HAUL_SECOND) /* a plain dial, before the first punch */
#define PUNCH         (1500 * HAUL_MILLISECOND)
#define PUNCH_ROUNDS  4u
#define PUNCH_MAX     (3 * HAUL_SECOND)
#define RETRY         (250 * HAUL_MILLISECOND)
#define FIRST_WORD    (4 * HAUL_SECOND) /* so long the peer may take to begin */
#define NEXT_WORD     (2 * HAUL_SECOND) /* ... and to ask again when a punch has failed */
#define ROUND_MAX     (5 * HAUL_SECOND) /* longer ones are not believed */
#define GRACE         (10 * HAUL_SECOND)
#define STREAMS_MAX   2u
#define FATES         64u
#define MEETINGS_EACH 4u /* at once, with one peer */

/* What is under way with one peer. */
struct meeting {
    struct haul_dcutr *dcutr;
    struct haul_timer *timer;
    struct haul_peer_id peer;
    uint64_t relayed; /* the connection through the relay */
    bool ours;        /* we began: we were dialled */
    bool dialling;    /* the host will call back */
    enum { MEETING_TALKS, MEETING_WAITS, MEETING_RETRIES, MEETING_PARTS } next;
    uint32_t attempts;
    struct haul_stream *stream; /* on which we ask, until it has ended */
    haul_time asked_at, round;  /* when we said where we are, and how long a word takes */
    size_t count;
    struct haul_multiaddr addresses[HAUL_DCUTR_PLACES_MAX];
    LIST_ENTRY(meeting) link;
};

struct talk { /* one stream */
    struct haul_inbox inbox;
    struct meeting *meeting; /* inbound: from CONNECT to SYNC */
    uint8_t message[HAUL_DCUTR_MESSAGE_MAX];
};

/* What has become of a relayed connection that we dialled. */
struct fate {
    uint64_t relayed; /* NO_CONNECTION: free */
    bool speaks;
    uint32_t failed; /* punches */
    haul_time at;    /* when the peer was known, or of the last of them */
};

struct haul_dcutr {
    struct haul_dcutr_conf conf;
    struct fate fates[FATES];
    size_t next_fate;
    struct haul_host *host;
    struct haul_dcutr_counters counters;
    LIST_HEAD(, meeting) meetings;
    uint32_t count;
};

static haul_time now_of(const struct haul_dcutr *dcutr)
{
    return haul_loop_now(dcutr->conf.loop);
}

/* --- addresses --- */

size_t haul_dcutr_observed(const struct haul_host *host, enum haul_addr_scope floor,
                           struct haul_addr *addresses, size_t capacity)
{
    struct haul_connection_facts facts;
    uint64_t connection = HAUL_HOST_NO_CONNECTION;
    size_t count = 0;

    while (count < capacity && (connection = haul_host_next(host, connection)) != 0) {
        bool known = false;

        if (!haul_host_facts(host, connection, &facts) || facts.relayed || facts.inbound ||
            facts.observed.family == 0 || !haul_host_listens(host, facts.local.port) ||
            haul_addr_scope(&facts.observed) < floor ||
            haul_addr_scope(&facts.observed) == HAUL_ADDR_SPECIAL)
            continue;
        for (size_t i = 0; i < count; i++)
            known |= haul_addr_equal(&addresses[i], &facts.observed);
        if (!known)
            addresses[count++] = facts.observed;
    }
    return count;
}

static bool is_good(enum haul_addr_scope floor, const struct haul_multiaddr *address)
{
    enum haul_addr_scope scope = haul_address_reach(address);
    struct haul_addr socket_addr;

    return haul_multiaddr_tcp(address, &socket_addr) && scope >= floor &&
           scope != HAUL_ADDR_SPECIAL && socket_addr.port != 0;
}

static void own_addresses(const struct haul_dcutr *dcutr, struct haul_dcutr_message *message)
{
    struct haul_addr observed[HAUL_DCUTR_PLACES_MAX];
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];
    size_t count =
        haul_dcutr_observed(dcutr->host, dcutr->conf.floor, observed, HAUL_DCUTR_PLACES_MAX / 2);
    size_t told_count = haul_host_told(dcutr->host, told, HAUL_COUNT_OF(told));

    for (size_t i = 0; i < count; i++)
        haul_multiaddr_from_tcp(&message->addresses[message->address_count++], &observed[i]);
    for (size_t i = 0; i < told_count && message->address_count < HAUL_DCUTR_PLACES_MAX; i++) {
        bool known = !is_good(dcutr->conf.floor, &told[i]);

        for (size_t j = 0; j < message->address_count; j++)
            known |= message->addresses[j].length == told[i].length &&
                     memcmp(message->addresses[j].bytes, told[i].bytes, told[i].length) == 0;
        if (!known)
            message->addresses[message->address_count++] = told[i];
    }
}

static void addresses_take(struct meeting *meeting, enum haul_addr_scope floor,
                           const struct haul_multiaddr *addresses, size_t count)
{
    meeting->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (meeting->count < HAUL_DCUTR_PLACES_MAX && is_good(floor, &addresses[i]))
            meeting->addresses[meeting->count++] = addresses[i];
        else
            haul_counter_add(&meeting->dcutr->counters.addresses_dropped, 1);
    }
}

/* --- meetings --- */

static void on_timer(void *context);

static struct meeting *meeting_open(struct haul_dcutr *dcutr, const struct haul_peer_id *peer,
                                    uint64_t relayed)
{
    struct meeting *meeting;
    uint32_t same = 0;

    LIST_FOREACH(meeting, &dcutr->meetings, link)
    same += haul_peer_id_equal(&meeting->peer, peer);
    if (dcutr->count == HAUL_DCUTR_MEETINGS_MAX || same >= MEETINGS_EACH)
        return NULL;
    meeting = calloc(1, sizeof *meeting);
    if (meeting != NULL)
        meeting->timer = haul_loop_timer(dcutr->conf.loop, on_timer, meeting);
    if (meeting == NULL || meeting->timer == NULL) {
        free(meeting);
        return NULL;
    }
    meeting->dcutr = dcutr;
    meeting->peer = *peer;
    meeting->relayed = relayed;
    LIST_INSERT_HEAD(&dcutr->meetings, meeting, link);
    dcutr->count++;
    return meeting;
}

static void meeting_free(struct meeting *meeting)
{
    LIST_REMOVE(meeting, link);
    meeting->dcutr->count--;
    haul_loop_timer_free(meeting->timer);
    free(meeting);
}

static void wait_for(struct meeting *meeting, int next, haul_time wait)
{
    meeting->next = next;
    haul_loop_timer_set(meeting->timer, haul_time_add(now_of(meeting->dcutr), wait));
}

/* --- what becomes of it --- */

/* FATES: it is not known. */
static size_t fate_of(const struct haul_dcutr *dcutr, uint64_t relayed)
{
    size_t i = 0;

    while (i < FATES && dcutr->fates[i].relayed != relayed)
        i++;
    return i;
}

/* The oldest makes room. */
static void fate_begin(struct haul_dcutr *dcutr, uint64_t relayed, bool speaks)
{
    size_t at = fate_of(dcutr, relayed);

    if (at == FATES) {
        at = dcutr->next_fate++ % FATES;
        dcutr->fates[at] = (struct fate){ .relayed = relayed, .at = now_of(dcutr) };
    }
    dcutr->fates[at].speaks = speaks;
}

static void fate_failed(struct meeting *meeting)
{
    struct haul_dcutr *dcutr = meeting->dcutr;
    size_t at = fate_of(dcutr, meeting->relayed);

    if (at == FATES)
        return;
    dcutr->fates[at].failed++;
    dcutr->fates[at].at = now_of(dcutr);
}

bool haul_dcutr_over(const struct haul_dcutr *dcutr, uint64_t relayed)
{
    const struct meeting *meeting;
    const struct fate *fate;
    size_t at;

    if (dcutr == NULL || dcutr->host == NULL)
        return true;
    at = fate_of(dcutr, relayed);
    if (at == FATES)
        return false;
    fate = &dcutr->fates[at];
    LIST_FOREACH(meeting, &dcutr->meetings, link)
    {
        if (meeting->relayed == relayed)
            return false;
    }
    return !fate->speaks || fate->failed >= HAUL_DCUTR_ATTEMPTS_MAX ||
           haul_time_since(fate->at, now_of(dcutr)) >= (fate->failed > 0 ? NEXT_WORD : FIRST_WORD);
}

static bool is_met(const struct meeting *meeting)
{
    return haul_host_find_direct(meeting->dcutr->host, &meeting->peer) != HAUL_HOST_NO_CONNECTION;
}

/* There is a direct connection; the relayed one has its grace. */
static void met(struct meeting *meeting)
{
    haul_time grace = meeting->dcutr->conf.grace;

    if (meeting->ours)
        wait_for(meeting, MEETING_PARTS, grace != 0 ? grace : GRACE);
    else
        meeting_free(meeting);
}

/* Asks once more, or gives up. */
static void again(struct meeting *meeting)
{
    struct haul_dcutr *dcutr = meeting->dcutr;
    struct haul_connection_facts facts;

    if (is_met(meeting)) {
        met(meeting);
    } else if (meeting->ours && meeting->attempts < HAUL_DCUTR_ATTEMPTS_MAX &&
               haul_host_facts(dcutr->host, meeting->relayed, &facts)) {
        wait_for(meeting, MEETING_RETRIES, meeting->attempts == 0 ? 0 : RETRY);
    } else {
        if (meeting->ours)
            haul_counter_add(&dcutr->counters.failed, 1);
        fate_failed(meeting);
        meeting_free(meeting);
    }
}

static void on_punched(void *context, uint64_t connection, const struct haul_error *error)
{
    struct meeting *meeting = context;
    struct haul_dcutr *dcutr = meeting->dcutr;

    meeting->dialling = false;
    if (connection != HAUL_HOST_NO_CONNECTION) {
        haul_counter_add(meeting->attempts > 0 || !meeting->ours ? &dcutr->counters.punched
                                                                 : &dcutr->counters.reached,
                         1);
        met(meeting);
    } else if (error->code == HAUL_E_CANCELLED) {
        meeting_free(meeting);
    } else {
        again(meeting);
    }
}

static void punch(struct meeting *meeting)
{
    struct haul_dcutr *dcutr = meeting->dcutr;

    haul_counter_add(&dcutr->counters.punches, 1);
    meeting->dialling = true;
    haul_host_punch(dcutr->host, &meeting->peer, meeting->ours, meeting->addresses, meeting->count,
                    haul_time_add(now_of(dcutr),
                                  haul_time_min(PUNCH + PUNCH_ROUNDS * meeting->round, PUNCH_MAX)),
                    on_punched, meeting);
}

static void ask(struct meeting *meeting)
{
    meeting->attempts++;
    meeting->stream =
        haul_host_stream(meeting->dcutr->host, meeting->relayed, &haul_dcutr_behaviour, meeting);
    if (meeting->stream == NULL)
        again(meeting);
}

/* The relayed connection goes when nothing runs on it. */
static void part(struct meeting *meeting)
{
    struct haul_dcutr *dcutr = meeting->dcutr;
    struct haul_connection_facts facts;

    if (!haul_host_facts(dcutr->host, meeting->relayed, &facts) || !is_met(meeting)) {
        meeting_free(meeting);
    } else if (facts.streams > 0) {
        wait_for(meeting, MEETING_PARTS, GRACE);
    } else {
        haul_counter_add(&dcutr->counters.relayed_closed, 1);
        haul_host_disconnect(dcutr->host, meeting->relayed);
        meeting_free(meeting);
    }
}

static void on_timer(void *context)
{
    struct meeting *meeting = context;

    switch (meeting->next) {
    case MEETING_TALKS:
        break;
    case MEETING_WAITS:
        punch(meeting);
        break;
    case MEETING_RETRIES:
        if (is_met(meeting))
            met(meeting);
        else
            ask(meeting);
        break;
    case MEETING_PARTS:
        part(meeting);
        break;
    }
}

/* --- who begins --- */

static void identified(struct haul_host *host, void *service, uint64_t connection,
                       const struct haul_identified *identified)
{
    struct haul_dcutr *dcutr = service;
    struct haul_connection_facts facts;
    struct meeting *meeting;

    if (dcutr->host == NULL || !haul_host_facts(host, connection, &facts) || !facts.relayed)
        return;
    if (!facts.inbound)
        fate_begin(dcutr, connection, haul_host_speaks(host, connection, &haul_dcutr_behaviour));
    if (!facts.inbound || !haul_host_speaks(host, connection, &haul_dcutr_behaviour) ||
        haul_host_find_direct(host, &facts.peer) != HAUL_HOST_NO_CONNECTION)
        return;
    LIST_FOREACH(meeting, &dcutr->meetings, link)
    {
        if (meeting->relayed == connection)
            return;
    }
    meeting = meeting_open(dcutr, &facts.peer, connection);
    if (meeting == NULL)
        return;
    meeting->ours = true;
    haul_counter_add(&dcutr->counters.began, 1);
    addresses_take(meeting, dcutr->conf.plain, identified->addresses, identified->address_count);
    if (meeting->count == 0) {
        again(meeting);
        return;
    }
    meeting->dialling = true;
    haul_host_punch(host, &meeting->peer, false, meeting->addresses, meeting->count,
                    haul_time_add(now_of(dcutr), DIAL_MAX), on_punched, meeting);
}

/* --- talking --- */

static bool send_message(struct haul_stream *stream, const struct haul_dcutr_message *message)
{
    uint8_t body[HAUL_DCUTR_MESSAGE_MAX], data[HAUL_DCUTR_MESSAGE_MAX + 4];
    struct haul_out out = haul_out_to(body, sizeof body);
    struct haul_out framed = haul_out_to(data, sizeof data);

    haul_dcutr_encode(message, &out);
    haul_assert(!out.bad);
    haul_out_uvarint(&framed, (uint64_t)(out.at - body));
    haul_out_bytes(&framed, body, (size_t)(out.at - body));
    return haul_stream_send(stream, data, (size_t)(framed.at - data));
}

static bool say_connect(struct haul_stream *stream)
{
    struct haul_dcutr_message message = { .kind = HAUL_DCUTR_CONNECT };

    own_addresses(haul_stream_service(stream), &message);
    return send_message(stream, &message);
}

static void opened(struct haul_stream *stream, void *argument)
{
    struct talk *talk = haul_stream_state(stream);
    struct meeting *meeting = argument;

    haul_inbox_init(&talk->inbox, talk->message, sizeof talk->message);
    if (haul_stream_inbound(stream))
        return;
    meeting->asked_at = now_of(meeting->dcutr);
    if (!say_connect(stream))
        haul_stream_reset(stream);
}

/* We began: the answer tells where the peer is and how long a word takes. */
static bool take_answer(struct haul_stream *stream, const struct haul_dcutr_message *message)
{
    const struct haul_dcutr_message sync = { .kind = HAUL_DCUTR_SYNC };
    struct meeting *meeting = haul_stream_argument(stream);
    haul_time round = haul_time_since(meeting->asked_at, now_of(meeting->dcutr));

    if (message->kind != HAUL_DCUTR_CONNECT || meeting->stream != stream || round > ROUND_MAX)
        return false;
    addresses_take(meeting, meeting->dcutr->conf.floor, message->addresses, message->address_count);
    if (!send_message(stream, &sync))
        return false;
    haul_stream_close(stream);
    meeting->stream = NULL;
    if (meeting->count == 0) {
        meeting->attempts = HAUL_DCUTR_ATTEMPTS_MAX; /* it will not have any next time */
        again(meeting);
    } else {
        meeting->round = round;
        wait_for(meeting, MEETING_WAITS, round / 2);
    }
    return true;
}

/* The peer began: it says where it is, then when. */
static bool take_question(struct haul_stream *stream, struct talk *talk,
                          const struct haul_dcutr_message *message)
{
    struct haul_dcutr *dcutr = haul_stream_service(stream);
    struct haul_connection_facts facts;
    struct meeting *meeting = talk->meeting;

    if (message->kind == HAUL_DCUTR_SYNC) {
        if (meeting == NULL)
            return false;
        talk->meeting = NULL;
        meeting->round =
            haul_time_min(haul_time_since(meeting->asked_at, now_of(dcutr)), ROUND_MAX);
        haul_stream_close(stream);
        if (is_met(meeting))
            met(meeting);
        else
            punch(meeting);
        return true;
    }
    if (meeting != NULL)
        return false;
    haul_counter_add(&dcutr->counters.asked, 1);
    if (dcutr->host != NULL &&
        haul_host_facts(dcutr->host, haul_stream_connection(stream), &facts) && facts.relayed)
        meeting = meeting_open(dcutr, &facts.peer, haul_stream_connection(stream));
    if (meeting == NULL) {
        haul_counter_add(&dcutr->counters.refused, 1);
        haul_stream_reset(stream);
        return true;
    }
    talk->meeting = meeting;
    meeting->asked_at = now_of(dcutr);
    addresses_take(meeting, dcutr->conf.floor, message->addresses, message->address_count);
    return say_connect(stream);
}

static size_t input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_dcutr *dcutr = haul_stream_service(stream);
    struct talk *talk = haul_stream_state(stream);
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_dcutr_message message;
    enum haul_inbox_result result;
    bool good = true;

    while (good && (result = haul_inbox_take(&talk->inbox, &in)) != HAUL_INBOX_PART)
        good = result == HAUL_INBOX_WHOLE &&
               haul_dcutr_decode(talk->inbox.bytes, talk->inbox.length, &message) &&
               (haul_stream_inbound(stream) ? take_question(stream, talk, &message)
                                            : take_answer(stream, &message));
    if (!good) {
        haul_counter_add(&dcutr->counters.malformed, 1);
        haul_stream_reset(stream);
    }
    return bytes;
}

static void ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct talk *talk = haul_stream_state(stream);
    struct haul_dcutr *dcutr = haul_stream_service(stream);
    struct meeting *meeting;

    (void)end;
    if (talk->meeting != NULL)
        meeting_free(talk->meeting); /* no SYNC came */
    if (haul_stream_inbound(stream))
        return;
    LIST_FOREACH(meeting, &dcutr->meetings, link)
    {
        if (meeting->stream == stream) {
            meeting->stream = NULL;
            again(meeting); /* no answer came */
            return;
        }
    }
}

const struct haul_behaviour haul_dcutr_behaviour = {
    .protocol = "/libp2p/dcutr",
    .state_bytes = sizeof(struct talk),
    .inbound_per_peer_max = STREAMS_MAX,
    .outbound_per_peer_max = STREAMS_MAX,
    .idle_max = 10 * HAUL_SECOND,
    .identified = identified,
    .opened = opened,
    .input = input,
    .ended = ended,
    .closed = closed,
};

/* --- the service --- */

int haul_dcutr_open(struct haul_dcutr **dcutr, const struct haul_dcutr_conf *conf,
                    struct haul_error *error)
{
    struct haul_dcutr *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for punching holes");
    made->conf = *conf;
    LIST_INIT(&made->meetings);
    *dcutr = made;
    return 0;
}

void haul_dcutr_start(struct haul_dcutr *dcutr, struct haul_host *host)
{
    if (dcutr != NULL)
        dcutr->host = host;
}

void haul_dcutr_close(struct haul_dcutr *dcutr)
{
    if (dcutr == NULL)
        return;
    while (!LIST_EMPTY(&dcutr->meetings))
        meeting_free(LIST_FIRST(&dcutr->meetings));
    free(dcutr);
}

const struct haul_dcutr_counters *haul_dcutr_counters(const struct haul_dcutr *dcutr)
{
    return &dcutr->counters;
}
