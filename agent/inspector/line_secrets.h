/* Hides what looks like a secret in a line of a configuration file: the value behind a name such as
 * password or token, the credentials of an address, and long runs that only a machine would write.
 * Thread-safe: no state. */
#ifndef AGENT_INSPECTOR_LINE_SECRETS_H
#define AGENT_INSPECTOR_LINE_SECRETS_H

#include <stddef.h>

/* In place: the secret's bytes become '*'. Never longer than it was. */
void line_secrets_hide(char *line, size_t length);
/* The same for what a program said in its log, where "Failed password for bob" hides nothing: of
 * named values only those behind a sign (password=x, token: x, --password x); and what commands are
 * given (mysql -px, curl -u user:x) and headers say (Authorization: Basic x, Bearer x). */
void line_secrets_hide_said(char *line, size_t length);

#endif
