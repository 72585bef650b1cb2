/* Owns: the mark of a run in the state directory, "BOOT-ID\n", which an orderly end takes away, and
 * what is known of who stopped the agent. Must not: wait for anybody. */
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

static char *mark_path(const struct agent *agent)
{
    return text_format_new("%s/running", agent->config->state_directory);
}

/* "" when it cannot be told: then no end is called a death. */
static void read_text(const char *path, char text[static MARK_BYTES])
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(MARK_BYTES - 1);

    text[0] = '\0';
    if (file_read_all(path, &content) == 0)
        (void)text_copy(text, MARK_BYTES, buffer_text(&content));
}

/* The mark's time is that of the start that made it. */
static void tell_death(struct agent *agent, const char *path)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(1024);
    char since[CLOCK_TEXT_BYTES];
    struct json_writer json;
    struct stat status;
    bool guarded = protection_is_on(agent->protection);

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_bool(&json, "protected", guarded);
    if (stat(path, &status) == 0) {
        clock_format(since, timespec_to_ns(status.st_mtim));
        json_write_field_string(&json, "started", since);
    }
    json_write_object_end(&json);
    agent_record(agent, "agent_died", guarded ? EVENT_HIGH : EVENT_MEDIUM, SERVICE_NAME,
                 buffer_text(&detail));
}

void ending_open(struct agent *agent)
{
    AUTO_FREE char *path = mark_path(agent);
    char before[MARK_BYTES], boot[MARK_BYTES];

    if (path == NULL)
        return;
    read_text(path, before);
    read_text("/proc/sys/kernel/random/boot_id", boot);
    if (before[0] != '\0' && text_equal(before, boot))
        tell_death(agent, path);
    int r = file_replace(path, boot, strlen(boot), 0600);
    if (r < 0)
        log_warning("run_not_marked", "path", path, "error", log_error_text(r), NULL);
}

void ending_close(struct agent *agent)
{
    AUTO_FREE char *path = mark_path(agent);

    if (path != NULL)
        (void)unlink(path);
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

    agent_record(agent, "agent_stopped", guarded ? EVENT_HIGH : EVENT_INFO, SERVICE_NAME,
                 agent->stop_detail != NULL ? agent->stop_detail : unknown);
}
