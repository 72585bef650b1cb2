/* What became of commands: kept in a file of the console's folder from the moment a command is
 * taken until the console has its result, so that a crash loses no result and is itself told.
 * Thread-safe. */
#ifndef AGENT_DELIVERY_COMMAND_RESULTS_H
#define AGENT_DELIVERY_COMMAND_RESULTS_H

#include "common/attributes.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_RESULTS_MAXIMUM 64

struct command_result {
    char id[40];
    bool running; /* output says how far it is */
    bool good;
    bool sent; /* in the heartbeat that is on its way */
    bool told; /* the console knows this output */
    char output[LIMIT_COMMAND_OUTPUT_BYTES];
};

struct command_results;
/* Reads directory/results.json; one that cannot be read is begun anew. */
int command_results_open(const char *directory, struct command_results **ret_results) MUST_USE;
struct command_results *command_results_close(struct command_results *results);

/* A command was taken. -ENOBUFS: COMMAND_RESULTS_MAXIMUM wait; -errno: the file could not be
 * written. In both cases nothing is noted. */
int command_results_begin(struct command_results *results, const char *id) MUST_USE;
/* How far it is; not written to the disk. True when that is new. */
bool command_results_advance(struct command_results *results, const char *id, const char *output);
/* Its result. An unknown id is noted, too. -errno: it is known, but would not survive a crash. */
int command_results_end(struct command_results *results, const char *id, bool good,
                        const char *output) MUST_USE;
bool command_results_know(struct command_results *results, const char *id);
/* Each that runs, as far as the file knows. */
size_t command_results_running(struct command_results *results,
                               char ret_ids[static COMMAND_RESULTS_MAXIMUM][40]);

/* For a heartbeat: results first, then news of those that run; marks them as sent. */
size_t command_results_take(struct command_results *results,
                            struct command_result ret_taken[static LIMIT_HEARTBEAT_COMMANDS]);
/* What became of that heartbeat. How many results have still to be sent. */
size_t command_results_settle(struct command_results *results, bool delivered);

#endif
