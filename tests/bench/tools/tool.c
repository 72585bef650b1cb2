/* Shared ground of the bench tools. Owns nothing but the buffers it hands out; knows nothing of
 * Yagura, so that a peer's figures and ours go through the same code. */
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WRITER_BUFFER = 1 << 20 };

_Noreturn void tool_fail(int error, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (error != 0)
        fprintf(stderr, ": %s", strerror(error));
    fputc('\n', stderr);
    exit(TOOL_EXIT_FAILURE);
}

_Noreturn void tool_usage(const char *text)
{
    fprintf(stderr, "usage: %s %s\n", program_invocation_short_name, text);
    exit(TOOL_EXIT_USAGE);
}

uint64_t tool_number(const char *option, const char *text, uint64_t minimum, uint64_t maximum)
{
    char *end = NULL;

    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < minimum ||
        value > maximum) {
        fprintf(stderr, "%s: --%s=%s: want a number from %llu to %llu\n",
                program_invocation_short_name, option, text, (unsigned long long)minimum,
                (unsigned long long)maximum);
        exit(TOOL_EXIT_USAGE);
    }
    return value;
}

void tool_join(char *path, const char *directory, const char *name)
{
    const int length = snprintf(path, TOOL_PATH_MAX, "%s/%s", directory, name);

    if (length < 0 || length >= TOOL_PATH_MAX)
        tool_fail(ENAMETOOLONG, "%s/%s", directory, name);
}

void tool_make_directory(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        tool_fail(errno, "mkdir %s", path);
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) < 0)
        tool_fail(errno, "clock_gettime");
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t tool_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t tool_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t usage_ns(int who)
{
    struct rusage usage;

    if (getrusage(who, &usage) < 0)
        tool_fail(errno, "getrusage");
    const uint64_t seconds = (uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec;
    const uint64_t micros = (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
    return seconds * 1000000000U + micros * 1000U;
}

uint64_t tool_cpu_ns(void)
{
    return usage_ns(RUSAGE_SELF);
}

uint64_t tool_children_cpu_ns(void)
{
    return usage_ns(RUSAGE_CHILDREN);
}

void *tool_shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        tool_fail(errno, "mmap of %zu bytes", bytes);
    return memory;
}

static int compare_u64(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

void tool_sort(uint64_t *values, size_t count)
{
    if (count > 1)
        qsort(values, count, sizeof(*values), compare_u64);
}

uint64_t tool_percentile(const uint64_t *sorted, size_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    const size_t rank = (count * percent + 99) / 100;
    return sorted[rank == 0 ? 0 : rank - 1];
}

void tool_random_seed(struct tool_random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15U;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        random->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

uint64_t tool_random_next(struct tool_random *random)
{
    uint64_t *s = random->state;
    const uint64_t result = rotate(s[1] * 5, 7) * 9;
    const uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint32_t tool_random_below(struct tool_random *random, uint32_t bound)
{
    return (uint32_t)(((tool_random_next(random) >> 32) * bound) >> 32);
}

void tool_random_bytes(struct tool_random *random, uint8_t *bytes, size_t count)
{
    while (count > 0) {
        const uint64_t word = tool_random_next(random);
        const size_t part = count < sizeof(word) ? count : sizeof(word);
        memcpy(bytes, &word, part);
        bytes += part;
        count -= part;
    }
}

void tool_write_all(int fd, const void *bytes, size_t count, const char *name)
{
    const char *next = bytes;

    while (count > 0) {
        const ssize_t written = write(fd, next, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            tool_fail(errno, "write %s", name);
        next += written;
        count -= (size_t)written;
    }
}

void tool_writer_open(struct tool_writer *writer, const char *path)
{
    writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (writer->fd < 0)
        tool_fail(errno, "open %s", path);
    writer->used = 0;
    writer->buffer = malloc(WRITER_BUFFER);
    writer->name = strdup(path);
    if (writer->buffer == NULL || writer->name == NULL)
        tool_fail(ENOMEM, "open %s", path);
}

static void writer_flush(struct tool_writer *writer)
{
    tool_write_all(writer->fd, writer->buffer, writer->used, writer->name);
    writer->used = 0;
}

void tool_writer_put(struct tool_writer *writer, const void *bytes, size_t count)
{
    if (count > WRITER_BUFFER - writer->used)
        writer_flush(writer);
    if (count > WRITER_BUFFER) {
        tool_write_all(writer->fd, bytes, count, writer->name);
        return;
    }
    memcpy(writer->buffer + writer->used, bytes, count);
    writer->used += count;
}

void tool_writer_text(struct tool_writer *writer, const char *text)
{
    tool_writer_put(writer, text, strlen(text));
}

void tool_writer_number(struct tool_writer *writer, uint64_t number)
{
    char digits[20];
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    tool_writer_put(writer, digits + first, sizeof(digits) - first);
}

void tool_writer_hex(struct tool_writer *writer, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    char text[512];

    while (count > 0) {
        const size_t part = count < sizeof(text) / 2 ? count : sizeof(text) / 2;
        for (size_t i = 0; i < part; i++) {
            text[2 * i] = digits[bytes[i] >> 4];
            text[2 * i + 1] = digits[bytes[i] & 15];
        }
        tool_writer_put(writer, text, 2 * part);
        bytes += part;
        count -= part;
    }
}

void tool_writer_close(struct tool_writer *writer)
{
    writer_flush(writer);
    if (close(writer->fd) < 0)
        tool_fail(errno, "close %s", writer->name);
    free(writer->buffer);
    free((void *)(uintptr_t)writer->name);
    *writer = (struct tool_writer){.fd = -1};
}

void tool_paths_add(struct tool_paths *paths, const char *path)
{
    if (paths->count == paths->room) {
        paths->room = paths->room == 0 ? 1024 : paths->room * 2;
        paths->items = realloc(paths->items, paths->room * sizeof(*paths->items));
        if (paths->items == NULL)
            tool_fail(ENOMEM, "list of %zu paths", paths->room);
    }
    paths->items[paths->count] = strdup(path);
    if (paths->items[paths->count] == NULL)
        tool_fail(ENOMEM, "path %s", path);
    paths->count++;
}

void tool_paths_read(struct tool_paths *paths, const char *file)
{
    FILE *stream = fopen(file, "re");
    char *line = NULL;
    size_t room = 0;

    if (stream == NULL)
        tool_fail(errno, "open %s", file);
    for (;;) {
        const ssize_t length = getline(&line, &room, stream);
        if (length < 0)
            break;
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        if (line[0] != '\0')
            tool_paths_add(paths, line);
    }
    free(line);
    (void)fclose(stream);
}
