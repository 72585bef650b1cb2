/* Owns the columns that no test cares for. */
#include "tests/unit/console/computer_row.h"

#include "common/text/text.h"

int computer_row_add(struct sql *sql, const struct computer_row *row)
{
    char name[24];
    (void)text_format(name, sizeof(name), "c%lld", (long long)row->number);
    return sql_run(sql,
                   "INSERT INTO computers (number, id, org_id, state, hostname, display_name, os,"
                   " agent_version, address, machine_id, instance_id, session, retired_session,"
                   " blocked_session, session_ms, group_id, tags, token_id, certificate,"
                   " certificate_expires_ms, activated_ms, last_seen_ms, policy_digest,"
                   " policy_revision, applied_digest, applied_problem, facts)"
                   " VALUES ($1, $2, 1, 'active', 'h', '', '', '1', '', 'm', '', $3, '', '', 0, $4,"
                   " '[]', '', $2, 99, 0, $5, $6, 0, '', '', '{}')",
                   NULL, "ntttnt", row->number, name, row->session ? row->session : "",
                   row->group_id, row->last_seen_ms, row->policy_digest ? row->policy_digest : "");
}
