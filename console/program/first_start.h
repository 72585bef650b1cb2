/* What a new database needs: a tenant id, the base policy, and an administrator. */
#ifndef CONSOLE_PROGRAM_FIRST_START_H
#define CONSOLE_PROGRAM_FIRST_START_H

#include "common/attributes.h"
#include "common/crypto/random.h"

struct console_store;

struct console_facts {
    char tenant_id[UUID_TEXT_BYTES];
};

/* Prints the administrator's password on standard output once, unless the file that
 * YAGURA_CONSOLE_PASSWORD_FILE names gives it. Logs what goes wrong. */
int first_start(struct console_store *store, struct console_facts *ret_facts) MUST_USE;

#endif
