/* Facts: what a node says of itself, line by line. Whoever has some gives them to whoever asked. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* One line of status. */
struct haul_fact {
    const char *group;
    const char *name;
    const char *help; /* "" when the name says it all */
    enum { HAUL_FACT_NUMBER, HAUL_FACT_TEXT, HAUL_FACT_FLAG, HAUL_FACT_REAL } kind;
    uint64_t number; /* NUMBER, FLAG */
    const char *text;
    double real;
};

/* Takes facts one by one; what they point to is borrowed. */
struct haul_facts {
    void (*take)(void *context, const struct haul_fact *fact);
    void *context;
};

void haul_facts_number(const struct haul_facts *facts, const char *group, const char *name,
                       uint64_t number, const char *help);
void haul_facts_text(const struct haul_facts *facts, const char *group, const char *name,
                     const char *text, const char *help);
void haul_facts_flag(const struct haul_facts *facts, const char *group, const char *name, bool flag,
                     const char *help);
void haul_facts_real(const struct haul_facts *facts, const char *group, const char *name,
                     double real, const char *help);
