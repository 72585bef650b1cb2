/* Owns texts that are put together at run time, and their parameters. */
#include "console/store/query.h"

#include <errno.h>

#define TEXT_MAXIMUM 65536

void query_init(struct query *query)
{
    *query = (struct query){.text = BUFFER_WITH_MAXIMUM(TEXT_MAXIMUM)};
}

void query_done(struct query *query)
{
    for (int i = 0; i < query->count; i++)
        free(query->parameters[i].text);
    query->count = 0;
    buffer_done(&query->text);
}

void query_add(struct query *query, const char *sql)
{
    (void)buffer_append_text(&query->text, sql); /* a failure shows in query_prepare */
}

static void add_parameter(struct query *query, char *text, int64_t number)
{
    if (query->count == QUERY_PARAMETERS_MAXIMUM) {
        query->error = -E2BIG;
        free(text);
        return;
    }
    query->parameters[query->count].text = text;
    query->parameters[query->count].number = number;
    query->count++;
    (void)buffer_append_format(&query->text, "$%d", query->count);
}

void query_add_text(struct query *query, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        query->error = -ENOMEM;
    else
        add_parameter(query, copy, 0);
}

void query_add_number(struct query *query, int64_t number)
{
    add_parameter(query, NULL, number);
}

int query_prepare(struct query *query, struct sql *sql, struct sql_statement **ret_statement)
{
    if (query->error)
        return query->error;
    int r = buffer_failed(&query->text);
    if (r == 0)
        r = sql_prepare_once(sql, buffer_text(&query->text), ret_statement);
    for (int i = 0; r == 0 && i < query->count; i++) {
        if (query->parameters[i].text)
            sql_bind_text(*ret_statement, i + 1, query->parameters[i].text);
        else
            sql_bind_number(*ret_statement, i + 1, query->parameters[i].number);
    }
    return r;
}
