/* The scanner behind its client, without an agent: the files of a list through N sandboxed workers.
 * Prints the same JSON as bare_scan, which it stands beside, and what a file costs beyond its scan.
 */
#include "common/event_loop/event_loop.h"
#include "common/time/clock.h"
#include "scanner/client/scanner_client.h"
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

struct run {
    struct event_loop *loop;
    struct scanner_client *client;
    struct tool_paths files;
    size_t next;
    size_t done;
    size_t infected;
    size_t failed;
    size_t incomplete;
    uint64_t in_workers_ns;
    uint64_t *started_ns;
    uint64_t *durations;
    uint64_t *overheads;
    bool one_at_a_time;
};

static void feed(struct run *run)
{
    while (run->next < run->files.count && scanner_client_room(run->client) > 0 &&
           (!run->one_at_a_time || run->next == run->done)) {
        size_t index = run->next;
        const int fd =
            open(run->files.items[index], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            tool_fail(errno, "%s", run->files.items[index]);
        run->started_ns[index] = tool_monotonic_ns();
        const int result = scanner_client_submit(run->client, fd, &run->started_ns[index]);
        (void)close(fd);
        if (result == -EAGAIN)
            return;
        if (result < 0)
            tool_fail(-result, "submit");
        run->next++;
    }
}

static void on_scanned(void *owner, void *job, const struct scan_result *result)
{
    struct run *run = owner;
    const size_t index = (size_t)((uint64_t *)job - run->started_ns);
    const uint64_t duration = tool_monotonic_ns() - run->started_ns[index];
    run->durations[run->done] = duration;
    run->overheads[run->done] = duration - result->scan_ns;
    run->done++;
    run->infected += result->verdict == SCAN_INFECTED;
    run->failed += result->verdict == SCAN_ERROR;
    run->incomplete += result->verdict == SCAN_INCOMPLETE;
    run->in_workers_ns += result->scan_ns;
    feed(run);
}

static void on_ready(void *owner)
{
    (void)owner;
}

static void on_changed(void *owner)
{
    struct run *run = owner;
    struct scanner_status status;
    if (run->client == NULL)
        return;
    scanner_client_status(run->client, &status);
    if (status.problem[0] != '\0')
        (void)fprintf(stderr, "client_scan: %s\n", status.problem);
}

static void turn(struct run *run)
{
    const int result = event_loop_turn(run->loop, NS_PER_SECOND);
    if (result < 0)
        tool_fail(-result, "event loop");
}

static void wait_for_workers(struct run *run, size_t workers, struct scanner_status *ret_status)
{
    for (;;) {
        scanner_client_status(run->client, ret_status);
        if (ret_status->state == SCANNER_READY && ret_status->workers == workers)
            return;
        if (ret_status->state == SCANNER_NO_SIGNATURES)
            tool_fail(0, "%s", ret_status->problem);
        turn(run);
    }
}

static void print(struct run *run, const struct scanner_status *status, double load_s,
                  uint64_t wall_ns)
{
    tool_sort(run->durations, run->done);
    tool_sort(run->overheads, run->done);
    printf("{\"signatures\": %llu, \"load_s\": %.3f, \"files\": %zu, \"infected\": %zu, "
           "\"failed\": %zu, \"incomplete\": %zu, \"workers\": %zu, \"wall_s\": %.6f, "
           "\"client_cpu_s\": %.6f, \"in_workers_s\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"overhead_p50_us\": %.1f, \"overhead_p90_us\": %.1f, \"sandbox\": \"%s\"}\n",
           (unsigned long long)status->signatures, load_s, run->done, run->infected, run->failed,
           run->incomplete, status->workers, (double)wall_ns / 1e9, (double)tool_cpu_ns() / 1e9,
           (double)run->in_workers_ns / 1e9,
           (double)tool_percentile(run->durations, run->done, 50) / 1e3,
           (double)tool_percentile(run->durations, run->done, 99) / 1e3,
           (double)tool_percentile(run->overheads, run->done, 50) / 1e3,
           (double)tool_percentile(run->overheads, run->done, 90) / 1e3, status->sandbox);
}

static void run_all(struct run *run, const struct scanner_options *options)
{
    static const struct scanner_callbacks callbacks = {.scanned = on_scanned,
                                                       .ready = on_ready,
                                                       .changed = on_changed};
    struct scanner_status status;
    const uint64_t load_start = tool_monotonic_ns();
    int result = event_loop_new(&run->loop);
    if (result == 0)
        result = scanner_client_start(run->loop, options, &callbacks, run, &run->client);
    if (result < 0)
        tool_fail(-result, "scanner client");
    wait_for_workers(run, options->workers, &status);
    const uint64_t start = tool_monotonic_ns();
    feed(run);
    while (run->done < run->files.count) {
        turn(run);
        feed(run);
    }
    const uint64_t wall = tool_monotonic_ns() - start;
    print(run, &status, (double)(start - load_start) / 1e9, wall);
    run->client = scanner_client_stop(run->client);
    run->loop = event_loop_free(run->loop);
}

int main(int argument_count, char **arguments)
{
    static const char usage[] = "--scanner PROGRAM --database DIRECTORY --list FILE [--workers N] "
                                "[--one-at-a-time] [--user NAME]";
    static const struct option options[] = {{"scanner", required_argument, NULL, 's'},
                                            {"database", required_argument, NULL, 'd'},
                                            {"list", required_argument, NULL, 'l'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {"one-at-a-time", no_argument, NULL, '1'},
                                            {"user", required_argument, NULL, 'u'},
                                            {0}};
    struct run run = {0};
    const char *databases[] = {NULL, NULL};
    const char *list = NULL;
    char temporary[] = "/tmp/yagura-client-scan-XXXXXX";
    struct scanner_options scanner = {
        .databases = databases,
        .temporary_directory = temporary,
        .temporary_bytes = 512ULL << 20,
        .workers = 2,
        .recycle_files = 50000,
        .reload = SCANNER_RELOAD_OVERLAP,
        .limits = {.max_file_size = 25ULL << 20,
                   .max_scan_size = 100ULL << 20,
                   .max_files = 10000,
                   .max_recursion = 16,
                   .max_time_ns = 120 * NS_PER_SECOND,
                   .heuristics = true},
    };
    int option;

    while ((option = getopt_long(argument_count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            scanner.program = optarg;
            break;
        case 'd':
            databases[0] = optarg;
            break;
        case 'l':
            list = optarg;
            break;
        case 'w':
            scanner.workers = tool_number("workers", optarg, 1, LIMIT_SCANNER_WORKERS);
            break;
        case '1':
            run.one_at_a_time = true;
            break;
        case 'u':
            scanner.user = optarg;
            break;
        default:
            tool_usage(usage);
        }
    }
    if (optind != argument_count || scanner.program == NULL || databases[0] == NULL || list == NULL)
        tool_usage(usage);
    if (mkdtemp(temporary) == NULL)
        tool_fail(errno, "%s", temporary);
    tool_paths_read(&run.files, list);
    run.started_ns = tool_shared_memory((run.files.count + 1) * sizeof(uint64_t));
    run.durations = tool_shared_memory((run.files.count + 1) * sizeof(uint64_t));
    run.overheads = tool_shared_memory((run.files.count + 1) * sizeof(uint64_t));
    run_all(&run, &scanner);
    (void)rmdir(temporary);
    return EXIT_SUCCESS;
}
