/* Owns: questions to package databases, the writing of the inventory, the end of maintenance. It
 * may wait for the disk and for yagura-inspector: whoever waits for it has the guard's deadline. */
#include "agent/application_control/application_control_private.h"

#include "agent/respond/package_owner.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define TURN_NS (1 * NS_PER_SECOND)

/* ---- packages ---- */

static void tell_trusted(struct application_control *control, const struct application_ask *ask,
                         const char *package)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    char digest[SHA256_HEX_BYTES];
    struct json_writer json;

    text_hex(digest, ask->sha256, SHA256_BYTES);
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "package", package);
    json_write_field_string(&json, "sha256", digest);
    json_write_object_end(&json);
    AUTO_FREE char *subject = text_escape_new(ask->question.path, strlen(ask->question.path));
    application_control_record(control, "application_trusted", EVENT_LOW,
                               subject != NULL ? subject : "", buffer_text(&detail));
}

static void take_package(struct application_control *control, struct application_ask *ask,
                         const char *package)
{
    struct inventory_program program = {
        .size = (uint64_t)ask->status.st_size,
        .path = ask->question.path,
        .origin = INVENTORY_PACKAGE,
        .package = package,
    };

    memcpy(program.sha256, ask->sha256, SHA256_BYTES);
    bool added = application_control_add(control, &program);
    (void)pthread_mutex_lock(&control->lock);
    control->trusted++;
    (void)pthread_mutex_unlock(&control->lock);
    tell_trusted(control, ask, package);
    application_answers_give(ask, true, added && ask->remembered);
}

/* The database may name a file that was replaced since it was read; what it says is about its
 * content, and that is the one whose digest we have: nobody could write to it in between. */
static void ask_owner(struct application_control *control, struct package_owner *owner,
                      struct application_ask *ask)
{
    char package[PACKAGE_NAME_BYTES];

    switch (package_owner_ask(owner, ask->question.path, ask->question.fd, package)) {
    case PACKAGE_UNCHANGED:
        take_package(control, ask, package);
        return;
    case PACKAGE_CHANGED:
        application_judge_unknown(control, ask, "changed_package_file");
        return;
    case PACKAGE_NONE:
    case PACKAGE_UNKNOWN:
        break;
    }
    application_judge_unknown(control, ask, "unknown");
}

/* ---- each turn ---- */

static bool maintenance_is_over(struct application_control *control)
{
    struct inventory_marks marks = inventory_marks(control->inventory);

    return marks.maintenance_until_ns != 0 && !control->maintenance_ends &&
           clock_realtime_ns() >= marks.maintenance_until_ns &&
           clock_monotonic_ns() >= control->walk_retry_ns;
}

/* What came meanwhile and was not run yet is found by a walk, at whose end it is told. */
static void end_maintenance(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    if (control->rules->mode != APPLICATION_OFF && maintenance_is_over(control) &&
        !control->walking && !control->walk_wanted) {
        control->maintenance_ends = control->walk_wanted = true;
        control->walk_everything = false;
        (void)pthread_cond_broadcast(&control->changed);
    }
    (void)pthread_mutex_unlock(&control->lock);
}

/* Until everything there is has been looked at, nothing is enforced. One that is full would end
 * each walk at the same place. */
static void begin_learning(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    if (control->rules->mode != APPLICATION_OFF && !control->walking && !control->walk_wanted &&
        inventory_marks(control->inventory).complete_ns == 0 &&
        !inventory_is_full(control->inventory) && clock_monotonic_ns() >= control->walk_retry_ns) {
        control->walk_wanted = control->walk_everything = true;
        (void)pthread_cond_broadcast(&control->changed);
    }
    (void)pthread_mutex_unlock(&control->lock);
}

static void write_inventory(struct application_control *control)
{
    int r = inventory_commit(control->inventory);

    (void)pthread_mutex_lock(&control->lock);
    bool same = r == control->write_problem;
    control->write_problem = r;
    (void)pthread_mutex_unlock(&control->lock);
    if (r < 0 && !same) /* it is tried again each turn */
        log_warning("inventory_not_written", "error", log_error_text(r), NULL);
}

static void take_turn(struct application_control *control)
{
    write_inventory(control);
    begin_learning(control);
    end_maintenance(control);
    memory_programs_look(control);
}

static struct application_ask *wait_for_ask(struct application_control *control, uint64_t until_ns)
{
    struct application_ask *ask = NULL;

    (void)pthread_mutex_lock(&control->lock);
    while (!control->stopping && ask == NULL) {
        uint64_t wait_ns, now = clock_monotonic_ns();
        ask = application_queue_take(&control->packaged, now, &wait_ns);
        if (ask != NULL || now >= until_ns)
            break;
        application_control_wait(control, until_ns - now);
    }
    (void)pthread_mutex_unlock(&control->lock);
    return ask;
}

static bool is_stopping(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    bool stopping = control->stopping;
    (void)pthread_mutex_unlock(&control->lock);
    return stopping;
}

void *application_keeper_run(void *user)
{
    struct application_control *control = user;
    struct package_owner *owner = NULL;
    uint64_t turn_ns = 0;

    int r = package_owner_new(control->inspector_program, &owner);
    if (r < 0)
        log_error("packages_not_asked", "error", log_error_text(r), NULL);
    while (!is_stopping(control)) {
        struct application_ask *ask = wait_for_ask(control, turn_ns);
        if (ask != NULL && owner != NULL && !application_answers_are_late(ask))
            ask_owner(control, owner, ask);
        else if (ask != NULL)
            application_judge_unknown(control, ask, "unknown");
        if (clock_monotonic_ns() >= turn_ns) {
            take_turn(control);
            turn_ns = clock_monotonic_ns() + TURN_NS;
        }
    }
    write_inventory(control);
    (void)package_owner_free(owner);
    return NULL;
}
