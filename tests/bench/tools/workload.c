/* Makes files appear in a watched directory in every way files can appear, and writes down when.
 * Owns the files under --root and --outside (same file system, not watched) and the log; knows
 * nothing of who watches. Every file is unlike every other, so that no cache can answer for it.
 *
 * Log: one line a file, "path TAB realtime_ns TAB monotonic_ns TAB eicar|clean", the time being
 * taken just before the call that completes the file: close, rename or link. */
#include "tests/bench/tools/content.h"
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOW_WRITERS = 200, /* files open at once in slow-writer */
    SLOW_PAUSE_MS = 100,
    TREE_DEPTH = 3,
    TREE_FILES = 6, /* files in a moved tree, two a level */
    LATE_FILES = 10,
    LATE_MKDIR_PAUSE_US = 100,
    OVERFLOW_CHAIN_FILES = 10,
    CONTENT_ROOM = (1 << 20) + CONTENT_OVERHEAD,
};

struct workload {
    const char *root;
    const char *outside;
    uint64_t count;
    uint64_t directories; /* existing "dN" directories below root to spread over; 0: root itself */
    uint64_t seed;
    uint64_t infected_percent;
    uint64_t size;
    uint64_t interval_us;
    uint64_t late_ms;
    struct tool_writer log;
    uint8_t *content;
    size_t content_size;
    bool content_infected;
};

static void pause_us(uint64_t microseconds)
{
    const struct timespec time = {(time_t)(microseconds / 1000000),
                                  (long)(microseconds % 1000000) * 1000};

    if (microseconds > 0)
        (void)nanosleep(&time, NULL);
}

static void prepare_content(struct workload *workload, uint64_t index)
{
    struct tool_random random;

    workload->content_infected = (index * workload->infected_percent) / 100 !=
                                 ((index + 1) * workload->infected_percent) / 100;
    tool_random_seed(&random, workload->seed * 0x9e3779b1U + index);
    workload->content_size = content_fill(workload->content_infected ? CONTENT_EICAR : CONTENT_TEXT,
                                          &random, workload->seed % 1000 * 1000000000U + index,
                                          workload->content, workload->size);
}

static void record(struct workload *workload, const char *path, uint64_t realtime,
                   uint64_t monotonic)
{
    tool_writer_text(&workload->log, path);
    tool_writer_text(&workload->log, "\t");
    tool_writer_number(&workload->log, realtime);
    tool_writer_text(&workload->log, "\t");
    tool_writer_number(&workload->log, monotonic);
    tool_writer_text(&workload->log, workload->content_infected ? "\teicar\n" : "\tclean\n");
}

static void record_now(struct workload *workload, const char *path)
{
    record(workload, path, tool_realtime_ns(), tool_monotonic_ns());
}

/* Below root, spread over the prepared directories. */
static void path_of(const struct workload *workload, const char *prefix, uint64_t index, char *path)
{
    char name[96];

    if (workload->directories > 0)
        (void)snprintf(name, sizeof(name), "d%llu/%s%llu",
                       (unsigned long long)(index % workload->directories), prefix,
                       (unsigned long long)index);
    else
        (void)snprintf(name, sizeof(name), "%s%llu", prefix, (unsigned long long)index);
    tool_join(path, workload->root, name);
}

static void outside_path_of(const struct workload *workload, uint64_t index, char *path)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "o%llu", (unsigned long long)index);
    tool_join(path, workload->outside, name);
}

static int open_new(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        tool_fail(errno, "open %s", path);
    return fd;
}

static void close_new(int fd, const char *path)
{
    if (close(fd) < 0)
        tool_fail(errno, "close %s", path);
}

/* A file of the prepared content, with or without a line in the log. */
static void write_prepared(struct workload *workload, const char *path, bool is_recorded)
{
    const int fd = open_new(path);

    tool_write_all(fd, workload->content, workload->content_size, path);
    if (is_recorded)
        record_now(workload, path);
    close_new(fd, path);
}

static void create_one(struct workload *workload, uint64_t index)
{
    char path[TOOL_PATH_MAX];

    path_of(workload, "c", index, path);
    prepare_content(workload, index);
    write_prepared(workload, path, true);
    pause_us(workload->interval_us);
}

static void run_create(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i++)
        create_one(workload, i);
}

static void run_prepare(struct workload *workload)
{
    char path[TOOL_PATH_MAX];
    char name[32];

    for (uint64_t i = 0; i < workload->directories; i++) {
        (void)snprintf(name, sizeof(name), "d%llu", (unsigned long long)i);
        tool_join(path, workload->root, name);
        tool_make_directory(path);
    }
}

/* mkdir, write, mkdir below it, write, ...: one file a level, all at once. */
static void write_chain(struct workload *workload, const char *prefix, uint64_t first,
                        uint64_t files, uint64_t depth)
{
    char path[TOOL_PATH_MAX];
    char file[TOOL_PATH_MAX];
    char name[32];

    path_of(workload, prefix, first, path);
    tool_make_directory(path);
    for (uint64_t i = 0; i < files; i++) {
        if (i > 0 && i < depth) {
            char next[TOOL_PATH_MAX];
            tool_join(next, path, "sub");
            tool_make_directory(next);
            memcpy(path, next, sizeof(path));
        }
        (void)snprintf(name, sizeof(name), "f%llu", (unsigned long long)(first + i));
        tool_join(file, path, name);
        prepare_content(workload, first + i);
        write_prepared(workload, file, true);
    }
    pause_us(workload->interval_us);
}

static void run_mkdir(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i++)
        write_chain(workload, "m", i, 1, 1);
}

/* The whole chain is made first, as mkdir -p does, then one file is written at its end; every third
 * chain has a file at each level instead. */
static void run_mkdir_nested(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i += TREE_DEPTH) {
        const uint64_t left = workload->count - i;
        const uint64_t files = left < TREE_DEPTH ? left : TREE_DEPTH;
        if (i / TREE_DEPTH % 3 == 0) {
            write_chain(workload, "n", i, files, TREE_DEPTH);
            continue;
        }
        char path[TOOL_PATH_MAX];
        char deep[TOOL_PATH_MAX];
        char file[TOOL_PATH_MAX];
        char name[32];
        path_of(workload, "p", i, path);
        tool_make_directory(path);
        tool_join(deep, path, "a");
        tool_make_directory(deep);
        tool_join(path, deep, "b");
        tool_make_directory(path);
        for (uint64_t j = 0; j < files; j++) {
            (void)snprintf(name, sizeof(name), "f%llu", (unsigned long long)(i + j));
            tool_join(file, path, name);
            prepare_content(workload, i + j);
            write_prepared(workload, file, true);
        }
        pause_us(workload->interval_us);
    }
}

/* A tree is built outside, files at three levels, and moved in by one rename. */
static void move_tree(struct workload *workload, uint64_t first, uint64_t files)
{
    static const char *const levels[] = {"", "a", "a/b"};
    char source[TOOL_PATH_MAX];
    char target[TOOL_PATH_MAX];
    char path[TOOL_PATH_MAX];
    char name[64];

    outside_path_of(workload, first, source);
    path_of(workload, "t", first, target);
    tool_make_directory(source);
    for (size_t level = 1; level < TREE_DEPTH; level++) {
        tool_join(path, source, levels[level]);
        tool_make_directory(path);
    }
    for (uint64_t i = 0; i < files; i++) {
        (void)snprintf(name, sizeof(name), "%s/f%llu", levels[i % TREE_DEPTH],
                       (unsigned long long)(first + i));
        tool_join(path, source, name[0] == '/' ? name + 1 : name);
        prepare_content(workload, first + i);
        write_prepared(workload, path, false);
    }
    const uint64_t realtime = tool_realtime_ns();
    const uint64_t monotonic = tool_monotonic_ns();
    if (rename(source, target) < 0)
        tool_fail(errno, "rename %s", source);
    for (uint64_t i = 0; i < files; i++) {
        (void)snprintf(name, sizeof(name), "%s/f%llu", levels[i % TREE_DEPTH],
                       (unsigned long long)(first + i));
        tool_join(path, target, name[0] == '/' ? name + 1 : name);
        prepare_content(workload, first + i);
        record(workload, path, realtime, monotonic);
    }
    pause_us(workload->interval_us);
}

static void run_moved_tree(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i += TREE_FILES) {
        const uint64_t left = workload->count - i;
        move_tree(workload, i, left < TREE_FILES ? left : TREE_FILES);
    }
}

static void rename_one(struct workload *workload, uint64_t index)
{
    char source[TOOL_PATH_MAX];
    char target[TOOL_PATH_MAX];

    outside_path_of(workload, index, source);
    path_of(workload, "r", index, target);
    prepare_content(workload, index);
    record_now(workload, target);
    if (rename(source, target) < 0)
        tool_fail(errno, "rename %s", source);
    pause_us(workload->interval_us);
}

static void link_one(struct workload *workload, uint64_t index)
{
    char source[TOOL_PATH_MAX];
    char target[TOOL_PATH_MAX];

    outside_path_of(workload, index, source);
    path_of(workload, "h", index, target);
    prepare_content(workload, index);
    record_now(workload, target);
    if (link(source, target) < 0)
        tool_fail(errno, "link %s", source);
    pause_us(workload->interval_us);
}

static void write_outside(struct workload *workload, uint64_t index)
{
    char path[TOOL_PATH_MAX];

    outside_path_of(workload, index, path);
    prepare_content(workload, index);
    write_prepared(workload, path, false);
}

static void run_rename_in(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i++)
        write_outside(workload, i);
    for (uint64_t i = 0; i < workload->count; i++)
        rename_one(workload, i);
}

static void run_hardlink(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i++)
        write_outside(workload, i);
    for (uint64_t i = 0; i < workload->count; i++)
        link_one(workload, i);
}

static void run_tmpfile(struct workload *workload)
{
    char directory[TOOL_PATH_MAX];
    char path[TOOL_PATH_MAX];
    char self[64];

    for (uint64_t i = 0; i < workload->count; i++) {
        path_of(workload, "l", i, path);
        memcpy(directory, path, sizeof(directory));
        *strrchr(directory, '/') = '\0';
        const int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0)
            tool_fail(errno, "O_TMPFILE in %s", directory);
        prepare_content(workload, i);
        tool_write_all(fd, workload->content, workload->content_size, path);
        (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        record_now(workload, path);
        if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
            tool_fail(errno, "linkat %s", path);
        close_new(fd, path);
        pause_us(workload->interval_us);
    }
}

/* Both halves of a file stand apart by a pause, so that a scan at open or at the first write is in
 * vain. */
static void run_slow_writer(struct workload *workload)
{
    char path[TOOL_PATH_MAX];
    int fds[SLOW_WRITERS];

    for (uint64_t i = 0; i < workload->count; i += SLOW_WRITERS) {
        const uint64_t left = workload->count - i;
        const uint64_t files = left < SLOW_WRITERS ? left : SLOW_WRITERS;
        for (uint64_t j = 0; j < files; j++) {
            path_of(workload, "s", i + j, path);
            prepare_content(workload, i + j);
            fds[j] = open_new(path);
            tool_write_all(fds[j], workload->content, workload->content_size / 2, path);
        }
        pause_us(SLOW_PAUSE_MS * 1000);
        for (uint64_t j = 0; j < files; j++) {
            path_of(workload, "s", i + j, path);
            prepare_content(workload, i + j);
            tool_write_all(fds[j], workload->content + workload->content_size / 2,
                           workload->content_size - workload->content_size / 2, path);
            record_now(workload, path);
            close_new(fds[j], path);
        }
    }
}

/* Directories appear 100 microseconds apart; only later is anything written into them. */
static void run_late_dirs(struct workload *workload)
{
    char directory[TOOL_PATH_MAX];
    char path[TOOL_PATH_MAX];
    char name[32];

    for (uint64_t i = 0; i < workload->count; i += LATE_FILES) {
        path_of(workload, "y", i, directory);
        tool_make_directory(directory);
        pause_us(LATE_MKDIR_PAUSE_US);
    }
    pause_us(workload->late_ms * 1000);
    for (uint64_t i = 0; i < workload->count; i++) {
        path_of(workload, "y", i - i % LATE_FILES, directory);
        (void)snprintf(name, sizeof(name), "f%llu", (unsigned long long)i);
        tool_join(path, directory, name);
        prepare_content(workload, i);
        write_prepared(workload, path, true);
        pause_us(workload->interval_us);
    }
}

/* What a watcher that does not read meets: files written, renamed and linked in, and new
 * directories. */
static void run_flood(struct workload *workload)
{
    for (uint64_t i = 0; i < workload->count; i++)
        if (i / OVERFLOW_CHAIN_FILES % 4 == 1 || i / OVERFLOW_CHAIN_FILES % 4 == 2)
            write_outside(workload, i);
    for (uint64_t i = 0; i < workload->count; i += OVERFLOW_CHAIN_FILES) {
        const uint64_t left = workload->count - i;
        const uint64_t files = left < OVERFLOW_CHAIN_FILES ? left : OVERFLOW_CHAIN_FILES;
        if (i / OVERFLOW_CHAIN_FILES % 4 == 3) {
            write_chain(workload, "n", i, files, TREE_DEPTH);
            continue;
        }
        for (uint64_t j = i; j < i + files; j++) {
            if (i / OVERFLOW_CHAIN_FILES % 4 == 0)
                create_one(workload, j);
            else if (i / OVERFLOW_CHAIN_FILES % 4 == 1)
                rename_one(workload, j);
            else
                link_one(workload, j);
        }
    }
}

/* One file a line of standard input: the driver asks for the next when this one's verdict is there.
 */
static void run_single(struct workload *workload)
{
    char line[16];

    for (uint64_t i = 0; i < workload->count && fgets(line, sizeof(line), stdin) != NULL; i++)
        create_one(workload, i);
}

static const struct {
    const char *name;
    void (*run)(struct workload *workload);
    bool needs_outside;
} modes[] = {
    {"prepare", run_prepare, false},
    {"create", run_create, false},
    {"mkdir", run_mkdir, false},
    {"mkdir-nested", run_mkdir_nested, false},
    {"moved-tree", run_moved_tree, true},
    {"rename-in", run_rename_in, true},
    {"hardlink", run_hardlink, true},
    {"tmpfile-linkat", run_tmpfile, false},
    {"slow-writer", run_slow_writer, false},
    {"late-dirs", run_late_dirs, false},
    {"flood", run_flood, true},
    {"single", run_single, false},
};

static void run_mode(struct workload *workload, const char *mode)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(mode, modes[i].name) != 0)
            continue;
        tool_make_directory(workload->root);
        if (modes[i].needs_outside && workload->outside == NULL)
            tool_usage("... --outside DIRECTORY (this mode needs it)");
        if (workload->outside != NULL)
            tool_make_directory(workload->outside);
        modes[i].run(workload);
        return;
    }
    fprintf(stderr, "workload: --mode=%s: want one of", mode);
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
        fprintf(stderr, " %s", modes[i].name);
    fputc('\n', stderr);
    exit(TOOL_EXIT_USAGE);
}

int main(int argument_count, char **arguments)
{
    static const char usage[] =
        "--mode MODE --root DIRECTORY --log FILE [--outside DIRECTORY] [--count N] [--directories N] "
        "[--seed N] [--infected PERCENT] [--size BYTES] [--interval-us N] [--late-ms N]";
    static const struct option options[] = {
        {"mode", required_argument, NULL, 'm'},    {"root", required_argument, NULL, 'r'},
        {"outside", required_argument, NULL, 'o'}, {"log", required_argument, NULL, 'l'},
        {"count", required_argument, NULL, 'c'},   {"directories", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 's'},    {"infected", required_argument, NULL, 'i'},
        {"size", required_argument, NULL, 'b'},    {"interval-us", required_argument, NULL, 'u'},
        {"late-ms", required_argument, NULL, 'w'}, {0}};
    struct workload workload = {
        .count = 1, .seed = 1, .infected_percent = 100, .size = 2048, .late_ms = 4000};
    const char *mode = NULL;
    const char *log = NULL;
    int option;

    while ((option = getopt_long(argument_count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 'm':
            mode = optarg;
            break;
        case 'r':
            workload.root = optarg;
            break;
        case 'o':
            workload.outside = optarg;
            break;
        case 'l':
            log = optarg;
            break;
        case 'c':
            workload.count = tool_number("count", optarg, 0, 10000000);
            break;
        case 'd':
            workload.directories = tool_number("directories", optarg, 0, 10000000);
            break;
        case 's':
            workload.seed = tool_number("seed", optarg, 0, UINT32_MAX);
            break;
        case 'i':
            workload.infected_percent = tool_number("infected", optarg, 0, 100);
            break;
        case 'b':
            workload.size = tool_number("size", optarg, 64, CONTENT_ROOM - CONTENT_OVERHEAD);
            break;
        case 'u':
            workload.interval_us = tool_number("interval-us", optarg, 0, 60000000);
            break;
        case 'w':
            workload.late_ms = tool_number("late-ms", optarg, 0, 60000);
            break;
        default:
            tool_usage(usage);
        }
    }
    if (optind != argument_count || mode == NULL || log == NULL || workload.root == NULL)
        tool_usage(usage);

    workload.content = malloc(CONTENT_ROOM);
    if (workload.content == NULL)
        tool_fail(ENOMEM, "content");
    tool_writer_open(&workload.log, log);
    run_mode(&workload, mode);
    tool_writer_close(&workload.log);
    free(workload.content);
    return EXIT_SUCCESS;
}
