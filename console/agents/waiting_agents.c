/* Owns the table of agents that wait, and the thread that finds out for whom there is something.
 * Must not know HTTP's answers, nor change a row. Hands requests that are over back to their
 * connections. */
#include "console/agents/waiting_agents.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/agents/rate_bucket.h"
#include "console/signatures/signature_sets.h"
#include "console/store/agent_news.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <pthread.h>

#define BUCKETS    4096
#define ORG        1LL
#define LOOK_NS    NS_PER_SECOND
#define SHARE      4                /* a look that takes long is followed by this times as long */
#define RELEASE_NS (50 * NS_PER_MS) /* those that could not be woken yet */
/* How late a command may become visible after its number was made, by another node or a slow
 * transaction: whoever has begun to wait since has found it by itself. */
#define MARGIN_MS (WAITING_SECONDS * 1000LL + 10000)

struct waiting_list {
    size_t links; /* offset in the agent */
    struct waiting_agent *first, *last;
};

struct waiting_agents {
    struct waiting_agents_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closing, compare_wanted;
    size_t count;
    struct waiting_agent *buckets[BUCKETS]; /* by computer */
    struct waiting_list by_time;            /* the first is over first */
    struct waiting_list commanded, others;  /* woken, in turn */
    int64_t news;                           /* as of the last comparison */
    uint64_t comparisons;
    struct waiting_agents_status status;
    /* Of the thread. */
    struct rate_bucket wakes;
    int64_t looked_ms; /* when the last look that succeeded began */
    uint64_t next_look_ns;
};

/* --- lists; under the lock */

static struct waiting_links *links_of(const struct waiting_list *list, struct waiting_agent *agent)
{
    return (void *)((char *)agent + list->links);
}

static void append(struct waiting_list *list, struct waiting_agent *agent)
{
    *links_of(list, agent) = (struct waiting_links){.before = list->last};
    if (list->last)
        links_of(list, list->last)->after = agent;
    else
        list->first = agent;
    list->last = agent;
}

static void take_out(struct waiting_list *list, struct waiting_agent *agent)
{
    const struct waiting_links *links = links_of(list, agent);
    if (links->before)
        links_of(list, links->before)->after = links->after;
    else
        list->first = links->after;
    if (links->after)
        links_of(list, links->after)->before = links->before;
    else
        list->last = links->before;
}

static struct waiting_agent **place_of(struct waiting_agents *agents, int64_t computer)
{
    uint64_t mixed = (uint64_t)computer * 0x9e3779b97f4a7c15ULL;
    struct waiting_agent **place = &agents->buckets[mixed >> 52];
    while (*place && (*place)->computer != computer)
        place = &(*place)->next_of_bucket;
    return place;
}

/* It is the caller's from now on. */
static void leave(struct waiting_agents *agents, struct waiting_agent *agent,
                  enum waiting_outcome outcome)
{
    struct waiting_agent **place = place_of(agents, agent->computer);
    *place = agent->next_of_bucket;
    take_out(&agents->by_time, agent);
    if (agent->woken)
        take_out(agent->woken, agent);
    agents->count--;
    agents->status.woken += outcome == WAIT_NEWS;
    agent->outcome = outcome;
}

static void wake(struct waiting_list *queue, struct waiting_agent *agent, bool first)
{
    if (agent->woken == queue || (agent->woken && !first))
        return;
    if (agent->woken)
        take_out(agent->woken, agent);
    agent->woken = queue;
    append(queue, agent);
}

static void finish(const struct waiting_agents *agents, struct waiting_agent *agent)
{
    http_request_finish(agent->request, agents->options.answer, agent);
}

/* --- what is new */

bool agent_told_differs(const struct agent_told *told, struct signature_sets *signatures,
                        const char *policy_digest, const char *group_id)
{
    char digest[65];
    if (!text_equal(told->policy_digest, policy_digest) || !text_equal(told->group_id, group_id))
        return true;
    signature_sets_digest(signatures, group_id, digest);
    return !text_equal(told->signatures_digest, digest);
}

static int look_for_commands(struct sql *sql, void *user)
{
    struct waiting_agents *agents = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT computer FROM commands WHERE changed > $1 AND state = 'queued'",
                    &row, "n", console_store_number_at(agents->looked_ms - MARGIN_MS));
    for (; r == 1; r = sql_step(row)) {
        (void)pthread_mutex_lock(&agents->lock);
        struct waiting_agent *agent = *place_of(agents, sql_number(row, 0));
        if (agent)
            wake(&agents->commanded, agent, true);
        (void)pthread_mutex_unlock(&agents->lock);
    }
    return r;
}

static int read_news(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT COALESCE(" AGENT_NEWS ", 0)", &row, "");
    if (r == 1)
        *(int64_t *)user = sql_number(row, 0);
    return r < 0 ? r : 0;
}

static void compare_one(struct waiting_agents *agents, struct sql_statement *row)
{
    (void)pthread_mutex_lock(&agents->lock);
    struct waiting_agent *agent = *place_of(agents, sql_number(row, 0));
    if (agent) {
        agent->seen = agents->comparisons;
        if (!text_equal(sql_text(row, 1), "active"))
            wake(&agents->commanded, agent, true);
        else if (agent_told_differs(&agent->told, agents->options.signatures, sql_text(row, 2),
                                    sql_text(row, 3)))
            wake(&agents->others, agent, false);
    }
    (void)pthread_mutex_unlock(&agents->lock);
}

static int compare_all(struct sql *sql, void *user)
{
    struct waiting_agents *agents = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT number, state, policy_digest, COALESCE(group_id, '') FROM computers"
                    " WHERE org_id = $1",
                    &row, "n", ORG);
    for (; r == 1; r = sql_step(row))
        compare_one(agents, row);
    return r;
}

/* Those of computers that were deleted. */
static void wake_unseen(struct waiting_agents *agents)
{
    struct waiting_agent *agent = agents->by_time.first;
    for (; agent; agent = agent->by_time.after)
        if (agent->seen < agents->comparisons)
            wake(&agents->commanded, agent, true);
}

static int compare(struct waiting_agents *agents, int64_t news)
{
    (void)pthread_mutex_lock(&agents->lock);
    agents->compare_wanted = false;
    agents->news = news; /* who joins with an older one wants another comparison */
    agents->comparisons++;
    (void)pthread_mutex_unlock(&agents->lock);
    int r = signature_sets_refresh(agents->options.signatures, agents->options.store);
    if (r == 0)
        r = console_store_read(agents->options.store, compare_all, agents);
    (void)pthread_mutex_lock(&agents->lock);
    if (r == 0)
        wake_unseen(agents);
    agents->compare_wanted |= r < 0;
    (void)pthread_mutex_unlock(&agents->lock);
    return r;
}

static void look(struct waiting_agents *agents)
{
    uint64_t begun_ns = clock_monotonic_ns();
    int64_t begun_ms = console_store_now_ms(), news = 0;
    int r = console_store_read(agents->options.store, look_for_commands, agents);
    if (r == 0)
        r = console_store_read(agents->options.store, read_news, &news);
    if (r == 0) {
        agents->looked_ms = begun_ms;
        (void)pthread_mutex_lock(&agents->lock);
        bool wanted = agents->compare_wanted || news != agents->news;
        (void)pthread_mutex_unlock(&agents->lock);
        if (wanted)
            (void)!compare(agents, news); /* one that failed is wanted again */
    }
    uint64_t now = clock_monotonic_ns();
    agents->next_look_ns = now + MAX(LOOK_NS, SHARE * (now - begun_ns));
}

/* --- the thread */

/* Under the lock. The next whose wait is over; NULL: none now. */
static struct waiting_agent *next_over(struct waiting_agents *agents, uint64_t now)
{
    struct waiting_agent *agent = agents->by_time.first;
    if (agent && (agents->closing || agent->until_ns <= now)) {
        leave(agents, agent,
              agent->woken      ? WAIT_NEWS
              : agents->closing ? WAIT_ENDING
                                : WAIT_NOTHING);
        return agent;
    }
    agent = agents->commanded.first ? agents->commanded.first : agents->others.first;
    if (!agent || !rate_bucket_take(&agents->wakes))
        return NULL;
    leave(agents, agent, WAIT_NEWS);
    return agent;
}

static void finish_those_over(struct waiting_agents *agents)
{
    uint64_t now = clock_monotonic_ns();
    for (;;) {
        (void)pthread_mutex_lock(&agents->lock);
        struct waiting_agent *agent = next_over(agents, now);
        (void)pthread_mutex_unlock(&agents->lock);
        if (!agent)
            return;
        finish(agents, agent);
    }
}

/* Under the lock, while somebody waits. */
static void rest(struct waiting_agents *agents)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t until = MIN(agents->next_look_ns, agents->by_time.first->until_ns);
    if (agents->commanded.first || agents->others.first)
        until = MIN(until, now + RELEASE_NS);
    struct timespec end = clock_deadline(until > now ? until - now : 0);
    int r = 0;
    while (r == 0 && !agents->closing)
        r = pthread_cond_clockwait(&agents->changed, &agents->lock, CLOCK_MONOTONIC, &end);
}

/* Under the lock: until somebody waits. What was there before, his own request has found. */
static void wait_for_the_first(struct waiting_agents *agents)
{
    while (agents->count == 0 && !agents->closing) {
        (void)pthread_cond_wait(&agents->changed, &agents->lock);
        agents->looked_ms = console_store_now_ms();
        agents->next_look_ns = 0;
    }
}

static void *run(void *user)
{
    struct waiting_agents *agents = user;
    (void)pthread_mutex_lock(&agents->lock);
    while (!agents->closing || agents->count > 0) {
        wait_for_the_first(agents);
        bool due = !agents->closing && clock_monotonic_ns() >= agents->next_look_ns;
        (void)pthread_mutex_unlock(&agents->lock);
        if (due)
            look(agents);
        finish_those_over(agents);
        (void)pthread_mutex_lock(&agents->lock);
        if (agents->count > 0)
            rest(agents);
    }
    (void)pthread_mutex_unlock(&agents->lock);
    return NULL;
}

/* --- joining */

/* Under the lock. Whether the last comparison knew less than this request's own did. */
static bool missed_comparison(const struct waiting_agents *agents,
                              const struct waiting_agent *agent, int64_t news)
{
    char digest[65];
    signature_sets_digest(agents->options.signatures, agent->told.group_id, digest);
    return news != agents->news || !text_equal(agent->told.signatures_digest, digest);
}

int waiting_agents_join(struct waiting_agents *agents, struct waiting_agent *agent, int64_t news)
{
    (void)pthread_mutex_lock(&agents->lock);
    struct waiting_agent *old = *place_of(agents, agent->computer);
    int r = agents->closing                                 ? -ESHUTDOWN
            : !old && agents->count >= agents->options.most ? -EUSERS
                                                            : 0;
    if (r == 0) {
        if (old)
            leave(agents, old, WAIT_REPLACED);
        struct waiting_agent **place = place_of(agents, agent->computer);
        agent->next_of_bucket = NULL;
        agent->woken = NULL;
        agent->seen = agents->comparisons;
        agent->until_ns = clock_monotonic_ns() + WAITING_SECONDS * NS_PER_SECOND;
        *place = agent;
        append(&agents->by_time, agent);
        agents->count++;
        agents->compare_wanted |= missed_comparison(agents, agent, news);
        if (agents->count == 1)
            (void)pthread_cond_signal(&agents->changed);
    } else {
        agents->status.refused++;
    }
    (void)pthread_mutex_unlock(&agents->lock);
    if (r == 0 && old)
        finish(agents, old);
    return r;
}

void waiting_agents_wake(struct waiting_agents *agents, int64_t computer)
{
    if (!agents)
        return;
    (void)pthread_mutex_lock(&agents->lock);
    struct waiting_agent *agent = *place_of(agents, computer);
    if (agent)
        leave(agents, agent, WAIT_NEWS);
    (void)pthread_mutex_unlock(&agents->lock);
    if (agent)
        finish(agents, agent);
}

/* --- life */

int waiting_agents_start(const struct waiting_agents_options *options,
                         struct waiting_agents **ret_agents)
{
    struct waiting_agents *agents = calloc(1, sizeof(*agents));
    if (!agents)
        return -ENOMEM;
    agents->options = *options;
    agents->looked_ms = console_store_now_ms();
    agents->by_time.links = offsetof(struct waiting_agent, by_time);
    agents->commanded.links = agents->others.links = offsetof(struct waiting_agent, by_wake);
    rate_bucket_init(&agents->wakes, WAITING_WAKES_A_SECOND);
    (void)pthread_mutex_init(&agents->lock, NULL);
    (void)pthread_cond_init(&agents->changed, NULL);
    int r = -pthread_create(&agents->thread, NULL, run, agents);
    if (r < 0) {
        free(agents);
        return r;
    }
    *ret_agents = agents;
    return 0;
}

void waiting_agents_close(struct waiting_agents *agents)
{
    if (!agents)
        return;
    (void)pthread_mutex_lock(&agents->lock);
    agents->closing = true;
    (void)pthread_cond_signal(&agents->changed);
    (void)pthread_mutex_unlock(&agents->lock);
    (void)pthread_join(agents->thread, NULL);
}

struct waiting_agents *waiting_agents_free(struct waiting_agents *agents)
{
    if (!agents)
        return NULL;
    (void)pthread_cond_destroy(&agents->changed);
    (void)pthread_mutex_destroy(&agents->lock);
    free(agents);
    return NULL;
}

void waiting_agents_status(struct waiting_agents *agents, struct waiting_agents_status *ret_status)
{
    *ret_status = (struct waiting_agents_status){0};
    if (!agents)
        return;
    (void)pthread_mutex_lock(&agents->lock);
    *ret_status = agents->status;
    ret_status->waiting = agents->count;
    (void)pthread_mutex_unlock(&agents->lock);
}
