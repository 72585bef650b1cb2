/* Beside yagura-inspector's main file: it dies at a line that says so, as of a fault in what reads
 * lines. The linker puts this in front of log_engine_take. */
#include "common/log_rules/log_engine.h"

#include <string.h>

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
