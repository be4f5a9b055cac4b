/* Configuration: four sources, refusals that say where and what, and the committed default file.
 * `test_conf generate` prints that file. Stands for test_conf_file and test_conf_text as well: all
 * three share one header. */
#include "common/conf.h"
#include "common/conf_value.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct haul_error error;

static int parse(struct haul_conf *conf, const char *yaml)
{
    memset(&error, 0, sizeof error);
    return haul_conf_parse(conf, "c.yaml", yaml, strlen(yaml), &error);
}

static void every_default_is_in_its_range(void)
{
    struct haul_conf *conf = haul_conf_open();

    CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        enum haul_conf_key key = (enum haul_conf_key)i;
        char range[HAUL_CONF_RANGE_BYTES];
        uint64_t number;

        CU_ASSERT_TRUE(haul_conf_value_check(key, haul_conf_table[i].value, &number));
        CU_ASSERT_STRING_EQUAL(haul_conf_text(conf, key), haul_conf_table[i].value);
        CU_ASSERT_EQUAL(haul_conf_origin(conf, key), HAUL_CONF_DEFAULT);
        haul_conf_range(key, range);
        CU_ASSERT_TRUE(strlen(range) > 0 && strlen(haul_conf_table[i].meaning) > 0);
    }
    CU_ASSERT_EQUAL(haul_conf_number(conf, HAUL_CONF_FLOW_RATE), HAUL_CONF_NONE);
    CU_ASSERT_EQUAL(haul_conf_number(conf, HAUL_CONF_NET_RECEIVE_BUFFER), 8u << 20);
    CU_ASSERT_FALSE(haul_conf_bool(conf, HAUL_CONF_WORKER_SPIN));
    haul_conf_close(conf);
    haul_conf_close(NULL);
}

static void numbers_have_the_units_of_their_kind(void)
{
    static const struct {
        enum haul_conf_kind kind;
        const char *text;
        uint64_t number;
    } cases[] = {
        { HAUL_CONF_KIND_SIZE, "64KiB", 65536 },
        { HAUL_CONF_KIND_SIZE, "100MB", 104857600 },
        { HAUL_CONF_KIND_SIZE, "1.5G", 1610612736 },
        { HAUL_CONF_KIND_SIZE, "7", 7 },
        { HAUL_CONF_KIND_RATE, "10Gbit", 1250000000 },
        { HAUL_CONF_KIND_RATE, "2.5Gbit/s", 312500000 },
        { HAUL_CONF_KIND_RATE, "1.5GB/s", 1500000000 },
        { HAUL_CONF_KIND_DURATION, "200ms", 200000000 },
        { HAUL_CONF_KIND_DURATION, "0.5s", 500000000 },
        { HAUL_CONF_KIND_DURATION, "5m", 300000000000 },
        { HAUL_CONF_KIND_COUNT, "0", 0 },
        { HAUL_CONF_KIND_COUNT, "999999999999999999", 999999999999999999 },
    };
    static const struct {
        enum haul_conf_kind kind;
        const char *text;
    } wrong[] = {
        { HAUL_CONF_KIND_SIZE, "" },
        { HAUL_CONF_KIND_SIZE, "K" },
        { HAUL_CONF_KIND_SIZE, "-1" },
        { HAUL_CONF_KIND_SIZE, "+1" },
        { HAUL_CONF_KIND_SIZE, "1 K" },
        { HAUL_CONF_KIND_SIZE, "1k" },
        { HAUL_CONF_KIND_SIZE, "1.K" },
        { HAUL_CONF_KIND_SIZE, ".5K" },
        { HAUL_CONF_KIND_SIZE, "9000000T" },
        { HAUL_CONF_KIND_SIZE, "9223372036854775808" },
        { HAUL_CONF_KIND_SIZE, "1K/s" },
        { HAUL_CONF_KIND_RATE, "10" },
        { HAUL_CONF_KIND_RATE, "10G" },
        { HAUL_CONF_KIND_RATE, "10/s" },
        { HAUL_CONF_KIND_RATE, "10Gbits" },
        { HAUL_CONF_KIND_DURATION, "5" },
        { HAUL_CONF_KIND_DURATION, "5 s" },
        { HAUL_CONF_KIND_COUNT, "1.0" },
        { HAUL_CONF_KIND_COUNT, "1K" },
        { HAUL_CONF_KIND_COUNT, "0x10" },
        { HAUL_CONF_KIND_SIZE, "1.0000000001K" },
    };
    uint64_t number = 0;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        CU_ASSERT_TRUE(
            haul_conf_number_parse(cases[i].kind, cases[i].text, strlen(cases[i].text), &number));
        CU_ASSERT_EQUAL(number, cases[i].number);
    }
    for (size_t i = 0; i < HAUL_COUNT_OF(wrong); i++)
        CU_ASSERT_FALSE(
            haul_conf_number_parse(wrong[i].kind, wrong[i].text, strlen(wrong[i].text), &number));
}

static void each_source_is_stronger_than_the_one_before(void)
{
    static char *const environment[] = { "HOME=/x", "HAUL_HOME=/y", "HAUL_FLOW_WANTS=20",
                                         "HAUL_LIMITS_GRANTS_PER_PEER=7", NULL };
    struct haul_conf *conf = haul_conf_open();

    CU_ASSERT_EQUAL(haul_conf_set(conf, "log.level=debug", &error), 0);
    CU_ASSERT_EQUAL(haul_conf_environment(conf, environment, &error), 0);
    CU_ASSERT_EQUAL(parse(conf, "flow: { wants: 10, congestion: ledbat }\nlog:\n  level: warn\n"),
                    0);
    CU_ASSERT_EQUAL(haul_conf_number(conf, HAUL_CONF_FLOW_WANTS), 20);
    CU_ASSERT_EQUAL(haul_conf_origin(conf, HAUL_CONF_FLOW_WANTS), HAUL_CONF_ENVIRONMENT);
    CU_ASSERT_EQUAL(haul_conf_number(conf, HAUL_CONF_LIMITS_GRANTS_PER_PEER), 7);
    CU_ASSERT_TRUE(haul_conf_is(conf, HAUL_CONF_FLOW_CONGESTION, "ledbat"));
    CU_ASSERT_EQUAL(haul_conf_origin(conf, HAUL_CONF_FLOW_CONGESTION), HAUL_CONF_FILE);
    CU_ASSERT_TRUE(haul_conf_is(conf, HAUL_CONF_LOG_LEVEL, "debug"));
    CU_ASSERT_EQUAL(haul_conf_origin(conf, HAUL_CONF_LOG_LEVEL), HAUL_CONF_OPTION);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "flow.wants=30", &error), 0);
    CU_ASSERT_EQUAL(haul_conf_number(conf, HAUL_CONF_FLOW_WANTS), 30);
    haul_conf_close(conf);
}

static void lists_are_sequences_or_text(void)
{
    struct haul_conf *conf = haul_conf_open();
    struct haul_addr addresses[HAUL_CONF_ITEMS_MAX], expected;
    struct haul_prefix networks[HAUL_CONF_ITEMS_MAX];

    CU_ASSERT_EQUAL(haul_conf_addresses(conf, HAUL_CONF_LISTEN_TCP, addresses), 2);
    CU_ASSERT_EQUAL(addresses[1].port, 4501);
    CU_ASSERT_EQUAL(parse(conf, "listen:\n"
                                "  tcp: [ /ip4/192.0.2.1/tcp/9, '[::1]:8', /ip6/::1/udp/7 ]\n"
                                "  udp:\n"
                                "fast:\n"
                                "  networks:\n"
                                "    - 10.0.0.0/8\n"
                                "    - fd00::/8\n"),
                    0);
    CU_ASSERT_EQUAL(haul_conf_addresses(conf, HAUL_CONF_LISTEN_TCP, addresses), 3);
    CU_ASSERT_TRUE(haul_addr_parse("192.0.2.1:9", &expected));
    CU_ASSERT_TRUE(haul_addr_equal(&addresses[0], &expected));
    CU_ASSERT_TRUE(haul_addr_parse("[::1]:7", &expected));
    CU_ASSERT_TRUE(haul_addr_equal(&addresses[2], &expected));
    CU_ASSERT_EQUAL(haul_conf_addresses(conf, HAUL_CONF_LISTEN_UDP, addresses), 0);
    CU_ASSERT_EQUAL(haul_conf_networks(conf, HAUL_CONF_FAST_NETWORKS, networks), 2);
    CU_ASSERT_EQUAL(networks[1].family, 6);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "listen.tcp= 192.0.2.1:1 ,192.0.2.1:2,", &error), 0);
    CU_ASSERT_EQUAL(haul_conf_addresses(conf, HAUL_CONF_LISTEN_TCP, addresses), 2);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "listen.tcp=,", &error), -1);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "listen.tcp=localhost:1", &error), -1);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "listen.tcp=/ip4/1.2.3.4/tcp", &error), -1);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "listen.tcp=/dns/x/tcp/1", &error), -1);
    haul_conf_close(conf);
}

static void a_refusal_names_the_line_and_the_nearest_key(void)
{
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        { "listen:\n  tpc: []\n",
          "c.yaml:2: there is no key listen.tpc; did you mean listen.tcp?" },
        { "\n\nflow: { colour: red }", "c.yaml:3: there is no key flow.colour" },
        { "flow:\n  wants: 0\n", "c.yaml:2: flow.wants cannot be \"0\": 1 to 2048" },
        { "flow:\n  wants: 9999\n", "c.yaml:2: flow.wants cannot be \"9999\": 1 to 2048" },
        { "net:\n  backend: dpdk\n",
          "c.yaml:2: net.backend cannot be \"dpdk\": auto, uring or mmsg" },
        { "worker: { cpu: -1 }\n", "c.yaml:1: worker.cpu cannot be \"-1\": none or 0 to 4095" },
        { "worker: { count: 0 }\n", "c.yaml:1: worker.count cannot be \"0\": 1 to 8" },
        { "worker: { count: 9 }\n", "c.yaml:1: worker.count cannot be \"9\": 1 to 8" },
        { "worker: { spin: maybe }\n", "c.yaml:1: worker.spin cannot be \"maybe\": true or false" },
        { "flow:\n  wants: 1\n  wants: 2\n", "c.yaml:3: this key was set above already" },
        { "flow:\n  wants: [ 1 ]\n", "c.yaml:2: a single value belongs here" },
        { "listen:\n  tcp: { a: b }\n", "c.yaml:2: a list of values belongs here" },
        { "listen:\n  tcp: [ [ ] ]\n", "c.yaml:2: an item of a list is not a single value" },
        { "flow: 5\n", "c.yaml:1: keys belong into a section (section: { key: value })" },
        { "- flow\n", "c.yaml:1: the file must be sections of keys" },
        { "flow:\n  ? { a: b }\n  : 1\n", "c.yaml:2: the name of a key belongs here" },
        { "flow: &a\n  wants: 1\n",
          "c.yaml:1: keys belong into a section (section: { key: value })" },
        { "flow:\n  wants: *a\n", "c.yaml:2: a single value belongs here" },
        { "flow:\n  wants: !!int 1\n", "c.yaml:2: a single value belongs here" },
        { "flow:\n---\nnet:\n", "c.yaml:2: a second document has no meaning here" },
        { "store:\n  directory: ''\n", "c.yaml:2: store.directory cannot be \"\": a directory" },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_conf *conf = haul_conf_open();

        CU_ASSERT_EQUAL(parse(conf, cases[i].yaml), -1);
        CU_ASSERT_EQUAL(error.code, HAUL_E_CONFIG_KEY);
        CU_ASSERT_STRING_EQUAL(error.text, cases[i].text);
        if (strcmp(error.text, cases[i].text) != 0)
            printf("\nsaid: %s\n", error.text);
        haul_conf_close(conf);
    }
}

static void text_that_is_not_yaml_is_refused_with_its_line(void)
{
    static const char *const texts[] = {
        "flow:\n\twants: 1\n", "a: b: c\n", "[", "\xff\xff\n", "'", "flow:\n  wants: \"1\n"
    };
    struct haul_conf *conf = haul_conf_open();

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++) {
        CU_ASSERT_EQUAL(parse(conf, texts[i]), -1);
        CU_ASSERT_EQUAL(strncmp(error.text, "c.yaml:", 7), 0);
    }
    haul_conf_close(conf);
}

static void the_other_sources_refuse_too(void)
{
    static const struct {
        char *variable;
        const char *text;
    } variables[] = {
        { "HAUL_FLOW_WANTS=x", "HAUL_FLOW_WANTS: flow.wants cannot be \"x\": 1 to 2048" },
        { "HAUL_FLOW_WANT=1", "the environment: no key is set by HAUL_FLOW_WANT" },
    };
    struct haul_conf *conf = haul_conf_open();
    char longest[HAUL_CONF_TEXT_BYTES + 32];

    for (size_t i = 0; i < HAUL_COUNT_OF(variables); i++) {
        char *environment[] = { variables[i].variable, NULL };

        CU_ASSERT_EQUAL(haul_conf_environment(conf, environment, &error), -1);
        CU_ASSERT_STRING_EQUAL(error.text, variables[i].text);
    }
    CU_ASSERT_EQUAL(haul_conf_set(conf, "flow.wants", &error), -1);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "", &error), -1);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "flow.want=1", &error), -1);
    CU_ASSERT_STRING_EQUAL(error.text,
                           "--set: there is no key flow.want; did you mean flow.wants?");
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "control.group=", 14);
    longest[14 + HAUL_CONF_TEXT_BYTES] = 0;
    CU_ASSERT_EQUAL(haul_conf_set(conf, longest, &error), -1);
    longest[14 + HAUL_CONF_TEXT_BYTES - 1] = 0;
    CU_ASSERT_EQUAL(haul_conf_set(conf, longest, &error), 0);
    haul_conf_close(conf);
}

static void files_are_capped_and_may_be_missing(void)
{
    struct haul_conf *conf = haul_conf_open();
    char *large = malloc(HAUL_CONF_FILE_BYTES + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    memset(large, '#', HAUL_CONF_FILE_BYTES + 1);
    CU_ASSERT_EQUAL(haul_conf_parse(conf, "c", large, HAUL_CONF_FILE_BYTES + 1, &error), -1);
    CU_ASSERT_EQUAL(haul_conf_parse(conf, "c", large, HAUL_CONF_FILE_BYTES, &error), 0);
    memset(large, '[', HAUL_CONF_FILE_BYTES); /* as deep as a file can be */
    CU_ASSERT_EQUAL(haul_conf_parse(conf, "c", large, HAUL_CONF_FILE_BYTES, &error), -1);
    CU_ASSERT_EQUAL(haul_conf_parse(conf, "c", "", 0, &error), 0);
    CU_ASSERT_EQUAL(haul_conf_load(conf, "tests/unit/no-such-file.yaml", &error), 0);
    CU_ASSERT_EQUAL(haul_conf_load(conf, "tests/unit", &error), -1);
    free(large);
    haul_conf_close(conf);
}

/* The default file as the table gives it; freed by the caller. */
static char *generated(void)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    haul_conf_generate(out);
    fclose(out);
    return text;
}

static void the_committed_default_file_is_the_generated_one(void)
{
    static char committed[HAUL_CONF_FILE_BYTES];
    FILE *file = fopen("conf/haul.yaml", "rb");
    char *text = generated();

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    committed[fread(committed, 1, sizeof committed - 1, file)] = 0;
    fclose(file);
    CU_ASSERT_STRING_EQUAL(committed, text);
    free(text);
}

static void the_default_file_says_the_defaults_with_comments_or_without(void)
{
    struct haul_conf *conf = haul_conf_open();
    char *text = generated();

    CU_ASSERT_EQUAL(parse(conf, text), 0);
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++)
        CU_ASSERT_EQUAL(haul_conf_origin(conf, (enum haul_conf_key)i), HAUL_CONF_DEFAULT);
    CU_ASSERT_PTR_NULL(strchr(text, '\t'));
    for (char *at = text; (at = strstr(at, "\n  #")) != NULL; at++) {
        if (at[4] != ' ')
            memmove(at + 3, at + 4, strlen(at + 4) + 1);
    }
    CU_ASSERT_EQUAL(parse(conf, text), 0);
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        CU_ASSERT_EQUAL(haul_conf_origin(conf, (enum haul_conf_key)i), HAUL_CONF_FILE);
        CU_ASSERT_STRING_EQUAL(haul_conf_text(conf, (enum haul_conf_key)i),
                               haul_conf_table[i].value);
    }
    free(text);
    haul_conf_close(conf);
}

static void the_listing_shows_every_key_and_its_origin(void)
{
    struct haul_conf *conf = haul_conf_open();
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(haul_conf_set(conf, "worker.spin=on", &error), 0);
    haul_conf_print(conf, out);
    fclose(out);
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(text, haul_conf_table[i].name));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "worker.spin = on  (option)\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "control.group = \"\"  (default)\n"));
    free(text);
    haul_conf_close(conf);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        { "every default is in its range", every_default_is_in_its_range },
        { "numbers have the units of their kind", numbers_have_the_units_of_their_kind },
        { "each source is stronger than the one before",
          each_source_is_stronger_than_the_one_before },
        { "lists are sequences or text", lists_are_sequences_or_text },
        { "a refusal names the line and the nearest key",
          a_refusal_names_the_line_and_the_nearest_key },
        { "text that is not YAML is refused with its line",
          text_that_is_not_yaml_is_refused_with_its_line },
        { "the other sources refuse too", the_other_sources_refuse_too },
        { "files are capped and may be missing", files_are_capped_and_may_be_missing },
        { "the committed default file is the generated one",
          the_committed_default_file_is_the_generated_one },
        { "the default file says the defaults with comments or without",
          the_default_file_says_the_defaults_with_comments_or_without },
        { "the listing shows every key and its origin",
          the_listing_shows_every_key_and_its_origin },
    };

    if (argc == 2 && strcmp(argv[1], "generate") == 0) {
        haul_conf_generate(stdout);
        return 0;
    }
    return unit_main("conf", tests, HAUL_COUNT_OF(tests));
}
