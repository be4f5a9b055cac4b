#include "controlplane/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct list {
    struct haul_peer_id *peers; /* in order */
    size_t count, capacity;
};

struct haul_gate {
    struct list allow, deny;
};

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct haul_peer_id *)a)->bytes, ((const struct haul_peer_id *)b)->bytes,
                  HAUL_PEER_ID_BYTES_MAX);
}

static bool holds(const struct list *list, const struct haul_peer_id *peer)
{
    return list->count > 0 &&
           bsearch(peer, list->peers, list->count, sizeof *list->peers, compare) != NULL;
}

static int list_add(struct list *list, const char *text, const char *key, struct haul_error *error)
{
    struct haul_peer_id peer;

    if (!haul_peer_id_parse(text, &peer))
        return haul_fail(error, HAUL_E_PEER_MALFORMED, "%s: '%.80s' is not a peer id", key, text);
    if (list->count == HAUL_GATE_PEERS_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "%s: more than %u peers", key, HAUL_GATE_PEERS_MAX);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        struct haul_peer_id *grown = realloc(list->peers, capacity * sizeof *grown);

        if (grown == NULL)
            return haul_fail(error, HAUL_E_SYSTEM, "no memory for a list of peers");
        list->peers = grown;
        list->capacity = capacity;
    }
    list->peers[list->count++] = peer;
    return 0;
}

/* Words of a text that is written over: separated by commas and white space, comments left out. */
static int list_parse(struct list *list, char *text, const char *key, struct haul_error *error)
{
    static const char separators[] = ", \t\r\n";

    for (char *at = text; *at != '\0';) {
        size_t bytes = strcspn(at, ", \t\r\n#");
        char *end = at + bytes;
        char after = *end;

        if (after == '#')
            end += strcspn(end, "\n");
        at[bytes] = '\0';
        if (bytes > 0 && list_add(list, at, key, error) < 0)
            return -1;
        at = after == '\0' ? end : end + (after != '#' || *end == '\n');
        at += strspn(at, separators);
    }
    return 0;
}

static char *file_text(const struct haul_home *home, const char *name, const char *key,
                       struct haul_error *error)
{
    int fd = openat(home->directory, name, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    char *text = NULL;
    ssize_t got = -1;

    if (fd >= 0 && fstat(fd, &facts) == 0 && facts.st_size <= (off_t)HAUL_GATE_FILE_BYTES_MAX &&
        (text = malloc((size_t)facts.st_size + 1)) != NULL)
        got = read(fd, text, (size_t)facts.st_size);
    if (got < 0) {
        haul_fail(error, HAUL_E_CONFIG_KEY, "%s: cannot read %s: %s", key, name, strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[got] = '\0';
    }
    if (fd >= 0)
        close(fd);
    return text;
}

static int list_open(struct list *list, const struct haul_home *home, const char *value,
                     const char *key, struct haul_error *error)
{
    char *text = value[0] == '@' ? file_text(home, value + 1, key, error) : strdup(value);
    int failed;

    if (text == NULL && value[0] != '@')
        haul_fail(error, HAUL_E_SYSTEM, "no memory for a list of peers");
    if (text == NULL)
        return -1;
    failed = list_parse(list, text, key, error);
    free(text);
    if (list->count > 0)
        qsort(list->peers, list->count, sizeof *list->peers, compare);
    return failed;
}

int haul_gate_open(struct haul_gate **gate, const struct haul_home *home, const char *allow,
                   const char *deny, struct haul_error *error)
{
    struct haul_gate *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for lists of peers");
    if (list_open(&made->allow, home, allow, "peers.allow", error) < 0 ||
        list_open(&made->deny, home, deny, "peers.deny", error) < 0) {
        haul_gate_close(made);
        return -1;
    }
    *gate = made;
    return 0;
}

void haul_gate_close(struct haul_gate *gate)
{
    if (gate == NULL)
        return;
    free(gate->allow.peers);
    free(gate->deny.peers);
    free(gate);
}

bool haul_gate_allows(const struct haul_gate *gate, const struct haul_peer_id *peer)
{
    return !holds(&gate->deny, peer) && (gate->allow.count == 0 || holds(&gate->allow, peer));
}

size_t haul_gate_allow_count(const struct haul_gate *gate)
{
    return gate->allow.count;
}

size_t haul_gate_deny_count(const struct haul_gate *gate)
{
    return gate->deny.count;
}
