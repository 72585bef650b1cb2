/* Hides what looks like a secret in a line of a configuration file: the value behind a name such as
 * password or token, the credentials of an address, and long runs that only a machine would write.
 * Thread-safe: no state. */
#ifndef AGENT_INSPECTOR_LINE_SECRETS_H
#define AGENT_INSPECTOR_LINE_SECRETS_H

#include <stddef.h>

/* In place: the secret's bytes become '*'. Never longer than it was. */
void line_secrets_hide(char *line, size_t length);

#endif
