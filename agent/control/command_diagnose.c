/* yaguractl diagnose: one file for whoever helps. What is in it stands in the table below, which
 * --list prints; what cannot be had is left out and says why. No file content, no secrets. */
#include "agent/control/bundle.h"
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/policy/agent_config.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/sandbox/program_run.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#define MOST_TEXT   ((size_t)8 * 1024 * 1024) /* gathered of one part */
#define MOST_EVENTS 2000
#define ANSWER_NS   (30 * NS_PER_SECOND)
#define NO_ANSWER   "not available: the agent does not answer, or not all\n"
#define JOURNAL     "/usr/bin/journalctl"
#define JOURNAL_NS  (20 * NS_PER_SECOND)

typedef void part_gather(const struct invocation *invocation, const char *argument,
                         struct buffer *text);

static void say_missing(struct buffer *text, const char *what, int error)
{
    (void)buffer_append_format(text, "not available: %s: %s\n", what, log_error_text(error));
}

/* ---- the agent ---- */

static int take_line(void *user, const char *key, const json_t *value UNUSED, const char *line)
{
    (void)buffer_append_format(user, "{\"%s\":%s}\n", key, line);
    return buffer_failed(user) < 0 ? EXIT_ERROR : 0;
}

static void gather_answer(const struct invocation *invocation, const char *command,
                          struct buffer *text)
{
    struct control_call call;

    control_call_begin(&call, command);
    call.timeout_ns = ANSWER_NS;
    if (text_equal(command, "events"))
        json_write_field_unsigned(&call.json, "limit", MOST_EVENTS);
    if (control_call(invocation, &call, take_line, text) == EXIT_ERROR)
        (void)buffer_append_text(text, NO_ANSWER);
}

/* ---- files ---- */

static void gather_file(const struct invocation *invocation UNUSED, const char *path,
                        struct buffer *text)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(MOST_TEXT / 2);

    int r = file_read_all(path, &content);
    if (r < 0)
        say_missing(text, path, r);
    else
        (void)buffer_append(text, buffer_text(&content), content.length);
}

static void gather_files(const struct invocation *invocation, const char *const *paths,
                         struct buffer *text)
{
    for (; *paths != NULL; paths++) {
        (void)buffer_append_format(text, "# %s\n", *paths);
        gather_file(invocation, *paths, text);
    }
}

static void gather_configuration(const struct invocation *invocation, const char *argument UNUSED,
                                 struct buffer *text)
{
    const char *path = command_option(invocation, "config");

    gather_file(invocation, path != NULL ? path : AGENT_CONFIG_PATH, text);
}

/* ---- the host ---- */

static void gather_host(const struct invocation *invocation, const char *argument UNUSED,
                        struct buffer *text)
{
    static const char *const files[] = {"/etc/os-release",
                                        "/proc/uptime",
                                        "/proc/loadavg",
                                        "/proc/meminfo",
                                        "/proc/pressure/io",
                                        "/proc/pressure/memory",
                                        "/proc/sys/fs/inotify/max_user_watches",
                                        "/proc/sys/fs/inotify/max_queued_events",
                                        "/proc/sys/fs/file-nr",
                                        "/sys/kernel/security/lsm",
                                        NULL};
    struct utsname name;

    (void)buffer_append_text(text, "yagura " YAGURA_VERSION "\n");
    if (uname(&name) == 0)
        (void)buffer_append_format(text, "%s %s %s %s\n", name.sysname, name.release, name.version,
                                   name.machine);
    gather_files(invocation, files, text);
}

static void gather_process(const struct invocation *invocation, const char *pid,
                           struct buffer *text)
{
    static const char *const names[] = {"status", "limits", "cgroup", "io"};
    char path[64], comm[64] = "";
    AUTO_BUFFER struct buffer command = BUFFER_WITH_MAXIMUM(sizeof comm);

    if (text_format(path, sizeof path, "/proc/%s/comm", pid) < 0 ||
        file_read_all(path, &command) < 0 || !text_starts_with(buffer_text(&command), "yagura"))
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *const paths[] = {path, NULL};
        if (text_format(path, sizeof path, "/proc/%s/%s", pid, names[i]) > 0)
            gather_files(invocation, paths, text);
    }
}

static void gather_processes(const struct invocation *invocation, const char *argument UNUSED,
                             struct buffer *text)
{
    int fd = -1;

    int r = file_open_directory("/proc", true, &fd);
    DIR *processes = r == 0 ? fdopendir(fd) : NULL;
    if (processes == NULL) {
        say_missing(text, "/proc", r < 0 ? r : -errno);
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(processes)) != NULL;)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            gather_process(invocation, entry->d_name, text);
    (void)closedir(processes);
}

static void gather_journal(const struct invocation *invocation UNUSED, const char *unit,
                           struct buffer *text)
{
    char *const argv[] = {(char *)"journalctl", (char *)"--no-pager",
                          (char *)"--quiet",    (char *)"--lines",
                          (char *)"3000",       (char *)"--output",
                          (char *)"short-iso",  (char *)"--unit",
                          (char *)unit,         NULL};
    AUTO_CLOSE int output = memfd_create("journal", MFD_CLOEXEC);
    AUTO_CLOSE int never = eventfd(0, EFD_CLOEXEC);

    if (output < 0 || never < 0) {
        say_missing(text, JOURNAL, -errno);
        return;
    }
    int r = program_run(&(struct program_run){.path = JOURNAL,
                                              .argv = argv,
                                              .output_fd = output,
                                              .end_fd = never,
                                              .timeout_ns = JOURNAL_NS});
    if (r < 0) {
        say_missing(text, JOURNAL, r);
        return;
    }
    off_t size = lseek(output, 0, SEEK_END);
    if (size > (off_t)MOST_TEXT / 2)
        size = lseek(output, -(off_t)MOST_TEXT / 2, SEEK_END);
    else
        size = lseek(output, 0, SEEK_SET);
    if (size < 0 || file_read_all_fd(output, text) < 0)
        say_missing(text, JOURNAL, -EIO);
}

/* ---- what is in it ---- */

static const struct part {
    const char *name, *meaning;
    part_gather *gather;
    const char *argument;
} parts[] = {
    {"status.jsonl", "the agent's state (yaguractl --json status)", gather_answer, "status"},
    {"events.jsonl", "its newest 2,000 events", gather_answer, "events"},
    {"policy.jsonl", "every value of the policy in force, and where it comes from", gather_answer,
     "policy"},
    {"signatures.jsonl", "the files of signatures and their age", gather_answer, "signatures"},
    {"quarantine.jsonl", "names, sizes and signatures of what is in quarantine; no content",
     gather_answer, "quarantine-list"},
    {"held.jsonl", "detections that wait for a person", gather_answer, "quarantine-held"},
    {"agent.conf", "the local configuration", gather_configuration, NULL},
    {"host.txt", "distribution, kernel, memory, load, inotify's limits", gather_host, NULL},
    {"mounts.txt", "what is mounted", gather_file, "/proc/self/mountinfo"},
    {"processes.txt", "state, limits and control group of Yagura's processes", gather_processes,
     NULL},
    {"journal.txt", "the newest 3,000 lines the agent logged", gather_journal, "yagura-agent"},
    {"upgrade.txt", "the same of the last upgrade", gather_journal, "yagura-upgrade"},
};

static void list_parts(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        (void)printf("%-18s %s\n", parts[i].name, parts[i].meaning);
    (void)printf(
        "\nTexts only, each of at most 512 KiB, all of at most %d MiB. What looks like a token, a "
        "password\nor a private key is taken out.\n",
        LIMIT_BUNDLE_BYTES / (1024 * 1024));
}

static int add_contents(struct bundle *bundle)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_TEXT);

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        (void)buffer_append_format(&text, "%-18s %s\n", parts[i].name, parts[i].meaning);
    return bundle_add(bundle, "contents.txt", buffer_text(&text), text.length);
}

static int gather(const struct invocation *invocation, struct bundle *bundle)
{
    int r = add_contents(bundle);
    bool answers = true;

    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(parts); i++) {
        AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_TEXT);
        if (answers || parts[i].gather != gather_answer)
            parts[i].gather(invocation, parts[i].argument, &text);
        else
            (void)buffer_append_text(&text, NO_ANSWER);
        answers = answers && !text_starts_with(buffer_text(&text), NO_ANSWER);
        if (buffer_failed(&text) < 0 && text.length == 0)
            continue;
        r = bundle_add(bundle, parts[i].name, buffer_text(&text), text.length);
        if (r == -EMSGSIZE) {
            (void)command_fail("%s has no room in the bundle and is left out", parts[i].name);
            r = 0;
        }
    }
    return r < 0 ? r : bundle_end(bundle);
}

static int write_bundle(const struct bundle *bundle, const char *path)
{
    AUTO_CLOSE int fd = -1;

    int r = file_open_following(path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd);
    if (r == 0)
        r = file_write(fd, buffer_text(&bundle->tar), bundle->tar.length);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r;
}

static int run_diagnose(const struct invocation *invocation)
{
    const char *path = command_option(invocation, "output");
    char folder[64], standard[80];
    struct bundle bundle;

    if (command_has(invocation, "list")) {
        list_parts();
        return EXIT_CLEAN;
    }
    time_t now = (time_t)(clock_realtime_ns() / NS_PER_SECOND);
    struct tm parts_of_now;
    (void)gmtime_r(&now, &parts_of_now);
    (void)strftime(folder, sizeof folder, "yagura-diagnostics-%Y%m%dT%H%M%SZ", &parts_of_now);
    (void)text_format(standard, sizeof standard, "%s.tar", folder);
    path = path != NULL ? path : standard;
    bundle_begin(&bundle, folder);
    int r = gather(invocation, &bundle);
    if (r == 0)
        r = write_bundle(&bundle, path);
    size_t size = bundle.tar.length;
    bundle_done(&bundle);
    if (r < 0)
        return command_fail("%s was not written: %s", path, log_error_text(r));
    (void)printf("%s: %zu bytes; look through it before you send it on\n", path, size);
    return EXIT_CLEAN;
}

static const struct command_option options[] = {
    {"list", 0, NULL, NULL, "say what would be in it, and make nothing"},
    {"output", 0, "FILE", "FILE", "write there; not over a file that exists"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_diagnose = {
    .name = "diagnose",
    .arguments = "",
    .summary = "Gather what helps to find a fault into one file, without secrets",
    .options = options,
    .run = run_diagnose,
};
