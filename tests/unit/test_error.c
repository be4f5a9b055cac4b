/* Errors have stable codes that can be found again; log lines cannot be forged. */
#include "common/error.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

static void every_code_has_a_name_that_finds_it(void)
{
    for (int code = HAUL_OK; code < HAUL_E_COUNT; code++) {
        const char *name = haul_error_name((enum haul_error_code)code);

        CU_ASSERT_PTR_NOT_NULL_FATAL(name);
        CU_ASSERT_EQUAL(haul_error_find(name), (enum haul_error_code)code);
        CU_ASSERT_TRUE(strlen(haul_error_meaning((enum haul_error_code)code)) > 0);
        CU_ASSERT_TRUE(strlen(haul_error_next((enum haul_error_code)code)) > 0);
    }
    CU_ASSERT_EQUAL(haul_error_find("no-such-code"), HAUL_E_COUNT);
}

static void a_failure_carries_its_text_and_cuts_it(void)
{
    struct haul_error error = { 0 };
    char longest[400];

    CU_ASSERT_EQUAL(haul_fail(&error, HAUL_E_LIMIT, "%s of %d", "grants", 64), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_LIMIT);
    CU_ASSERT_STRING_EQUAL(error.text, "grants of 64");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    CU_ASSERT_EQUAL(haul_fail(&error, HAUL_E_LIMIT, "%s", longest), -1);
    CU_ASSERT_EQUAL(strlen(error.text), sizeof error.text - 1);
    CU_ASSERT_EQUAL(haul_fail(NULL, HAUL_E_LIMIT, "nobody listens"), -1);
}

/* What haul_log writes to standard error, caught in a pipe. */
static void caught(enum haul_log_level level, const char *value, char *line, size_t capacity)
{
    int ends[2], kept = dup(STDERR_FILENO);
    ssize_t got;

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    CU_ASSERT_TRUE_FATAL(kept >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    haul_log(level, "test-event", "name=%s", value);
    CU_ASSERT_TRUE_FATAL(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(ends[1]);
    got = read(ends[0], line, capacity - 1);
    close(ends[0]);
    line[got > 0 ? got : 0] = 0;
}

static void a_peers_text_cannot_start_a_line(void)
{
    char line[4096];

    caught(HAUL_LOG_WARN, "a\nlevel=error\x1b[2J\xc3\xa9", line, sizeof line);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(line, " level=warn event=test-event name=a\\x0alevel=error\\x1b[2J\\xc3\\xa9\n"));
    CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + strlen(line) - 1);
}

static void levels_filter_and_long_lines_are_cut(void)
{
    char line[4096], longest[3000];

    caught(HAUL_LOG_DEBUG, "x", line, sizeof line);
    CU_ASSERT_STRING_EQUAL(line, "");
    haul_log_level_set(HAUL_LOG_DEBUG);
    memset(longest, 1, sizeof longest);
    longest[sizeof longest - 1] = 0;
    caught(HAUL_LOG_DEBUG, longest, line, sizeof line);
    CU_ASSERT_TRUE(strlen(line) > 1000 && strlen(line) <= 2048);
    CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + strlen(line) - 1);
    haul_log_level_set(HAUL_LOG_INFO);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every code has a name that finds it", every_code_has_a_name_that_finds_it },
        { "a failure carries its text and cuts it", a_failure_carries_its_text_and_cuts_it },
        { "a peer's text cannot start a line", a_peers_text_cannot_start_a_line },
        { "levels filter and long lines are cut", levels_filter_and_long_lines_are_cut },
    };

    return unit_main("error", tests, HAUL_COUNT_OF(tests));
}
