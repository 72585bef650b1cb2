/* Owns how yaguractl's output looks. Whether it is a terminal is asked once. */
#include "agent/control/display.h"

#include "agent/control/messages.h"
#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define BAR_WIDTH 24

char *display_text_new(const char *text)
{
    AUTO_BUFFER struct buffer shown = BUFFER_WITH_MAXIMUM((size_t)LIMIT_CONTROL_OUTPUT_BYTES * 8);
    while (*text != '\0') {
        size_t plain = strcspn(text, "\\");
        AUTO_FREE char *escaped = text_escape_new(text, plain);
        if (escaped == NULL)
            return NULL;
        (void)buffer_append_text(&shown, escaped);
        text += plain;
        size_t slashes = strspn(text, "\\");
        (void)buffer_append(&shown, text, slashes);
        text += slashes;
    }
    if (buffer_failed(&shown) < 0)
        return NULL;
    return shown.data == NULL ? strdup("") : buffer_take(&shown);
}

void display_print(const char *text)
{
    AUTO_FREE char *shown = display_text_new(text);
    (void)fputs(shown != NULL ? shown : "?", stdout);
}

void display_sentence(const char *english)
{
    AUTO_FREE char *said = said_new(english);
    display_print(said != NULL ? said : english);
}

const char *display_colour(enum display_colour colour)
{
    static const char *const sequences[] = {"\033[0m", "\033[1m", "\033[32m", "\033[33m",
                                            "\033[31m"};
    static int coloured = -1;
    if (coloured < 0) {
        const char *terminal = getenv("TERM");
        coloured = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL && terminal != NULL &&
                   !text_equal(terminal, "dumb");
    }
    return coloured ? sequences[colour] : "";
}

const char *display_count(char text[static DISPLAY_BYTES], uint64_t number)
{
    char digits[DISPLAY_BYTES];
    int length = text_format(digits, sizeof(digits), "%" PRIu64, number);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *display_size(char text[static DISPLAY_BYTES], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < ARRAY_LENGTH(units); unit++)
        value /= 1024;
    (void)text_format(text, DISPLAY_BYTES, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                      units[unit]);
    return text;
}

const char *display_duration(char text[static DISPLAY_BYTES], uint64_t ns)
{
    static const struct {
        uint64_t ns;
        const char *unit;
    } units[] = {{86400 * NS_PER_SECOND, "days"},
                 {3600 * NS_PER_SECOND, "h"},
                 {60 * NS_PER_SECOND, "min"},
                 {NS_PER_SECOND, "s"},
                 {NS_PER_MS, "ms"},
                 {NS_PER_US, "us"}};
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        /* "90 min" says more than "1 h". */
        if (ns >= units[i].ns * (i < 3 ? 2 : 1)) {
            (void)text_format(text, DISPLAY_BYTES, "%" PRIu64 " %s", ns / units[i].ns,
                              units[i].unit);
            return text;
        }
    }
    (void)text_copy(text, DISPLAY_BYTES, "0 s");
    return text;
}

const char *display_time(char text[static DISPLAY_BYTES], uint64_t realtime_ns)
{
    time_t seconds = (time_t)(realtime_ns / NS_PER_SECOND);
    struct tm local;
    if (localtime_r(&seconds, &local) == NULL ||
        strftime(text, DISPLAY_BYTES, "%Y-%m-%d %H:%M:%S", &local) == 0)
        (void)text_copy(text, DISPLAY_BYTES, "?");
    return text;
}

const char *member_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

uint64_t member_number(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 ? (uint64_t)number : 0;
}

void display_progress(uint64_t done, uint64_t total, const char *line)
{
    if (isatty(STDERR_FILENO) != 1)
        return;
    char bar[BAR_WIDTH + 1];
    size_t filled = total == 0 ? 0 : (size_t)(MIN(done, total) * BAR_WIDTH / total);
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "\r\033[K[%s] %s", bar, line);
    (void)fflush(stderr);
}

void display_progress_clear(void)
{
    if (isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
}

/* "2h" and "2h ago". */
static int parse_ago(const char *text, uint64_t *ret_ns)
{
    static const char ago[] = " ago";
    char duration[32];
    size_t length = strlen(text) - (text_ends_with(text, ago) ? sizeof ago - 1 : 0);
    if (length >= sizeof duration)
        return -EINVAL;
    (void)text_format(duration, sizeof duration, "%.*s", (int)length, text);
    return text_parse_duration(duration, ret_ns);
}

int display_parse_moment(const char *text, uint64_t *ret_realtime_ns)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    uint64_t ago_ns = 0, now_ns = clock_realtime_ns();
    if (parse_ago(text, &ago_ns) == 0) {
        *ret_realtime_ns = ago_ns < now_ns ? now_ns - ago_ns : 0;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &parts);
        if (end == NULL || (*end != '\0' && !text_equal(end, "Z")))
            continue;
        time_t seconds = *end == 'Z' ? timegm(&parts) : mktime(&parts);
        if (seconds < 0)
            return -EINVAL;
        *ret_realtime_ns = (uint64_t)seconds * NS_PER_SECOND;
        return 0;
    }
    return -EINVAL;
}
