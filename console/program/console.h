/* The running console: what its parts share. Made and taken down by serve.c in one visible order.
 */
#ifndef CONSOLE_PROGRAM_CONSOLE_H
#define CONSOLE_PROGRAM_CONSOLE_H

#include "common/attributes.h"
#include "console/agents/agent_service.h"
#include "console/api/api_service.h"
#include "console/program/console_settings.h"

/* Subcommands: argv[0] is the subcommand's name. Exit codes: 0 done, 1 failed, 2 wrong use. */
int console_serve(const struct console_settings *settings, int argc, char **argv);
int console_token(const struct console_settings *settings, int argc, char **argv);
int console_rule(const struct console_settings *settings, int argc, char **argv);
int console_api_key(const struct console_settings *settings, int argc, char **argv);
int console_sensor_key(const struct console_settings *settings, int argc, char **argv);
int console_signatures(const struct console_settings *settings, int argc, char **argv);
int console_keys(const struct console_settings *settings, int argc, char **argv);
int console_removal_code(const struct console_settings *settings, int argc, char **argv);
int console_backup(const struct console_settings *settings, int argc, char **argv);
int console_restore(const struct console_settings *settings, int argc, char **argv);
int console_migrate(const struct console_settings *settings, int argc, char **argv);
int console_user(const struct console_settings *settings, int argc, char **argv);
int console_verify_audit(const struct console_settings *settings, int argc, char **argv);
int console_pin(const struct console_settings *settings, int argc, char **argv);

/* The SQLite file or the URL, 4096 bytes. */
int console_database(const struct console_settings *settings, char ret_place[static 4096]) MUST_USE;

#endif
