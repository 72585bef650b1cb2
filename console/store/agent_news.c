/* Owns the cursor agent_news. Must not know who waits: console/agents does. */
#include "console/store/agent_news.h"

#include "console/store/console_store.h"

int agent_news_note(struct sql *sql)
{
    return sql_run(sql,
                   "INSERT INTO cursors (name, number) VALUES ('agent_news', $1) ON CONFLICT (name)"
                   " DO UPDATE SET number = excluded.number",
                   NULL, "n", console_store_new_number());
}
