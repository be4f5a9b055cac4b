/* Lists of duties: circular and double, so that one can leave any list without knowing which. */
#include "dataplane/flow/duty.h"

#include "dataplane/flow/plant.h"

static uint16_t due_head(const struct haul_duties *duties)
{
    return (uint16_t)(HAUL_DUTY_KINDS * duties->indexes);
}

static uint16_t burst_head(const struct haul_duties *duties, uint16_t burst)
{
    haul_assert(burst < duties->bursts);
    return (uint16_t)(due_head(duties) + 1 + burst);
}

static bool alone(const struct haul_duties *duties, uint16_t at)
{
    return duties->links[at].next == at;
}

static void leave(struct haul_duties *duties, uint16_t at)
{
    struct haul_link *link = &duties->links[at];

    duties->links[link->next].prev = link->prev;
    duties->links[link->prev].next = link->next;
    link->next = at;
    link->prev = at;
}

static void join(struct haul_duties *duties, uint16_t at, uint16_t head)
{
    uint16_t last = duties->links[head].prev;

    duties->links[at] = (struct haul_link){ .next = head, .prev = last };
    duties->links[last].next = at;
    duties->links[head].prev = at;
}

void haul_duties_init(struct haul_duties *duties, struct haul_link *links, uint16_t indexes,
                      uint16_t bursts)
{
    size_t count = haul_duties_links(indexes, bursts);

    haul_assert(indexes > 0 && count < HAUL_NO_DUTY);
    *duties = (struct haul_duties){ .links = links, .indexes = indexes, .bursts = bursts };
    for (size_t i = 0; i < count; i++)
        links[i] = (struct haul_link){ .next = (uint16_t)i, .prev = (uint16_t)i };
}

void haul_duty_owe(struct haul_duties *duties, uint16_t duty)
{
    haul_assert(duty < due_head(duties));
    duties->owed = (uint16_t)(duties->owed + alone(duties, duty));
    leave(duties, duty);
    join(duties, duty, due_head(duties));
}

void haul_duty_drop(struct haul_duties *duties, uint16_t duty)
{
    haul_assert(duty < due_head(duties));
    duties->owed = (uint16_t)(duties->owed - !alone(duties, duty));
    leave(duties, duty);
}

bool haul_duty_pending(const struct haul_duties *duties, uint16_t duty)
{
    haul_assert(duty < due_head(duties));
    return !alone(duties, duty);
}

uint16_t haul_duty_first(const struct haul_duties *duties)
{
    uint16_t head = due_head(duties);

    return alone(duties, head) ? HAUL_NO_DUTY : duties->links[head].next;
}

void haul_duty_fly(struct haul_duties *duties, uint16_t duty, uint16_t burst)
{
    leave(duties, duty);
    join(duties, duty, burst_head(duties, burst));
}

uint16_t haul_duty_met(struct haul_duties *duties, uint16_t burst)
{
    uint16_t head = burst_head(duties, burst);
    uint16_t duty = duties->links[head].next;

    if (duty == head)
        return HAUL_NO_DUTY;
    haul_duty_drop(duties, duty);
    return duty;
}

static bool forgotten(const struct haul_duties *duties, uint16_t duty)
{
    enum haul_duty_kind kind = haul_duty_kind(duties, duty);

    return (haul_planted(LOST_WANT) && kind == HAUL_DUTY_WANT) ||
           (haul_planted(LOST_LENGTH) && kind == HAUL_DUTY_ANSWER);
}

void haul_duties_lost(struct haul_duties *duties, uint16_t burst)
{
    uint16_t head = burst_head(duties, burst);

    while (!alone(duties, head)) {
        uint16_t duty = duties->links[head].next;

        if (forgotten(duties, duty))
            haul_duty_drop(duties, duty);
        else
            haul_duty_owe(duties, duty);
    }
}

const char *haul_duties_broken(const struct haul_duties *duties)
{
    size_t count = haul_duties_links(duties->indexes, duties->bursts);
    size_t owed = 0;

    for (size_t i = 0; i < count; i++) {
        const struct haul_link *link = &duties->links[i];

        if (link->next >= count || link->prev >= count)
            return "duty: a link that leads nowhere";
        if (duties->links[link->next].prev != i || duties->links[link->prev].next != i)
            return "duty: a list that is torn";
        owed += i < due_head(duties) && !alone(duties, (uint16_t)i);
    }
    return owed == duties->owed ? NULL : "duty: a wrong count of what is owed";
}
