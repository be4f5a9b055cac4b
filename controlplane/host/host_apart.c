/* Bulk of connections, sealed and opened by other threads. What a thread touches outlives the
 * connection: a record with the batches, and the mapping with the buffers, which falls to it when
 * the connection ends first. */
#include "controlplane/host/host_parts.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { SEALING, OPENING, DIRECTIONS };

struct haul_apart {
    struct haul_connection *connection; /* NULL: gone */
    uint32_t out;
    void *memory; /* once the connection is gone */
    size_t memory_bytes;
    struct haul_conn_batch batches[DIRECTIONS][HAUL_CONN_BATCHES_MAX];
};

static void run(void *job)
{
    struct haul_conn_batch *batch = job;

    haul_noise_batch_run(&batch->noise);
}

static void back(void *job)
{
    struct haul_conn_batch *batch = job;
    struct haul_apart *apart = batch->owner;

    apart->out--;
    if (apart->connection != NULL) {
        haul_conn_batch_back(&apart->connection->conn, batch);
        haul_connection_touch(apart->connection);
    } else if (apart->out == 0) {
        munmap(apart->memory, apart->memory_bytes);
        free(apart);
    }
}

/* Where nobody has room for it, it is run here. */
static void give(struct haul_connection *connection, struct haul_conn_batch *batch)
{
    const struct haul_host_threads *threads = &connection->host->conf.threads;
    struct haul_host_counters *counters = &connection->host->counters;

    batch->owner = connection->apart;
    if (!threads->run(threads->context, run, back, batch)) {
        run(batch);
        haul_conn_batch_back(&connection->conn, batch);
        return;
    }
    connection->apart->out++;
    haul_counter_add(batch->noise.opening ? &counters->opened_apart : &counters->sealed_apart, 1);
    haul_counter_add(batch->noise.opening ? &counters->opened_apart_bytes
                                          : &counters->sealed_apart_bytes,
                     batch->noise.bytes);
}

void haul_apart_give(struct haul_connection *connection)
{
    struct haul_conn *conn = &connection->conn;
    struct haul_conn_batch *batch;

    if (!connection->machine || !conn->defers)
        return;
    if (connection->apart == NULL) {
        if (!haul_conn_defer_due(conn)) /* most connections never carry bulk */
            return;
        connection->apart = calloc(1, sizeof *connection->apart);
        if (connection->apart == NULL)
            return;
        connection->apart->connection = connection;
    }
    while ((batch = haul_conn_defer_seal(conn, connection->apart->batches[SEALING])) != NULL)
        give(connection, batch);
    while ((batch = haul_conn_defer_open(conn, connection->apart->batches[OPENING])) != NULL)
        give(connection, batch);
}

void haul_apart_free(struct haul_connection *connection)
{
    struct haul_apart *apart = connection->apart;

    if (apart == NULL || apart->out == 0) {
        if (connection->memory != NULL)
            munmap(connection->memory, connection->memory_bytes);
        free(apart);
        return;
    }
    apart->connection = NULL;
    apart->memory = connection->memory;
    apart->memory_bytes = connection->memory_bytes;
}
