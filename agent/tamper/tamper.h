/* Whether the agent is still the one that was installed: its own files are looked at when it starts
 * and at intervals, compared with what was seen last, and, where a package brought them, with the
 * package's digests, which the unprivileged inspector reads. What differs becomes an event.
 *
 * One thread of its own does all of it. */
#ifndef AGENT_TAMPER_TAMPER_H
#define AGENT_TAMPER_TAMPER_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct tamper;

struct tamper_options {
    const char *root;              /* "" but in tests: stands before the places below it */
    const char *program;           /* of the agent; NULL: the one that runs */
    const char *program_directory; /* of its helpers */
    const char *inspector_program; /* NULL: no package is asked */
    const char *configuration;     /* files; NULL: there is none */
    const char *policy;
    const char *database;      /* events.db */
    const char *snapshot_path; /* what was seen last */
    uint64_t interval_ns;      /* between two passes; 0: none at all */
};

/* Copies the texts. */
int tamper_start(const struct tamper_options *options, struct store *store,
                 struct tamper **ret_tamper) MUST_USE;
/* NULL is legal. */
struct tamper *tamper_stop(struct tamper *tamper);
/* A pass begins unless it is 0. Any thread. */
void tamper_set_interval(struct tamper *tamper, uint64_t interval_ns);

struct tamper_status {
    uint64_t passes, files, changed; /* changed: events since the start */
    uint64_t altered;                /* files that are not as their package brought them */
    bool database_replaced;          /* another file has the name of the open database */
    char first_altered[256];         /* escaped */
    int problem;                     /* of the snapshot's file: 0 or -errno */
};
/* Any thread. */
void tamper_status(struct tamper *tamper, struct tamper_status *ret_status);

#endif
