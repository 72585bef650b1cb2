/* Root's side of the yagura-inspector that reads logs. One thread. */
#ifndef AGENT_LOGS_LOG_QUESTION_H
#define AGENT_LOGS_LOG_QUESTION_H

#include "agent/inspector/log_messages.h"
#include "agent/logs/log_folds.h"

#include <stdbool.h>
#include <sys/types.h>

struct log_question;

struct log_question_options {
    const char *inspector_program;
    const char *journal_directory; /* NULL: the host's */
    const char *shipped_path;      /* file of the shipped rules */
    const char *custom;            /* text of the policy's */
};

/* Strings are copied. */
int log_question_new(const struct log_question_options *options,
                     struct log_question **ret_question) MUST_USE;
struct log_question *log_question_free(struct log_question *question);

struct log_counts {
    uint64_t lines, matched, cut, exhausted;
};

struct log_answer {
    struct log_told *told;
    size_t count, capacity;
    struct log_counts counts;
    bool more;
    uint64_t offset;               /* of a file */
    int error;                     /* of reading it: 0, or -errno, with nothing read */
    char cursor[LOG_CURSOR_BYTES]; /* of the journal */
    uint64_t last_ns;              /* time of the last entry; 0: there was none */
    bool lost;                     /* entries of the journal are gone */
};
void log_answer_done(struct log_answer *answer);

/* All of them: 0 and ret_answer, or -EAGAIN (the inspector failed just now), -errno. */
int log_question_read(struct log_question *question, int fd, const char *path, uint64_t offset,
                      uint32_t most, bool final, struct log_answer *answer) MUST_USE;
int log_question_journal(struct log_question *question, const char *cursor,
                         struct log_answer *answer) MUST_USE;

struct log_reader_state {
    uint32_t decoders, rules;
    bool journal; /* it can be read */
    char problem[LOG_PROBLEM_BYTES];
};
int log_question_state(struct log_question *question, struct log_reader_state *ret_state) MUST_USE;

/* The next question asks a new process. */
void log_question_restart(struct log_question *question);
uint64_t log_question_starts(const struct log_question *question);
pid_t log_question_pid(const struct log_question *question);

#endif
