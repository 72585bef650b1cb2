/* Owns the tables and indexes. Every filter the API offers has its index here; the store's test
 * holds the query plans to that. KEY is the type of a 64-bit primary key. */
#include "console/store/schema.h"

#define TABLES_1(KEY)                                                                               \
    "CREATE TABLE node_starts (id BIGINT PRIMARY KEY, starts BIGINT NOT NULL);"                     \
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);"                               \
                                                                                                    \
    "CREATE TABLE policies (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, name TEXT NOT NULL,"       \
    " revision BIGINT NOT NULL, text TEXT NOT NULL, parent TEXT NOT NULL, author TEXT NOT NULL,"    \
    " changed_ms BIGINT NOT NULL, UNIQUE (org_id, name));"                                          \
    "CREATE TABLE policy_revisions (policy_id TEXT NOT NULL, revision BIGINT NOT NULL,"             \
    " text TEXT NOT NULL, author TEXT NOT NULL, changed_ms BIGINT NOT NULL,"                        \
    " PRIMARY KEY (policy_id, revision));"                                                          \
    "CREATE TABLE policy_bodies (digest TEXT PRIMARY KEY, body TEXT NOT NULL);"                     \
                                                                                                    \
    "CREATE TABLE groups (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, name TEXT NOT NULL,"         \
    " policy_id TEXT, UNIQUE (org_id, name));"                                                      \
                                                                                                    \
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, hash TEXT NOT NULL UNIQUE,"  \
    " name TEXT NOT NULL, group_id TEXT, policy_id TEXT, tags TEXT NOT NULL, cidrs TEXT NOT NULL,"  \
    " expires_ms BIGINT NOT NULL, uses_left BIGINT NOT NULL, uses BIGINT NOT NULL,"                 \
    " created_ms BIGINT NOT NULL, created_by TEXT NOT NULL, revoked_ms BIGINT NOT NULL);"           \
                                                                                                    \
    "CREATE TABLE computers (number " KEY ", id TEXT NOT NULL UNIQUE, org_id BIGINT NOT NULL,"      \
    " state TEXT NOT NULL, hostname TEXT NOT NULL, display_name TEXT NOT NULL, os TEXT NOT NULL,"   \
    " agent_version TEXT NOT NULL, address TEXT NOT NULL, machine_id TEXT NOT NULL,"                \
    " instance_id TEXT NOT NULL, session TEXT NOT NULL, retired_session TEXT NOT NULL,"             \
    " blocked_session TEXT NOT NULL, session_ms BIGINT NOT NULL,"                                   \
    " group_id TEXT, policy_id TEXT, tags TEXT NOT NULL, token_id TEXT NOT NULL,"                   \
    " certificate TEXT NOT NULL UNIQUE, next_certificate TEXT UNIQUE,"                              \
    " certificate_expires_ms BIGINT NOT NULL, activated_ms BIGINT NOT NULL,"                        \
    " last_seen_ms BIGINT NOT NULL, policy_digest TEXT NOT NULL, policy_revision BIGINT NOT NULL,"  \
    " applied_digest TEXT NOT NULL, applied_problem TEXT NOT NULL, facts TEXT NOT NULL);"           \
    "CREATE INDEX computers_org ON computers (org_id, number);"                                     \
    "CREATE INDEX computers_name ON computers (org_id, hostname, number);"                          \
    "CREATE INDEX computers_group ON computers (org_id, group_id, number);"                         \
    "CREATE INDEX computers_state ON computers (org_id, state, number);"                            \
    "CREATE INDEX computers_seen ON computers (org_id, state, last_seen_ms);"                       \
    "CREATE INDEX computers_policy ON computers (policy_id);"                                       \
                                                                                                    \
    "CREATE TABLE deliveries (computer BIGINT NOT NULL, epoch TEXT NOT NULL,"                       \
    " acknowledged BIGINT NOT NULL, dropped BIGINT NOT NULL, PRIMARY KEY (computer, epoch));"       \
    "CREATE TABLE events (number " KEY ", org_id BIGINT NOT NULL, computer BIGINT NOT NULL,"        \
    " id TEXT NOT NULL, epoch TEXT NOT NULL, agent_number BIGINT NOT NULL,"                         \
    " time_ms BIGINT NOT NULL, module TEXT NOT NULL, kind TEXT NOT NULL,"                           \
    " severity BIGINT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL);"                      \
    "CREATE INDEX events_computer ON events (computer, severity, number);"                          \
    "CREATE INDEX events_kind ON events (kind, severity, number);"                                  \
    "CREATE INDEX events_module ON events (module, severity, number);"                              \
    "CREATE INDEX events_severity ON events (severity, number);"                                    \
    "CREATE TABLE event_counts (org_id BIGINT NOT NULL, hour BIGINT NOT NULL,"                      \
    " module TEXT NOT NULL, severity BIGINT NOT NULL, count BIGINT NOT NULL,"                       \
    " PRIMARY KEY (org_id, hour, module, severity));"                                               \
                                                                                                    \
    "CREATE TABLE commands (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, computer BIGINT NOT NULL," \
    " type TEXT NOT NULL, arguments TEXT NOT NULL, state TEXT NOT NULL,"                            \
    " created_ms BIGINT NOT NULL, created_by TEXT NOT NULL, expires_ms BIGINT NOT NULL,"            \
    " delivered_ms BIGINT NOT NULL, finished_ms BIGINT NOT NULL, output TEXT NOT NULL);"            \
    "CREATE INDEX commands_computer ON commands (computer, id);"                                    \
    "CREATE INDEX commands_state ON commands (computer, state, id);"                                \
                                                                                                    \
    "CREATE TABLE users (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, name TEXT NOT NULL,"          \
    " role TEXT NOT NULL, groups TEXT NOT NULL, password TEXT NOT NULL,"                            \
    " must_change BIGINT NOT NULL, disabled BIGINT NOT NULL, created_ms BIGINT NOT NULL,"           \
    " totp TEXT NOT NULL, totp_offered TEXT NOT NULL, totp_used BIGINT NOT NULL,"                   \
    " UNIQUE (org_id, name));"                                                                      \
    "CREATE TABLE sessions (hash TEXT PRIMARY KEY, user_id TEXT NOT NULL, csrf TEXT NOT NULL,"      \
    " created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL, address TEXT NOT NULL);"              \
    "CREATE INDEX sessions_user ON sessions (user_id);"                                             \
    "CREATE INDEX sessions_expiry ON sessions (expires_ms);"                                        \
    "CREATE TABLE api_keys (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, name TEXT NOT NULL,"       \
    " hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL, groups TEXT NOT NULL,"                         \
    " expires_ms BIGINT NOT NULL, created_ms BIGINT NOT NULL, created_by TEXT NOT NULL,"            \
    " revoked_ms BIGINT NOT NULL);"                                                                 \
                                                                                                    \
    "CREATE TABLE audit (number " KEY ", org_id BIGINT NOT NULL, time_ms BIGINT NOT NULL,"          \
    " actor TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,"     \
    " detail TEXT NOT NULL, hash TEXT NOT NULL);"

#define ACTIVATION_2                                                                             \
    "ALTER TABLE computers ADD COLUMN account TEXT NOT NULL DEFAULT '';"                         \
    "ALTER TABLE computers ADD COLUMN region TEXT NOT NULL DEFAULT '';"                          \
    "ALTER TABLE computers ADD COLUMN verified_instance TEXT;"                                   \
    "CREATE UNIQUE INDEX computers_instance ON computers (verified_instance);"                   \
    "CREATE TABLE activation_rules (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL,"                \
    " position BIGINT NOT NULL, name TEXT NOT NULL, conditions TEXT NOT NULL, group_id TEXT,"    \
    " policy_id TEXT, tags TEXT NOT NULL, created_ms BIGINT NOT NULL, created_by TEXT NOT NULL," \
    " UNIQUE (org_id, name));"

/* Changes of commands in the order they happened, for those who watch them. */
#define COMMANDS_3                                                       \
    "ALTER TABLE commands ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;" \
    "CREATE INDEX commands_changed ON commands (changed);"

#define BUNDLE_4 "ALTER TABLE commands ADD COLUMN bundle TEXT;"
/* open_key: rule and subject of an alert that is not resolved; null afterwards. */
#define ALERTS_5(KEY)                                                                            \
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL,"                          \
    " expires_ms BIGINT NOT NULL);"                                                              \
    "CREATE TABLE cursors (name TEXT PRIMARY KEY, number BIGINT NOT NULL);"                      \
    "CREATE TABLE alert_rules (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, name TEXT NOT NULL," \
    " severity BIGINT NOT NULL, enabled BIGINT NOT NULL, condition TEXT NOT NULL,"               \
    " created_ms BIGINT NOT NULL, created_by TEXT NOT NULL, UNIQUE (org_id, name));"             \
    "CREATE TABLE alerts (number " KEY ", org_id BIGINT NOT NULL, rule_id TEXT NOT NULL,"        \
    " rule TEXT NOT NULL, severity BIGINT NOT NULL, computer BIGINT NOT NULL,"                   \
    " subject TEXT NOT NULL, detail TEXT NOT NULL, state TEXT NOT NULL, count BIGINT NOT NULL,"  \
    " first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, changed BIGINT NOT NULL,"               \
    " acknowledged_ms BIGINT NOT NULL, acknowledged_by TEXT NOT NULL,"                           \
    " resolved_ms BIGINT NOT NULL, resolved_by TEXT NOT NULL, note TEXT NOT NULL,"               \
    " open_key TEXT UNIQUE);"                                                                    \
    "CREATE INDEX alerts_state ON alerts (org_id, state, number);"                               \
    "CREATE INDEX alerts_rule ON alerts (rule_id, state, computer);"                             \
    "CREATE INDEX alerts_computer ON alerts (computer, number);"                                 \
    "CREATE INDEX alerts_changed ON alerts (changed);"

#define FORWARD_6(KEY)                                                                            \
    "CREATE TABLE destinations (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL, name TEXT NOT NULL," \
    " type TEXT NOT NULL, settings TEXT NOT NULL, secret TEXT NOT NULL, filter TEXT NOT NULL,"    \
    " enabled BIGINT NOT NULL, cursor BIGINT NOT NULL, sent BIGINT NOT NULL,"                     \
    " dead BIGINT NOT NULL, last_sent_ms BIGINT NOT NULL, problem TEXT NOT NULL,"                 \
    " problem_ms BIGINT NOT NULL, revision BIGINT NOT NULL, created_ms BIGINT NOT NULL,"          \
    " created_by TEXT NOT NULL, UNIQUE (org_id, name));"                                          \
    "CREATE TABLE dead_letters (number " KEY ", destination TEXT NOT NULL,"                       \
    " event BIGINT NOT NULL, reason TEXT NOT NULL, time_ms BIGINT NOT NULL);"                     \
    "CREATE INDEX dead_letters_destination ON dead_letters (destination, number);"

/* Sensors that are not hosts. Their numbers are of the same row as computers', so that events and
 * alerts hold either in one column. scope: the group of the key they were first heard with, ''
 * without; a key never speaks for a sensor of another scope. used_ms: of a sensor's run, 0 of an
 * agent's store: runs are forgotten, stores are not. */
#define SENSORS_7(KEY)                                                                       \
    "CREATE TABLE sensor_keys (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL,"                 \
    " hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL, group_id TEXT,"     \
    " policy_id TEXT, expires_ms BIGINT NOT NULL, created_ms BIGINT NOT NULL,"               \
    " created_by TEXT NOT NULL, revoked_ms BIGINT NOT NULL);"                                \
    "CREATE TABLE sensors (number " KEY ", id TEXT NOT NULL UNIQUE, org_id BIGINT NOT NULL," \
    " kind TEXT NOT NULL, scope TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL," \
    " name TEXT NOT NULL, version TEXT NOT NULL, arn TEXT NOT NULL, runtime TEXT NOT NULL,"  \
    " host TEXT NOT NULL, address TEXT NOT NULL, group_id TEXT, policy_id TEXT,"             \
    " key_id TEXT NOT NULL, first_seen_ms BIGINT NOT NULL, last_seen_ms BIGINT NOT NULL,"    \
    " policy_digest TEXT NOT NULL, policy_revision BIGINT NOT NULL,"                         \
    " applied_digest TEXT NOT NULL, applied_problem TEXT NOT NULL, facts TEXT NOT NULL,"     \
    " UNIQUE (org_id, kind, scope, account, region, name));"                                 \
    "CREATE INDEX sensors_kind ON sensors (org_id, kind, name);"                             \
    "CREATE INDEX sensors_seen ON sensors (org_id, last_seen_ms);"                           \
    "ALTER TABLE deliveries ADD COLUMN used_ms BIGINT NOT NULL DEFAULT 0;"                   \
    "CREATE INDEX deliveries_used ON deliveries (used_ms);"

/* Facets: see event_facets.h. Of events that are there already, from 1 on; others have numbers of
 * console_store_new_number, which are larger. Two steps: a column is filled after the transaction
 * that made it. lowest, before: see event_moves.c. */
#define FACETS_8(KEY)                                                                      \
    "CREATE TABLE event_facets (id " KEY ", group_id TEXT NOT NULL, module TEXT NOT NULL," \
    " kind TEXT NOT NULL, severity BIGINT NOT NULL,"                                       \
    " UNIQUE (group_id, module, kind, severity));"                                         \
    "CREATE TABLE event_moves (computer " KEY ", since_ms BIGINT NOT NULL,"                \
    " lowest BIGINT NOT NULL, severity BIGINT NOT NULL, before BIGINT NOT NULL);"          \
    "ALTER TABLE events ADD COLUMN facet BIGINT NOT NULL DEFAULT 0;"
#define FACETS_9                                                                                            \
    "INSERT INTO event_facets (id, group_id, module, kind, severity)"                                       \
    " SELECT row_number() OVER (ORDER BY group_id, module, kind, severity), group_id, module,"              \
    " kind, severity FROM (SELECT DISTINCT COALESCE(computers.group_id, sensors.group_id, '') AS group_id," \
    " events.module AS module, events.kind AS kind, events.severity AS severity FROM events"                \
    " LEFT JOIN computers ON computers.number = events.computer"                                            \
    " LEFT JOIN sensors ON sensors.number = events.computer) AS seen;"                                      \
    "UPDATE events SET facet = (SELECT event_facets.id FROM event_facets WHERE"                             \
    " event_facets.group_id = COALESCE((SELECT computers.group_id FROM computers"                           \
    " WHERE computers.number = events.computer), (SELECT sensors.group_id FROM sensors"                     \
    " WHERE sensors.number = events.computer), '') AND event_facets.module = events.module"                 \
    " AND event_facets.kind = events.kind AND event_facets.severity = events.severity);"                    \
    "DROP INDEX events_kind; DROP INDEX events_module; DROP INDEX events_severity;"                         \
    "CREATE INDEX events_facet ON events (facet, number);"

/* See computer_index.h. Tables whose names begin with index_ are made from others, and not copied
 * into another database. */
#define COMPUTER_INDEX_10                                                                       \
    "CREATE TABLE index_events (computer BIGINT NOT NULL, severity BIGINT NOT NULL,"            \
    " number BIGINT NOT NULL, PRIMARY KEY (computer, severity, number)) WITHOUT ROWID;"         \
    "CREATE TABLE index_filled (id INTEGER PRIMARY KEY, number BIGINT NOT NULL);"               \
    "INSERT INTO index_events (computer, severity, number) SELECT computer, severity, number"   \
    " FROM events ORDER BY computer, severity, number;"                                         \
    "INSERT INTO index_filled (id, number) SELECT 1, COALESCE(max(number), 0) FROM events;"     \
    "DROP INDEX events_computer;"                                                               \
    "CREATE TRIGGER index_events_removed AFTER DELETE ON events BEGIN DELETE FROM index_events" \
    " WHERE computer = old.computer AND severity = old.severity AND number = old.number; END;"

/* signature_sets: what agents of a group get, see signature_set.h; scope: the group, '' for all
 * that have none of their own. */
#define SIGNATURES_11                                                             \
    "CREATE TABLE signature_lists (id TEXT PRIMARY KEY, org_id BIGINT NOT NULL,"  \
    " name TEXT NOT NULL, type TEXT NOT NULL, group_id TEXT, text TEXT NOT NULL," \
    " entries BIGINT NOT NULL, revision BIGINT NOT NULL, author TEXT NOT NULL,"   \
    " changed_ms BIGINT NOT NULL, UNIQUE (org_id, name));"                        \
    "CREATE TABLE signature_sets (scope TEXT PRIMARY KEY, digest TEXT NOT NULL,"  \
    " content TEXT NOT NULL);"                                                    \
    "CREATE TABLE signature_files (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL,"  \
    " size BIGINT NOT NULL, version BIGINT NOT NULL, built_ms BIGINT NOT NULL,"   \
    " source TEXT NOT NULL, added_ms BIGINT NOT NULL);"

const struct database_migration SCHEMA_SQLITE[SCHEMA_VERSION] = {
    {TABLES_1("INTEGER PRIMARY KEY")},
    {ACTIVATION_2},
    {COMMANDS_3},
    {BUNDLE_4},
    {ALERTS_5("INTEGER PRIMARY KEY")},
    {FORWARD_6("INTEGER PRIMARY KEY")},
    {SENSORS_7("INTEGER PRIMARY KEY")},
    {FACETS_8("INTEGER PRIMARY KEY")},
    {FACETS_9},
    {COMPUTER_INDEX_10},
    {SIGNATURES_11},
};

const char *const SCHEMA_POSTGRES[SCHEMA_VERSION] = {
    TABLES_1("BIGINT PRIMARY KEY"),
    ACTIVATION_2,
    COMMANDS_3,
    BUNDLE_4,
    ALERTS_5("BIGINT PRIMARY KEY"),
    FORWARD_6("BIGINT PRIMARY KEY"),
    SENSORS_7("BIGINT PRIMARY KEY"),
    FACETS_8("BIGINT PRIMARY KEY"),
    FACETS_9,
    "SELECT 1", /* a server keeps its index */
    SIGNATURES_11,
};
