/* Makes the trees that are scanned and watched: small files of the kinds a Linux host has, with
 * valid enough headers that libclamav takes its parsers for them, or copies of files of this
 * machine (real types), or directories only. Owns what stands under the output directory. Made
 * files depend on the seed alone; copied ones on the machine too, so a run compares like with like.
 */
#include "tests/bench/tools/content.h"
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BRANCHING = 8,
    FTW_DESCRIPTORS = 32,
    SMALLEST_FILE = 256,
    COPY_BUFFER = 1 << 16,
};

struct request {
    uint64_t files;
    uint64_t directories;
    uint64_t seed;
    uint64_t eicar_per_mille;
    uint64_t largest_file;
    bool text_only;
    const char *list;
    const char *output;
};

/* nftw hands no argument to its callback. */
static struct tool_paths candidates;
static uint64_t candidate_largest;

/* Directory i hangs below directory (i - 1) / BRANCHING; directory 0 is the output itself. */
static void make_directories(const struct request *request, struct tool_paths *directories)
{
    char path[TOOL_PATH_MAX];
    char name[32];

    tool_make_directory(request->output);
    tool_paths_add(directories, request->output);
    for (uint64_t i = 1; i < request->directories; i++) {
        (void)snprintf(name, sizeof(name), "d%llu", (unsigned long long)i);
        tool_join(path, directories->items[(i - 1) / BRANCHING], name);
        tool_make_directory(path);
        tool_paths_add(directories, path);
    }
}

static void write_file(const char *path, const void *bytes, size_t count)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        tool_fail(errno, "open %s", path);
    tool_write_all(fd, bytes, count, path);
    if (close(fd) < 0)
        tool_fail(errno, "close %s", path);
}

static size_t some_size(struct tool_random *random, uint64_t largest)
{
    const uint32_t bits_range = (uint32_t)(63 - __builtin_clzll(largest / SMALLEST_FILE));
    const uint64_t base = (uint64_t)SMALLEST_FILE << tool_random_below(random, bits_range);

    return base + tool_random_below(random, (uint32_t)base);
}

static void make_file(const struct request *request, const char *directory, uint64_t index,
                      uint8_t *buffer, struct tool_writer *list)
{
    struct tool_random random;
    char name[64];
    char path[TOOL_PATH_MAX];
    enum content_kind kind;
    size_t size;

    tool_random_seed(&random, request->seed * 0x100000001b3U + index);
    kind = request->text_only ? CONTENT_TEXT : content_some_kind(&random);
    if (tool_random_below(&random, 1000) < request->eicar_per_mille)
        kind = CONTENT_EICAR;
    size = some_size(&random, request->largest_file);
    size = content_fill(kind, &random, index, buffer, size);
    (void)snprintf(name, sizeof(name), "f%llu%s", (unsigned long long)index,
                   content_extension(kind));
    tool_join(path, directory, name);
    write_file(path, buffer, size);
    if (request->list != NULL) {
        tool_writer_text(list, path);
        tool_writer_text(list, "\n");
    }
}

static void make_files(const struct request *request, const struct tool_paths *directories)
{
    uint8_t *buffer = malloc(request->largest_file + CONTENT_OVERHEAD);
    struct tool_writer list = {.fd = -1};

    if (buffer == NULL)
        tool_fail(ENOMEM, "file of %llu bytes", (unsigned long long)request->largest_file);
    if (request->list != NULL)
        tool_writer_open(&list, request->list);
    for (uint64_t i = 0; i < request->files; i++)
        make_file(request, directories->items[i % directories->count], i, buffer, &list);
    if (request->list != NULL)
        tool_writer_close(&list);
    free(buffer);
}

static int consider(const char *path, const struct stat *facts, int type, struct FTW *position)
{
    (void)position;
    if (type == FTW_F && S_ISREG(facts->st_mode) && facts->st_size > 0 &&
        (uint64_t)facts->st_size <= candidate_largest && strchr(path, '\n') == NULL)
        tool_paths_add(&candidates, path);
    return 0;
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The order of a directory walk is the file system's; sorting, then shuffling by the seed is ours.
 */
static void shuffle_candidates(uint64_t seed)
{
    struct tool_random random;

    qsort(candidates.items, candidates.count, sizeof(*candidates.items), compare_text);
    tool_random_seed(&random, seed);
    for (size_t i = candidates.count; i > 1; i--) {
        const size_t other = tool_random_below(&random, (uint32_t)i);
        char *swapped = candidates.items[i - 1];
        candidates.items[i - 1] = candidates.items[other];
        candidates.items[other] = swapped;
    }
}

static bool copy_file(const char *from, const char *to)
{
    static uint8_t buffer[COPY_BUFFER];
    const int input = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (input < 0)
        return false;
    const int output = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (output < 0)
        tool_fail(errno, "open %s", to);
    for (;;) {
        const ssize_t count = read(input, buffer, sizeof(buffer));
        if (count < 0)
            tool_fail(errno, "read %s", from);
        if (count == 0)
            break;
        tool_write_all(output, buffer, (size_t)count, to);
    }
    (void)close(input);
    if (close(output) < 0)
        tool_fail(errno, "close %s", to);
    return true;
}

static void copy_files(const struct request *request, const struct tool_paths *directories)
{
    struct tool_writer list = {.fd = -1};
    char path[TOOL_PATH_MAX];
    char name[300];
    uint64_t copied = 0;

    shuffle_candidates(request->seed);
    if (request->list != NULL)
        tool_writer_open(&list, request->list);
    for (size_t i = 0; i < candidates.count && copied < request->files; i++) {
        const char *base = strrchr(candidates.items[i], '/') + 1;
        (void)snprintf(name, sizeof(name), "%llu-%.200s", (unsigned long long)copied, base);
        tool_join(path, directories->items[copied % directories->count], name);
        if (!copy_file(candidates.items[i], path))
            continue;
        copied++;
        if (request->list != NULL) {
            tool_writer_text(&list, path);
            tool_writer_text(&list, "\n");
        }
    }
    if (request->list != NULL)
        tool_writer_close(&list);
    printf("%llu\n", (unsigned long long)copied);
}

int main(int argument_count, char **arguments)
{
    static const char usage[] =
        "[--files N] [--directories N] [--seed N] [--eicar-per-mille N] [--largest BYTES] "
        "[--text] [--copy DIRECTORY]... [--list FILE] OUTPUT";
    static const struct option options[] = {{"files", required_argument, NULL, 'f'},
                                            {"directories", required_argument, NULL, 'd'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"eicar-per-mille", required_argument, NULL, 'e'},
                                            {"largest", required_argument, NULL, 'b'},
                                            {"text", no_argument, NULL, 't'},
                                            {"copy", required_argument, NULL, 'c'},
                                            {"list", required_argument, NULL, 'l'},
                                            {0}};
    struct request request = {.directories = 1, .seed = 1, .largest_file = 32768};
    struct tool_paths directories = {0};
    struct tool_paths sources = {0};
    int option;

    while ((option = getopt_long(argument_count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            request.files = tool_number("files", optarg, 0, 10000000);
            break;
        case 'd':
            request.directories = tool_number("directories", optarg, 1, 10000000);
            break;
        case 's':
            request.seed = tool_number("seed", optarg, 0, UINT32_MAX);
            break;
        case 'e':
            request.eicar_per_mille = tool_number("eicar-per-mille", optarg, 0, 1000);
            break;
        case 'b':
            request.largest_file = tool_number("largest", optarg, 2 * SMALLEST_FILE, 1U << 30);
            break;
        case 't':
            request.text_only = true;
            break;
        case 'c':
            tool_paths_add(&sources, optarg);
            break;
        case 'l':
            request.list = optarg;
            break;
        default:
            tool_usage(usage);
        }
    }
    if (optind + 1 != argument_count)
        tool_usage(usage);
    request.output = arguments[optind];

    make_directories(&request, &directories);
    candidate_largest = request.largest_file;
    for (size_t i = 0; i < sources.count; i++)
        if (nftw(sources.items[i], consider, FTW_DESCRIPTORS, FTW_PHYS | FTW_MOUNT) != 0)
            tool_fail(errno, "walk %s", sources.items[i]);
    if (sources.count > 0)
        copy_files(&request, &directories);
    else
        make_files(&request, &directories);
    return EXIT_SUCCESS;
}
