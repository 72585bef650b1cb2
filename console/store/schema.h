/* The tables of the console. Only types and clauses that SQLite, PostgreSQL and those who speak its
 * protocol share; times are ms since 1970; numbers are made in C (see console_store_new_number). */
#ifndef CONSOLE_STORE_SCHEMA_H
#define CONSOLE_STORE_SCHEMA_H

#include "common/database/database.h"

#define SCHEMA_VERSION 11
extern const struct database_migration SCHEMA_SQLITE[SCHEMA_VERSION];
extern const char *const SCHEMA_POSTGRES[SCHEMA_VERSION];

#endif
