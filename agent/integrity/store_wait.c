/* Owns: waiting for the store, which may take as long as its disk is full. Whoever called the check
 * off, or stops the agent, does not wait for that. */
#include "agent/integrity/integrity_private.h"

#include "common/time/clock.h"

#include <errno.h>

/* Between two looks at whether it is called off. */
static const uint64_t LOOK_NS = 50 * NS_PER_MS;
/* A store that works gets this long even so. */
static const uint64_t PATIENCE_NS = NS_PER_SECOND;

/* Of the store's thread and of ours: whoever is last frees it. */
struct commit {
    atomic_uint references;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int result;
};

static void commit_unref(struct commit *commit)
{
    if (atomic_fetch_sub(&commit->references, 1) != 1)
        return;
    (void)pthread_cond_destroy(&commit->changed);
    (void)pthread_mutex_destroy(&commit->lock);
    free(commit);
}

static void committed(void *user, int result, uint64_t number UNUSED)
{
    struct commit *commit = user;

    (void)pthread_mutex_lock(&commit->lock);
    commit->done = true;
    commit->result = result;
    (void)pthread_cond_signal(&commit->changed);
    (void)pthread_mutex_unlock(&commit->lock);
    commit_unref(commit);
}

static bool may_wait(struct integrity *integrity, uint64_t since_ns)
{
    return !integrity_is_called_off(integrity) || clock_monotonic_ns() - since_ns < PATIENCE_NS;
}

int store_wait_for_room(struct integrity *integrity, const struct event_draft *draft,
                        store_committed *done, void *user)
{
    uint64_t since_ns = clock_monotonic_ns();
    int r;

    while ((r = store_append(integrity->store, draft, NULL, done, user)) == -ENOBUFS) {
        struct store_status status;
        if (!may_wait(integrity, since_ns))
            return -ECANCELED;
        store_status(integrity->store, &status);
        (void)!store_wait_beyond(integrity->store, status.last_number, LOOK_NS);
    }
    return r;
}

static int wait_for(struct integrity *integrity, struct commit *commit)
{
    uint64_t since_ns = clock_monotonic_ns();

    for (;;) {
        struct timespec until = clock_wait_until(LOOK_NS);
        (void)pthread_mutex_lock(&commit->lock);
        if (!commit->done)
            (void)pthread_cond_clockwait(&commit->changed, &commit->lock, CLOCK_MONOTONIC, &until);
        bool done = commit->done;
        (void)pthread_mutex_unlock(&commit->lock);
        if (done)
            return commit->result;
        if (!may_wait(integrity, since_ns))
            return -ECANCELED;
    }
}

int store_wait_for_commit(struct integrity *integrity)
{
    struct commit *commit = calloc(1, sizeof *commit);

    if (commit == NULL)
        return -ENOMEM;
    atomic_init(&commit->references, 2);
    (void)pthread_mutex_init(&commit->lock, NULL);
    (void)pthread_cond_init(&commit->changed, NULL);
    int r = store_wait_for_room(integrity, NULL, committed, commit);
    if (r < 0)
        commit_unref(commit); /* the store's: it never got it */
    else
        r = wait_for(integrity, commit);
    commit_unref(commit);
    return r;
}
