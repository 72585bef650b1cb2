/* The bare loop our scanner is measured against: libclamav in this process, the database loaded
 * once, N forked workers that take the next file of a list, Debian's limits, no sandbox, no
 * messages. Prints one JSON object; with one worker the latencies of single files are the bare scan
 * of the single-file figure. A bench tool, so it may link libclamav. */
#include "tests/bench/tools/tool.h"

#include <clamav.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64 };

struct shared {
    _Atomic uint64_t next;
    _Atomic uint64_t infected;
    _Atomic uint64_t failed;
    _Atomic uint64_t bytes;
};

struct limit {
    enum cl_engine_field field;
    long long value;
};

/* Debian's clamd.conf of clamav-daemon 1.4. */
static const struct limit limits[] = {
    {CL_ENGINE_MAX_SCANTIME, 120000},
    {CL_ENGINE_MAX_SCANSIZE, 100LL << 20},
    {CL_ENGINE_MAX_FILESIZE, 25LL << 20},
    {CL_ENGINE_MAX_RECURSION, 16},
    {CL_ENGINE_MAX_FILES, 10000},
    {CL_ENGINE_MAX_EMBEDDEDPE, 10LL << 20},
    {CL_ENGINE_MAX_HTMLNORMALIZE, 10LL << 20},
    {CL_ENGINE_MAX_HTMLNOTAGS, 2LL << 20},
    {CL_ENGINE_MAX_SCRIPTNORMALIZE, 5LL << 20},
    {CL_ENGINE_MAX_ZIPTYPERCG, 1LL << 20},
    {CL_ENGINE_PCRE_MATCH_LIMIT, 10000},
    {CL_ENGINE_PCRE_RECMATCH_LIMIT, 5000},
    {CL_ENGINE_PCRE_MAX_FILESIZE, 25LL << 20},
    {CL_ENGINE_DISABLE_CACHE, 1},
};

static struct cl_engine *load(const char *database, unsigned *ret_signatures)
{
    struct cl_engine *engine;
    cl_error_t error = cl_init(CL_INIT_DEFAULT);

    if (error != CL_SUCCESS)
        tool_fail(0, "cl_init: %s", cl_strerror(error));
    engine = cl_engine_new();
    if (engine == NULL)
        tool_fail(ENOMEM, "cl_engine_new");
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        error = cl_engine_set_num(engine, limits[i].field, limits[i].value);
        if (error != CL_SUCCESS)
            tool_fail(0, "limit %zu: %s", i, cl_strerror(error));
    }
    error = cl_load(database, engine, ret_signatures, CL_DB_STDOPT);
    if (error != CL_SUCCESS)
        tool_fail(0, "cl_load %s: %s", database, cl_strerror(error));
    error = cl_engine_compile(engine);
    if (error != CL_SUCCESS)
        tool_fail(0, "cl_engine_compile: %s", cl_strerror(error));
    return engine;
}

static void scan_one(struct cl_engine *engine, const char *path, struct shared *shared)
{
    struct cl_scan_options options = {.general = CL_SCAN_GENERAL_HEURISTICS,
                                      .parse = ~0U,
                                      .heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX};
    const char *signature = NULL;
    unsigned long scanned = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        shared->failed++;
        return;
    }
    const off_t size = lseek(fd, 0, SEEK_END);
    (void)lseek(fd, 0, SEEK_SET);
    const cl_error_t verdict = cl_scandesc(fd, path, &signature, &scanned, engine, &options);
    if (verdict == CL_VIRUS)
        shared->infected++;
    else if (verdict != CL_CLEAN)
        shared->failed++;
    shared->bytes += (uint64_t)size;
    (void)close(fd);
}

static void work(struct cl_engine *engine, const struct tool_paths *files, struct shared *shared,
                 uint64_t *durations)
{
    for (;;) {
        const uint64_t index = shared->next++;
        if (index >= files->count)
            return;
        const uint64_t start = tool_monotonic_ns();
        scan_one(engine, files->items[index], shared);
        durations[index] = tool_monotonic_ns() - start;
    }
}

static void run_workers(struct cl_engine *engine, const struct tool_paths *files,
                        struct shared *shared, uint64_t *durations, uint64_t workers)
{
    pid_t children[WORKERS_MAX];

    for (uint64_t i = 0; i < workers; i++) {
        children[i] = fork();
        if (children[i] < 0)
            tool_fail(errno, "fork");
        if (children[i] == 0) {
            work(engine, files, shared, durations);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < workers; i++) {
        int status = 0;
        if (waitpid(children[i], &status, 0) < 0 || status != 0)
            tool_fail(0, "worker %llu ended with status %d", (unsigned long long)i, status);
    }
}

int main(int argument_count, char **arguments)
{
    static const char usage[] =
        "--database DIRECTORY --list FILE [--workers N] [--temporary DIRECTORY]";
    static const struct option options[] = {{"database", required_argument, NULL, 'd'},
                                            {"list", required_argument, NULL, 'l'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {"temporary", required_argument, NULL, 't'},
                                            {0}};
    struct tool_paths files = {0};
    const char *database = NULL;
    const char *list = NULL;
    uint64_t workers = 2;
    unsigned signatures = 0;
    int option;

    while ((option = getopt_long(argument_count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            database = optarg;
            break;
        case 'l':
            list = optarg;
            break;
        case 'w':
            workers = tool_number("workers", optarg, 1, WORKERS_MAX);
            break;
        case 't':
            if (setenv("TMPDIR", optarg, 1) < 0)
                tool_fail(errno, "TMPDIR");
            break;
        default:
            tool_usage(usage);
        }
    }
    if (optind != argument_count || database == NULL || list == NULL)
        tool_usage(usage);

    tool_paths_read(&files, list);
    struct shared *shared = tool_shared_memory(sizeof(*shared));
    uint64_t *durations = tool_shared_memory((files.count + 1) * sizeof(*durations));
    const uint64_t load_start = tool_monotonic_ns();
    struct cl_engine *engine = load(database, &signatures);
    const uint64_t start = tool_monotonic_ns();
    run_workers(engine, &files, shared, durations, workers);
    const uint64_t wall = tool_monotonic_ns() - start;

    tool_sort(durations, files.count);
    printf(
        "{\"signatures\": %u, \"load_s\": %.3f, \"files\": %zu, \"bytes\": %llu, \"infected\": %llu, "
        "\"failed\": %llu, \"workers\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
        signatures, (double)(start - load_start) / 1e9, files.count,
        (unsigned long long)shared->bytes, (unsigned long long)shared->infected,
        (unsigned long long)shared->failed, (unsigned long long)workers, (double)wall / 1e9,
        (double)tool_children_cpu_ns() / 1e9,
        (double)tool_percentile(durations, files.count, 50) / 1e3,
        (double)tool_percentile(durations, files.count, 99) / 1e3);
    (void)cl_engine_free(engine);
    return EXIT_SUCCESS;
}
