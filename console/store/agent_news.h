/* The number of the last change that agents which wait are to hear of: of policies, groups,
 * signatures, and of who gets service. Commands tell of themselves, by commands.changed. */
#ifndef CONSOLE_STORE_AGENT_NEWS_H
#define CONSOLE_STORE_AGENT_NEWS_H

#include "common/attributes.h"
#include "console/store/sql.h"

/* An expression of it, NULL before the first change. */
#define AGENT_NEWS "(SELECT number FROM cursors WHERE name = 'agent_news')"

/* In the transaction that makes the change. */
int agent_news_note(struct sql *sql) MUST_USE;

#endif
