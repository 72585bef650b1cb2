/* Shared by the files of console/api only. */
#ifndef CONSOLE_API_API_INTERNAL_H
#define CONSOLE_API_API_INTERNAL_H

#include "common/json/json_writer.h"
#include "common/wire/wire_read.h"
#include "console/agents/tokens.h"
#include "console/api/api_service.h"
#include "console/people/audit.h"
#include "console/people/viewer.h"
#include "console/store/console_store.h"
#include "console/store/query.h"

#define API_ORG 1LL

/* What a request showed to say who asks. */
struct api_credentials {
    bool by_key;
    char secret[128]; /* the API key, or the session of the cookie */
    char csrf[SECRET_TEXT_BYTES];
    bool change; /* csrf must be right */
    struct viewer viewer;
};
const struct api_credentials *api_credentials_of(const struct http_request *request);
/* A console_store_work: 1 and the viewer, or 0. */
int api_check_credentials(struct sql *sql, void *credentials) MUST_USE;
const struct viewer *api_viewer(const struct http_request *request);
/* For what belongs to no group. False when it has answered: the viewer is limited to some. what:
 * "change groups". */
bool api_sees_all(struct http_request *request, const char *what);
/* After a change of users, keys or sessions: whoever listens is looked at again. */
void api_rights_changed(struct api_service *service);
/* The body as a JSON object with no keys but names; NULL when it has answered 400 or 415. */
json_t *api_body(struct http_request *request, const char *const *names);
/* The same with a reader over it. */
struct api_form {
    json_t *body;
    struct wire_problem problem;
    struct wire_reader reader;
};
/* False when it has answered. The form stays where it is until api_form_done. */
bool api_form_open(struct http_request *request, const char *const *names,
                   struct api_form *ret_form);
void api_form_done(struct api_form *form);
#define AUTO_FORM CLEANUP(api_form_done)
/* Answers 400 with the reader's problem; false when there is none. */
bool api_refused(struct http_request *request, const struct wire_reader *reader);
/* Answers what an error of the store means. -ENOENT 404, -EEXIST 409, -ESTALE 412, others 503. */
void api_respond_error(struct http_request *request, int error);
/* If-None-Match: * makes a new one: -1; If-Match: "REVISION" changes that one. False when it has
 * answered. */
bool api_read_expected(struct http_request *request, int64_t *ret_expected);
/* 204, or what the error means. */
void api_respond_done(struct http_request *request, int result);
/* An audit entry of this request, in the transaction of what it did. detail "": what its body asks
 * for, without secrets. */
int api_audit(struct sql *sql, const struct http_request *request, const char *action,
              const char *subject, const char *detail) MUST_USE;
/* {"key": text} with status. */
void api_respond_text(struct http_request *request, unsigned status, const char *key,
                      const char *text);
void api_write_time(struct json_writer *json, const char *key, int64_t time_ms);
/* A JSON array of strings as text, from the body's list; freed by the caller. NULL: none given or
 * wrong (then the reader failed). each: what an entry must be. */
char *api_read_list(struct wire_reader *reader, const char *key, bool (*each)(const char *text),
                    const char *what);

/* --- secrets that are made, shown once, and revoked: tokens, sensor keys, API keys */

struct api_secret {
    struct http_request *request;
    const char *name, *group, *policy; /* as asked for; "" for none */
    int64_t expires_ms;
    char group_id[UUID_TEXT_BYTES], policy_id[UUID_TEXT_BYTES];
    char id[UUID_TEXT_BYTES], text[SECRET_TEXT_BYTES]; /* what was made */
};
/* name, group, policy, and days of 1 to most_days, from the form; the reader's failure tells. */
void api_secret_read(struct api_form *form, unsigned days, unsigned most_days,
                     struct api_secret *secret);
/* The ids of group and policy, NULL for none; they live in secret. -ENOENT, also for a group that
 * the viewer may not place anything in. */
int api_secret_place(struct sql *sql, struct api_secret *secret, const char **ret_group,
                     const char **ret_policy) MUST_USE;
/* {"id", key: text, "expires"}, or what the error means. */
void api_secret_answer(const struct api_secret *secret, const char *key, int result);
/* Of a table with id, name and group_id, if the viewer sees it. revoke: 1, 0 for none such. */
int api_secret_revoke(struct sql *sql, const struct http_request *request, const char *table,
                      int (*revoke)(struct sql *sql, const char *id), const char *action) MUST_USE;

/* --- lists: one engine for pages of JSON and streams of CSV */

enum list_type { LIST_TEXT, LIST_NUMBER, LIST_TIME, LIST_BOOL, LIST_JSON, LIST_SEVERITY };

struct list_column {
    const char *name;
    enum list_type type;
};

struct list_page {
    struct http_request *request;
    const struct viewer *viewer;
    bool has_cursor;
    int64_t cursor_number;
    const char *cursor_text;
    int64_t limit; /* rows to ask for */
    int64_t online_after_ms;
    bool shared; /* the database is PostgreSQL */
};

struct list {
    const char *name;                  /* of the array in the answer */
    const struct list_column *columns; /* the SELECT's, after column 0, which is the cursor */
    size_t column_count;
    bool cursor_is_text;
    const char *const *filters; /* names of the query parameters it takes, NULL at the end */
    /* Writes the whole SELECT. -EINVAL when it has answered: a filter is wrong. */
    int (*build)(const struct list_page *page, struct query *query);
};
void api_list(struct http_request *request, struct api_service *service, const struct list *list);
/* What a client sends as cursor: base64url of the text, or number, of the last row it has. Whatever
 * it is, it only says where to go on among rows that the client may see. -EINVAL. */
#define LIST_CURSOR_BYTES 512
int list_cursor_read(const char *text, bool is_text, char ret_cursor[static LIST_CURSOR_BYTES],
                     int64_t *ret_number) MUST_USE;
/* A filter's value: 1, 0 when not given, -EINVAL when it has answered. */
int list_filter(const struct list_page *page, const char *name, char *buffer, size_t size) MUST_USE;
/* The end of a SELECT: behind the cursor, in order, at most a page. column: literal SQL; it is
 * column 0. */
void list_end_by_text(const struct list_page *page, struct query *query, const char *column);
void list_end_by_text_descending(const struct list_page *page, struct query *query,
                                 const char *column);
void list_end_by_number_descending(const struct list_page *page, struct query *query,
                                   const char *column);
/* A filter's RFC 3339 time: 1, 0, -EINVAL. */
int list_filter_time(const struct list_page *page, const char *name, int64_t *ret_time_ms) MUST_USE;
/* One object of the list's columns, from the row; column 0 is skipped. */
void list_write_row(struct json_writer *json, const struct list *list, struct sql_statement *row);
/* The query's one row as such an object, without the list's last column (the facts). -ENOENT. */
int list_write_one(const struct list *list, struct query *query, struct sql *sql,
                   struct buffer *output) MUST_USE;

/* "2026-11-22T01:02:03Z", also with a fraction or an offset. */
int api_parse_time(const char *text, int64_t *ret_ms) MUST_USE;
/* Rows as their lists show them; a computer without its facts. */
void api_event_write(struct json_writer *json, struct sql_statement *row);
/* The SELECT of alerts up to WHERE: column 0 is the number, the computer's group comes last. */
void api_alert_select(struct query *query);
void api_alert_write(struct json_writer *json, struct sql_statement *row);
int api_alert_group_column(void);
int api_computer_write(struct sql *sql, const struct api_service *service, int64_t number,
                       struct buffer *output) MUST_USE;
/* The name of the policy that counts for a row of a table joined with groups: its own, its
 * group's, or base. */
#define EFFECTIVE_POLICY_NAME(table)                                                \
    "(SELECT chosen.name FROM policies AS chosen WHERE chosen.id = COALESCE(" table \
    ".policy_id, groups.policy_id, (SELECT base.id FROM policies AS base WHERE"     \
    " base.org_id = " table ".org_id AND base.name = 'base')))"
/* The expression of a computer's status. */
void api_add_status(struct query *query, int64_t online_after_ms);
int64_t api_online_after(const struct api_service *service);
/* Names of groups, users, tokens, keys: 1 to 128 bytes, printable. Policies: a file's name. */
bool api_is_name(const char *text);
bool api_is_policy_name(const char *text);
/* The id of a row by name or id within the organisation; "" when text is "". -ENOENT. */
int api_find_group(struct sql *sql, const char *text, char ret_id[static UUID_TEXT_BYTES]) MUST_USE;
int api_find_policy(struct sql *sql, const char *text,
                    char ret_id[static UUID_TEXT_BYTES]) MUST_USE;

/* --- handlers */

http_handler api_health, api_metrics, api_openapi, api_sentences, api_about, api_overview;
http_handler api_stream_listen;
http_handler api_session_create, api_session_show, api_session_delete, api_password_change;
http_handler api_totp_offer, api_totp_set, api_totp_remove;
http_handler api_computers, api_computer, api_computer_change, api_computer_delete,
    api_computer_deactivate;
http_handler api_events, api_event, api_event_counts;
http_handler api_tokens, api_token_create, api_token_revoke;
http_handler api_rules, api_rule_create, api_rule_change, api_rule_delete;
http_handler api_groups, api_group_create, api_group_change, api_group_delete;
http_handler api_policies, api_policy, api_policy_put, api_policy_delete, api_policy_revisions,
    api_policy_revision, api_policy_effective, api_policy_diff, api_policy_restore;
http_handler api_commands, api_command_create, api_bundle;
http_handler api_removal_code_computer, api_removal_code_group, api_removal_code_all;
http_handler api_deployment_script;
http_handler api_alerts, api_alert, api_alert_acknowledge, api_alert_resolve;
http_handler api_alert_rules, api_alert_rule_create, api_alert_rule_change, api_alert_rule_delete;
http_handler api_policy_validate;
http_handler api_destinations, api_destination_create, api_destination_change,
    api_destination_delete, api_destination_test, api_dead_letters;
/* A console_store_work: appends to a buffer. */
int api_destination_metrics(struct sql *sql, void *body) MUST_USE;
http_handler api_users, api_user_create, api_user_change, api_user_delete;
http_handler api_keys, api_key_create, api_key_revoke;
http_handler api_signing_key, api_signing_key_change;
/* A sensor without facts, as its list shows it; -ENOENT. */
int api_sensor_write(struct sql *sql, const struct api_service *service, int64_t number,
                     struct buffer *output) MUST_USE;
http_handler api_sensors, api_sensor, api_sensor_change, api_sensor_delete;
http_handler api_sensor_keys, api_sensor_key_create, api_sensor_key_revoke;
http_handler api_signature_lists, api_signature_list, api_signature_list_put,
    api_signature_list_delete, api_signature_list_add;
http_handler api_signature_files, api_signature_file_delete;
http_handler api_audit_log;

#endif
