/* What the console may ask for, and nothing else. Each command is done at most once; what takes
 * long is done by a thread of its own, one after another. */
#ifndef AGENT_DELIVERY_COMMANDS_H
#define AGENT_DELIVERY_COMMANDS_H

#include "common/attributes.h"

#include <stdbool.h>

struct application_control;
struct integrity;
struct scan_schedule;
struct protection;
struct responder;
struct scan_pipeline;

/* What commands act upon; everything outlives them. */
struct command_context {
    struct scan_pipeline *pipeline;
    struct responder *responder;
    struct integrity *integrity;
    struct scan_schedule *schedule;                  /* NULL in tests */
    struct application_control *application_control; /* NULL in tests */
    struct protection *protection;                   /* NULL in tests */
    const char *program_directory;
    const char *directory;             /* the console's files: upgrades and bundles on their way */
    const char *control_socket;        /* of this agent, for yaguractl diagnose */
    const char *config_path;           /* of this agent; NULL: the default */
    char *const *database_directories; /* NULL-terminated */
    void (*heartbeat)(void *user);     /* the console wants one now */
    void (*deactivate)(void *user);    /* after the result has been delivered */
    /* A bundle is ready to be sent: bundle-ID.tar in directory. The result follows when it is. */
    void (*bundle_ready)(void *user);
    /* How far a command is; from any thread. */
    void (*advance)(void *user, const char *command_id, const char *output);
    /* The command's result; from any thread, once a command. */
    void (*done)(void *user, const char *command_id, bool good, const char *output);
    void *user;
};

struct commands;
int commands_new(const struct command_context *context, struct commands **ret_commands) MUST_USE;
/* Cancels what runs and waits for its end. */
struct commands *commands_free(struct commands *commands);

/* Does it. Its result follows through done, now or later. document: of signed_command_take. */
void command_run(struct commands *commands, const char *document);
/* It came again. When it is not is_pending (it runs, or its result waits to be delivered), the
 * result was lost, and done says so. */
void command_repeated(struct commands *commands, const char *document,
                      bool (*is_pending)(void *user, const char *command_id));
/* At the start, for each that an earlier run of the agent did not end: what goes on elsewhere is
 * waited for, the others end with a result that says so. */
void command_resume(struct commands *commands, const char *command_id);
/* Looks whether an upgrade has ended; about once a second. */
void commands_turn(struct commands *commands);

/* The file of a bundle in directory. */
int command_bundle_path(const char *directory, const char *command_id, char *path,
                        size_t size) MUST_USE;

#endif
