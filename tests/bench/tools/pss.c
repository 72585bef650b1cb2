/* Sums the proportional set size (PSS) of a process and everything below it, so that pages shared
 * between a loader and its workers count once. Prints one JSON object; with --every it samples
 * until the process ends or SIGTERM comes, and prints the highest sum seen as well. */
#include "tests/bench/tools/tool.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 4096, NAME_ROOM = 32 };

struct sample {
    uint64_t pss_kb;
    uint64_t root_pss_kb;
    uint64_t root_rss_kb;
    size_t processes;
};

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
    (void)number;
    is_stopped = 1;
}

/* The value of "NAME:  number kB" in a /proc file; 0 when the process is gone. */
static uint64_t read_kb(pid_t pid, const char *file, const char *name)
{
    char path[64];
    char line[256];
    uint64_t value = 0;
    const size_t length = strlen(name);

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return 0;
    while (fgets(line, sizeof(line), stream) != NULL) {
        if (strncmp(line, name, length) == 0) {
            value = strtoull(line + length, NULL, 10);
            break;
        }
    }
    (void)fclose(stream);
    return value;
}

/* Children of every thread, since a child belongs to the thread that forked it: read from the
 * parent field of all processes, which needs no CONFIG_PROC_CHILDREN. */
static pid_t parent_of(pid_t pid)
{
    char path[64];
    char line[512];

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return -1;
    const bool is_read = fgets(line, sizeof(line), stream) != NULL;
    (void)fclose(stream);
    const char *end = is_read ? strrchr(line, ')') : NULL;
    if (end == NULL || strlen(end) < 5)
        return -1;
    return (pid_t)strtol(end + 4, NULL, 10);
}

static size_t list_tree(pid_t root, pid_t *tree)
{
    static pid_t pids[PROCESSES_MAX];
    static pid_t parents[PROCESSES_MAX];
    size_t known = 0;
    size_t count = 0;
    DIR *proc = opendir("/proc");

    if (proc == NULL)
        tool_fail(errno, "/proc");
    for (const struct dirent *entry; (entry = readdir(proc)) != NULL && known < PROCESSES_MAX;) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        pids[known] = (pid_t)strtol(entry->d_name, NULL, 10);
        parents[known] = parent_of(pids[known]);
        known++;
    }
    (void)closedir(proc);
    tree[count++] = root;
    for (size_t next = 0; next < count; next++)
        for (size_t i = 0; i < known && count < PROCESSES_MAX; i++)
            if (parents[i] == tree[next] && pids[i] != tree[next])
                tree[count++] = pids[i];
    return count;
}

static struct sample take_sample(pid_t root)
{
    static pid_t tree[PROCESSES_MAX];
    struct sample sample = {.processes = list_tree(root, tree)};

    for (size_t i = 0; i < sample.processes; i++)
        sample.pss_kb += read_kb(tree[i], "smaps_rollup", "Pss:");
    sample.root_pss_kb = read_kb(root, "smaps_rollup", "Pss:");
    sample.root_rss_kb = read_kb(root, "status", "VmRSS:");
    return sample;
}

int main(int argument_count, char **arguments)
{
    static const char usage[] = "[--every MILLISECONDS] PID";
    static const struct option options[] = {{"every", required_argument, NULL, 'e'}, {0}};
    uint64_t every_ms = 0;
    int option;

    while ((option = getopt_long(argument_count, arguments, "", options, NULL)) != -1) {
        if (option != 'e')
            tool_usage(usage);
        every_ms = tool_number("every", optarg, 1, 60000);
    }
    if (optind + 1 != argument_count)
        tool_usage(usage);
    const pid_t pid = (pid_t)tool_number("PID", arguments[optind], 1, INT32_MAX);
    (void)signal(SIGTERM, stop);

    struct sample sample = take_sample(pid);
    uint64_t peak = sample.pss_kb;
    while (every_ms > 0 && !is_stopped && kill(pid, 0) == 0) {
        const struct timespec pause = {(time_t)(every_ms / 1000),
                                       (long)(every_ms % 1000) * 1000000};
        (void)nanosleep(&pause, NULL);
        sample = take_sample(pid);
        peak = sample.pss_kb > peak ? sample.pss_kb : peak;
    }
    printf("{\"pss_kb\": %llu, \"peak_kb\": %llu, \"root_pss_kb\": %llu, \"root_rss_kb\": %llu, "
           "\"processes\": %zu}\n",
           (unsigned long long)sample.pss_kb, (unsigned long long)peak,
           (unsigned long long)sample.root_pss_kb, (unsigned long long)sample.root_rss_kb,
           sample.processes);
    return EXIT_SUCCESS;
}
