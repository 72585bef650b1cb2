/* Owns: the walk that learns what is there. It gives way to all else: lowest priority for the disk,
 * a low one for the processor. Must not own: when it is wanted. */
#include "agent/application_control/application_control_private.h"

#include "agent/scan/tree_walk.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define COMMIT_EVERY 500 /* programs */
#define NICENESS     10
#define RETRY_NS     (60 * NS_PER_SECOND)
/* ioprio_set(2): class idle of the calling thread. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE        (3 << 13)

struct walk {
    struct application_control *control;
    struct application_rules *rules;
    bool everything; /* otherwise what came in maintenance */
    struct inventory_marks marks;
    uint64_t began_ns; /* realtime */
    unsigned unwritten;
    uint64_t added;
    const char *place; /* of the policy's paths */
};

static bool walk_enters(void *user, const char *path, size_t length)
{
    const struct walk *walk = user;
    const char *name = path + length;

    while (name > path && name[-1] != '/')
        name--;
    return !exclusions_match_directory(walk->rules->exclusions, path, length,
                                       (size_t)(path + length - name));
}

static int walk_checks(void *user)
{
    struct walk *walk = user;
    struct application_control *control = walk->control;

    (void)pthread_mutex_lock(&control->lock);
    bool stops = control->stopping || control->walk_stops;
    (void)pthread_mutex_unlock(&control->lock);
    if (stops)
        return -ECANCELED;
    if (walk->unwritten < COMMIT_EVERY)
        return 0;
    walk->unwritten = 0;
    return inventory_commit(control->inventory);
}

static void walk_problem(void *user UNUSED, const char *path, size_t length, int error)
{
    AUTO_FREE char *shown = text_escape_new(path, length);

    log_debug("walk_problem", "path", shown != NULL ? shown : "", "error", log_error_text(error),
              NULL);
}

static void walk_skipped(void *user UNUSED, const char *path UNUSED, enum mount_class kind UNUSED)
{
}

static bool may_be_run(const struct stat *status)
{
    return (status->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0 && status->st_size > 0;
}

static bool is_wanted(const struct walk *walk, const struct stat *status)
{
    return may_be_run(status) && (uint64_t)status->st_size <= walk->rules->most_bytes &&
           (walk->everything || application_control_came_in_maintenance(&walk->marks, status));
}

/* A file that cannot be read now is asked for when it is run. */
static int walk_file(void *user, const struct tree_walk_file *file)
{
    struct walk *walk = user;
    struct application_control *control = walk->control;
    AUTO_CLOSE int fd = -1;
    struct stat status;
    struct inventory_program program = {
        .path = file->path,
        .origin = walk->everything ? INVENTORY_FOUND : INVENTORY_MAINTENANCE,
        .package = "",
    };

    if (!is_wanted(walk, file->status) ||
        file_open_regular(file->directory_fd, file->name, &fd, NULL) < 0 ||
        hash_sha256_fd(fd, walk->rules->most_bytes, program.sha256) < 0 || fstat(fd, &status) < 0 ||
        !is_wanted(walk, &status))
        return walk_checks(walk);
    program.size = (uint64_t)status.st_size;
    (void)pthread_mutex_lock(&control->lock);
    control->looked_at++;
    (void)pthread_mutex_unlock(&control->lock);
    int r = inventory_add(control->inventory, &program);
    if (r < 0)
        return r;
    walk->unwritten += r == 1;
    walk->added += r == 1;
    return walk_checks(walk);
}

static int walk_all(struct walk *walk)
{
    static const struct tree_walk_visitor visitor = {
        .enters = walk_enters,
        .file = walk_file,
        .problem = walk_problem,
        .skipped = walk_skipped,
        .checks = walk_checks,
    };
    struct mount_classes *mounts = NULL;

    int r = mount_classes_new(&mounts);
    for (size_t i = 0; r == 0 && walk->rules->paths[i] != NULL; i++) {
        walk->place = walk->rules->paths[i];
        r = tree_walk(walk->place, true, mounts, &visitor, walk);
        r = r == -ENOENT ? 0 : r;
    }
    (void)mount_classes_free(mounts);
    return r;
}

/* ---- its end ---- */

static void tell_end(struct application_control *control, const char *kind,
                     enum event_severity severity, const char *key, uint64_t number)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(256);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, key, number);
    json_write_object_end(&json);
    application_control_record(control, kind, severity, "", buffer_text(&detail));
}

static void finish_learning(struct application_control *control)
{
    struct inventory_marks marks = inventory_marks(control->inventory);

    marks.complete_ns = clock_realtime_ns();
    inventory_set_marks(control->inventory, &marks);
    tell_end(control, "application_inventory_complete", EVENT_INFO, "programs",
             inventory_count(control->inventory));
}

/* What came before the gap has been found. */
static void close_gap(struct inventory_marks *marks)
{
    marks->maintenance_from_ns = marks->gap_until_ns;
    marks->gap_from_ns = marks->gap_until_ns = 0;
}

/* Unless somebody put it on again since the walk began, or the walk failed: then the keeper wants
 * another one. */
static void finish_maintenance(const struct walk *walk, bool failed)
{
    struct application_control *control = walk->control;

    (void)pthread_mutex_lock(&control->lock);
    struct inventory_marks marks = inventory_marks(control->inventory);
    bool goes_on = failed || marks.maintenance_until_ns > clock_realtime_ns() ||
                   marks.maintenance_until_ns != walk->marks.maintenance_until_ns;
    control->maintenance_ends = false;
    if (!goes_on)
        marks = (struct inventory_marks){.complete_ns = marks.complete_ns};
    else if (!failed && marks.gap_until_ns != 0 && marks.gap_from_ns <= walk->began_ns)
        close_gap(&marks);
    inventory_set_marks(control->inventory, &marks);
    uint64_t added = control->added + walk->added;
    control->added = goes_on ? added : 0;
    (void)pthread_mutex_unlock(&control->lock);
    if (goes_on)
        return;
    tell_end(control, "maintenance_ended", EVENT_MEDIUM, "added", added);
}

/* problem: 0 also of an inventory that is full; status says so itself. */
static void note_result(const struct walk *walk, int result, int problem)
{
    struct application_control *control = walk->control;
    char place[sizeof control->walk_place] = "";

    (void)text_escape(place, sizeof place, walk->place, strlen(walk->place));
    if (result < 0)
        log_warning("programs_not_learned", "path", place, "error", log_error_text(result), NULL);
    (void)pthread_mutex_lock(&control->lock);
    control->walk_problem = problem;
    (void)text_copy(control->walk_place, sizeof control->walk_place, place);
    control->walk_retry_ns = problem < 0 ? clock_monotonic_ns() + RETRY_NS : 0;
    (void)pthread_mutex_unlock(&control->lock);
}

static void do_walk(struct application_control *control, bool everything)
{
    struct walk walk = {
        .control = control,
        .rules = application_rules_take(control),
        .place = "",
        .everything = everything,
        .marks = inventory_marks(control->inventory),
        .began_ns = clock_realtime_ns(),
    };

    int r = walk_all(&walk);
    if (r == 0) {
        walk.place = "";
        r = inventory_commit(control->inventory);
    }
    int problem = r == -ENOSPC && inventory_is_full(control->inventory) ? 0 : r;
    if (r != -ECANCELED)
        note_result(&walk, r, problem);
    application_rules_drop(control, walk.rules);
    if (r == 0 && everything)
        finish_learning(control);
    if (!everything && r != -ECANCELED)
        finish_maintenance(&walk, problem < 0);
}

static void give_way(void)
{
    /* EACCES: we are nicer already. */
    if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE) < 0 ||
        (setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS) < 0 && errno != EACCES))
        log_warning("priority_not_lowered", "who", "application_control", "error",
                    log_error_text(-errno), NULL);
}

void *application_walker_run(void *user)
{
    struct application_control *control = user;

    give_way();
    (void)pthread_mutex_lock(&control->lock);
    while (!control->stopping) {
        if (!control->walk_wanted || control->clearing) {
            application_control_wait(control, UINT64_MAX);
            continue;
        }
        bool everything = control->walk_everything;
        control->walk_wanted = control->walk_stops = false;
        control->walking = true;
        control->looked_at = 0;
        (void)pthread_mutex_unlock(&control->lock);
        do_walk(control, everything);
        (void)pthread_mutex_lock(&control->lock);
        control->walking = false;
        (void)pthread_cond_broadcast(&control->changed);
    }
    (void)pthread_mutex_unlock(&control->lock);
    return NULL;
}
