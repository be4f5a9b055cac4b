/* haul hw probe: what this machine has, and which datagram backends it can use. It changes
 * nothing, and needs no node. */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/print.h"
#include "hw/fitness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct probe {
    struct haul_machine machine;
    struct haul_machine_trials trials;
    struct haul_card cards[HAUL_CARDS_MAX];
    size_t card_count;
    size_t left_out;
    struct haul_fitness rows[HAUL_FITNESS_MAX];
    size_t row_count;
};

static void probe_take(struct probe *probe)
{
    struct haul_fitness_facts facts = {
        .machine = &probe->machine,
        .trials = &probe->trials,
        .cards = probe->cards,
        .root = "",
        .dpdk_built = HAUL_WITH_DPDK,
    };

    haul_machine_read("", &probe->machine);
    haul_machine_try(&probe->trials);
    probe->card_count = haul_cards_read("", true, probe->cards, HAUL_CARDS_MAX, &probe->left_out);
    facts.card_count = probe->card_count;
    probe->row_count = haul_fitness_judge(&facts, probe->rows, HAUL_FITNESS_MAX);
}

/* Processors that are the first of their core: what computes on its own. */
static size_t whole_cores(const struct haul_machine *machine)
{
    size_t count = 0;

    for (size_t i = 0; i < machine->core_count; i++)
        count += machine->cores[i].siblings[0] == '\0' ||
                 strtoul(machine->cores[i].siblings, NULL, 10) == machine->cores[i].cpu;
    return count;
}

static const struct {
    const char *name;
    size_t at;
} cpu_flags[] = {
#define X(name, text) { text, offsetof(struct haul_machine, flags.name) },
    HAUL_CPU_FLAGS(X)
#undef X
};

static bool cpu_flag(const struct haul_machine *machine, size_t i)
{
    return *((const bool *)(const void *)((const char *)machine + cpu_flags[i].at));
}

/* --- JSON --- */

static void set_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, text[0] == '\0' ? json_null() : json_string(text));
}

static void set_number(json_t *object, const char *name, int64_t value)
{
    json_object_set_new(object, name, json_integer(value));
}

/* A number that may be unknown. */
static void set_known(json_t *object, const char *name, int64_t value)
{
    json_object_set_new(object, name, value < 0 ? json_null() : json_integer(value));
}

static void set_bool(json_t *object, const char *name, bool value)
{
    json_object_set_new(object, name, json_boolean(value));
}

static json_t *event(const char *name)
{
    json_t *object = json_object();

    json_object_set_new(object, "event", json_string(name));
    return object;
}

static void machine_json(const struct probe *probe)
{
    const struct haul_machine *machine = &probe->machine;
    json_t *object = event("machine"), *flags = json_array(), *cores = json_array();

    set_text(object, "kernel", machine->kernel);
    set_text(object, "cpu_model", machine->cpu_model);
    for (size_t i = 0; i < HAUL_COUNT_OF(cpu_flags); i++) {
        if (cpu_flag(machine, i))
            json_array_append_new(flags, json_string(cpu_flags[i].name));
    }
    json_object_set_new(object, "cpu_flags", flags);
    for (size_t i = 0; i < machine->core_count; i++) {
        const struct haul_machine_core *core = &machine->cores[i];
        json_t *row = json_object();

        set_number(row, "cpu", core->cpu);
        set_number(row, "package", core->package);
        set_number(row, "core", core->core);
        set_known(row, "node", core->node);
        set_text(row, "siblings", core->siblings);
        json_array_append_new(cores, row);
    }
    json_object_set_new(object, "cpus", cores);
    set_number(object, "cores", (int64_t)whole_cores(machine));
    set_text(object, "isolated", machine->isolated);
    set_text(object, "nohz_full", machine->tickless);
    set_number(object, "iommus", machine->iommus);
    set_number(object, "iommu_groups", machine->iommu_groups);
    set_bool(object, "vfio_pci", machine->module_vfio_pci);
    set_bool(object, "vfio_no_iommu", machine->vfio_no_iommu);
    set_bool(object, "uio_pci_generic", machine->module_uio_pci_generic);
    set_bool(object, "io_uring", probe->trials.uring == 0);
    set_bool(object, "packet_sockets", probe->trials.packet == 0);
    set_bool(object, "xdp_sockets", probe->trials.xdp == 0);
    set_bool(object, "root", probe->trials.root);
    set_text(object, "huge_mount", machine->huge_mount);
    haul_print_json(object);
}

static void pages_json(const struct haul_machine_pages *pages)
{
    json_t *object = event("pages");

    set_number(object, "page_bytes", (int64_t)pages->page_bytes);
    set_known(object, "node", pages->node);
    set_number(object, "count", (int64_t)pages->count);
    set_number(object, "free", (int64_t)pages->unused);
    haul_print_json(object);
}

static void card_json(const struct haul_card *card)
{
    const struct haul_card_features *features = &card->features;
    json_t *object = event("port");
    char id[16] = "";

    set_text(object, "name", card->name);
    set_text(object, "kind", card->kind);
    set_text(object, "pci", card->pci);
    if (card->vendor != 0)
        snprintf(id, sizeof id, "%04x:%04x", card->vendor, card->device);
    set_text(object, "pci_id", id);
    set_text(object, "driver", card->driver);
    set_text(object, "mac", card->mac);
    set_text(object, "state", card->state);
    set_text(object, "iommu_group", card->iommu_group);
    set_known(object, "node", card->numa_node);
    set_known(object, "speed_mbit", card->speed_mbit);
    set_number(object, "mtu", card->mtu);
    set_number(object, "receive_queues", card->receive_queues);
    set_number(object, "send_queues", card->send_queues);
    set_known(object, "channels", features->channels > 0 ? (int64_t)features->channels : -1);
    set_known(object, "channels_max",
              features->channels_max > 0 ? (int64_t)features->channels_max : -1);
    set_number(object, "rss_table", features->rss_table);
    set_known(object, "pci_lanes", card->link_width > 0 ? (int64_t)card->link_width : -1);
    set_known(object, "pci_lanes_max",
              card->link_width_max > 0 ? (int64_t)card->link_width_max : -1);
    set_bool(object, "bifurcated", card->bifurcated);
    set_bool(object, "for_dpdk", card->for_dpdk);
    set_bool(object, "default_route", card->default_route);
    set_bool(object, "dpdk_segmentation", haul_card_cuts(card));
    if (features->known) {
        set_bool(object, "gso", features->gso);
        set_bool(object, "gro", features->gro);
        set_bool(object, "udp_segmentation", features->udp_segmentation);
        set_bool(object, "checksum_send", features->checksum_send);
        set_bool(object, "checksum_receive", features->checksum_receive);
    }
    haul_print_json(object);
}

static void row_json(const struct haul_fitness *row)
{
    json_t *object = event("backend");

    set_text(object, "backend", row->backend);
    set_text(object, "port", row->port);
    set_bool(object, "usable", row->usable);
    set_text(object, "reason", row->reason);
    set_text(object, "remedy", row->remedy);
    haul_print_json(object);
}

static void probe_json(const struct probe *probe)
{
    machine_json(probe);
    for (size_t i = 0; i < probe->machine.page_count; i++)
        pages_json(&probe->machine.pages[i]);
    for (size_t i = 0; i < probe->card_count; i++)
        card_json(&probe->cards[i]);
    for (size_t i = 0; i < probe->row_count; i++)
        row_json(&probe->rows[i]);
}

/* --- for people --- */

static void machine_print(const struct probe *probe)
{
    const struct haul_machine *machine = &probe->machine;

    printf("machine\n");
    printf("  kernel      %s\n", machine->kernel);
    printf("  processor   ");
    haul_print_escaped(machine->cpu_model, stdout);
    printf(", %zu processors on %zu cores\n", machine->core_count, whole_cores(machine));
    printf("  for ciphers");
    for (size_t i = 0; i < HAUL_COUNT_OF(cpu_flags); i++) {
        if (cpu_flag(machine, i) && strcmp(cpu_flags[i].name, "hypervisor") != 0)
            printf(" %s", cpu_flags[i].name);
    }
    printf("\n  set apart   isolcpus %s, nohz_full %s\n",
           machine->isolated[0] != '\0' ? machine->isolated : "none",
           machine->tickless[0] != '\0' ? machine->tickless : "none");
    printf("  IOMMU       %s (%u groups), vfio-pci %s%s\n", machine->iommus > 0 ? "on" : "off",
           machine->iommu_groups, machine->module_vfio_pci ? "loaded" : "not loaded",
           machine->vfio_no_iommu ? ", cards without IOMMU allowed" : "");
    for (size_t i = 0; i < machine->page_count; i++) {
        const struct haul_machine_pages *pages = &machine->pages[i];

        printf("  huge pages  %" PRIu64 " MiB", pages->page_bytes >> 20);
        if (pages->node >= 0)
            printf(", node %d", pages->node);
        printf(": %" PRIu64 ", of which free %" PRIu64 "\n", pages->count, pages->unused);
    }
}

static void features_print(const struct haul_card_features *features)
{
    const struct {
        const char *name;
        bool is;
    } all[] = {
        { "gso", features->gso },
        { "gro", features->gro },
        { "udp-segmentation", features->udp_segmentation },
        { "checksum", features->checksum_send && features->checksum_receive },
        { "rss", features->rss_table > 0 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(all); i++) {
        if (all[i].is)
            printf(" %s", all[i].name);
    }
}

static void card_print(const struct haul_card *card)
{
    char speed[24] = "-";

    if (card->speed_mbit > 0)
        snprintf(speed, sizeof speed, "%" PRId64 "M", card->speed_mbit);
    printf("  %-15s %-12s %-12s %4d %8s %6" PRId64 " %3u/%-3u %-7s",
           card->name[0] ? card->name : "-", card->pci[0] ? card->pci : "-",
           card->driver[0] ? card->driver : "-", card->numa_node, speed, card->mtu,
           card->receive_queues, card->send_queues, card->state[0] ? card->state : "-");
    features_print(&card->features);
    if (card->bifurcated)
        printf(" bifurcated");
    if (card->default_route)
        printf(" default-route");
    if (card->link_width > 0 && card->link_width < card->link_width_max)
        printf(" only-%u-of-%u-lanes", card->link_width, card->link_width_max);
    putchar('\n');
}

static void rows_print(const struct probe *probe)
{
    bool fancy = haul_print_fancy(stdout);

    printf("backends\n");
    for (size_t i = 0; i < probe->row_count; i++) {
        const struct haul_fitness *row = &probe->rows[i];

        printf("  %s%-4s%s%-15s %-15s %s\n", fancy ? (row->usable ? "\033[32m" : "\033[33m") : "",
               row->usable ? "yes" : "no", fancy ? "\033[0m" : "", row->backend, row->port,
               row->reason);
        if (row->remedy[0] != '\0')
            printf("      %-15s %-15s -> %s\n", "", "", row->remedy);
    }
}

static void probe_print(const struct probe *probe)
{
    machine_print(probe);
    printf("ports\n  %-15s %-12s %-12s %4s %8s %6s %7s %-7s %s\n", "name", "pci", "driver", "node",
           "speed", "mtu", "queues", "state", "offloads");
    for (size_t i = 0; i < probe->card_count; i++)
        card_print(&probe->cards[i]);
    if (probe->left_out > 0)
        printf("  and %zu more\n", probe->left_out);
    rows_print(probe);
}

static int probe_run(const struct haul_options *options)
{
    struct probe *probe = calloc(1, sizeof *probe);
    struct haul_error error;

    if (probe == NULL) {
        haul_fail(&error, HAUL_E_SYSTEM, "no memory for the probe");
        return haul_print_error(options, &error);
    }
    probe_take(probe);
    if (haul_options_has(options, HAUL_OPTION_JSON))
        probe_json(probe);
    else
        probe_print(probe);
    free(probe);
    return HAUL_EXIT_DONE;
}

int haul_cmd_hw(const struct haul_options *options)
{
    struct haul_error error;

    if (strcmp(options->arguments[0], "probe") == 0)
        return probe_run(options);
    haul_fail(&error, HAUL_E_USAGE, "there is no `haul hw %.40s`; there is `haul hw probe`",
              options->arguments[0]);
    return haul_print_error(options, &error);
}
