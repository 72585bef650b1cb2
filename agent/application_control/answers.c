/* Owns: what is said of an ask, to the guard and as an event. Must not own: what may run
 * (judge.c). */
#include "agent/application_control/application_control_private.h"

#include "agent/prevention/process_facts.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <string.h>

#define TOLD_NS (60 * NS_PER_SECOND)
#define UNNAMED "(a program whose path here is not known)"

/* ---- answers ---- */

void application_answers_give(struct application_ask *ask, bool allow, bool remember)
{
    ask->answered(ask->answered_user, allow, remember);
    (void)close(ask->question.fd); /* the lease lives on in the guard's descriptor */
    free(ask->question.path);
    free(ask);
}

bool application_answers_are_late(const struct application_ask *ask)
{
    return clock_monotonic_ns() >= ask->question.until_ns;
}

/* ---- what is told ---- */

bool application_answers_told(struct application_control *control,
                              const uint8_t key[static SHA256_BYTES], bool blocked,
                              uint64_t *ret_more)
{
    uint64_t now = clock_monotonic_ns();

    (void)pthread_mutex_lock(&control->lock);
    control->blocked += blocked;
    control->unknown += !blocked;
    struct told_program *told = &control->told[key[0] % TOLD_PROGRAMS];
    bool same = told->blocked == blocked && memcmp(told->key, key, SHA256_BYTES) == 0;
    bool lately = same && now < told->until_ns;
    *ret_more = same ? told->more : 0;
    if (lately) {
        told->more++;
    } else {
        *told = (struct told_program){.blocked = blocked, .until_ns = now + TOLD_NS};
        memcpy(told->key, key, SHA256_BYTES);
    }
    (void)pthread_mutex_unlock(&control->lock);
    return lately;
}

static void write_detail(const struct application_ask *ask, const char *reason, uint64_t more,
                         struct buffer *detail)
{
    char digest[SHA256_HEX_BYTES];
    struct process_facts facts;
    struct json_writer json;

    process_facts_read(ask->question.pid, &facts);
    text_hex(digest, ask->sha256, SHA256_BYTES);
    json_writer_init(&json, detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "reason", reason);
    if (ask->digested)
        json_write_field_string(&json, "sha256", digest);
    json_write_field_unsigned(&json, "size", (uint64_t)ask->status.st_size);
    process_facts_write(&facts, &json);
    if (more > 0)
        json_write_field_unsigned(&json, "not_told_before", more);
    json_write_object_end(&json);
}

/* One without a digest is told by its file. */
static void make_key(const struct application_ask *ask, uint8_t key[static SHA256_BYTES])
{
    const uint64_t file[] = {ask->status.st_ino, ask->status.st_dev};

    memset(key, 0, SHA256_BYTES);
    if (ask->digested)
        memcpy(key, ask->sha256, SHA256_BYTES);
    else
        memcpy(key, file, sizeof file);
}

/* Before the answer: the process still waits, unless its time was up, and is who it was. */
static void tell_unknown(struct application_control *control, const struct application_ask *ask,
                         const char *reason, bool blocked)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    const char *path = ask->question.path;
    uint8_t key[SHA256_BYTES];
    uint64_t more = 0;

    make_key(ask, key);
    if (application_answers_told(control, key, blocked, &more))
        return;
    AUTO_FREE char *subject = path[0] != '\0' ? text_escape_new(path, strlen(path)) : NULL;
    write_detail(ask, reason, more, &detail);
    application_control_record(control, blocked ? "application_blocked" : "application_unknown",
                               blocked ? EVENT_HIGH : EVENT_MEDIUM,
                               subject != NULL ? subject : UNNAMED, buffer_text(&detail));
}

void application_answers_give_told(struct application_control *control, struct application_ask *ask,
                                   const char *reason, bool deny)
{
    tell_unknown(control, ask, reason, deny);
    application_answers_give(ask, !deny, false);
}
