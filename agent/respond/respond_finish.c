/* Owns: the end of what was told. The result is committed; now the sealed file goes to the disk if
 * it stood only in the store's log, the moved file is removed, that is made durable, and the intent
 * is forgotten. Nobody waits for this, so it is done some time later and for many at once, in a
 * thread of its own. Must not own: the result. Every step may be the last before a crash, or before
 * the power fails: the intent is still there, and respond_recover.c brings the task here again. */
#include "agent/respond/detection_event.h"
#include "agent/respond/respond_move.h"
#include "agent/respond/respond_step.h"
#include "agent/respond/respond_task.h"
#include "common/files/file.h"
#include "common/shortage.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

/* Detections that follow one another must not wait for the disk because of those before. */
#define FINISH_AFTER (2 * NS_PER_SECOND)
#define LOOK_AGAIN   (NS_PER_SECOND / 2)
/* So many may wait while there are files to act on: these are more urgent, and ext4 finds a new
 * inode slowly among many that were just freed. */
#define FINISHED_MANY 1024
#define BATCH_FILES   128

/* ---- the sealed files of a batch ---- */

static void open_sealed(struct task *task)
{
    if (task->intent.action != RESPOND_QUARANTINE)
        return;
    task->result =
        quarantine_open_file(task->responder->quarantine, task->intent.facts.id, &task->sealed_fd);
    if (task->result == -ENOENT)
        task->result = 0; /* it was restored or deleted since */
}

static void make_durable(struct responder *responder, struct task *first)
{
    int synced;

    for (struct task *task = first; task; task = task->next)
        open_sealed(task);
    respond_step(RESPOND_STEP_BEFORE_SYNC);
    for (struct task *task = first; task; task = task->next)
        respond_start_writing(task);
    for (struct task *task = first; task; task = task->next)
        respond_await_writing(task);
    for (struct task *task = first; task; task = task->next) {
        int r = respond_sync(task);

        task->result = MIN(task->result, r);
    }
    synced = quarantine_sync(responder->quarantine);
    for (struct task *task = first; task; task = task->next)
        task->result = MIN(task->result, synced);
}

/* ---- after a crash: is it in its place again? ---- */

/* What the quarantine has of it, or what was to be deleted. */
static int expected_digest(struct task *task, char sha256[static SHA256_HEX_BYTES])
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    int r;

    if (task->intent.action == RESPOND_DELETE) {
        (void)text_copy(sha256, SHA256_HEX_BYTES, task->intent.facts.sha256);
        return 0;
    }
    r = quarantine_show(task->responder->quarantine, task->intent.facts.id, false, &facts);
    if (r == 0)
        (void)text_copy(sha256, SHA256_HEX_BYTES, facts.sha256);
    return r;
}

static bool is_what_was_told(struct task *task)
{
    char name[MOVED_NAME_BYTES], expected[SHA256_HEX_BYTES], found[SHA256_HEX_BYTES];
    uint8_t digest[SHA256_BYTES];
    AUTO_CLOSE int fd = -1;

    respond_moved_name(task, name);
    if (expected_digest(task, expected) < 0 ||
        file_open_regular(task->holding_fd, name, &fd, NULL) < 0 ||
        hash_sha256_fd(fd, UINT64_MAX, digest) < 0)
        return false;
    text_hex(found, digest, sizeof(digest));
    return text_equal(found, expected);
}

/* The power failed before the disk had the rename: the file stands where it stood. One with other
 * content goes back: the scan after the start judges it. */
static int take_again(struct task *task)
{
    int r;

    if (respond_lies_moved(task))
        return 0;
    if (task->intent.action == RESPOND_QUARANTINE && !task->intent.catalogued)
        return 0; /* it was restored or deleted since */
    r = respond_move(task);
    if (r == -ENOENT || r == -ESTALE)
        return 0;
    if (r < 0 || is_what_was_told(task))
        return r;
    return respond_give_back(task);
}

/* ---- the moved files ---- */

static void remove_moved(struct task *task)
{
    char name[MOVED_NAME_BYTES];

    if (task->result < 0)
        return;
    respond_step(RESPOND_STEP_DURABLE);
    task->result = respond_open_holding(task);
    if (task->result == 0 && task->resumed)
        task->result = take_again(task);
    if (task->result < 0)
        return;
    respond_moved_name(task, name);
    if (unlinkat(task->holding_fd, name, 0) < 0 && errno != ENOENT)
        task->result = -errno;
    respond_step(RESPOND_STEP_UNLINKED);
}

/* The renames into the directory and the removals from it. Mostly it is one directory for all. */
static void sync_holdings(struct task *first)
{
    const char *synced = "";

    for (struct task *task = first; task; task = task->next) {
        if (task->result < 0 || text_equal(task->intent.holding, synced))
            continue;
        if (fsync(task->holding_fd) < 0)
            task->result = -errno;
        else
            synced = task->intent.holding;
    }
}

/* ---- the intents ---- */

static int forget(void *user, sqlite3 *database)
{
    const struct task *task = user;

    return intent_delete(task->intent.facts.id, database);
}

static void forgotten(void *user, int result, uint64_t number UNUSED)
{
    struct task *task = user;

    if (result == 0)
        respond_step(RESPOND_STEP_FORGOTTEN);
    task_end(task, result);
}

static int append_forget(struct task *task)
{
    return store_run(task->responder->store, forget, forgotten, task);
}

static void put_off(struct task *task)
{
    if (task->sealed_fd >= 0)
        (void)close(TAKE_FD(task->sealed_fd));
    if (task->holding_fd >= 0)
        (void)close(TAKE_FD(task->holding_fd));
    task->result = 0;
    task->told_ns = clock_monotonic_ns();
    task_hand_over(task, &task->responder->finished);
}

static int append_left(struct task *task)
{
    bool deleted = task->intent.action == RESPOND_DELETE;
    struct detection_note note = {.action = deleted ? "delete" : "quarantine",
                                  .reason = "it was moved away and disarmed, but cannot be "
                                            "removed from there; this is tried again when the "
                                            "agent starts",
                                  .to = task->intent.holding,
                                  .error = task->result};

    return detection_event_append(task->responder->store, "malware", "malware_action_delayed",
                                  EVENT_HIGH, &task->intent.facts, &note, NULL, NULL, NULL);
}

/* What failed keeps its intent, and is tried again after the next start. */
static void end(struct task *task)
{
    int r = task->result;

    if (is_shortage(r)) {
        put_off(task);
        return;
    }
    if (r == 0)
        r = task_append_patiently(task, append_forget);
    else
        (void)!task_append_patiently(task, append_left);
    if (r < 0)
        task_end(task, r);
}

/* ---- the thread ---- */

static void finish_batch(struct responder *responder, struct task_list *batch)
{
    struct task *task;

    make_durable(responder, batch->first);
    for (task = batch->first; task; task = task->next)
        remove_moved(task);
    sync_holdings(batch->first);
    while ((task = task_list_pop(batch)))
        end(task);
}

/* 0: now. With mutex. */
static uint64_t time_left(const struct responder *responder)
{
    const struct task *first = responder->finished.first;
    uint64_t now = clock_monotonic_ns();

    if (!first)
        return UINT64_MAX;
    if (responder->stopping || responder->finished.count >= FINISHED_MANY)
        return 0;
    if (now < first->told_ns + FINISH_AFTER)
        return first->told_ns + FINISH_AFTER - now;
    return responder->ready.first ? LOOK_AGAIN : 0;
}

/* Waits until there is something to finish; false at the end. */
static bool take_batch(struct responder *responder, struct task_list *batch)
{
    uint64_t left;

    task_list_init(batch);
    pthread_mutex_lock(&responder->mutex);
    while ((left = time_left(responder)) > 0 && !responder->stopping) {
        struct timespec deadline = clock_deadline(MIN(left, FINISH_AFTER));

        if (left == UINT64_MAX)
            pthread_cond_wait(&responder->finish, &responder->mutex);
        else
            (void)pthread_cond_clockwait(&responder->finish, &responder->mutex, CLOCK_MONOTONIC,
                                         &deadline);
    }
    while (batch->count < BATCH_FILES && responder->finished.first)
        task_list_push(batch, task_list_pop(&responder->finished));
    pthread_mutex_unlock(&responder->mutex);
    return batch->first != NULL;
}

void *respond_finisher_main(void *user)
{
    struct responder *responder = user;
    struct task_list batch;

    pthread_setname_np(pthread_self(), "respond-finish");
    while (take_batch(responder, &batch))
        finish_batch(responder, &batch);
    return NULL;
}
