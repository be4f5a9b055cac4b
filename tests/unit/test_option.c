/* The option parser, its values and its suggestions. */
#include "controlplane/cmd/option.h"
#include "tests/unit/unit.h"

#include <string.h>

#define GET_OPTIONS                                                                                \
    (HAUL_OPTIONS_COMMON | HAUL_OPTION_BIT(OUTPUT) | HAUL_OPTION_BIT(CARRIER) |                    \
     HAUL_OPTION_BIT(TIMEOUT) | HAUL_OPTION_BIT(SIZE) | HAUL_OPTION_BIT(TO) |                      \
     HAUL_OPTION_BIT(RUNS) | HAUL_OPTION_BIT(KEEP))

static int parse(const char *words, struct haul_options *options, struct haul_error *error)
{
    static char text[512];
    char *argv[32];
    char *save = NULL;
    int argc = 0;

    strncpy(text, words, sizeof text - 1);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return haul_options_parse(argc, argv, GET_OPTIONS, options, error);
}

static void options_and_arguments_mix_in_any_order(void)
{
    struct haul_options options;
    struct haul_error error;

    CU_ASSERT_EQUAL(parse("one --home=/h two -o out --json --size 64M", &options, &error), 0);
    CU_ASSERT_EQUAL(options.argument_count, 2);
    CU_ASSERT_STRING_EQUAL(options.arguments[1], "two");
    CU_ASSERT_STRING_EQUAL(options.text[HAUL_OPTION_HOME], "/h");
    CU_ASSERT_STRING_EQUAL(options.text[HAUL_OPTION_OUTPUT], "out");
    CU_ASSERT_TRUE(haul_options_has(&options, HAUL_OPTION_JSON));
    CU_ASSERT_FALSE(haul_options_has(&options, HAUL_OPTION_KEEP));
    CU_ASSERT_EQUAL(options.number[HAUL_OPTION_SIZE], 64u << 20);
}

static void a_dash_is_an_argument_and_two_end_the_options(void)
{
    struct haul_options options;
    struct haul_error error;

    CU_ASSERT_EQUAL(parse("- -o - -- --json", &options, &error), 0);
    CU_ASSERT_EQUAL(options.argument_count, 2);
    CU_ASSERT_STRING_EQUAL(options.arguments[0], "-");
    CU_ASSERT_STRING_EQUAL(options.arguments[1], "--json");
    CU_ASSERT_STRING_EQUAL(options.text[HAUL_OPTION_OUTPUT], "-");
}

static void an_unknown_option_names_the_nearest(void)
{
    struct haul_options options;
    struct haul_error error;

    CU_ASSERT_EQUAL(parse("--carier udp", &options, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "did you mean --carrier?"));
    CU_ASSERT_EQUAL(parse("--zzzzzzzz", &options, &error), -1);
    CU_ASSERT_PTR_NULL(strstr(error.text, "did you mean"));
    CU_ASSERT_EQUAL(parse("--preserve", &options, &error), -1);
    CU_ASSERT_EQUAL(parse("-x", &options, &error), -1);
}

static void values_out_of_their_range_are_refused(void)
{
    static const char *const bad[] = {
        "--carrier pigeon",
        "--carrier au",
        "--size 1.5G",
        "--size",
        "--size 12X",
        "--size -1",
        "--timeout 5d",
        "--timeout x",
        "--runs 0",
        "--runs 2000000",
        "--json=yes",
        "--size 99999999T",
        "-o",
        "--carrier=",
        "--size 99999999999999999999",
    };
    struct haul_options options;
    struct haul_error error;

    for (size_t i = 0; i < HAUL_COUNT_OF(bad); i++) {
        CU_ASSERT_EQUAL(parse(bad[i], &options, &error), -1);
        CU_ASSERT_EQUAL(error.code, HAUL_E_USAGE);
    }
}

static void sizes_are_binary_and_times_have_units(void)
{
    static const struct {
        const char *text;
        uint64_t value;
    } sizes[] = {
        { "0", 0 },     { "512", 512 },          { "100MB", 104857600 }, { "2GiB", 2147483648u },
        { "1k", 1024 }, { "3T", 3298534883328u }
    };
    uint64_t value;

    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++) {
        CU_ASSERT_TRUE(haul_size_parse(sizes[i].text, &value));
        CU_ASSERT_EQUAL(value, sizes[i].value);
    }
    CU_ASSERT_TRUE(haul_duration_parse("250ms", &value));
    CU_ASSERT_EQUAL(value, 250000000);
    CU_ASSERT_TRUE(haul_duration_parse("5m", &value));
    CU_ASSERT_EQUAL(value, 300000000000u);
    CU_ASSERT_TRUE(haul_duration_parse("7", &value));
    CU_ASSERT_EQUAL(value, 7000000000u);
}

static void a_list_option_may_be_given_again_up_to_its_limit(void)
{
    static char name[] = "--to";
    static char value[] = "peer";
    char *argv[2 * HAUL_OPTION_LIST_MAX + 2];
    struct haul_options options;
    struct haul_error error;

    for (size_t i = 0; i < HAUL_OPTION_LIST_MAX + 1; i++) {
        argv[2 * i] = name;
        argv[2 * i + 1] = value;
    }
    CU_ASSERT_EQUAL(
        haul_options_parse(2 * HAUL_OPTION_LIST_MAX, argv, GET_OPTIONS, &options, &error), 0);
    CU_ASSERT_EQUAL(options.list_count, HAUL_OPTION_LIST_MAX);
    CU_ASSERT_EQUAL(
        haul_options_parse(2 * HAUL_OPTION_LIST_MAX + 2, argv, GET_OPTIONS, &options, &error), -1);
}

static void too_many_arguments_are_refused(void)
{
    static char word[] = "x";
    char *argv[HAUL_ARGUMENTS_MAX + 1];
    struct haul_options options;
    struct haul_error error;

    for (size_t i = 0; i <= HAUL_ARGUMENTS_MAX; i++)
        argv[i] = word;
    CU_ASSERT_EQUAL(haul_options_parse(HAUL_ARGUMENTS_MAX, argv, GET_OPTIONS, &options, &error), 0);
    CU_ASSERT_EQUAL(haul_options_parse(HAUL_ARGUMENTS_MAX + 1, argv, GET_OPTIONS, &options, &error),
                    -1);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "options and arguments mix in any order", options_and_arguments_mix_in_any_order },
        { "a dash is an argument, and two end the options",
          a_dash_is_an_argument_and_two_end_the_options },
        { "an unknown option names the nearest", an_unknown_option_names_the_nearest },
        { "values out of their range are refused", values_out_of_their_range_are_refused },
        { "sizes are binary and times have units", sizes_are_binary_and_times_have_units },
        { "a list option may be given again, up to its limit",
          a_list_option_may_be_given_again_up_to_its_limit },
        { "too many arguments are refused", too_many_arguments_are_refused },
    };

    return unit_main("option", tests, HAUL_COUNT_OF(tests));
}
