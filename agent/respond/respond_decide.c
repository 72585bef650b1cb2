/* Owns: what is to be done about a detection, and the event that says so. Must not own: doing it.
 * Hand-off: after store_append the task belongs to the store until found_committed. */
#include "agent/respond/detection_event.h"
#include "agent/respond/respond_move.h"
#include "agent/respond/respond_task.h"
#include "common/shortage.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* What the console's lists of denied contents are named; ".UNOFFICIAL" follows. */
#define CONSOLE_DENIED "Yagura.Denied."

static void count(struct responder *responder, uint64_t *counter)
{
    pthread_mutex_lock(&responder->mutex);
    (*counter)++;
    pthread_mutex_unlock(&responder->mutex);
}

/* ---- what the file is ---- */

static int take_facts(struct task *task)
{
    struct quarantine_facts *facts = &task->intent.facts;
    uint8_t digest[SHA256_BYTES];
    struct stat status;
    int r;

    if (fstat(task->fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    facts->mode = status.st_mode & 07777;
    facts->uid = status.st_uid;
    facts->gid = status.st_gid;
    facts->size = (uint64_t)status.st_size;
    facts->links = status.st_nlink;
    facts->device = status.st_dev;
    facts->inode = status.st_ino;
    facts->accessed_ns = timespec_to_ns(status.st_atim);
    facts->modified_ns = timespec_to_ns(status.st_mtim);
    facts->changed_ns = timespec_to_ns(status.st_ctim);
    facts->time_ns = clock_realtime_ns();
    /* What grew since the scan, to a sparse terabyte perhaps, is not what was scanned: it has no
     * digest here, and all other detections need not wait for one. */
    r = hash_sha256_fd(task->fd, task->identity.size, digest);
    if (r == 0)
        text_hex(facts->sha256, digest, sizeof(digest));
    else if (r != -EFBIG)
        return r;
    r = quarantine_facts_take_attributes(facts, task->fd);
    return r < 0 ? r : uuid_new(facts->id);
}

static bool is_heuristic(const char *signature)
{
    return text_starts_with(signature, "Heuristics.") || text_starts_with(signature, "PUA.");
}

static bool console_allows(struct responder *responder, const char *sha256)
{
    pthread_mutex_lock(&responder->mutex);
    bool allowed = digest_set_contains(&responder->console_allowed, sha256);
    pthread_mutex_unlock(&responder->mutex);
    return allowed;
}

/* Said by a person, by policy or on the console: no brake holds it. */
static bool is_denied(const struct task *task, const struct respond_rules *rules)
{
    const struct quarantine_facts *facts = &task->intent.facts;

    return digest_set_contains(&rules->denied, facts->sha256) ||
           text_starts_with(facts->signature, CONSOLE_DENIED);
}

static bool is_allowed(const struct task *task, const struct respond_rules *rules)
{
    const struct quarantine_facts *facts = &task->intent.facts;

    for (size_t i = 0; rules->allowed_signatures[i]; i++)
        if (text_equal(rules->allowed_signatures[i], facts->signature))
            return true;
    return digest_set_contains(&rules->allowed, facts->sha256) ||
           console_allows(task->responder, facts->sha256) ||
           quarantine_is_allowed(task->responder->quarantine, facts->sha256);
}

/* ---- the brake ---- */

/* Where a false positive takes the host down. */
static bool is_system_path(const char *path)
{
    static const char *const roots[] = {"/usr/", "/bin/", "/sbin/", "/lib", "/boot/", "/etc/"};

    for (size_t i = 0; i < ARRAY_LENGTH(roots); i++)
        if (text_starts_with(path, roots[i]))
            return true;
    return false;
}

static const char *package_hold(struct task *task)
{
    char package[PACKAGE_NAME_BYTES];

    switch (
        package_owner_ask(task->responder->packages, task->intent.facts.path, task->fd, package)) {
    case PACKAGE_UNCHANGED:
        return "package";
    case PACKAGE_UNKNOWN:
        return is_system_path(task->intent.facts.path) ? "owner-unknown" : NULL;
    default:
        return NULL;
    }
}

/* Why the file is not to be acted on; NULL when it is. */
static const char *find_hold(struct task *task, const struct respond_rules *rules)
{
    const char *held = NULL;

    if (task->released || is_denied(task, rules))
        return NULL;
    if (rules->hold_package_files)
        held = package_hold(task);
    if (!held &&
        !brake_allows(task->responder->brake, task->intent.facts.signature, rules->brake_actions))
        held = "brake";
    if (held)
        task->held_count = brake_note_held(task->responder->brake, task->intent.facts.signature);
    return held;
}

static enum respond_action choose_action(const struct task *task, const struct respond_rules *rules)
{
    enum respond_action action =
        is_heuristic(task->intent.facts.signature) ? rules->heuristic_action : rules->action;

    if (action == RESPOND_PASS && (task->released || is_denied(task, rules)))
        return RESPOND_QUARANTINE;
    return action;
}

/* ---- telling ---- */

static int found_work(void *user, sqlite3 *database)
{
    const struct task *task = user;

    if (task->held)
        return held_insert(&task->intent.facts, task->held, database);
    if (task->intent.action == RESPOND_PASS || task->result < 0)
        return 0;
    return intent_insert(&task->intent, database);
}

static void found_committed(void *user, int result, uint64_t number UNUSED)
{
    struct task *task = user;
    struct responder *responder = task->responder;

    if (result < 0) {
        detection_memory_forget(responder->memory, &task->identity);
        task_end(task, result);
    } else if ((task->held && task->held_count == 0) ||
               (!task->held && task->intent.action == RESPOND_PASS)) {
        task_end(task, 0);
    } else {
        task_hand_over(task, &responder->ready);
    }
}

static const char *action_name(const struct task *task)
{
    static const char *const names[] = {"pass", "quarantine", "delete"};

    return task->held ? "held" : names[task->intent.action];
}

static int append_found(struct task *task)
{
    struct detection_note note = {.action = action_name(task),
                                  .reason = task->held,
                                  .error = task->result};
    enum event_severity severity =
        is_heuristic(task->intent.facts.signature) ? EVENT_MEDIUM : EVENT_HIGH;

    return detection_event_append(task->responder->store, "malware", "malware_found", severity,
                                  &task->intent.facts, &note, found_work, found_committed, task);
}

static void count_decision(struct task *task)
{
    struct responder *responder = task->responder;

    count(responder, &responder->counts.found);
    if (task->held)
        count(responder, &responder->counts.held);
    else if (task->intent.action == RESPOND_PASS)
        count(responder, &responder->counts.passed);
}

static void tell_found(struct task *task)
{
    struct responder *responder = task->responder;
    int r;

    count_decision(task);
    detection_memory_note(responder->memory, &task->identity, task->intent.facts.signature, 0);
    r = task_append_patiently(task, append_found);
    if (r < 0) {
        detection_memory_forget(responder->memory, &task->identity);
        task_end(task, r);
    }
}

/* True when the detection needs no event: it is our own file, was told before, or is allowed. */
static bool is_settled(struct task *task)
{
    struct responder *responder = task->responder;
    int result = 0;

    if (holdings_contain(responder->holdings, task->intent.facts.path)) {
        task_end(task, 0);
        return true;
    }
    if (!task->released && detection_memory_find(responder->memory, &task->identity,
                                                 task->intent.facts.signature, &result)) {
        count(responder, &responder->counts.folded);
        task_end(task, result);
        return true;
    }
    return false;
}

/* For whoever waits to open it. What is denied by the brake's number alone is denied here too: that
 * loses no file, and ends when its signature is allowed. */
static int judge(struct task *task, const struct respond_rules *rules)
{
    int r = take_facts(task);

    if (r < 0)
        return r;
    if (is_allowed(task, rules))
        return 0;
    if (is_denied(task, rules))
        return -EACCES;
    if (is_heuristic(task->intent.facts.signature) && rules->heuristic_action == RESPOND_PASS)
        return 0;
    return rules->hold_package_files && package_hold(task) != NULL ? 0 : -EACCES;
}

void respond_decide(struct task *task, const struct respond_rules *rules)
{
    struct responder *responder = task->responder;

    if (task->judge) {
        task_end(task, judge(task, rules));
        return;
    }
    if (is_settled(task))
        return;
    task->result = take_facts(task);
    if (is_shortage(task->result)) {
        respond_put_off(task); /* nothing can be decided without them */
        return;
    }
    if (task->result == 0 && !task->released && is_allowed(task, rules)) {
        count(responder, &responder->counts.allowed);
        task_end(task, 0);
        return;
    }
    task->intent.action = choose_action(task, rules);
    if (task->result == 0 && task->intent.action != RESPOND_PASS)
        task->held = find_hold(task, rules);
    if (task->result == 0 && task->intent.action != RESPOND_PASS && !task->held)
        task->result = respond_choose_holding(task);
    /* It was followed into our own folder: a task of this run, or a resumed one, acts on it. */
    if (holdings_contain(responder->holdings, task->intent.facts.path)) {
        task_end(task, 0);
        return;
    }
    tell_found(task);
}
