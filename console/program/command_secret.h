/* Tokens, sensor keys and API keys on the command line: made for some days, shown once, listed
 * without their secrets, and revoked by their id. */
#ifndef CONSOLE_PROGRAM_COMMAND_SECRET_H
#define CONSOLE_PROGRAM_COMMAND_SECRET_H

#include "console/agents/tokens.h"
#include "console/program/command.h"

struct command_secret {
    const char *name;
    int64_t days, expires_ms;
    struct command_place place;
    char id[UUID_TEXT_BYTES], text[SECRET_TEXT_BYTES]; /* what was made */
    void *more;                                        /* the kind's own values */
};

struct command_secret_kind {
    const char *noun;              /* for messages: "token" */
    const char *created, *revoked; /* entries of the audit log */
    int64_t days, most_days;       /* by default, and at most */
    const struct option *options;  /* those of command_secret_option among them */
    int (*take)(void *more, int option, const char *value); /* an option of its own; NULL: none */
    int (*create)(struct sql *sql, struct command_secret *secret); /* fills id and text */
    console_store_work *list;
    int (*revoke)(struct sql *sql, const char *id); /* 1, 0: there is none such */
};
/* The options of what is made for a group and a policy. */
#define COMMAND_SECRET_OPTIONS                                                      \
    {"days", required_argument, NULL, 'd'}, {"name", required_argument, NULL, 'n'}, \
        {"group", required_argument, NULL, 'g'},                                    \
    {                                                                               \
        "policy", required_argument, NULL, 'p'                                      \
    }

/* create: options from argv[first] on. The exit code, -1 for a wrong use. */
int command_secret_create(const struct console_settings *settings,
                          const struct command_secret_kind *kind, int argc, char **argv, int first,
                          void *more);
/* "list" and "revoke ID". */
int command_secret_manage(const struct console_settings *settings,
                          const struct command_secret_kind *kind, int argc, char **argv);

#endif
