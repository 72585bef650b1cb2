/* Owns: the way of one file from its place into the quarantine (or out of existence), and the event
 * that tells the end. Must not own: threads, batches, which action.
 * Every step may be the last before a crash: see respond_recover.c for what is then found. */
#include "agent/respond/detection_event.h"
#include "agent/respond/respond_move.h"
#include "agent/respond/respond_step.h"
#include "agent/respond/respond_task.h"
#include "common/crypto/aead.h"
#include "common/files/file.h"
#include "common/shortage.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void count(struct responder *responder, uint64_t *counter)
{
    pthread_mutex_lock(&responder->mutex);
    (*counter)++;
    pthread_mutex_unlock(&responder->mutex);
}

/* ---- held detections ---- */

static void held_told(void *user, int result, uint64_t number UNUSED)
{
    task_end(user, result);
}

static int append_held(struct task *task)
{
    struct detection_note note = {.action = "held",
                                  .reason = task->held,
                                  .count = task->held_count};

    return detection_event_append(task->responder->store, "malware", "malware_held", EVENT_CRITICAL,
                                  &task->intent.facts, &note, NULL, held_told, task);
}

static void tell_held(struct task *task)
{
    int r = task_append_patiently(task, append_held);

    if (r < 0)
        task_end(task, r);
}

/* ---- failures ---- */

static int forget_intent(void *user, sqlite3 *database)
{
    const struct task *task = user;

    return intent_delete(task->intent.facts.id, database);
}

static void failure_committed(void *user, int result, uint64_t number UNUSED)
{
    struct task *task = user;

    task_end(task, result < 0 ? result : task->result);
}

static const char *explain(const struct task *task)
{
    switch (task->result) {
    case -ENOENT:
        return "it was gone before it could be moved";
    case -EDQUOT:
        return "the quarantine is full: delete from it or raise quarantine.max_size";
    case -EROFS:
        return "the file system is read-only";
    case -EPERM:
        return "the file or its directory is immutable (chattr -i)";
    case -EXDEV:
    case -EBUSY:
        return "it is a mount point";
    case -ENOSPC:
        return "no space left";
    default:
        return "it could not be moved";
    }
}

static int append_failure(struct task *task)
{
    static const char *const actions[] = {"pass", "quarantine", "delete"};
    bool vanished = task->result == -ENOENT;
    struct detection_note note = {.action = actions[task->intent.action],
                                  .reason = explain(task),
                                  .error = vanished ? 0 : task->result};

    return detection_event_append(task->responder->store, "malware",
                                  vanished ? "malware_vanished" : "malware_action_failed",
                                  vanished ? EVENT_LOW : EVENT_CRITICAL, &task->intent.facts, &note,
                                  forget_intent, failure_committed, task);
}

static void fail(struct task *task, int result)
{
    struct responder *responder = task->responder;
    int r;

    task->result = result;
    count(responder, &responder->counts.failed);
    if (result == -ENOENT)
        detection_memory_forget(responder->memory, &task->identity);
    else
        detection_memory_note(responder->memory, &task->identity, task->intent.facts.signature,
                              result);
    r = task_append_patiently(task, append_failure);
    if (r < 0)
        task_end(task, r); /* the intent stays: it is tried again after a restart */
}

/* ---- it cannot be done yet ---- */

static int append_delay(struct task *task)
{
    struct detection_note note = {.action = "quarantine",
                                  .reason = task->moved
                                                ? "it was moved away and disarmed, but cannot be "
                                                  "sealed yet; this is tried again"
                                                : "it cannot be moved yet; this is tried again",
                                  .to = task->moved ? task->intent.holding : NULL,
                                  .error = task->result};

    return detection_event_append(task->responder->store, "malware", "malware_action_delayed",
                                  EVENT_CRITICAL, &task->intent.facts, &note, NULL, NULL, NULL);
}

static void delay(struct task *task, int result)
{
    struct responder *responder = task->responder;

    task->result = result;
    sealed_bytes_done(&task->sealed);
    quarantine_discard(responder->quarantine, task->intent.facts.id);
    if (task->sealed_fd >= 0)
        (void)close(TAKE_FD(task->sealed_fd));
    if (!task->told_delay)
        task->told_delay = task_append_patiently(task, append_delay) == 0;
    task_hand_over(task, &responder->delayed);
}

void respond_put_off(struct task *task)
{
    if (!task->told_delay)
        task->told_delay = task_append_patiently(task, append_delay) == 0;
    task_hand_over(task, &task->responder->undecided);
}

/* ---- the way of a file ---- */

static int take_room(struct task *task)
{
    uint64_t bytes = aead_sealed_size(task->intent.facts.size);
    int r;

    if (task->intent.action == RESPOND_DELETE || task->room > 0)
        return 0;
    r = quarantine_take_room(task->responder->quarantine, bytes);
    if (r == 0)
        task->room = bytes;
    return r;
}

/* Without mode bits no hard link of it can be opened or run any more. */
static int disarm(struct task *task)
{
    char name[MOVED_NAME_BYTES];
    int r;

    if (task->fd < 0) {
        respond_moved_name(task, name);
        r = file_open_regular(task->holding_fd, name, &task->fd, NULL);
        if (r == -EACCES && fchmodat(task->holding_fd, name, 0400, 0) == 0)
            r = file_open_regular(task->holding_fd, name, &task->fd, NULL); /* not root */
        if (r < 0)
            return r;
    }
    return fchmod(task->fd, 0) < 0 ? -errno : 0;
}

/* Whoever has it open can still make it grow: what came after the detection needs room, too. */
static int take_more_room(struct task *task)
{
    uint64_t known = task->intent.facts.size, bytes;
    struct stat status;
    int r;

    if (fstat(task->fd, &status) < 0)
        return -errno;
    if ((uint64_t)status.st_size <= known)
        return 0;
    bytes = aead_sealed_size((uint64_t)status.st_size) - aead_sealed_size(known);
    r = quarantine_take_room(task->responder->quarantine, bytes);
    if (r < 0)
        return r;
    task->room += bytes;
    task->intent.facts.size = (uint64_t)status.st_size;
    return 0;
}

static int seal(struct task *task, bool little)
{
    struct quarantine_facts *facts = &task->intent.facts;
    struct quarantine *quarantine = task->responder->quarantine;
    int r;

    if (task->intent.action == RESPOND_DELETE)
        return 0;
    r = take_more_room(task);
    if (r < 0)
        return r;
    if (little && facts->size + facts->attributes.length <= LIMIT_QUARANTINE_JOURNAL)
        return quarantine_seal_bytes(quarantine, facts, task->fd, &task->sealed);
    return quarantine_seal(quarantine, facts, task->fd, &task->sealed_fd);
}

/* An earlier run's file may lie in the holding directory already; then the cap must not send it
 * back to where it would be live again. */
static int take_away(struct task *task)
{
    int r;

    r = take_room(task);
    if (r < 0 && !task->resumed && !task->moved)
        return r;
    r = respond_move(task);
    if (r < 0)
        return r;
    respond_step(RESPOND_STEP_MOVED);
    return 0;
}

static int insert_intent(void *user, sqlite3 *database)
{
    return intent_insert(user, database);
}

/* Where no holding directory could be had when it was decided: now, or not yet. The intent stands
 * in the store before the file is moved, as with all others. 1: it was handed on. */
static int intend(struct task *task)
{
    int r;

    if (task->intent.holding)
        return 0;
    r = respond_choose_holding(task);
    if (r < 0)
        return r;
    r = store_append_wait(task->responder->store, NULL, insert_intent, &task->intent, NULL);
    if (r == 0)
        return 0;
    free((char *)task->intent.holding);
    task->intent.holding = NULL;
    delay(task, r); /* the store's trouble, not the file's */
    return 1;
}

int respond_begin(struct task *task, bool little)
{
    int r;

    if (task->held) {
        tell_held(task);
        return 1;
    }
    r = task->result < 0 && !task->moved && !is_shortage(task->result) ? task->result
                                                                       : intend(task);
    if (r > 0)
        return r;
    respond_step(RESPOND_STEP_INTENT_COMMITTED);
    if (r == 0)
        r = take_away(task);
    if (is_shortage(r)) {
        delay(task, r);
        return 1;
    }
    if (r < 0) {
        fail(task, r);
        return 1;
    }
    r = disarm(task);
    if (r == 0) {
        respond_step(RESPOND_STEP_DISARMED);
        r = seal(task, little);
    }
    if (r < 0) {
        delay(task, r);
        return 1;
    }
    task->result = 0;
    respond_step(RESPOND_STEP_SEALED);
    return 0;
}

int respond_write(struct task *task)
{
    int r;

    if (!task->sealed.data)
        return 0;
    r = quarantine_write(task->responder->quarantine, task->intent.facts.id, &task->sealed,
                         &task->sealed_fd);
    sealed_bytes_done(&task->sealed);
    return r;
}

/* The data of all files is on the disk, and their blocks are in the journal's running transaction,
 * before the first fsync: it then commits them all at once. Where this does not work (-ESPIPE and
 * the like) only speed is lost, because fsync follows. */
void respond_start_writing(struct task *task)
{
    if (task->sealed_fd >= 0)
        (void)sync_file_range(task->sealed_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void respond_await_writing(struct task *task)
{
    if (task->sealed_fd >= 0)
        (void)sync_file_range(task->sealed_fd, 0, 0,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
}

int respond_sync(struct task *task)
{
    if (task->sealed_fd < 0)
        return 0;
    if (fsync(task->sealed_fd) < 0)
        return -errno;
    (void)close(TAKE_FD(task->sealed_fd));
    respond_step(RESPOND_STEP_SYNCED);
    return 0;
}

static int write_result(void *user, sqlite3 *database)
{
    const struct task *task = user;
    int r = 0;

    if (task->intent.action == RESPOND_QUARANTINE)
        r = quarantine_insert(&task->intent.facts, database);
    return r < 0 ? r : intent_note_told(task->intent.facts.id, &task->sealed, database);
}

/* What finishing needs is opened again then: it must not hold descriptors, nor a mount. */
static void let_go(struct task *task)
{
    if (task->fd >= 0)
        (void)close(TAKE_FD(task->fd));
    if (task->holding_fd >= 0)
        (void)close(TAKE_FD(task->holding_fd));
    if (task->sealed_fd >= 0)
        (void)close(TAKE_FD(task->sealed_fd));
    sealed_bytes_done(&task->sealed);
    quarantine_release_room(task->responder->quarantine, task->room);
    task->room = 0;
}

static void note_told(struct task *task)
{
    pthread_mutex_lock(&task->responder->mutex);
    task->intent.told = true;
    task->responder->finishing_count++;
    pthread_mutex_unlock(&task->responder->mutex);
    task->told_ns = clock_monotonic_ns();
}

static void result_committed(void *user, int result, uint64_t number UNUSED)
{
    struct task *task = user;
    struct responder *responder = task->responder;

    if (result < 0) {
        task_end(task, result);
        return;
    }
    respond_step(RESPOND_STEP_RESULT_COMMITTED);
    if (task->intent.action == RESPOND_QUARANTINE) {
        quarantine_note_added(responder->quarantine, &task->intent.facts);
        count(responder, &responder->counts.quarantined);
    } else {
        count(responder, &responder->counts.deleted);
    }
    detection_memory_forget(responder->memory, &task->identity);
    let_go(task);
    note_told(task);
    task_tell_done(task, 0);
    task_hand_over(task, &responder->finished);
}

static int append_result(struct task *task)
{
    bool deleted = task->intent.action == RESPOND_DELETE;
    struct detection_note note = {.action = deleted ? "delete" : "quarantine"};

    return detection_event_append(task->responder->store, "malware",
                                  deleted ? "malware_deleted" : "malware_quarantined", EVENT_MEDIUM,
                                  &task->intent.facts, &note, write_result, result_committed, task);
}

void respond_conclude(struct task *task, int result)
{
    int r;

    if (result < 0) {
        delay(task, result);
        return;
    }
    r = task_append_patiently(task, append_result);
    if (r < 0)
        task_end(task, r); /* the intent stays */
}
