/* Owns the table of known agents. Must not read a row: heartbeat_batch does. */
#include "console/agents/known_agents.h"

#include "common/text/text.h"

#include <errno.h>

#define SLOTS (2 * KNOWN_AGENTS_MOST)

struct known_agents {
    int64_t version, begun_ms;
    uint64_t disturbances, transaction;
    size_t used;
    struct known_agent *slots[SLOTS];
};

static void clear(struct known_agents *known)
{
    for (size_t i = 0; known->used > 0 && i < SLOTS; i++) {
        if (!known->slots[i])
            continue;
        free(known->slots[i]);
        known->slots[i] = NULL;
        known->used--;
    }
}

static void release(void *user)
{
    clear(user);
    free(user);
}

int known_agents_recall(struct sql *sql, struct known_agents **ret_known)
{
    int64_t version, now = console_store_now_ms();
    struct known_agents *known = sql_remembered(sql, SQL_MEMORY_AGENTS);
    *ret_known = NULL;
    int r = sql_version(sql, &version);
    if (r < 0)
        return r == -ENOTSUP ? 0 : r;
    if (!known) {
        known = calloc(1, sizeof(*known));
        if (!known)
            return -ENOMEM;
        sql_remember(sql, SQL_MEMORY_AGENTS, known, release);
    }
    if (known->version != version || known->disturbances != sql_disturbances(sql) ||
        now < known->begun_ms || now >= known->begun_ms + KNOWN_AGENTS_MS ||
        known->used == KNOWN_AGENTS_MOST) {
        clear(known);
        known->version = version;
        known->disturbances = sql_disturbances(sql);
        known->begun_ms = now;
    }
    known->transaction++;
    *ret_known = known;
    return 0;
}

/* A certificate's digest is random already. */
static struct known_agent **slot_of(struct known_agents *known, const char *certificate)
{
    uint64_t word = 0;
    memcpy(&word, certificate, MIN(strlen(certificate), sizeof(word)));
    size_t at = (size_t)((word * 0x9e3779b97f4a7c15ULL) >> 40) % SLOTS;
    while (known->slots[at] && !text_equal(known->slots[at]->certificate, certificate))
        at = (at + 1) % SLOTS;
    return &known->slots[at];
}

#define SAID 7

static void list_said(const struct heartbeat *heartbeat, const char *ret_texts[static SAID])
{
    const struct wire_heartbeat *wire = &heartbeat->wire;
    const char *const texts[SAID] = {wire->session,           wire->epoch,
                                     wire->host.machine_id,   wire->host.instance_id,
                                     wire->host.hostname,     wire->policy_digest,
                                     wire->host.agent_version};
    memcpy(ret_texts, texts, sizeof(texts));
}

static bool says_the_same(const struct known_agent *agent, const struct heartbeat *heartbeat)
{
    const char *texts[SAID], *at = agent->said;
    list_said(heartbeat, texts);
    for (size_t i = 0; i < SAID; i++) {
        size_t bytes = strlen(texts[i]) + 1;
        if (strcmp(at, texts[i]) != 0)
            return false;
        at += bytes;
    }
    return heartbeat->wire.dropped <= agent->dropped;
}

struct known_agent *known_agents_find(struct known_agents *known, const struct heartbeat *heartbeat)
{
    struct known_agent *agent = known ? *slot_of(known, heartbeat->certificate) : NULL;
    if (!agent || agent->transaction == known->transaction || !says_the_same(agent, heartbeat))
        return NULL;
    agent->transaction = known->transaction;
    return agent;
}

struct known_agent *known_agents_put(struct known_agents *known, const struct heartbeat *heartbeat,
                                     const struct known_agent *agent)
{
    const char *texts[SAID];
    size_t bytes = 0;
    struct known_agent **slot = known ? slot_of(known, heartbeat->certificate) : NULL;
    if (!known || (!*slot && known->used == KNOWN_AGENTS_MOST))
        return NULL;
    list_said(heartbeat, texts);
    for (size_t i = 0; i < SAID; i++)
        bytes += strlen(texts[i]) + 1;
    struct known_agent *made = malloc(sizeof(*made) + bytes);
    if (!made)
        return NULL; /* it will be read again */
    *made = *agent;
    made->transaction = known->transaction;
    (void)text_copy(made->certificate, sizeof(made->certificate), heartbeat->certificate);
    char *at = made->said;
    for (size_t i = 0; i < SAID; i++)
        at = stpcpy(at, texts[i]) + 1;
    known->used += !*slot;
    free(*slot);
    *slot = made;
    return made;
}
