/* Owns: the way of an ask from the guard's question to its answer. Must not own: what is told
 * (answers.c), package databases (keeper.c), the inventory. Hands off: what might be a package's to
 * the keeper.
 *
 * A digest counts only when nobody could write to the file from before it was read until the
 * answer: a read lease is held on the open description that the guard shares, and ends with it.
 * While somebody has the file open for writing there is no lease, and running it would fail with
 * ETXTBSY anyway; so it is tried again for a while, and then not run. */
#include "agent/application_control/application_control_private.h"
#include "agent/application_control/package_scripts.h"

#include "agent/scan/file_lease.h"
#include "common/files/file.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define TRY_AGAIN_NS (20 * NS_PER_MS)
#define MOST_TRIES   50 /* while somebody writes to it */

/* ---- asks ---- */

int application_judge_ask(void *user, const struct open_question *question, open_answered *answered,
                          void *answered_user)
{
    struct application_control *control = user;
    struct application_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL)
        return -ENOMEM;
    ask->question = *question;
    ask->answered = answered;
    ask->answered_user = answered_user;
    (void)pthread_mutex_lock(&control->lock);
    application_queue_add(&control->asked, ask);
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    return 0;
}

/* ---- the digest ---- */

static bool is_same(const struct application_ask *ask)
{
    struct stat now;

    if (fstat(ask->question.fd, &now) < 0)
        return false;
    struct file_identity before = file_identity_of(&ask->status), after = file_identity_of(&now);
    return file_identity_equal(&before, &after);
}

/* 0; -EAGAIN: somebody writes to it; -EFBIG; -errno. A file system without leases is believed when
 * the file looks the same before and after, each time anew. */
static int take_digest(struct application_ask *ask, uint64_t most_bytes)
{
    int fd = ask->question.fd;
    int leased = file_lease_take(fd);
    if (leased == -EAGAIN)
        return -EAGAIN;
    int r = hash_sha256_fd(fd, most_bytes, ask->sha256);
    if (r < 0)
        return r;
    if (!is_same(ask) || (leased == 0 && !file_lease_holds(fd))) {
        file_lease_give_back(fd);
        return -EAGAIN;
    }
    ask->remembered = leased == 0;
    ask->digested = true;
    return 0;
}

/* ---- decisions ---- */

/* What is unknown: as the mode says, or, too late, the policy's on_timeout. */
static bool is_denied(const struct application_ask *ask, const struct application_rules *rules,
                      bool all_run)
{
    if (application_answers_are_late(ask))
        return rules->deny_late;
    return rules->mode == APPLICATION_BLOCK && !all_run;
}

static void answer_unknown(struct application_control *control, struct application_ask *ask,
                           const struct application_rules *rules, const char *reason)
{
    application_answers_give_told(control, ask, reason, is_denied(ask, rules, ask->all_run));
}

void application_judge_unknown(struct application_control *control, struct application_ask *ask,
                               const char *reason)
{
    struct application_rules *rules = application_rules_take(control);

    answer_unknown(control, ask, rules, reason);
    application_rules_drop(control, rules);
}

/* Its time is over, but not the walk that looks for what came meanwhile: it would find this. */
static bool came_in_maintenance(struct application_control *control,
                                const struct application_ask *ask)
{
    struct inventory_marks marks = inventory_marks(control->inventory);

    return application_control_came_in_maintenance(&marks, &ask->status);
}

static void answer_known(struct application_control *control, struct application_ask *ask,
                         bool remember)
{
    (void)pthread_mutex_lock(&control->lock);
    control->known++;
    (void)pthread_mutex_unlock(&control->lock);
    application_answers_give(ask, true, remember);
}

static void trust(struct application_control *control, struct application_ask *ask,
                  enum inventory_origin origin)
{
    struct inventory_program program = {
        .size = (uint64_t)ask->status.st_size,
        .path = ask->question.path,
        .origin = origin,
        .package = "",
    };

    memcpy(program.sha256, ask->sha256, SHA256_BYTES);
    bool added = application_control_add(control, &program);
    answer_known(control, ask, added && ask->remembered);
}

static void ask_keeper(struct application_control *control, struct application_ask *ask)
{
    (void)pthread_mutex_lock(&control->lock);
    ask->due_ns = 0;
    application_queue_add(&control->packaged, ask);
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
}

static void decide(struct application_control *control, struct application_ask *ask,
                   const struct application_rules *rules)
{
    if (digest_table_has(&rules->block, ask->sha256)) /* when all may run, all but this */
        application_answers_give_told(control, ask, "blocked_hash", is_denied(ask, rules, false));
    else if (digest_table_has(&rules->allow, ask->sha256) ||
             inventory_has(control->inventory, ask->sha256))
        answer_known(control, ask, ask->remembered);
    else if (ask->all_run)
        trust(control, ask, ask->origin);
    else if (came_in_maintenance(control, ask))
        trust(control, ask, INVENTORY_MAINTENANCE);
    else if (rules->trust_packages && package_scripts_include(&ask->question, &ask->status))
        trust(control, ask, INVENTORY_SCRIPT);
    else if (rules->trust_packages && ask->question.path[0] == '/')
        ask_keeper(control, ask);
    else
        answer_unknown(control, ask, rules, "unknown");
}

static bool try_again(struct application_control *control, struct application_ask *ask)
{
    uint64_t now = clock_monotonic_ns();

    if (++ask->tries > MOST_TRIES || now >= ask->question.until_ns)
        return false;
    ask->due_ns = now + TRY_AGAIN_NS;
    (void)pthread_mutex_lock(&control->lock);
    application_queue_add(&control->asked, ask);
    (void)pthread_mutex_unlock(&control->lock);
    return true;
}

/* 0; -ETIME: the guard has answered it, and reading it would make others late; -errno as
 * take_digest. */
static int look_at(struct application_ask *ask, uint64_t most_bytes)
{
    if (fstat(ask->question.fd, &ask->status) < 0)
        return -errno;
    return application_answers_are_late(ask) ? -ETIME : take_digest(ask, most_bytes);
}

/* What could not be read in time, or at all, is answered as the policy says, whether or not all may
 * run. */
static void answer_unread(struct application_control *control, struct application_ask *ask,
                          const struct application_rules *rules, const char *reason)
{
    if (ask->all_run && !rules->deny_late)
        application_answers_give(ask, true, false);
    else
        application_answers_give_told(control, ask, reason, rules->deny_late);
}

static void judge(struct application_control *control, struct application_ask *ask)
{
    struct application_rules *rules = application_rules_take(control);

    if (rules->mode == APPLICATION_OFF || control->inventory == NULL) {
        application_answers_give(ask, true, false);
        application_rules_drop(control, rules);
        return;
    }
    ask->all_run = application_control_lets_all_run(control, &ask->origin);
    int r = look_at(ask, rules->most_bytes);
    if (r == 0)
        decide(control, ask, rules);
    else if (r == -EFBIG)
        answer_unknown(control, ask, rules, "too_large");
    else if (r == -ETIME)
        answer_unread(control, ask, rules, "late");
    else if (r != -EAGAIN)
        answer_unread(control, ask, rules, "unreadable");
    else if (!try_again(control, ask))
        answer_unknown(control, ask, rules, "being_written");
    application_rules_drop(control, rules);
}

void *application_judge_run(void *user)
{
    struct application_control *control = user;

    (void)pthread_mutex_lock(&control->lock);
    while (!control->stopping) {
        uint64_t wait_ns;
        struct application_ask *ask =
            application_queue_take(&control->asked, clock_monotonic_ns(), &wait_ns);
        if (ask == NULL) {
            application_control_wait(control, wait_ns);
            continue;
        }
        (void)pthread_mutex_unlock(&control->lock);
        judge(control, ask);
        (void)pthread_mutex_lock(&control->lock);
    }
    (void)pthread_mutex_unlock(&control->lock);
    return NULL;
}
