/* A computer in a store, for a test that asks for no more of it than this. */
#ifndef TESTS_UNIT_CONSOLE_COMPUTER_ROW_H
#define TESTS_UNIT_CONSOLE_COMPUTER_ROW_H

#include "common/attributes.h"
#include "console/store/sql.h"

#include <stdint.h>

/* Its id and its certificate are "c" and the number. NULL: no group, an empty text. */
struct computer_row {
    int64_t number, last_seen_ms;
    const char *group_id, *session, *policy_digest;
};

/* An active one of the host "h", machine "m", agent "1"; its certificate expires at 99 ms. */
int computer_row_add(struct sql *sql, const struct computer_row *row) MUST_USE;

#endif
