/* One line of status from its parts. */
#include "controlplane/node/facts.h"

void haul_facts_number(const struct haul_facts *facts, const char *group, const char *name,
                       uint64_t number, const char *help)
{
    const struct haul_fact fact = {
        .group = group, .name = name, .help = help, .kind = HAUL_FACT_NUMBER, .number = number
    };

    facts->take(facts->context, &fact);
}

void haul_facts_text(const struct haul_facts *facts, const char *group, const char *name,
                     const char *text, const char *help)
{
    const struct haul_fact fact = {
        .group = group, .name = name, .help = help, .kind = HAUL_FACT_TEXT, .text = text
    };

    facts->take(facts->context, &fact);
}

void haul_facts_flag(const struct haul_facts *facts, const char *group, const char *name, bool flag,
                     const char *help)
{
    const struct haul_fact fact = {
        .group = group, .name = name, .help = help, .kind = HAUL_FACT_FLAG, .number = flag
    };

    facts->take(facts->context, &fact);
}

void haul_facts_real(const struct haul_facts *facts, const char *group, const char *name,
                     double real, const char *help)
{
    const struct haul_fact fact = {
        .group = group, .name = name, .help = help, .kind = HAUL_FACT_REAL, .real = real
    };

    facts->take(facts->context, &fact);
}
