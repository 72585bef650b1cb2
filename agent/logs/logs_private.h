/* Shared by the files that make up logs.h. Not for others. */
#ifndef AGENT_LOGS_LOGS_PRIVATE_H
#define AGENT_LOGS_LOGS_PRIVATE_H

#include "agent/logs/log_folds.h"
#include "agent/logs/log_question.h"
#include "agent/logs/log_source.h"
#include "agent/logs/logs.h"

#include <pthread.h>
#include <sys/stat.h>

/* The options as the thread has them: never changed, replaced as a whole. */
struct logs_settings {
    bool enabled, journal;
    char *journal_directory, *inspector_program, *shipped_path, *custom;
    char **files;
    size_t file_count;
    enum event_severity lowest;
    uint64_t fold_ns, rate;
};

struct waiting_drain {
    struct waiting_drain *next;
    void (*done)(void *user);
    void *user;
};

struct logs {
    struct store *store;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows, up to the thread's own */
    pthread_cond_t changed;
    struct logs_settings *next; /* not taken over yet; NULL: none */
    struct waiting_drain *drains;
    bool stopping, enabled;
    struct logs_status status;

    /* the thread's own */
    struct logs_settings *now;
    struct logs_status counted;
    struct log_question *question;
    struct log_folds *folds;
    struct log_batch batch;
    struct log_answer answer;
    struct log_source *sources;
    size_t source_count;
    char cursor[LOG_CURSOR_BYTES];
    bool cursor_changed, folds_read;
    unsigned journal_failures;
    uint64_t failures, journal_failed_at; /* see log_source.h */
    bool inspector_failed;                /* in this round; another is started after a pause */
    bool file_failed;      /* reading one did, in this round: it is tried again in the next */
    bool failure_said;     /* since a round in which it did not */
    uint64_t known_starts; /* of the inspector, whose state is known */
    struct log_reader_state reader;
    uint64_t committed_ns, journal_tried_ns;
    struct stat journal_places[2];
    char problem[512];
};

/* ---- log_positions.c ---- */

/* Events of the batch, counts and positions, in one transaction. */
int logs_commit(struct logs *logs) MUST_USE;
bool logs_has_news(const struct logs *logs);
/* Deletes what was stored for files that are no sources any more: put back later, they are new. */
int logs_forget_positions(struct logs *logs) MUST_USE;
/* What was stored for source: NULL and 0 when there is nothing. */
int logs_position(struct logs *logs, const char *source, char **ret_position) MUST_USE;
int logs_read_folds(struct logs *logs) MUST_USE;
/* The journal's place among the sources. */
#define LOGS_JOURNAL "journal"

/* ---- log_round.c ---- */

/* Looks at everything and reads one piece of each; ret_more: there is more, and it can be read. */
void logs_round(struct logs *logs, bool *ret_more);
/* What was left out of files and is not told yet becomes events. */
void logs_tell_skipped(struct logs *logs);
/* Another policy. -ENOMEM: the one before stays. */
int logs_take_settings(struct logs *logs, struct logs_settings *settings) MUST_USE;
void logs_forget_sources(struct logs *logs);

#endif
