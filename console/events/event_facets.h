/* The kinds of events there are: one facet for a group, module, kind and severity. An event holds
 * the number of its facet, so that one index (facet, number) serves every filter for everybody,
 * whatever groups they are limited to: a page is merged from the facets that fit. Facets are made
 * when first seen, and stay. */
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

/* The number of the facet. Beyond LIMIT_EVENT_FACETS modules and kinds count as "other", so that
 * nobody can make pages slow by inventing kinds. In a transaction of the writer. */
int event_facet_number(struct sql *sql, const struct event_facet *facet,
                       int64_t *ret_number) MUST_USE;
/* The group of a computer or sensor, "" for none. */
int event_facet_group(struct sql *sql, int64_t computer, char ret_group[static 64]) MUST_USE;

#endif
