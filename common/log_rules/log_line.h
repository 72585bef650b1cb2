/* A line of a log file, taken apart: when, which program, what it said. Forms: syslog's with RFC
 * 3339 or RFC 3164 times ("2026-11-30T05:27:59.5+00:00 host sshd[7]: ...", "Nov 30 05:27:59 host
 * ..."), a plain time before the text ("2026-11-30 05:27:59 status installed ..."), the kernel
 * audit's ("type=X msg=audit(1364481363.243:24287): ..."), and anything else as it is. Bytes are
 * not trusted; nothing is copied. Thread-safe: no state but the time zone of the process. */
#ifndef COMMON_LOG_RULES_LOG_LINE_H
#define COMMON_LOG_RULES_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

struct log_line {
    uint64_t time_ns;    /* realtime, as the line says; when it was read if it does not */
    const char *program; /* not terminated; length 0: unknown */
    size_t program_length;
    uint32_t pid; /* 0: unknown */
    const char *message;
    size_t message_length;
};

/* bytes: one line without its end, alive as long as ret_line. A line that names no program is of
 * file_name ("dpkg.log"), one of the audit of "audit". A time more than two days ahead of now_ns is
 * not believed. */
void log_line_read(const char *bytes, size_t length, const char *file_name, uint64_t now_ns,
                   struct log_line *ret_line);

#endif
