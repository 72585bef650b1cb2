/* Shared by the files of commands. */
#ifndef AGENT_DELIVERY_COMMANDS_INTERNAL_H
#define AGENT_DELIVERY_COMMANDS_INTERNAL_H

#include "agent/delivery/commands.h"
#include "common/wire/wire.h"

#include <pthread.h>
#include <stdint.h>

struct scan_job;

struct waiting_command {
    struct waiting_command *next;
    char *document;
};

struct upgrade {
    bool pending;
    char id[40];
    char before[64];     /* version of the agent that was asked */
    uint64_t started_ns; /* realtime */
};

struct commands {
    struct command_context context;
    pthread_t worker;
    int end_fd;             /* eventfd: readable when all is to end */
    struct upgrade upgrade; /* the delivery thread's */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool ending;
    struct waiting_command *first, **last;
    struct scan_job *scan; /* NULL: none runs */
    bool scanning;         /* a scan has been started and has not told its end */
    char scan_id[40];
    uint64_t scan_told_ns;
    struct rebuilding *rebuilding; /* baselines that are being approved */
};

void command_answer(struct commands *commands, const char *id, bool good, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* done when result is not negative, otherwise what it says. */
void command_answer_result(struct commands *commands, const char *id, int result, const char *done);
const char *command_argument(const struct wire_command *command, const char *name);

typedef void command_handler(struct commands *commands, const struct wire_command *command);
command_handler command_scan, command_scan_quick, command_scan_full, command_cancel;
void command_scan_cancel(struct commands *commands);
void command_scan_wait(struct commands *commands);

command_handler command_quarantine_list, command_quarantine_restore, command_quarantine_delete;

command_handler command_rebuild_baseline;
void command_baseline_wait(struct commands *commands);

command_handler command_maintenance, command_learn_programs;

command_handler command_update_signatures;

command_handler command_diagnostics;
/* Whether the bundle of this command is made and waits. */
bool command_diagnostics_waits(const struct commands *commands, const char *id);

command_handler command_upgrade;
/* Whether this command's upgrade is under way. */
bool command_upgrade_resume(struct commands *commands, const char *id);
void command_upgrade_turn(struct commands *commands);

#endif
