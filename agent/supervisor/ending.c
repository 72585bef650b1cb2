/* Owns: the mark of a run in the state directory, "BOOT-ID\nSTARTED\n", whose time is that of a
 * sign of life and which an orderly end takes away, and what is known of who stopped the agent.
 * Must not: wait for anybody. Hands off: writing to the mark, to the store's thread. */
#include "agent/supervisor/ending.h"

#include "agent/prevention/process_facts.h"
#include "agent/protection/protection.h"
#include "agent/supervisor/agent.h"
#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MARK_BYTES   128
#define MOST_ASKERS  4
#define SERVICE_NAME "yagura-agent " YAGURA_VERSION
#define DETAIL_BYTES 16384

/* What an event tells of, too, needs no sign: this is for an agent that has nothing to tell. */
static const uint64_t SIGN_INTERVAL_NS = 60 * NS_PER_SECOND;

/* "" when it cannot be told: then no end is called a death. */
static void read_text(const char *path, char text[static MARK_BYTES])
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(MARK_BYTES - 1);

    text[0] = '\0';
    if (file_read_all(path, &content) == 0)
        (void)text_copy(text, MARK_BYTES, buffer_text(&content));
}

static void read_boot(char boot[static MARK_BYTES])
{
    read_text("/proc/sys/kernel/random/boot_id", boot);
}

/* ---- this run ---- */

static int write_mark(void *user, sqlite3 *database UNUSED)
{
    const struct agent *agent = user;
    char boot[MARK_BYTES], started[CLOCK_TEXT_BYTES], mark[MARK_BYTES + CLOCK_TEXT_BYTES];

    read_boot(boot);
    clock_format(started, agent->started_ns);
    int r = text_format(mark, sizeof mark, "%s%s\n", boot, started);
    if (r >= 0)
        r = file_replace(agent->mark_path, mark, (size_t)r, 0600);
    if (r < 0)
        log_warning("run_not_marked", "path", agent->mark_path, "error", log_error_text(r), NULL);
    return 0; /* no reason to undo what else is committed */
}

static int touch_mark(void *user, sqlite3 *database UNUSED)
{
    const struct agent *agent = user;

    (void)utimensat(AT_FDCWD, agent->mark_path, NULL, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static void give_sign(void *user)
{
    struct agent *agent = user;
    struct store_status store;

    store_status(agent->store, &store);
    if (store.problem == 0) /* else signs would only wait */
        (void)!store_run(agent->store, touch_mark, NULL, agent);
}

/* ---- the run before ---- */

static int take_time(void *user, const struct event_record *event)
{
    *(uint64_t *)user = event->committed_ns;
    return 1;
}

/* When the run before is last known to have worked: its last event, or its mark. 0: unknown. */
static uint64_t last_sign(const struct agent *agent)
{
    struct store_status store;
    struct stat mark;
    uint64_t event_ns = 0;

    store_status(agent->store, &store);
    const struct event_filter last = {.until_number = store.found_number + 1,
                                      .limit = 1,
                                      .newest_first = true};
    if (store.found_number > 0)
        (void)!store_read_events(agent->store, &last, take_time, &event_ns);
    return stat(agent->mark_path, &mark) == 0 ? MAX(event_ns, timespec_to_ns(mark.st_mtim))
                                              : event_ns;
}

/* The mark of the run before stays until its death is committed: it is told, whatever comes. */
static void death_told(void *user, int result, uint64_t number UNUSED)
{
    struct agent *agent = user;

    if (result == 0)
        (void)!store_run(agent->store, write_mark, NULL, agent);
}

/* started: "" unknown. */
static void tell_death(struct agent *agent, const char *started)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(1024);
    char since[CLOCK_TEXT_BYTES];
    struct json_writer json;
    bool guarded = protection_is_on(agent->protection);
    uint64_t seen_ns = last_sign(agent);

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_bool(&json, "protected", guarded);
    if (started[0] != '\0')
        json_write_field_string(&json, "started", started);
    if (seen_ns != 0) {
        clock_format(since, seen_ns);
        json_write_field_string(&json, "unseen_from", since);
    }
    json_write_object_end(&json);
    const struct event_draft draft = {
        .module = "agent",
        .kind = "agent_died",
        .severity = guarded ? EVENT_HIGH : EVENT_MEDIUM,
        .subject = SERVICE_NAME,
        .detail = buffer_text(&detail),
    };
    int r = store_append(agent->store, &draft, NULL, death_told, agent);
    if (r < 0)
        log_error("event_not_stored", "kind", draft.kind, "error", log_error_text(r), NULL);
}

void ending_open(struct agent *agent)
{
    char before[MARK_BYTES], boot[MARK_BYTES];

    agent->mark_path = text_format_new("%s/running", agent->config->state_directory);
    if (agent->mark_path == NULL)
        return;
    read_text(agent->mark_path, before);
    read_boot(boot);
    if (boot[0] != '\0' && text_starts_with(before, boot)) {
        char *started = before + strlen(boot);
        started[strcspn(started, "\n")] = '\0';
        tell_death(agent, started);
    } else {
        (void)write_mark(agent, NULL);
    }
    int r = event_timer_new(agent->loop, give_sign, agent, &agent->sign_timer);
    if (r == 0)
        event_timer_start(agent->sign_timer, SIGN_INTERVAL_NS, SIGN_INTERVAL_NS);
    else
        log_warning("run_not_marked", "path", agent->mark_path, "error", log_error_text(r), NULL);
}

void ending_close(struct agent *agent)
{
    if (agent->mark_path != NULL)
        (void)unlink(agent->mark_path);
    free(agent->mark_path);
    agent->mark_path = NULL;
    free(agent->stop_detail);
    agent->stop_detail = NULL;
}

/* ---- who ---- */

static void write_process(struct json_writer *json, pid_t pid)
{
    struct process_facts facts;

    process_facts_read(pid, &facts);
    json_write_object_begin(json);
    process_facts_write(&facts, json);
    json_write_object_end(json);
}

static bool is_systemctl(pid_t pid)
{
    char name[PROCESS_NAME_BYTES];

    (void)process_facts_parent(pid, name);
    return text_equal(name, "systemctl");
}

/* Root's own, not that of a set-user-id program, which anybody names as he likes. */
static bool is_roots(pid_t pid)
{
    struct process_facts facts;

    process_facts_read(pid, &facts);
    return facts.user == 0 && facts.real_user == 0;
}

static size_t write_askers_of(struct json_writer *json, DIR *processes, bool roots, size_t most)
{
    size_t count = 0;
    uint64_t pid;

    rewinddir(processes);
    for (const struct dirent *entry; count < most && (entry = readdir(processes)) != NULL;)
        if (text_parse_u64(entry->d_name, &pid) == 0 && pid <= INT32_MAX &&
            is_systemctl((pid_t)pid) && is_roots((pid_t)pid) == roots) {
            write_process(json, (pid_t)pid);
            count++;
        }
    return count;
}

/* systemd stops us for somebody, whose systemctl waits for our end. No proof: any name will do. So
 * root's come first, who needs nobody's leave: no other can hide them. */
static void write_askers(struct json_writer *json)
{
    AUTO_CLOSE int fd = -1;

    if (file_open_following("/proc", O_RDONLY | O_DIRECTORY, 0, &fd) < 0)
        return;
    DIR *processes = fdopendir(TAKE_FD(fd));
    if (processes == NULL)
        return;
    json_write_key(json, "systemctl");
    json_write_array_begin(json);
    size_t count = write_askers_of(json, processes, true, MOST_ASKERS);
    (void)write_askers_of(json, processes, false, MOST_ASKERS - count);
    json_write_array_end(json);
    (void)closedir(processes);
}

void ending_note_stop(struct agent *agent, int signal_number)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(DETAIL_BYTES);
    struct event_sender sender = event_loop_signal_sender(agent->loop);
    struct json_writer json;

    if (agent->stop_detail != NULL)
        return; /* a second signal */
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_bool(&json, "protected", protection_is_on(agent->protection));
    json_write_field_string(&json, "signal", strsignal(signal_number));
    json_write_field_unsigned(&json, "uid", sender.user);
    if (sender.pid > 0) {
        json_write_key(&json, "by");
        write_process(&json, sender.pid);
    }
    if (sender.pid == 1)
        write_askers(&json);
    json_write_object_end(&json);
    agent->stop_detail = buffer_take(&detail);
}

void ending_tell_stop(struct agent *agent)
{
    bool guarded = protection_is_on(agent->protection);
    const char *unknown = guarded ? "{\"protected\":true}" : "{\"protected\":false}";

    agent->sign_timer = event_timer_free(agent->sign_timer);
    agent_record(agent, "agent_stopped", guarded ? EVENT_HIGH : EVENT_INFO, SERVICE_NAME,
                 agent->stop_detail != NULL ? agent->stop_detail : unknown);
}
