/* Owns: the forms of lines. Must not own: what a program's message means (decoders do). */
#include "common/log_rules/log_line.h"

#include "common/attributes.h"
#include "common/time/clock.h"

#include <stdbool.h>
#include <string.h>

enum { PROGRAM_BYTES = 64 };

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, text, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* Exactly count digits, of which a blank may stand for the first. */
static bool take_digits(struct cursor *cursor, unsigned count, bool padded, int *ret_value)
{
    int value = 0;

    if (cursor->end - cursor->at < (ptrdiff_t)count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        char digit = cursor->at[i] == ' ' && padded && i == 0 ? '0' : cursor->at[i];
        if (digit < '0' || digit > '9')
            return false;
        value = value * 10 + (digit - '0');
    }
    cursor->at += count;
    *ret_value = value;
    return true;
}

static bool take_clock(struct cursor *cursor, struct tm *time)
{
    return take_digits(cursor, 2, false, &time->tm_hour) && take(cursor, ":") &&
           take_digits(cursor, 2, false, &time->tm_min) && take(cursor, ":") &&
           take_digits(cursor, 2, false, &time->tm_sec) && time->tm_hour < 24 &&
           time->tm_min < 60 && time->tm_sec <= 60;
}

static bool take_date(struct cursor *cursor, struct tm *time)
{
    bool read = take_digits(cursor, 4, false, &time->tm_year) && take(cursor, "-") &&
                take_digits(cursor, 2, false, &time->tm_mon) && take(cursor, "-") &&
                take_digits(cursor, 2, false, &time->tm_mday);

    time->tm_year -= 1900;
    time->tm_mon -= 1;
    return read && time->tm_year >= 70 && time->tm_mon >= 0 && time->tm_mon < 12 &&
           time->tm_mday >= 1 && time->tm_mday <= 31;
}

/* ".5", ".123456": nanoseconds. */
static uint64_t take_fraction(struct cursor *cursor)
{
    uint64_t unit = NS_PER_SECOND / 10, fraction = 0;

    if (cursor->at == cursor->end || (*cursor->at != '.' && *cursor->at != ','))
        return 0;
    for (cursor->at++; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
         cursor->at++) {
        fraction += unit * (uint64_t)(*cursor->at - '0');
        unit /= 10;
    }
    return fraction;
}

static bool take_zone(struct cursor *cursor, int *ret_seconds)
{
    int hours, minutes, sign;

    if (take(cursor, "Z")) {
        *ret_seconds = 0;
        return true;
    }
    sign = take(cursor, "+") ? 1 : take(cursor, "-") ? -1 : 0;
    if (sign == 0 || !take_digits(cursor, 2, false, &hours))
        return false;
    (void)take(cursor, ":");
    if (!take_digits(cursor, 2, false, &minutes))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static uint64_t to_ns(time_t seconds, uint64_t fraction)
{
    return seconds > 0 ? (uint64_t)seconds * NS_PER_SECOND + fraction : 0;
}

/* Leaves the cursor where it was when there is no such time. */
static bool take_rfc3339(struct cursor *cursor, uint64_t *ret_ns)
{
    struct cursor next = *cursor;
    struct tm time = {.tm_isdst = -1};
    int zone;

    if (!take_date(&next, &time) || !take(&next, "T") || !take_clock(&next, &time))
        return false;
    uint64_t fraction = take_fraction(&next);
    if (!take_zone(&next, &zone) || !take(&next, " "))
        return false;
    *ret_ns = to_ns(timegm(&time) - zone, fraction);
    *cursor = next;
    return true;
}

/* "2026-11-30 05:27:59 ", local time. */
static bool take_plain(struct cursor *cursor, uint64_t *ret_ns)
{
    struct cursor next = *cursor;
    struct tm time = {.tm_isdst = -1};

    if (!take_date(&next, &time) || !(take(&next, " ") || take(&next, "T")) ||
        !take_clock(&next, &time))
        return false;
    uint64_t fraction = take_fraction(&next);
    if (!take(&next, " "))
        return false;
    *ret_ns = to_ns(mktime(&time), fraction);
    *cursor = next;
    return true;
}

static bool take_month(struct cursor *cursor, int *ret_month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (cursor->end - cursor->at >= 3 && memcmp(cursor->at, names + (size_t)i * 3, 3) == 0) {
            cursor->at += 3;
            *ret_month = i;
            return true;
        }
    return false;
}

/* "Nov 30 05:27:59 ", local time; the year is that of now, or the one before in January. */
static bool take_rfc3164(struct cursor *cursor, uint64_t now_ns, uint64_t *ret_ns)
{
    const uint64_t day_ns = 86400 * NS_PER_SECOND;
    struct cursor next = *cursor;
    struct tm time = {.tm_mon = 0}, now;
    time_t now_s = (time_t)(now_ns / NS_PER_SECOND);

    if (!take_month(&next, &time.tm_mon) || !take(&next, " ") ||
        !take_digits(&next, 2, true, &time.tm_mday) || !take(&next, " ") ||
        !take_clock(&next, &time) || !take(&next, " ") || localtime_r(&now_s, &now) == NULL)
        return false;
    time.tm_isdst = -1;
    time.tm_year = now.tm_year;
    struct tm earlier = time;
    *ret_ns = to_ns(mktime(&time), 0);
    if (*ret_ns > now_ns + 2 * day_ns) {
        earlier.tm_year--;
        *ret_ns = to_ns(mktime(&earlier), 0);
    }
    *cursor = next;
    return true;
}

static void skip_word(struct cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at != ' ')
        cursor->at++;
    while (cursor->at < cursor->end && *cursor->at == ' ')
        cursor->at++;
}

static bool is_program_byte(char byte)
{
    return byte > ' ' && byte != ':' && byte != '[' && byte != ']' && (unsigned char)byte < 0x7f;
}

/* "sshd[77]: ", "kernel: ", "CROND[5]: "; GDM writes itself "gdm-password][77]: ". */
static bool take_tag(struct cursor *cursor, struct log_line *line)
{
    struct cursor next = *cursor;
    uint32_t pid = 0;

    while (next.at < next.end && next.at - cursor->at < PROGRAM_BYTES && is_program_byte(*next.at))
        next.at++;
    if (next.at == cursor->at)
        return false;
    if (next.end - next.at >= 2 && next.at[0] == ']' && next.at[1] == '[')
        next.at++;
    size_t length = (size_t)(next.at - cursor->at);
    if (take(&next, "[")) {
        for (; next.at < next.end && *next.at >= '0' && *next.at <= '9'; next.at++)
            pid = pid * 10 + (uint32_t)(*next.at - '0');
        if (!take(&next, "]"))
            return false;
    }
    if (!take(&next, ":"))
        return false;
    (void)take(&next, " ");
    line->program = cursor->at;
    line->program_length = length;
    line->pid = pid;
    *cursor = next;
    return true;
}

static void skip_priority(struct cursor *cursor)
{
    struct cursor next = *cursor;
    int digit;

    if (!take(&next, "<") || !take_digits(&next, 1, false, &digit))
        return;
    while (take_digits(&next, 1, false, &digit))
        ;
    if (take(&next, ">"))
        *cursor = next;
}

/* The number behind "msg=audit(". */
static uint64_t audit_time(struct cursor cursor)
{
    uint64_t seconds = 0;

    skip_word(&cursor);
    if (!take(&cursor, "msg=audit("))
        return 0;
    for (; cursor.at < cursor.end && *cursor.at >= '0' && *cursor.at <= '9' && seconds < 1ULL << 33;
         cursor.at++)
        seconds = seconds * 10 + (uint64_t)(*cursor.at - '0');
    return seconds * NS_PER_SECOND + take_fraction(&cursor);
}

/* "[    5.123456] " of the kernel. */
static void skip_uptime(struct cursor *cursor)
{
    struct cursor next = *cursor;

    if (!take(&next, "["))
        return;
    while (next.at < next.end &&
           (*next.at == ' ' || *next.at == '.' || (*next.at >= '0' && *next.at <= '9')))
        next.at++;
    if (take(&next, "] "))
        *cursor = next;
}

static bool is_audit(struct cursor cursor)
{
    return take(&cursor, "type=");
}

static void read_syslog(struct cursor *cursor, struct log_line *line)
{
    skip_word(cursor); /* the host */
    if (take_tag(cursor, line) && line->program_length == strlen("kernel") &&
        memcmp(line->program, "kernel", line->program_length) == 0)
        skip_uptime(cursor);
}

void log_line_read(const char *bytes, size_t length, const char *file_name, uint64_t now_ns,
                   struct log_line *ret_line)
{
    struct cursor cursor = {bytes, bytes + length};
    struct log_line line = {.program = file_name, .program_length = strlen(file_name)};
    uint64_t told_ns = 0;

    skip_priority(&cursor);
    if (take_rfc3339(&cursor, &told_ns) || take_rfc3164(&cursor, now_ns, &told_ns)) {
        read_syslog(&cursor, &line);
    } else if (take_plain(&cursor, &told_ns)) {
        /* What follows is the message: such files have one writer. */
    } else if (is_audit(cursor)) {
        told_ns = audit_time(cursor);
        line.program = "audit";
        line.program_length = strlen(line.program);
    }
    line.time_ns = told_ns == 0 || told_ns > now_ns + 2 * 86400 * NS_PER_SECOND ? now_ns : told_ns;
    line.message = cursor.at;
    line.message_length = (size_t)(cursor.end - cursor.at);
    *ret_line = line;
}
