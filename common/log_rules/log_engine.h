/* Lines against decoders and rules. A line is of the first decoder that takes it and of the first
 * rule that fits; rules that count are asked then. Expressions work within a fixed number of steps
 * and counters within a fixed memory, whatever the lines hold. One thread. */
#ifndef COMMON_LOG_RULES_LOG_ENGINE_H
#define COMMON_LOG_RULES_LOG_ENGINE_H

#include "common/log_rules/log_line.h"
#include "common/log_rules/log_rules.h"

struct log_engine;

struct log_field {
    const char *name;
    const char *value; /* inside the line's message */
    size_t length;     /* LIMIT_LOG_FIELD_BYTES at most */
};

struct log_match {
    const struct log_rule *rule;
    const char *decoder;
    const struct log_field *fields;
    size_t field_count;
    uint32_t count; /* lines that made it match */
};

/* rules: sealed; they outlive the engine. */
int log_engine_new(const struct log_rules *rules, struct log_engine **ret_engine) MUST_USE;
struct log_engine *log_engine_free(struct log_engine *engine);

/* sink is called for each rule that matches (quiet and ignored ones, too): first the line's own,
 * then those that count. < 0: what sink said; the rest of the line is not looked at. */
int log_engine_take(struct log_engine *engine, const struct log_line *line,
                    int (*sink)(void *user, const struct log_line *line,
                                const struct log_match *match),
                    void *user);
/* The decoder of the last line, NULL: none took it. */
const char *log_engine_decoder(const struct log_engine *engine);
/* Times that an expression was given up because of its steps. */
uint64_t log_engine_exhausted(const struct log_engine *engine);

#endif
