/* What the subcommands for administrators share. They open the database beside a running console:
 * SQLite lets one of them write at a time. */
#ifndef CONSOLE_PROGRAM_COMMAND_H
#define CONSOLE_PROGRAM_COMMAND_H

#include "common/attributes.h"
#include "common/crypto/random.h"
#include "console/program/console.h"
#include "console/store/console_store.h"

#include <getopt.h>
#include <jansson.h>

/* Says it on standard error; 1, the exit code. */
int command_failed(const char *what, int error);
/* Opens what the settings name, and says why it cannot. < 0. */
int command_open_store(const struct console_settings *settings,
                       struct console_store **ret_store) MUST_USE;
/* Opens the store, runs work, closes it. what: said on failure. The exit code. */
int command_write(const struct console_settings *settings, console_store_work *work, void *user,
                  const char *what);
int command_read(const struct console_settings *settings, console_store_work *work, void *user,
                 const char *what);
/* An audit entry of the operating system's user. */
int command_audit(struct sql *sql, const char *action, const char *subject) MUST_USE;

/* Keeps a console from starting on the data folder while the fd is open; says why it cannot. */
int command_lock(const char *data, int *ret_fd) MUST_USE;

/* Takes the options of argv[first] and on, which may stand before and after other words: each goes
 * to take, which answers 0, or < 0 for a wrong value. Says what is wrong. The number of other
 * words, ret_words, or -EINVAL. */
int command_options(int argc, char **argv, int first, const struct option *options,
                    int (*take)(void *user, int option, const char *value), void *user,
                    char *const **ret_words) MUST_USE;
/* A whole number of 1..most. -EINVAL. */
int command_parse_count(const char *text, int64_t most, int64_t *ret_count) MUST_USE;
/* Appends a text to an array that is made when NULL. -ENOMEM. */
int command_add_text(json_t **list, const char *text) MUST_USE;
/* The array as JSON text, "[]" for NULL; freed by the caller. NULL: out of memory. */
char *command_list_text(const json_t *list);
/* A group's name or id to its id, "" for "". -ENOENT. */
int command_find_group(struct sql *sql, const char *name,
                       char ret_id[static UUID_TEXT_BYTES]) MUST_USE;
/* A list of their names, NULL for none, to the JSON text of their ids; freed by the caller. */
int command_find_groups(struct sql *sql, const json_t *names, char **ret_ids) MUST_USE;
/* Where something that is made belongs. */
struct command_place {
    const char *group, *policy;       /* names or ids, as given; "" for none */
    const char *group_id, *policy_id; /* set by command_place_find; NULL: none */
    char group_text[UUID_TEXT_BYTES], policy_text[UUID_TEXT_BYTES];
};
/* -ENOENT. */
int command_place_find(struct sql *sql, struct command_place *place) MUST_USE;

/* Writes a text so that it stays in its column of a tab-separated table: escaped, "-" for "". */
void command_print_cell(const char *text, bool last);
/* "2026-11-22T01:02:03Z", "-" for 0. */
void command_print_time(int64_t time_ms, bool last);

#endif
