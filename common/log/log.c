/* Logging to standard error. Owns nothing but the level and the dropped counter.
 *
 * A line goes out in one write(2). Standard error may be a pipe that nobody reads: poll says
 * whether it takes bytes now, and a line of at most PIPE_BUF bytes is then written whole and at
 * once. */
#include "common/log/log.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *program_name = "yagura";
static _Atomic int lowest_level = LOG_LEVEL_INFO;
static _Atomic uint64_t dropped_lines;
static _Atomic uint64_t dropped_reported;
static bool for_journal;

struct line {
    char text[LIMIT_LOG_LINE_BYTES];
    size_t length;
};

void log_open(const char *program, enum log_level lowest)
{
    program_name = program;
    for_journal = getenv("JOURNAL_STREAM") != NULL;
    log_set_level(lowest);
}

void log_set_level(enum log_level lowest)
{
    atomic_store(&lowest_level, (int)lowest);
}

static void line_append(struct line *line, const char *text)
{
    static const char mark[] = "...";
    size_t room = sizeof line->text - 1 - line->length; /* one byte stays for the newline */
    size_t length = strlen(text);

    if (length > room) {
        length = room;
        memcpy(line->text + line->length, text, length);
        memcpy(line->text + sizeof line->text - 1 - strlen(mark), mark, strlen(mark));
    } else {
        memcpy(line->text + line->length, text, length);
    }
    line->length += length;
}

static void line_append_value(struct line *line, const char *value)
{
    char escaped[LIMIT_LOG_LINE_BYTES];
    bool quoted = value[0] == '\0' || strpbrk(value, " \"=") != NULL;

    (void)text_escape(escaped, sizeof escaped, value, strlen(value));
    if (!quoted) {
        line_append(line, escaped);
        return;
    }
    line_append(line, "\"");
    for (char *part = escaped, *quote; part != NULL; part = quote) {
        quote = strchr(part, '"');
        if (quote != NULL)
            *quote++ = '\0';
        line_append(line, part);
        if (quote != NULL)
            line_append(line, "\\x22");
    }
    line_append(line, "\"");
}

static void line_write(struct line *line)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    line->text[line->length++] = '\n';
    if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0 ||
        write(STDERR_FILENO, line->text, line->length) != (ssize_t)line->length)
        atomic_fetch_add(&dropped_lines, 1);
}

static void line_begin(struct line *line, enum log_level level, const char *event)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    char time[CLOCK_TEXT_BYTES];

    if (for_journal) {
        line_append(line, priorities[level]);
    } else {
        clock_format(time, clock_realtime_ns());
        line_append(line, time);
        line_append(line, " ");
        line_append(line, names[level]);
        line_append(line, " ");
    }
    line_append(line, program_name);
    line_append(line, " ");
    line_append(line, event);
}

static void report_dropped(void)
{
    uint64_t dropped = atomic_load(&dropped_lines);
    uint64_t reported = atomic_load(&dropped_reported);

    if (dropped == reported ||
        !atomic_compare_exchange_strong(&dropped_reported, &reported, dropped))
        return;
    struct line line = {.length = 0};
    line_begin(&line, LOG_LEVEL_WARNING, "log_lines_dropped");
    line_append(&line, " lines=");
    line_append(&line, log_number((int64_t)(dropped - reported)));
    line_write(&line);
}

void log_event(enum log_level level, const char *event, ...)
{
    struct line line = {.length = 0};
    va_list arguments;

    if ((int)level > atomic_load_explicit(&lowest_level, memory_order_relaxed))
        return;
    report_dropped();
    line_begin(&line, level, event);
    va_start(arguments, event);
    for (const char *key; (key = va_arg(arguments, const char *)) != NULL;) {
        const char *value = va_arg(arguments, const char *);
        line_append(&line, " ");
        line_append(&line, key);
        line_append(&line, "=");
        line_append_value(&line, value != NULL ? value : "");
    }
    va_end(arguments);
    line_write(&line);
}

/* Texts that outlive the call which made them, for as long as one log line needs. */
static char *ring_slot(void)
{
    enum { SLOTS = 16, SLOT_BYTES = 96 };
    static _Thread_local char ring[SLOTS][SLOT_BYTES];
    static _Thread_local unsigned next;

    return ring[next++ % SLOTS];
}

const char *log_number(int64_t value)
{
    char *slot = ring_slot();

    (void)text_format(slot, 96, "%lld", (long long)value);
    return slot;
}

const char *log_error_text(int negative_errno)
{
    char *slot = ring_slot();

    (void)text_copy(slot, 96,
                    strerrordesc_np(-negative_errno) != NULL ? strerrordesc_np(-negative_errno)
                                                             : "unknown error");
    return slot;
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped_lines);
}
