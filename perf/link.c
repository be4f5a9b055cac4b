/* haul-link: the options. */
#include "perf/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(void)
{
    fputs("haul-link stream TARGET [OPTIONS]      TARGET is ADDRESS:PORT\n"
          "haul-link packets NETNS NETNS [OPTIONS]  paths of two network namespaces\n"
          "  --delay-us N    one way (0)\n"
          "  --rate N        bytes a second, each way (0: none)\n"
          "  --buffer N      bytes that may wait for the rate (1000000)\n"
          "  --loss-ppm N    packets lost of a million (0)\n"
          "  --seed N        of the losses (1)\n",
          stderr);
}

static bool option(struct link_conf *conf, const char *name, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text == 0 || *end != 0)
        return false;
    if (strcmp(name, "--delay-us") == 0)
        conf->delay = value * HAUL_MICROSECOND;
    else if (strcmp(name, "--rate") == 0)
        conf->rate = value;
    else if (strcmp(name, "--buffer") == 0)
        conf->buffer_bytes = value;
    else if (strcmp(name, "--loss-ppm") == 0)
        conf->loss_ppm = (uint32_t)value;
    else if (strcmp(name, "--seed") == 0)
        conf->seed = value;
    else
        return false;
    return true;
}

int main(int count, char **words)
{
    struct link_conf conf = { .buffer_bytes = 1000000, .seed = 1 };
    struct haul_error error = { 0 };
    bool stream = count > 2 && strcmp(words[1], "stream") == 0;
    int first = stream ? 3 : 4;

    if (!stream && !(count > 3 && strcmp(words[1], "packets") == 0)) {
        usage();
        return 2;
    }
    if (stream)
        conf.target = words[2];
    for (int i = 0; !stream && i < 2; i++)
        conf.namespaces[i] = words[2 + i];
    for (int i = first; i < count; i += 2) {
        if (i + 1 == count || !option(&conf, words[i], words[i + 1])) {
            usage();
            return 2;
        }
    }
    if ((stream ? link_stream_run(&conf, &error) : link_packets_run(&conf, &error)) < 0)
        fprintf(stderr, "haul-link: %s\n", error.text);
    return 1;
}
