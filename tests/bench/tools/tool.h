/* What every bench tool needs: seeded random numbers, clocks, a buffered writer, option numbers and
 * a way to stop with a message. Tools are single-threaded programs, so a failure ends the process.
 */
#ifndef TESTS_BENCH_TOOLS_TOOL_H
#define TESTS_BENCH_TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    TOOL_EXIT_FAILURE = 1,
    TOOL_EXIT_USAGE = 2,
    TOOL_PATH_MAX = 4096,
};

/* Prints "program: message: strerror(error)" (error 0: no third part) and exits 1. */
_Noreturn void tool_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the usage text and exits 2. */
_Noreturn void tool_usage(const char *text);

/* A decimal number of an option; exits 2 when it is none or stands outside [minimum, maximum]. */
uint64_t tool_number(const char *option, const char *text, uint64_t minimum, uint64_t maximum);

/* "DIRECTORY/NAME" into a buffer of TOOL_PATH_MAX bytes; exits when it does not fit. */
void tool_join(char *path, const char *directory, const char *name);

/* mkdir that accepts an existing directory. */
void tool_make_directory(const char *path);

/* Nanoseconds of CLOCK_REALTIME (joins with event times) and CLOCK_MONOTONIC (durations). */
uint64_t tool_realtime_ns(void);
uint64_t tool_monotonic_ns(void);

/* CPU time in nanoseconds of this process and of its ended children. */
uint64_t tool_cpu_ns(void);
uint64_t tool_children_cpu_ns(void);

/* An anonymous mapping that forked children share; never freed, the tool's life is one run. */
void *tool_shared_memory(size_t bytes);

/* Sorts in place and answers the percentile (0..100) by nearest rank; 0 for no values. */
void tool_sort(uint64_t *values, size_t count);
uint64_t tool_percentile(const uint64_t *sorted, size_t count, unsigned percent);

/* xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: fast, and the same on every machine.
 */
struct tool_random {
    uint64_t state[4];
};
void tool_random_seed(struct tool_random *random, uint64_t seed);
uint64_t tool_random_next(struct tool_random *random);
/* Uniform in [0, bound), bound > 0 (the bias of 2^-32 does not matter to a benchmark). */
uint32_t tool_random_below(struct tool_random *random, uint32_t bound);
void tool_random_bytes(struct tool_random *random, uint8_t *bytes, size_t count);

/* An output file with a large buffer; every write error ends the process. */
struct tool_writer {
    int fd;
    size_t used;
    char *buffer;
    const char *name;
};
void tool_writer_open(struct tool_writer *writer, const char *path);
void tool_writer_put(struct tool_writer *writer, const void *bytes, size_t count);
void tool_writer_text(struct tool_writer *writer, const char *text);
void tool_writer_number(struct tool_writer *writer, uint64_t number);
void tool_writer_hex(struct tool_writer *writer, const uint8_t *bytes, size_t count);
void tool_writer_close(struct tool_writer *writer);

/* Writes all bytes or exits. */
void tool_write_all(int fd, const void *bytes, size_t count, const char *name);

/* A list of paths read from a file of one path a line. */
struct tool_paths {
    char **items;
    size_t count;
    size_t room;
};
void tool_paths_add(struct tool_paths *paths, const char *path);
void tool_paths_read(struct tool_paths *paths, const char *file);

#endif
