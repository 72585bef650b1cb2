/* Owns lists of signatures over the API. A list is checked by yagura-scanner before it is stored;
 * ETag and If-Match carry the revision. A list is for all computers or for one group: whoever is
 * limited to groups changes only theirs. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/signatures/hash_list.h"
#include "console/signatures/mirror_entry.h"
#include "console/signatures/signature_list.h"
#include "console/signatures/signature_sets.h"

#include <errno.h>

static const struct list_column LIST_COLUMNS[] = {
    {"name", LIST_TEXT},      {"type", LIST_TEXT},       {"group", LIST_TEXT},
    {"entries", LIST_NUMBER}, {"revision", LIST_NUMBER}, {"author", LIST_TEXT},
    {"changed", LIST_TIME}};

/* Those for all are seen by everybody: they are in force on everybody's computers. */
static void add_visible(struct query *query, const struct viewer *viewer)
{
    query_add(query, " AND (lists.group_id IS NULL OR (1 = 1");
    viewer_limit_groups(viewer, "lists.group_id", &query->text);
    query_add(query, "))");
}

static int build_lists(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT lists.name, lists.name, lists.type, groups.name, lists.entries,"
                     " lists.revision, lists.author, lists.changed_ms"
                     " FROM signature_lists AS lists"
                     " LEFT JOIN groups ON groups.id = lists.group_id WHERE lists.org_id = ");
    query_add_number(query, API_ORG);
    add_visible(query, page->viewer);
    list_end_by_text(page, query, "lists.name");
    return 0;
}

static const struct list LISTS = {.name = "lists",
                                  .columns = LIST_COLUMNS,
                                  .column_count = ARRAY_LENGTH(LIST_COLUMNS),
                                  .cursor_is_text = true,
                                  .build = build_lists};

void api_signature_lists(struct http_request *request, void *user)
{
    api_list(request, user, &LISTS);
}

/* --- one list */

struct list_get {
    const struct viewer *viewer;
    const char *name;
    char tag[32];
    struct buffer body;
};

static int read_list(struct sql *sql, void *user)
{
    struct list_get *get = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT lists.name, lists.type, groups.name, lists.entries, lists.revision,"
                    " lists.author, lists.changed_ms, lists.text, COALESCE(lists.group_id, '')"
                    " FROM signature_lists AS lists LEFT JOIN groups ON groups.id = lists.group_id"
                    " WHERE lists.org_id = $1 AND lists.name = $2",
                    &row, "nt", API_ORG, get->name);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    if (sql_text(row, 8)[0] && !viewer_may_place(get->viewer, sql_text(row, 8)))
        return -ENOENT;
    struct json_writer json;
    json_writer_init(&json, &get->body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", sql_text(row, 0));
    json_write_field_string(&json, "type", sql_text(row, 1));
    json_write_field_string(&json, "group", sql_text(row, 2));
    json_write_field_number(&json, "entries", sql_number(row, 3));
    json_write_field_number(&json, "revision", sql_number(row, 4));
    json_write_field_string(&json, "author", sql_text(row, 5));
    api_write_time(&json, "changed", sql_number(row, 6));
    json_write_field_string(&json, "text", sql_text(row, 7));
    json_write_object_end(&json);
    (void)text_format(get->tag, sizeof(get->tag), "\"%lld\"", (long long)sql_number(row, 4));
    return 0;
}

static void respond_list(struct http_request *request, struct api_service *service,
                         const char *name, unsigned status)
{
    struct list_get get = {.viewer = api_viewer(request), .name = name};
    buffer_init(&get.body, 8 * LIMIT_SIGNATURE_LIST_BYTES);
    int r = console_store_read(service->store, read_list, &get);
    if (r < 0) {
        api_respond_error(request, r);
    } else {
        http_response_header(request, "ETag", get.tag);
        http_respond_buffer(request, status, "application/json", &get.body);
    }
    buffer_done(&get.body);
}

void api_signature_list(struct http_request *request, void *user)
{
    respond_list(request, user, http_request_segment(request, 0), 200);
}

/* --- change */

struct list_change {
    struct http_request *request;
    struct signature_list list;
    const char *group;
    struct hash_entry entry;
    struct signature_list_row row;
    char group_id[UUID_TEXT_BYTES];
    int64_t expected, revision;
    bool added;
};

/* Finds the list, the group that it is to be of, and the one that it is of: both must be the
 * viewer's. */
static int place(struct sql *sql, struct list_change *change)
{
    const struct viewer *viewer = api_viewer(change->request);
    int r = signature_list_find(sql, change->list.name, &change->row);
    if (r == 0 && change->row.revision >= 0 && !viewer_may_place(viewer, change->row.group_id))
        return -EPERM;
    if (r < 0 || !change->group)
        return r;
    r = api_find_group(sql, change->group, change->group_id);
    if (r == 0 && !viewer_may_place(viewer, change->group_id))
        return -EPERM;
    change->list.group_id = change->group_id[0] ? change->group_id : NULL;
    return r;
}

static int store_list(struct sql *sql, void *user)
{
    struct list_change *change = user;
    char detail[96];
    int r = place(sql, change);
    if (r == 0 && change->row.revision != change->expected)
        r = -ESTALE;
    if (r == 0)
        r = signature_list_put(sql, &change->list, &change->row, &change->revision);
    (void)text_format(detail, sizeof(detail), "{\"type\":\"%s\",\"revision\":%lld}",
                      change->list.type, (long long)change->revision);
    return r < 0 ? r
                 : api_audit(sql, change->request,
                             change->expected < 0 ? "signatures_created" : "signatures_changed",
                             change->list.name, detail);
}

static void respond_failure(struct http_request *request, int error)
{
    if (error == -EPERM)
        http_respond_problem(request, 403, "not_allowed",
                             "you are limited to groups: give the list a group of yours");
    else if (error == -EXFULL)
        http_respond_problem(request, 409, "too_many",
                             "the lists for all, or those of this group, would be more than their "
                             "half of %d lists, %d bytes or %d allowed contents: delete some",
                             LIMIT_SIGNATURE_LISTS, LIMIT_SIGNATURE_SET_BYTES,
                             LIMIT_SIGNATURE_HASHES);
    else
        api_respond_error(request, error);
}

/* Heartbeats say it from now on; when it fails, a little later. */
static void refresh_sets(struct api_service *service)
{
    (void)!signature_sets_refresh(service->agents->signatures, service->store);
}

/* False when it has answered. */
static bool judge(struct http_request *request, const struct api_service *service,
                  struct list_change *change)
{
    char problem[SIGNATURE_PROBLEM_BYTES];
    size_t entries = 0;

    int r = signature_judge_text(&service->judge, change->list.type, change->list.text, &entries,
                                 problem);
    change->list.entries = (int64_t)entries;
    if (r == -EINVAL) {
        http_respond_problem(request, 422, "signatures_refused", "%s", problem);
    } else if (r == -EAGAIN) {
        http_response_header(request, "Retry-After", "2");
        http_respond_problem(request, 503, "busy", "other signatures are being checked");
    } else if (r == -ENOENT) {
        http_respond_problem(request, 503, "no_scanner",
                             "install yagura-scanner on the console's machine (%s): it checks "
                             "signatures",
                             service->judge.program);
    } else if (r < 0) {
        http_respond_problem(request, 503, "check_failed", "%s",
                             problem[0] ? problem : strerrordesc_np(-r));
    }
    return r == 0;
}

static bool is_list_name(struct http_request *request, const char *name)
{
    if (signature_is_list_name(name))
        return true;
    http_respond_problem(request, 400, "bad_name",
                         "a list's name is 1 to 64 of letters, digits, '.', '_' and '-', and "
                         "begins with a letter or digit");
    return false;
}

void api_signature_list_put(struct http_request *request, void *user)
{
    static const char *const names[] = {"type", "text", "group", NULL};
    struct api_service *service = user;
    struct list_change change = {.request = request};
    change.list.name = http_request_segment(request, 0);
    change.list.author = api_viewer(request)->actor;
    if (!is_list_name(request, change.list.name) || !api_read_expected(request, &change.expected))
        return;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    change.list.type = wire_read_text(&form.reader, "type", 1, 16, NULL);
    change.list.text = wire_read_text(&form.reader, "text", 0, LIMIT_SIGNATURE_LIST_BYTES, NULL);
    change.group = wire_read_text(&form.reader, "group", 0, 128, "");
    if (!form.reader.error && !signature_is_type(change.list.type))
        wire_fail(&form.reader, "type must be allow, deny, hdb, hsb, ndb, ldb, fp, sfp, ign2 or "
                                "yara");
    if (api_refused(request, &form.reader) || !judge(request, service, &change))
        return;
    int r = console_store_write(service->store, store_list, &change);
    if (r < 0) {
        respond_failure(request, r);
        return;
    }
    refresh_sets(service);
    respond_list(request, service, change.list.name, change.expected < 0 ? 201 : 200);
}

static int delete_list(struct sql *sql, void *user)
{
    struct list_change *change = user;
    int r = place(sql, change);
    if (r == 0)
        r = signature_list_delete(sql, change->list.name, &change->row);
    return r < 0 ? r : api_audit(sql, change->request, "signatures_deleted", change->list.name, "");
}

void api_signature_list_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct list_change change = {.request = request};
    change.list.name = http_request_segment(request, 0);
    int r = console_store_write(service->store, delete_list, &change);
    if (r < 0) {
        respond_failure(request, r);
        return;
    }
    refresh_sets(service);
    http_respond(request, 204, NULL, NULL, 0);
}

/* --- one hash more, as from an event */

static int add_hash(struct sql *sql, void *user)
{
    struct list_change *change = user;
    char detail[192];
    int r = place(sql, change);
    if (r == 0)
        r = signature_list_add(sql, &change->list, &change->row, &change->entry);
    change->added = r == 1;
    (void)text_format(detail, sizeof(detail), "{\"type\":\"%s\",\"hash\":\"%s\"}",
                      change->list.type, change->entry.hash);
    return r <= 0 ? r : api_audit(sql, change->request, "hash_listed", change->list.name, detail);
}

static int take_entry(void *user, const struct hash_entry *entry)
{
    *(struct hash_entry *)user = *entry;
    return 0;
}

/* Hash and name as one line of a list, so that they are judged as such. */
static bool read_entry(struct wire_reader *reader, struct hash_entry *ret_entry)
{
    struct hash_list_problem problem;
    char line[256];
    size_t count = 0;
    const char *hash = wire_read_text(reader, "hash", 32, 64, NULL);
    const char *name = wire_read_text(reader, "name", 0, HASH_NAME_BYTES - 1, "");

    if (reader->error)
        return false;
    if (strchr(hash, '\n') || strchr(name, '\n') || strchr(name, '#') || strchr(hash, '#') ||
        text_format(line, sizeof(line), "%s %s", hash, name) < 0 ||
        hash_list_read(line, 1, take_entry, ret_entry, &count, &problem) < 0 || count != 1)
        wire_fail(reader, "hash must be an MD5, SHA-1 or SHA-256 in hexadecimal");
    return reader->error == 0;
}

void api_signature_list_add(struct http_request *request, void *user)
{
    static const char *const names[] = {"type", "hash", "name", "group", NULL};
    struct api_service *service = user;
    struct list_change change = {.request = request};
    change.list.name = http_request_segment(request, 0);
    change.list.author = api_viewer(request)->actor;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!is_list_name(request, change.list.name) || !api_form_open(request, names, &form))
        return;
    change.list.type = wire_read_text(&form.reader, "type", 1, 16, NULL);
    change.group = wire_read_text(&form.reader, "group", 0, 128, "");
    if (!form.reader.error && !signature_is_hash_type(change.list.type))
        wire_fail(&form.reader, "type must be allow or deny");
    (void)read_entry(&form.reader, &change.entry);
    if (api_refused(request, &form.reader))
        return;
    int r = console_store_write(service->store, add_hash, &change);
    if (r < 0) {
        respond_failure(request, r);
        return;
    }
    refresh_sets(service);
    respond_list(request, service, change.list.name, change.added ? 201 : 200);
}

/* --- the mirror */

static const struct list_column FILE_COLUMNS[] = {{"name", LIST_TEXT},   {"sha256", LIST_TEXT},
                                                  {"size", LIST_NUMBER}, {"version", LIST_NUMBER},
                                                  {"built", LIST_TIME},  {"source", LIST_TEXT},
                                                  {"added", LIST_TIME}};

static int build_files(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT name, name, sha256, size, version, built_ms, source, added_ms"
                     " FROM signature_files WHERE 1 = 1");
    list_end_by_text(page, query, "name");
    return 0;
}

static const struct list FILES = {.name = "files",
                                  .columns = FILE_COLUMNS,
                                  .column_count = ARRAY_LENGTH(FILE_COLUMNS),
                                  .cursor_is_text = true,
                                  .build = build_files};

void api_signature_files(struct http_request *request, void *user)
{
    api_list(request, user, &FILES);
}

static int delete_file(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *name = http_request_segment(request, 0);
    int r = mirror_entry_delete(sql, name);
    return r < 0 ? r : api_audit(sql, request, "mirror_file_deleted", name, "");
}

/* Hosts that have it keep it until their policy says otherwise: signatures never become fewer by
 * accident. */
void api_signature_file_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    if (!api_sees_all(request, "change the mirror"))
        return;
    int r = console_store_write(service->store, delete_file, request);
    if (r == 0)
        refresh_sets(service);
    api_respond_done(request, r);
}
