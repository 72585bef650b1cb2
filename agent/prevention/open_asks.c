/* Owns an ask from the guard's word to its verdict: the descriptor, who opens, what is told of it.
 * Hands off: the file to the scan pipeline, malware in it to the responder's judgement, its path to
 * the pipeline's backlog, from where it goes the ordinary way to quarantine. */
#include "agent/prevention/guard_plan.h"
#include "agent/prevention/open_path.h"
#include "agent/prevention/prevention_private.h"
#include "agent/respond/responder.h"
#include "agent/scan/file_lease.h"
#include "agent/scan/scan_pipeline.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* More than a guard has open at once, with those it gave up. Beyond it its deadline answers. */
#define MOST_ASKS 256
#define TOLD_NS   (10 * NS_PER_SECOND)
#define UNNAMED   "(a file whose path here is not known)"

struct open_ask {
    struct prevention *prevention;
    uint64_t guard, id;
    uint64_t until_ns; /* monotonic: the guard answers by its deadline then */
    pid_t pid;
    uid_t user;
    bool runs;
    int fd;
    char *path; /* raw bytes; "" when it cannot be told */
    struct scan_result result;
    bool untouched;
    bool passed; /* it was let through without a verdict */
    int judgement;
};

static struct open_ask *free_ask(struct open_ask *ask)
{
    if (ask->fd >= 0)
        (void)close(ask->fd);
    free(ask->path);
    prevention_unref(ask->prevention);
    free(ask);
    return NULL;
}

/* Of a file to which nobody wrote since before it was read, as a lease says. */
static enum guard_memory memory_of(const struct open_ask *ask)
{
    switch (file_lease_evidence(ask->fd)) {
    case FILE_EVIDENCE_NONE:
        break;
    case FILE_EVIDENCE_LEASE:
        return GUARD_LETS_OPEN;
    case FILE_EVIDENCE_FULL:
        return GUARD_KNOWS_BY_TIMES;
    }
    return GUARD_FORGETS;
}

static void send_verdict(struct open_ask *ask, enum guard_answer answer, bool remember)
{
    struct prevention *prevention = ask->prevention;
    struct guard_process *guard = guard_life_find(prevention, ask->guard);

    if (guard == NULL)
        return;
    prevention->word.length = 0;
    prevention->word.failed = false;
    message_write_u64(&prevention->word, ask->id);
    message_write_u32(&prevention->word, answer);
    message_write_u32(&prevention->word, remember ? memory_of(ask) : GUARD_FORGETS);
    /* A guard that reads no more is found by guard_life_check; its deadlines answer until then. */
    (void)!message_writer_send(&prevention->word, guard->socket, GUARD_VERDICT, -1);
}

/* ---- malware ---- */

static struct told_block *told_of(const struct open_ask *ask, const struct stat *status)
{
    struct prevention *prevention = ask->prevention;
    struct told_block *told =
        &prevention->told[(status->st_ino * 31 + status->st_dev) % TOLD_BLOCKS];

    if (told->inode != status->st_ino || told->device != status->st_dev ||
        told->passed != ask->passed)
        *told = (struct told_block){
            .device = status->st_dev,
            .inode = status->st_ino,
            .passed = ask->passed,
        };
    return told;
}

static void write_blocked(const struct open_ask *ask, const struct process_facts *facts,
                          uint64_t more, struct buffer *detail)
{
    struct json_writer json;

    json_writer_init(&json, detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "signature", ask->result.signature);
    json_write_field_string(&json, "access", ask->runs ? "run" : "open");
    process_facts_write(facts, &json);
    if (more > 0)
        json_write_field_unsigned(&json, "not_told_before", more);
    json_write_object_end(&json);
}

/* Its deadline let it pass, or the end of its guard did. */
static bool has_passed(const struct open_ask *ask)
{
    if (guard_life_find(ask->prevention, ask->guard) == NULL)
        return true;
    return !ask->prevention->plan->deny_late && clock_monotonic_ns() >= ask->until_ns;
}

/* Before the verdict is sent: the process still waits, unless it was let through, and is who it
 * was. */
static void tell_malware(struct open_ask *ask)
{
    struct prevention *prevention = ask->prevention;
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct process_facts facts;
    struct stat status = {0};

    (void)!fstat(ask->fd, &status);
    struct told_block *told = told_of(ask, &status);
    uint64_t now = clock_monotonic_ns();
    if (now < told->until_ns) {
        told->more++;
        return;
    }
    process_facts_read(ask->pid, &facts);
    write_blocked(ask, &facts, told->more, &detail);
    AUTO_FREE char *subject =
        ask->path[0] != '\0' ? text_escape_new(ask->path, strlen(ask->path)) : NULL;
    prevention_record(prevention, ask->passed ? "prevention_late" : "prevention_blocked",
                      EVENT_HIGH, subject != NULL ? subject : UNNAMED, buffer_text(&detail));
    told->until_ns = now + TOLD_NS;
    told->more = 0;
    (void)pthread_mutex_lock(&prevention->lock);
    prevention->status.blocked += !ask->passed;
    (void)pthread_mutex_unlock(&prevention->lock);
}

/* The ordinary way: the very path, scanned again, to the responder. */
static void have_it_dealt_with(const struct open_ask *ask)
{
    const struct watch_event event = {
        .kind = WATCH_FILE_ARRIVED,
        .path = ask->path,
        .path_length = strlen(ask->path),
        .time_ns = clock_realtime_ns(),
    };

    if (ask->path[0] == '/')
        scan_pipeline_take_event(ask->prevention->pipeline, &event);
}

static void take_judgement(void *user)
{
    struct open_ask *ask = user;
    bool deny = ask->judgement != 0;

    if (deny) {
        ask->passed = has_passed(ask);
        tell_malware(ask);
    }
    send_verdict(ask, deny ? GUARD_DENY : GUARD_ALLOW, false);
    have_it_dealt_with(ask);
    free_ask(ask);
}

/* The responder's thread. */
static void judged(void *user, int result)
{
    struct open_ask *ask = user;

    ask->judgement = result;
    if (!prevention_post(ask->prevention, take_judgement, ask))
        free_ask(ask);
}

static void ask_responder(struct open_ask *ask)
{
    struct stat status;
    struct detection detection = {
        .path = ask->path,
        .fd = ask->fd,
        .result = ask->result,
        .cause = SCAN_CAUSE_REALTIME,
    };

    if (fstat(ask->fd, &status) == 0)
        detection.identity = file_identity_of(&status);
    int r = responder_judge(ask->prevention->responder, &detection, judged, ask);
    if (r == 0)
        return;
    ask->judgement = r; /* nobody could say that it may be opened */
    take_judgement(ask);
}

/* ---- verdicts ---- */

static void take_result(void *user)
{
    struct open_ask *ask = user;
    bool late = ask->prevention->plan->deny_late;

    switch (ask->result.verdict) {
    case SCAN_INFECTED:
        ask_responder(ask);
        return;
    case SCAN_CLEAN:
        /* The guard forgets when it is told of other signatures: what older ones said must not come
         * after that. */
        if (ask->result.generation != ask->prevention->generation)
            guard_life_check_generation(ask->prevention);
        send_verdict(ask, GUARD_ALLOW,
                     ask->untouched && ask->result.generation == ask->prevention->generation);
        break;
    case SCAN_INCOMPLETE: /* nothing was found: told by the scan that its writing leads to */
        send_verdict(ask, GUARD_ALLOW, false);
        break;
    case SCAN_ERROR: /* no verdict can be had */
        send_verdict(ask, late ? GUARD_DENY : GUARD_ALLOW, false);
        break;
    }
    free_ask(ask);
}

/* The dispatcher's thread. */
static void scanned(void *user, const struct scan_result *result, bool untouched)
{
    struct open_ask *ask = user;

    ask->result = *result;
    ask->untouched = untouched;
    if (!prevention_post(ask->prevention, take_result, ask))
        free_ask(ask);
}

/* ---- another judge ---- */

static void take_answer(void *user)
{
    struct open_ask *ask = user;

    guard_life_check_generation(ask->prevention);
    send_verdict(ask, ask->judgement == 0 ? GUARD_ALLOW : GUARD_DENY, ask->untouched);
    free_ask(ask);
}

/* Any thread. */
static void answered(void *user, bool allow, bool remember)
{
    struct open_ask *ask = user;

    ask->judgement = allow ? 0 : -EPERM;
    ask->untouched = allow && remember;
    if (!prevention_post(ask->prevention, take_answer, ask))
        free_ask(ask);
}

static void ask_judge(struct open_ask *ask)
{
    const struct open_judge *judge = ask->prevention->judge;
    const struct open_question question = {
        .fd = fcntl(ask->fd, F_DUPFD_CLOEXEC, 3),
        .path = text_new(ask->path, strlen(ask->path)),
        .pid = ask->pid,
        .user = ask->user,
        .until_ns = ask->until_ns,
    };

    if (question.fd >= 0 && question.path != NULL &&
        judge->ask(judge->user, &question, answered, ask) == 0)
        return;
    if (question.fd >= 0)
        (void)close(question.fd);
    free(question.path);
    send_verdict(ask, ask->prevention->plan->deny_late ? GUARD_DENY : GUARD_ALLOW, false);
    free_ask(ask);
}

/* ---- asks ---- */

static bool is_excluded(const struct prevention *prevention, const char *path)
{
    const struct exclusions *exclusions = prevention->plan->exclusions;
    const char *name = strrchr(path, '/');

    if (name == NULL)
        return false;
    size_t above = (size_t)(name - path), length = strlen(path);
    return (above > 0 && exclusions_cover_directory(exclusions, path, above)) ||
           exclusions_match_file(exclusions, path, length, length - above - 1);
}

/* The guard had no path for it, but it has one: then the guard's judgement is made up for. */
static bool is_left_alone(struct open_ask *ask)
{
    char path[PATH_MAX];

    if (ask->path[0] != '\0' || !open_path_find(ask->fd, path))
        return is_excluded(ask->prevention, ask->path);
    char *copy = text_new(path, strlen(path));
    if (copy == NULL)
        return false;
    free(ask->path);
    ask->path = copy;
    return !guard_plan_protects(ask->prevention->plan, path) || is_excluded(ask->prevention, path);
}

static void begin_ask(struct open_ask *ask)
{
    struct scan_ask scan = {
        .until_ns = ask->until_ns,
        .asking_user = ask->user,
        .fd = fcntl(ask->fd, F_DUPFD_CLOEXEC, 3),
        .path = text_new(ask->path, strlen(ask->path)),
        .answered = scanned,
        .user = ask,
    };

    if (scan.fd < 0 || scan_pipeline_ask(ask->prevention->pipeline, &scan) < 0) {
        if (scan.fd < 0)
            free(scan.path);
        ask->result = (struct scan_result){.verdict = SCAN_ERROR, .reason = SCAN_REASON_INTERNAL};
        take_result(ask);
    }
}

static bool has_room(struct prevention *prevention)
{
    (void)pthread_mutex_lock(&prevention->lock);
    bool room = prevention->references <= MOST_ASKS;
    (void)pthread_mutex_unlock(&prevention->lock);
    return room;
}

int open_asks_take(struct prevention *prevention, struct guard_process *guard,
                   struct message *message)
{
    struct message_reader reader = message_reader_of(message);
    uint64_t id = message_read_u64(&reader);
    uint32_t pid = message_read_u32(&reader), user = message_read_u32(&reader);
    uint32_t runs = message_read_u32(&reader);
    uint64_t until_ns = message_read_u64(&reader);
    size_t length = 0;
    const void *path = message_read_bytes(&reader, &length);

    if (message_reader_end(&reader) < 0 || path == NULL || memchr(path, '\0', length) != NULL)
        return -EBADMSG;
    struct open_ask *ask = has_room(prevention) ? calloc(1, sizeof *ask) : NULL;
    if (ask == NULL)
        return 0;
    *ask = (struct open_ask){
        .prevention = prevention,
        .guard = guard->number,
        .id = id,
        .until_ns = until_ns,
        .pid = (pid_t)pid,
        .user = user,
        .runs = runs != 0,
        .fd = TAKE_FD(message->fds[0]),
        .path = text_new(path, length),
    };
    prevention_ref(prevention);
    if (ask->path == NULL) {
        free_ask(ask);
        return 0;
    }
    if (is_left_alone(ask)) {
        send_verdict(ask, GUARD_ALLOW, false);
        free_ask(ask);
        return 0;
    }
    if (prevention->judge != NULL)
        ask_judge(ask);
    else
        begin_ask(ask);
    return 0;
}
