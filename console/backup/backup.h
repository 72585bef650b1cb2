/* A backup is a folder: console.db (SQLite, whatever the console's database is), the key files, and
 * manifest.json with the SHA-256 of each. It appears under its name only when it is complete. */
#ifndef CONSOLE_BACKUP_BACKUP_H
#define CONSOLE_BACKUP_BACKUP_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define BACKUP_DATABASE "console.db"
/* The key files, NULL at the end; the first ones must be there, the others may. */
extern const char *const BACKUP_KEYS[];
#define BACKUP_KEYS_NEEDED 3

struct backup_facts {
    int64_t made_ms, computers, events; /* of the manifest */
    char version[64];
};

/* data: the console's folder; database: its SQLite file or URL. The console may run. -EEXIST when
 * folder is there. ret_problem: 512 bytes, says what is wrong. */
int backup_make(const char *data, const char *database, const char *folder,
                struct backup_facts *ret_facts, char ret_problem[static 512]) MUST_USE;

/* Checks the manifest against the files. -EBADMSG, -EPROTO made by a newer console. */
int backup_check(const char *folder, struct backup_facts *ret_facts,
                 char ret_problem[static 512]) MUST_USE;

/* Puts a checked backup with its facts into data and database. Nothing else may use them: the
 * caller holds the lock. Without force: -EEXIST when something is there already; with it, old files
 * are moved into data/before-restore-MS. A PostgreSQL database must be empty in any case. */
int backup_restore(const char *folder, const struct backup_facts *facts, const char *data,
                   const char *database, bool force, char ret_problem[static 512]) MUST_USE;

#endif
