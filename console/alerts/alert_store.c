/* Owns the alerts table. Must not decide what is worth an alert. */
#include "console/alerts/alert_store.h"

#include "common/text/text.h"
#include "console/store/console_store.h"
#include "console/store/query.h"

#include <errno.h>

#define ORG 1LL

int alert_raise(struct sql *sql, const struct alert_finding *finding)
{
    char key[512];
    int64_t now = console_store_now_ms(), number = console_store_new_number();
    if (text_format(key, sizeof(key), "%s %s", finding->rule->id, finding->key) < 0)
        return -EINVAL;
    int r = sql_run(sql,
                    "INSERT INTO alerts (number, org_id, rule_id, rule, severity, computer,"
                    " subject, detail, state, count, first_ms, last_ms, changed, acknowledged_ms,"
                    " acknowledged_by, resolved_ms, resolved_by, note, open_key)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10, $11, $12, 0, '', 0,"
                    " '', '', $13) ON CONFLICT (open_key) DO UPDATE SET"
                    " count = alerts.count + excluded.count, last_ms = excluded.last_ms,"
                    " changed = excluded.changed, detail = excluded.detail",
                    NULL, "nnttnnttnnnnt", number, ORG, finding->rule->id, finding->rule->name,
                    (int64_t)finding->rule->severity, finding->computer, finding->subject,
                    finding->detail, finding->count, now, now, number, key);
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (r == 0)
        r = sql_run(sql, "SELECT 1 FROM alerts WHERE number = $1", &row, "n", number);
    return r;
}

static int read_state(struct sql *sql, const struct alert_change *change,
                      const struct viewer *viewer)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT state FROM alerts WHERE number = ");
    query_add_number(&query, change->number);
    if (viewer)
        viewer_limit_computers(viewer, "computer", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    bool open = text_equal(sql_text(row, 0), "open");
    bool resolved = text_equal(sql_text(row, 0), "resolved");
    return resolved || (change->state == ALERT_ACKNOWLEDGED && !open) ? -EALREADY : 0;
}

int alert_change(struct sql *sql, const struct alert_change *change, const struct viewer *viewer)
{
    int64_t now = console_store_now_ms(), changed = console_store_new_number();
    int r = read_state(sql, change, viewer);
    if (r < 0)
        return r;
    if (change->state == ALERT_ACKNOWLEDGED)
        return sql_run(sql,
                       "UPDATE alerts SET state = 'acknowledged', acknowledged_ms = $1,"
                       " acknowledged_by = $2, note = $3, changed = $4 WHERE number = $5",
                       NULL, "nttnn", now, change->by, change->note, changed, change->number);
    return sql_run(sql,
                   "UPDATE alerts SET state = 'resolved', resolved_ms = $1, resolved_by = $2,"
                   " note = CASE WHEN $3 = '' THEN note ELSE $4 END, changed = $5,"
                   " open_key = NULL WHERE number = $6",
                   NULL, "ntttnn", now, change->by, change->note, change->note, changed,
                   change->number);
}

int alert_count(struct sql *sql, const struct viewer *viewer, struct alert_counts *ret_counts)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_counts = (struct alert_counts){0};
    query_init(&query);
    query_add(&query, "SELECT state, count(*) FROM alerts WHERE org_id = ");
    query_add_number(&query, ORG);
    query_add(&query, " AND state IN ('open', 'acknowledged')");
    if (viewer)
        viewer_limit_computers(viewer, "computer", &query.text);
    query_add(&query, " GROUP BY state");
    int r = query_prepare(&query, sql, &row);
    while (r == 0 && (r = sql_step(row)) == 1) {
        *(text_equal(sql_text(row, 0), "open") ? &ret_counts->open : &ret_counts->acknowledged) =
            sql_number(row, 1);
        r = 0;
    }
    return r;
}
