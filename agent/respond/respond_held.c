/* Owns: what an administrator says about a detection that the brake held. Must not own: the brake.
 */
#include "agent/respond/detection_event.h"
#include "agent/respond/respond_task.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct held_lookup {
    const char *id;
    struct quarantine_facts facts;
};

static int find_held(void *user, sqlite3 *database)
{
    struct held_lookup *lookup = user;

    return held_find(database, lookup->id, &lookup->facts);
}

static int delete_held(void *user, sqlite3 *database)
{
    return held_delete(user, database);
}

/* The file must still be what was held. */
static int reopen_held(const struct quarantine_facts *facts, struct stat *ret_status, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    int r;

    r = file_open_regular(AT_FDCWD, facts->path, &fd, ret_status);
    if (r < 0)
        return r;
    r = hash_sha256_fd(fd, UINT64_MAX, digest);
    if (r < 0)
        return r;
    text_hex(hex, digest, sizeof(digest));
    if (!text_equal(hex, facts->sha256))
        return -ESTALE;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int act_on_held(struct responder *responder, const struct quarantine_facts *facts)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;
    struct task *task;
    int r;

    r = reopen_held(facts, &status, &fd);
    if (r < 0)
        return r;
    task = task_new(responder, facts->path, TAKE_FD(fd));
    if (!task)
        return -ENOMEM;
    task->identity = file_identity_of(&status);
    task->released = true;
    task->intent.facts.cause = SCAN_CAUSE_DEMAND;
    (void)text_copy(task->intent.facts.signature, sizeof(task->intent.facts.signature),
                    facts->signature);
    detection_memory_forget(responder->memory, &task->identity);
    r = responder_hand_in(task);
    if (r < 0)
        task_end(task, r);
    return r;
}

int responder_release(struct responder *responder, const char *held_id, enum held_answer answer)
{
    struct held_lookup lookup = {.id = held_id};
    struct detection_note note = {.action = answer == HELD_ACT ? "quarantine" : "allow"};
    int r;

    r = store_read(responder->store, find_held, &lookup);
    if (r < 0)
        return r;
    if (answer == HELD_ACT)
        r = act_on_held(responder, &lookup.facts);
    else
        r = quarantine_allow(responder->quarantine, lookup.facts.sha256, lookup.facts.path);
    if (r == 0)
        r = detection_event_append_wait(responder->store, "quarantine", "held_released",
                                        EVENT_MEDIUM, &lookup.facts, &note, delete_held,
                                        (void *)held_id);
    quarantine_facts_done(&lookup.facts);
    return r;
}
