/* The home directory: made once and found again, an identity that stays, and keys that are refused
 * because somebody else could read or swap them. */
#include "controlplane/home.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char where[] = "/tmp/haul-home-XXXXXX";

static struct haul_home fresh_home(void)
{
    static unsigned count;
    struct haul_home home;
    char path[128];

    snprintf(path, sizeof path, "%s/home%u", where, count++);
    haul_assert(haul_home_open(&home, path, true, NULL) == 0);
    return home;
}

static enum haul_error_code key_refusal(const struct haul_home *home)
{
    struct haul_error error = { 0 };
    struct haul_key key;

    return haul_home_key(home, false, &key, NULL, &error) < 0 ? error.code : HAUL_OK;
}

static void an_identity_is_made_once_and_stays(void)
{
    struct haul_home home = fresh_home();
    struct haul_key first, second;
    struct stat facts;
    bool made;

    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    CU_ASSERT_EQUAL(haul_home_key(&home, true, &first, &made, NULL), 0);
    CU_ASSERT_TRUE(made);
    CU_ASSERT_EQUAL(fstatat(home.directory, "identity.key", &facts, 0), 0);
    CU_ASSERT_EQUAL(facts.st_mode & 07777, 0600);
    CU_ASSERT_EQUAL(facts.st_size, HAUL_KEY_PRIVATE_BYTES);
    CU_ASSERT_EQUAL(haul_home_key(&home, true, &second, &made, NULL), 0);
    CU_ASSERT_FALSE(made);
    CU_ASSERT_TRUE(haul_peer_id_equal(&first.id, &second.id));
    haul_home_close(&home);
}

static void a_key_that_others_may_read_is_refused(void)
{
    static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0666 };
    struct haul_home home = fresh_home();
    struct haul_key key;

    CU_ASSERT_EQUAL(haul_home_key(&home, true, &key, NULL, NULL), 0);
    for (size_t i = 0; i < HAUL_COUNT_OF(modes); i++) {
        CU_ASSERT_EQUAL(fchmodat(home.directory, "identity.key", modes[i], 0), 0);
        CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    }
    CU_ASSERT_EQUAL(fchmodat(home.directory, "identity.key", 0400, 0), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_OK);
    haul_home_close(&home);
}

static void a_link_a_pipe_and_a_directory_are_no_key(void)
{
    struct haul_home home = fresh_home();
    struct haul_key key;

    CU_ASSERT_EQUAL(haul_home_key(&home, true, &key, NULL, NULL), 0);
    CU_ASSERT_EQUAL(renameat(home.directory, "identity.key", home.directory, "other"), 0);
    CU_ASSERT_EQUAL(symlinkat("other", home.directory, "identity.key"), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    CU_ASSERT_EQUAL(unlinkat(home.directory, "identity.key", 0), 0);
    CU_ASSERT_EQUAL(mkfifoat(home.directory, "identity.key", 0600), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE); /* and does not wait for a writer */
    CU_ASSERT_EQUAL(unlinkat(home.directory, "identity.key", 0), 0);
    CU_ASSERT_EQUAL(mkdirat(home.directory, "identity.key", 0700), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    haul_home_close(&home);
}

static void a_key_of_another_user_is_refused(void)
{
    struct haul_home home = fresh_home();
    struct haul_key key;

    CU_ASSERT_EQUAL(haul_home_key(&home, true, &key, NULL, NULL), 0);
    if (fchownat(home.directory, "identity.key", 65534, 65534, 0) == 0) /* root only */
        CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    haul_home_close(&home);
}

static void a_cut_or_longer_key_is_refused(void)
{
    struct haul_home home = fresh_home();
    struct haul_key key;
    int fd;

    CU_ASSERT_EQUAL(haul_home_key(&home, true, &key, NULL, NULL), 0);
    fd = openat(home.directory, "identity.key", O_RDWR);
    CU_ASSERT_EQUAL(ftruncate(fd, HAUL_KEY_PRIVATE_BYTES - 1), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    CU_ASSERT_EQUAL(ftruncate(fd, HAUL_KEY_PRIVATE_BYTES + 1), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
    CU_ASSERT_EQUAL(key_refusal(&home), HAUL_E_KEY_UNSAFE);
    close(fd);
    haul_home_close(&home);
}

static void a_home_is_held_by_one_process(void)
{
    struct haul_home home = fresh_home(), again;
    struct haul_error error;

    CU_ASSERT_EQUAL(haul_home_lock(&home, &error), 0);
    CU_ASSERT_EQUAL(haul_home_open(&again, home.path, false, &error), 0);
    CU_ASSERT_EQUAL(haul_home_lock(&again, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_NODE_BUSY);
    haul_home_close(&home);
    CU_ASSERT_EQUAL(haul_home_lock(&again, &error), 0);
    haul_home_close(&again);
}

static void what_is_no_home_or_of_another_format_is_refused(void)
{
    struct haul_home home = fresh_home(), again;
    struct haul_error error;
    int fd = openat(home.directory, "format", O_WRONLY | O_TRUNC);

    CU_ASSERT_EQUAL(write(fd, "haul home 2\n", 12), 12);
    close(fd);
    CU_ASSERT_EQUAL(haul_home_open(&again, home.path, true, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_HOME_FORMAT);
    CU_ASSERT_EQUAL(haul_home_open(&again, where, false, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_NODE_ABSENT);
    haul_home_close(&home);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "an identity is made once and stays", an_identity_is_made_once_and_stays },
        { "a key that others may read is refused", a_key_that_others_may_read_is_refused },
        { "a link, a pipe and a directory are no key", a_link_a_pipe_and_a_directory_are_no_key },
        { "a key of another user is refused", a_key_of_another_user_is_refused },
        { "a cut or longer key is refused", a_cut_or_longer_key_is_refused },
        { "a home is held by one process", a_home_is_held_by_one_process },
        { "what is no home or of another format is refused",
          what_is_no_home_or_of_another_format_is_refused },
    };
    char command[128];
    int status;

    if (mkdtemp(where) == NULL)
        return 1;
    status = unit_main("home", tests, HAUL_COUNT_OF(tests));
    snprintf(command, sizeof command, "rm -r %s", where);
    return system(command) == 0 ? status : 1;
}
