/* The kinds of events there are: one facet for a group, module, kind and severity. An event holds
 * the number of its facet, so that one index (facet, number) serves every filter for everybody,
 * whatever groups they are limited to: a page is merged from the facets that fit. Facets are made
 * when first seen, and go with the last of their events. */
#ifndef CONSOLE_EVENTS_EVENT_FACETS_H
#define CONSOLE_EVENTS_EVENT_FACETS_H

#include "common/attributes.h"
#include "console/store/sql.h"

#include <stdint.h>

struct event_facet {
    const char *group; /* of the computer or sensor; "": none */
    const char *module, *kind;
    unsigned severity;
};

/* In a transaction of the writer, before events get numbers of facets in it: until it ends nobody
 * removes any, and what was remembered of others is forgotten. */
int event_facets_hold(struct sql *sql) MUST_USE;
/* The number of the facet. In a group beyond LIMIT_EVENT_FACETS_MODULE of a module its kinds,
 * beyond LIMIT_EVENT_FACETS modules and kinds count as "other", so that nobody can make pages slow
 * by inventing kinds, or spoil the lists of others: a sensor's module is its kind. In a transaction
 * of the writer. */
int event_facet_number(struct sql *sql, const struct event_facet *facet,
                       int64_t *ret_number) MUST_USE;
/* The group of a computer or sensor, "" for none. */
int event_facet_group(struct sql *sql, int64_t computer, char ret_group[static 64]) MUST_USE;
/* Facets without events. Works for the store: 1 when there is one; then removes a piece of them,
 * user: an int64_t, how many. */
#define EVENT_FACETS_A_PIECE 1000
int event_facets_look_unused(struct sql *sql, void *user) MUST_USE;
int event_facets_remove_unused(struct sql *sql, void *user) MUST_USE;

#endif
