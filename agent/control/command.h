/* yaguractl's command line: one table of commands and their options, from which parsing, --help and
 * the shell's completion are made. */
#ifndef AGENT_CONTROL_COMMAND_H
#define AGENT_CONTROL_COMMAND_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

/* Exit codes of every command. */
enum { EXIT_CLEAN = 0, EXIT_FOUND = 1, EXIT_ERROR = 2 };

#define COMMAND_OPTIONS 24 /* most options of one command, the global ones included */

struct command_option {
    const char *name;     /* long form, without the dashes */
    char letter;          /* short form, or 0 */
    const char *argument; /* what its argument is called; NULL: it takes none */
    const char *choices;  /* "a|b|c" for completion, or NULL; "FILE": a file name */
    const char *meaning;
};

struct agent_config;
struct invocation;

struct command {
    const char *name;      /* one word, or two: "quarantine list" */
    const char *arguments; /* for --help: "PATH...", "" */
    size_t least, most;    /* how many arguments */
    const char *summary;
    const struct command_option *options;            /* ended by one without a name; may be NULL */
    const char *more;                                /* further lines of help, or NULL */
    int (*run)(const struct invocation *invocation); /* exit code */
    bool local; /* needs neither the agent nor its configuration */
};

extern const struct command_option global_options[];
/* All of them, ended by NULL; set by the program before command_parse. */
extern const struct command *const *commands;

/* What was asked for. */
struct invocation {
    const struct command *command;
    const char *given[COMMAND_OPTIONS]; /* by the position among global_options, then options:
                                           the argument, or "" for options without; NULL: not */
    char **arguments;
    size_t argument_count;
    const struct agent_config *config; /* NULL when --socket made it needless */
    const char *socket;                /* of the agent: --socket, or as the configuration says */
    bool json;
};

/* Reads argv. 0 and ret_invocation: run it; 1: --help or --version was answered; -EINVAL: told on
 * standard error. */
int command_parse(int argc, char **argv, struct invocation *ret_invocation) MUST_USE;

/* The argument of an option ("" when it takes none), or NULL when it was not given. */
const char *command_option(const struct invocation *invocation, const char *name);
static inline bool command_has(const struct invocation *invocation, const char *name)
{
    return command_option(invocation, name) != NULL;
}

/* "yaguractl: ..." on standard error; returns EXIT_ERROR. */
int command_fail(const char *format, ...) PRINTF_LIKE(1, 2);

/* A script for bash, made from the table. */
int command_print_completion(const struct invocation *invocation);

#endif
