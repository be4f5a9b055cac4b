/* Dials for others: which addresses, and when. The connection that a dial makes is used for the
 * proof alone and then closed. */
#include "controlplane/behaviours/autonat_parts.h"

#include <stdlib.h>
#include <string.h>

bool autonat_may_dial(const struct haul_multiaddr *address, const struct haul_peer_id *peer,
                      const struct haul_connection_facts *asker, bool *own)
{
    struct haul_peer_id named;
    struct haul_addr to;

    if (!haul_multiaddr_tcp(address, &to) || to.port == 0 || asker->relayed ||
        (haul_multiaddr_peer(address, &named) && !haul_peer_id_equal(&named, peer)))
        return false;
    *own = to.family == asker->remote.family && memcmp(to.ip, asker->remote.ip, sizeof to.ip) == 0;
    return *own || haul_addr_scope(&to) == HAUL_ADDR_PUBLIC;
}

void autonat_job_free(struct autonat_job *job)
{
    LIST_REMOVE(job, link);
    job->autonat->jobs--;
    haul_loop_timer_free(job->timer);
    free(job);
}

static void free_if_done(struct autonat_job *job)
{
    if (job->stream == NULL && !job->dialling && !job->backing)
        autonat_job_free(job);
}

static void answer(struct autonat_job *job, uint32_t status, const struct haul_multiaddr *reached)
{
    uint8_t data[HAUL_MULTIADDR_BYTES_MAX + 64];
    struct haul_out out = haul_out_to(data, sizeof data);

    if (job->stream == NULL)
        return;
    if (job->second)
        haul_autonat2_write_response(&out, HAUL_AUTONAT2_OK, job->index, status);
    else
        haul_autonat_write_response(&out, status, reached);
    if (autonat_send(job->stream, data, &out))
        haul_stream_close(job->stream);
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct autonat_job *job = context;
    struct haul_connection_facts facts;
    struct haul_multiaddr reached;

    job->dialling = false;
    job->connection = connection;
    if (error != NULL || !haul_host_facts(job->host, connection, &facts)) {
        answer(job, job->second ? HAUL_AUTONAT2_DIAL_ERROR : HAUL_AUTONAT_DIAL_ERROR, NULL);
        free_if_done(job);
        return;
    }
    haul_counter_add(&job->autonat->counters.autonat_reached, 1);
    if (job->second && haul_host_stream(job->host, connection, job->autonat->back, job)) {
        job->backing = true;
        return;
    }
    haul_multiaddr_from_tcp(&reached, &facts.remote);
    answer(job, job->second ? HAUL_AUTONAT2_DIAL_BACK_ERROR : HAUL_AUTONAT_OK, &reached);
    haul_host_disconnect(job->host, connection);
    free_if_done(job);
}

void autonat_job_back_closed(struct autonat_job *job)
{
    job->backing = false;
    answer(job, job->back_arrived ? HAUL_AUTONAT2_DIAL_OK : HAUL_AUTONAT2_DIAL_BACK_ERROR, NULL);
    haul_host_disconnect(job->host, job->connection);
    free_if_done(job);
}

/* The asker may have gone meanwhile: then nobody wants to know. */
static void on_timer(void *context)
{
    struct autonat_job *job = context;

    if (job->stream == NULL)
        return;
    haul_counter_add(&job->autonat->counters.autonat_dials, 1);
    job->dialling = true;
    haul_host_dial_anew(job->host, &job->peer, job->addresses, job->count,
                        haul_time_add(autonat_now(job->host), HAUL_AUTONAT_DIAL_MAX), on_dialled,
                        job);
}

struct autonat_job *autonat_job_open(struct haul_autonat *autonat, struct haul_stream *stream)
{
    struct autonat_job *job;

    if (autonat->jobs == HAUL_AUTONAT_JOBS_MAX)
        return NULL;
    job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->autonat = autonat;
    job->host = haul_stream_host(stream);
    job->stream = stream;
    job->peer = *haul_stream_peer(stream);
    job->timer = haul_loop_timer(haul_host_loop(job->host), on_timer, job);
    autonat->jobs++;
    LIST_INSERT_HEAD(&autonat->job_list, job, link);
    if (job->timer == NULL) {
        autonat_job_free(job);
        return NULL;
    }
    return job;
}

void autonat_job_dial(struct autonat_job *job, haul_time wait)
{
    haul_loop_timer_set(job->timer, haul_time_add(autonat_now(job->host), wait));
}

void autonat_job_closed(struct autonat_job *job)
{
    job->stream = NULL;
    free_if_done(job);
}
