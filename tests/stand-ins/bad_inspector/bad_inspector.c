/* Beside yagura-inspector's main file: it dies at a line that says so, as of a fault in what reads
 * lines, and cannot read a piece that says so, as of a bad disk. The linker puts this in front of
 * log_engine_take and file_read_at. */
#include "common/files/file.h"
#include "common/log_rules/log_engine.h"

#include <errno.h>
#include <string.h>

ssize_t __real_file_read_at(int fd, void *data, size_t length, uint64_t offset);
ssize_t __wrap_file_read_at(int fd, void *data, size_t length, uint64_t offset);
ssize_t __wrap_file_read_at(int fd, void *data, size_t length, uint64_t offset)
{
    static const char bad[] = "unreadable line";
    ssize_t r = __real_file_read_at(fd, data, length, offset);

    return r > 0 && memmem(data, (size_t)r, bad, sizeof bad - 1) != NULL ? -EIO : r;
}

typedef int sink_function(void *user, const struct log_line *line, const struct log_match *match);

int __real_log_engine_take(struct log_engine *engine, const struct log_line *line,
                           sink_function *sink, void *user);
int __wrap_log_engine_take(struct log_engine *engine, const struct log_line *line,
                           sink_function *sink, void *user);
int __wrap_log_engine_take(struct log_engine *engine, const struct log_line *line,
                           sink_function *sink, void *user)
{
    static const char poison[] = "poisonous line";

    if (memmem(line->message, line->message_length, poison, sizeof poison - 1) != NULL)
        __builtin_trap();
    return __real_log_engine_take(engine, line, sink, user);
}
