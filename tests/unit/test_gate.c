/* Which peers a node has to do with. */
#include "controlplane/gate.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct haul_home home = { .directory = -1, .lock = -1 };
static struct haul_peer_id peers[3];
static char texts[3][HAUL_PEER_ID_TEXT_BYTES];

static void prepare(void)
{
    home.directory = open("/tmp", O_DIRECTORY | O_CLOEXEC);
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t secret[32];
        struct haul_key key;

        memset(secret, i + 1, sizeof secret);
        haul_key_from_seed(&key, secret);
        peers[i] = key.id;
        haul_peer_id_print(&peers[i], texts[i]);
    }
}

/* Bit n: peer n is allowed. -1: refused to open. */
static int allowed(const char *allow, const char *deny)
{
    struct haul_gate *gate = NULL;
    struct haul_error error;
    int bits = 0;

    if (haul_gate_open(&gate, &home, allow, deny, &error) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        bits |= haul_gate_allows(gate, &peers[i]) << i;
    haul_gate_close(gate);
    return bits;
}

static void without_lists_everybody_is_welcome(void)
{
    prepare();
    CU_ASSERT_EQUAL(allowed("", ""), 7);
    CU_ASSERT_EQUAL(allowed(" , \n", "# nobody"), 7);
}

static void an_allow_list_keeps_all_others_out_and_denied_wins(void)
{
    char two[400];

    snprintf(two, sizeof two, "%s,%s", texts[0], texts[2]);
    CU_ASSERT_EQUAL(allowed(texts[1], ""), 2);
    CU_ASSERT_EQUAL(allowed(two, ""), 5);
    CU_ASSERT_EQUAL(allowed("", two), 2);
    CU_ASSERT_EQUAL(allowed(two, texts[0]), 4);
    CU_ASSERT_EQUAL(allowed(texts[0], texts[0]), 0);
}

static void lists_are_read_from_files_with_comments(void)
{
    char name[] = "/tmp/test_gate.XXXXXX";
    int fd = mkstemp(name);
    FILE *file = fdopen(fd, "w");
    char value[64];

    fprintf(file, "# the cluster\n%s # one\n\n  %s\n#%s", texts[0], texts[1], texts[2]);
    fclose(file);
    snprintf(value, sizeof value, "@%s", name);
    CU_ASSERT_EQUAL(allowed(value, ""), 3);
    CU_ASSERT_EQUAL(allowed("", value), 4);
    snprintf(value, sizeof value, "@%s", name + strlen("/tmp/"));
    CU_ASSERT_EQUAL(allowed(value, ""), 3);
    unlink(name);
    CU_ASSERT_EQUAL(allowed(value, ""), -1);
}

static void what_is_no_peer_id_is_refused(void)
{
    CU_ASSERT_EQUAL(allowed("12D3KooWnobody", ""), -1);
    CU_ASSERT_EQUAL(allowed("", "x"), -1);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "without lists everybody is welcome", without_lists_everybody_is_welcome },
        { "an allow list keeps all others out, and denied wins",
          an_allow_list_keeps_all_others_out_and_denied_wins },
        { "lists are read from files with comments", lists_are_read_from_files_with_comments },
        { "what is no peer id is refused", what_is_no_peer_id_is_refused },
    };

    return unit_main("gate", tests, HAUL_COUNT_OF(tests));
}
