/* An SQL text made at run time with its parameters. Values go in as parameters only: never as part
 * of the text. */
#ifndef CONSOLE_STORE_QUERY_H
#define CONSOLE_STORE_QUERY_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "console/store/sql.h"

#define QUERY_PARAMETERS_MAXIMUM 48

struct query {
    struct buffer text;
    struct {
        char *text; /* owned; NULL: a number */
        int64_t number;
    } parameters[QUERY_PARAMETERS_MAXIMUM];
    int count;
    int error;
};

void query_init(struct query *query);
void query_done(struct query *query);
#define AUTO_QUERY CLEANUP(query_done)
/* Literal SQL of the program. */
void query_add(struct query *query, const char *sql);
/* "$n", bound to a copy of text. */
void query_add_text(struct query *query, const char *text);
void query_add_number(struct query *query, int64_t number);
/* Prepared and bound; the texts live in the query. */
int query_prepare(struct query *query, struct sql *sql,
                  struct sql_statement **ret_statement) MUST_USE;

#endif
