/* Owns the table, and the descriptors in it until waiting_opens_remove. An id holds its slot, so
 * that an answer finds it at once; the rest is found by walking, over what is there. */
#include "agent/guard/waiting_opens.h"

/* So many deadlines in a row without any verdict: the agent does not answer, and nobody waits for
 * it again before it does. */
#define PATIENCE 8

void waiting_opens_init(struct waiting_opens *opens)
{
    *opens = (struct waiting_opens){.count = 0};
    for (size_t i = 0; i < WAITING_OPENS; i++)
        opens->entries[i].fd = -1;
}

static size_t count_of_user(const struct waiting_opens *opens, uid_t user)
{
    size_t count = 0, seen = 0;

    for (size_t i = 0; seen < opens->count; i++) {
        seen += opens->entries[i].fd >= 0;
        count += opens->entries[i].fd >= 0 && opens->entries[i].user == user;
    }
    return count;
}

static size_t count_asked(const struct waiting_opens *opens, uid_t user)
{
    size_t count = 0;

    for (size_t i = 0; i < opens->asked_count; i++)
        count += opens->asked[i]->user == user;
    return count;
}

bool waiting_opens_are_crowded(const struct waiting_opens *opens, uid_t user)
{
    return opens->count >= WAITING_OPENS_OF_USER &&
           count_of_user(opens, user) >= WAITING_OPENS_OF_USER;
}

struct waiting_open *waiting_opens_add(struct waiting_opens *opens, const struct waiting_open *open)
{
    if (opens->count == WAITING_OPENS || waiting_opens_are_crowded(opens, open->user))
        return NULL;
    for (size_t i = 0; i < WAITING_OPENS; i++) {
        struct waiting_open *entry = &opens->entries[i];
        if (entry->fd >= 0)
            continue;
        *entry = *open;
        entry->asked = false;
        entry->id = ++opens->last_number * WAITING_OPENS + i;
        opens->count++;
        return entry;
    }
    return NULL;
}

struct waiting_open *waiting_opens_find(struct waiting_opens *opens, uint64_t id)
{
    struct waiting_open *entry = &opens->entries[id % WAITING_OPENS];

    return entry->fd >= 0 && entry->id == id ? entry : NULL;
}

struct waiting_open *waiting_opens_next(struct waiting_opens *opens)
{
    struct waiting_open *best = NULL;
    size_t best_asked = 0, seen = 0;

    if (opens->asked_count == GUARD_ASKED_MOST || opens->asked_count == opens->count)
        return NULL;
    for (size_t i = 0; seen < opens->count; i++) {
        struct waiting_open *open = &opens->entries[i];
        if (open->fd < 0)
            continue;
        seen++;
        if (open->asked)
            continue;
        size_t asked = count_asked(opens, open->user);
        if (best == NULL || asked < best_asked ||
            (asked == best_asked && open->id / WAITING_OPENS < best->id / WAITING_OPENS)) {
            best = open;
            best_asked = asked;
        }
    }
    return best;
}

void waiting_opens_note_asked(struct waiting_opens *opens, struct waiting_open *open)
{
    open->asked = true;
    opens->asked[opens->asked_count++] = open;
}

static const struct waiting_open *oldest(const struct waiting_opens *opens)
{
    const struct waiting_open *first = NULL;
    size_t seen = 0;

    for (size_t i = 0; seen < opens->count; i++) {
        const struct waiting_open *open = &opens->entries[i];
        if (open->fd < 0)
            continue;
        seen++;
        if (first == NULL || open->since_ns < first->since_ns)
            first = open;
    }
    return first;
}

struct waiting_open *waiting_opens_late(struct waiting_opens *opens, uint64_t now_ns,
                                        uint64_t deadline_ns)
{
    const struct waiting_open *open = oldest(opens);

    if (open == NULL || now_ns - open->since_ns < deadline_ns)
        return NULL;
    return &opens->entries[open - opens->entries];
}

uint64_t waiting_opens_patience(const struct waiting_opens *opens, uint64_t now_ns,
                                uint64_t deadline_ns)
{
    const struct waiting_open *open = oldest(opens);

    if (open == NULL)
        return UINT64_MAX;
    uint64_t waited = now_ns - open->since_ns;
    return waited < deadline_ns ? deadline_ns - waited : 0;
}

void waiting_opens_note_late(struct waiting_opens *opens, const struct waiting_open *open)
{
    if (open == NULL) {
        opens->late = 0;
        opens->late_of_others = false;
        return;
    }
    if (opens->late == 0)
        opens->late_user = open->user;
    opens->late_of_others |= open->user == 0 || open->user != opens->late_user;
    opens->late++;
}

bool waiting_opens_are_tired(const struct waiting_opens *opens)
{
    return opens->late >= PATIENCE && opens->late_of_others && opens->count > 0;
}

int waiting_opens_remove(struct waiting_opens *opens, struct waiting_open *open)
{
    for (size_t i = 0; open->asked; i++)
        if (opens->asked[i] == open) {
            opens->asked[i] = opens->asked[--opens->asked_count];
            open->asked = false;
        }
    opens->count--;
    return TAKE_FD(open->fd);
}
