/* Logging to standard error. Owns nothing but the level and the dropped counter.
 *
 * A line goes out in one system call. The journal's socket takes it with MSG_DONTWAIT. Anything
 * else may be a pipe that nobody reads, shared with processes that want it blocking: poll says
 * whether it takes bytes now, and a line of at most PIPE_BUF bytes is then written whole and at
 * once; the lock keeps two threads from sharing one free place. */
#include "common/log/log.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const char *program_name = "yagura";
static _Atomic int lowest_level = LOG_LEVEL_INFO;
static _Atomic uint64_t dropped_lines;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t dropped_reported; /* guarded by write_lock */
static bool for_journal;
static bool to_socket;

struct line {
    char text[LIMIT_LOG_LINE_BYTES];
    size_t length;
    bool cut;
};

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream; it is inherited by programs
 * whose standard error leads elsewhere. */
static bool is_journal(const struct stat *status)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char expected[64];

    (void)text_format(expected, sizeof expected, "%llu:%llu", (unsigned long long)status->st_dev,
                      (unsigned long long)status->st_ino);
    return stream != NULL && text_equal(stream, expected);
}

void log_open(const char *program, enum log_level lowest)
{
    struct stat status;
    bool known = fstat(STDERR_FILENO, &status) == 0;

    (void)signal(SIGPIPE, SIG_IGN);
    program_name = program;
    for_journal = known && is_journal(&status);
    to_socket = known && S_ISSOCK(status.st_mode);
    log_set_level(lowest);
}

void log_set_level(enum log_level lowest)
{
    atomic_store(&lowest_level, (int)lowest);
}

/* What does not fit is cut at a whole character and marked; one byte stays for the newline. */
static void line_append(struct line *line, const char *text)
{
    static const char mark[] = "...";
    size_t end = sizeof line->text - 1;
    size_t length = strlen(text);

    if (line->cut)
        return;
    if (length <= end - line->length) {
        memcpy(line->text + line->length, text, length);
        line->length += length;
        return;
    }
    memcpy(line->text + line->length, text, end - line->length);
    line->length = end - strlen(mark);
    while (((unsigned char)line->text[line->length] & 0xC0) == 0x80)
        line->length--;
    memcpy(line->text + line->length, mark, strlen(mark));
    line->length += strlen(mark);
    line->cut = true;
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

/* False when standard error does not take the line now. */
static bool write_whole(const char *text, size_t length)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written;

    if (to_socket) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        written = sendmsg(STDERR_FILENO, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (poll(&out, 1, 0) == 1 && (out.revents & (POLLOUT | POLLERR)) == POLLOUT) {
        written = write(STDERR_FILENO, text, length);
    } else {
        return false;
    }
    return written == (ssize_t)length;
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

/* Called with write_lock held. */
static void report_dropped(void)
{
    uint64_t dropped = atomic_load(&dropped_lines);

    if (dropped == dropped_reported)
        return;
    struct line line = {.length = 0};
    line_begin(&line, LOG_LEVEL_WARNING, "log_lines_dropped");
    line_append(&line, " lines=");
    line_append(&line, log_number((int64_t)(dropped - dropped_reported)));
    line.text[line.length++] = '\n';
    if (write_whole(line.text, line.length))
        dropped_reported = dropped;
}

static void line_write(struct line *line)
{
    line->text[line->length++] = '\n';
    (void)pthread_mutex_lock(&write_lock);
    report_dropped();
    if (!write_whole(line->text, line->length))
        atomic_fetch_add(&dropped_lines, 1);
    (void)pthread_mutex_unlock(&write_lock);
}

void log_event(enum log_level level, const char *event, ...)
{
    struct line line = {.length = 0};
    int saved_errno = errno;
    va_list arguments;

    if ((int)level > atomic_load_explicit(&lowest_level, memory_order_relaxed))
        return;
    line_begin(&line, level, event);
    va_start(arguments, event);
    for (const char *key; (key = va_arg(arguments, const char *)) != NULL;) {
        const char *value = va_arg(arguments, const char *);
        if (value == NULL)
            continue;
        line_append(&line, " ");
        line_append(&line, key);
        line_append(&line, "=");
        line_append_value(&line, value);
    }
    va_end(arguments);
    line_write(&line);
    errno = saved_errno;
}

enum { SLOTS = 16, SLOT_BYTES = 96 };

/* Texts that outlive the call which made them, for as long as one log line needs. */
static char *ring_slot(void)
{
    static _Thread_local char ring[SLOTS][SLOT_BYTES];
    static _Thread_local unsigned next;

    return ring[next++ % SLOTS];
}

const char *log_number(int64_t value)
{
    char *slot = ring_slot();

    (void)text_format(slot, SLOT_BYTES, "%lld", (long long)value);
    return slot;
}

const char *log_error_text(int negative_errno)
{
    char *slot = ring_slot();

    (void)text_copy(slot, SLOT_BYTES,
                    strerrordesc_np(-negative_errno) != NULL ? strerrordesc_np(-negative_errno)
                                                             : "unknown error");
    return slot;
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped_lines);
}
