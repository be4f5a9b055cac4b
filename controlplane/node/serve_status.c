/* status: every fact, one answer each. */
#include "controlplane/node/controlplane_parts.h"

static void fact_send(void *context, const struct haul_fact *fact)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Fact said = HAUL__CTL__FACT__INIT;

    said.group = (char *)fact->group;
    said.name = (char *)fact->name;
    said.help = (char *)fact->help;
    switch (fact->kind) {
    case HAUL_FACT_NUMBER:
        said.value_case = HAUL__CTL__FACT__VALUE_NUMBER;
        said.number = fact->number;
        break;
    case HAUL_FACT_TEXT:
        said.value_case = HAUL__CTL__FACT__VALUE_TEXT;
        said.text = (char *)fact->text;
        break;
    case HAUL_FACT_FLAG:
        said.value_case = HAUL__CTL__FACT__VALUE_FLAG;
        said.flag = fact->number != 0;
        break;
    case HAUL_FACT_REAL:
        said.value_case = HAUL__CTL__FACT__VALUE_REAL;
        said.real = fact->real;
        break;
    }
    answer.what_case = HAUL__CTL__ANSWER__WHAT_FACT;
    answer.fact = &said;
    haul_request_send(context, &answer);
}

static int begin(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error)
{
    const struct haul_facts facts = { .take = fact_send, .context = request };
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;

    (void)ask;
    (void)error;
    haul_controlplane_facts(haul_request_context(request), &facts);
    haul_request_done(request, &done);
    return 0;
}

const struct haul_ctl_verb haul_verb_status = {
    .what = HAUL__CTL__ASK__WHAT_STATUS,
    .begin = begin,
};
