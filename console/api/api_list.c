/* Owns pages and streams of rows: cursor, limit, JSON, CSV. Must not know any table: a list's build
 * function writes its SELECT. */
#include "common/crypto/base64.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define PAGE_DEFAULT 50
#define PAGE_MAXIMUM (32 * 1024 * 1024)

struct listing {
    struct api_service *service;
    const struct list *list;
    struct list_page page;
    char cursor[LIST_CURSOR_BYTES];
    struct buffer output;
    bool csv, more, answered;
    size_t sent; /* of output, while streaming */
};

int list_filter(const struct list_page *page, const char *name, char *buffer, size_t size)
{
    int r = http_request_query(page->request, name, buffer, size);
    if (r < 0 || r > 1) {
        http_respond_problem(page->request, 400, "bad_filter", "%s is malformed, or stands twice",
                             name);
        return -EINVAL;
    }
    return r == 1 && buffer[0] ? 1 : 0;
}

int list_filter_time(const struct list_page *page, const char *name, int64_t *ret_time_ms)
{
    char text[64];
    int r = list_filter(page, name, text, sizeof(text));
    if (r == 1 && api_parse_time(text, ret_time_ms) < 0) {
        http_respond_problem(page->request, 400, "bad_filter",
                             "%s must be a time like 2026-11-22T01:02:03Z", name);
        return -EINVAL;
    }
    return r;
}

/* --- cursor */

static void set_cursor(struct listing *listing, struct sql_statement *row)
{
    listing->page.has_cursor = true;
    listing->page.cursor_number = sql_number(row, 0);
    (void)text_copy(listing->cursor, sizeof(listing->cursor), sql_text(row, 0));
    listing->page.cursor_text = listing->cursor;
}

int list_cursor_read(const char *text, bool is_text, char ret_cursor[static LIST_CURSOR_BYTES],
                     int64_t *ret_number)
{
    size_t length = 0;
    uint64_t number = 0;
    if (base64_url_decode(text, strlen(text), (uint8_t *)ret_cursor, LIST_CURSOR_BYTES - 1,
                          &length) < 0)
        return -EINVAL;
    ret_cursor[length] = '\0';
    if (strlen(ret_cursor) != length || !text_is_utf8(ret_cursor))
        return -EINVAL; /* PostgreSQL takes no such text */
    if (!is_text && (text_parse_u64(ret_cursor, &number) < 0 || number > INT64_MAX))
        return -EINVAL;
    *ret_number = (int64_t)number;
    return 0;
}

static int parse_cursor(struct listing *listing)
{
    char text[BASE64_TEXT_BYTES(LIST_CURSOR_BYTES)];
    int r = list_filter(&listing->page, "cursor", text, sizeof(text));
    if (r <= 0)
        return r;
    r = list_cursor_read(text, listing->list->cursor_is_text, listing->cursor,
                         &listing->page.cursor_number);
    if (r < 0) {
        http_respond_problem(listing->page.request, 400, "bad_cursor",
                             "the cursor is not one that was given out; start from the first page");
        return r;
    }
    listing->page.has_cursor = true;
    listing->page.cursor_text = listing->cursor;
    return 0;
}

static int parse_limit(struct listing *listing)
{
    char text[16];
    uint64_t limit = PAGE_DEFAULT;
    int r = list_filter(&listing->page, "limit", text, sizeof(text));
    if (r < 0)
        return r;
    if (r == 1 && (text_parse_u64(text, &limit) < 0 || limit == 0 || limit > LIMIT_API_PAGE)) {
        http_respond_problem(listing->page.request, 400, "bad_limit", "limit must be 1 to %d",
                             LIMIT_API_PAGE);
        return -EINVAL;
    }
    listing->page.limit = (int64_t)limit;
    return 0;
}

static void end_list(const struct list_page *page, struct query *query, const char *column,
                     bool by_text, bool descending)
{
    if (page->has_cursor) {
        query_add(query, " AND ");
        query_add(query, column);
        query_add(query, descending ? " < " : " > ");
        if (by_text)
            query_add_text(query, page->cursor_text);
        else
            query_add_number(query, page->cursor_number);
    }
    query_add(query, " ORDER BY ");
    query_add(query, column);
    query_add(query, descending ? " DESC LIMIT " : " LIMIT ");
    query_add_number(query, page->limit);
}

void list_end_by_text(const struct list_page *page, struct query *query, const char *column)
{
    end_list(page, query, column, true, false);
}

void list_end_by_text_descending(const struct list_page *page, struct query *query,
                                 const char *column)
{
    end_list(page, query, column, true, true);
}

void list_end_by_number_descending(const struct list_page *page, struct query *query,
                                   const char *column)
{
    end_list(page, query, column, false, true);
}

/* --- rows */

void list_write_row(struct json_writer *json, const struct list *list, struct sql_statement *row)
{
    json_write_object_begin(json);
    for (size_t i = 0; i < list->column_count; i++) {
        const char *name = list->columns[i].name;
        int column = (int)i + 1;
        if (list->columns[i].type == LIST_TIME) {
            api_write_time(json, name, sql_number(row, column));
            continue;
        }
        json_write_key(json, name);
        if (sql_is_null(row, column)) {
            json_write_null(json);
            continue;
        }
        switch (list->columns[i].type) {
        case LIST_NUMBER:
            json_write_number(json, sql_number(row, column));
            break;
        case LIST_BOOL:
            json_write_bool(json, sql_number(row, column) != 0);
            break;
        case LIST_JSON:
            json_write_raw(json, sql_text(row, column)[0] ? sql_text(row, column) : "null");
            break;
        case LIST_SEVERITY: {
            const char *severity = wire_severity_name((unsigned)sql_number(row, column));
            json_write_string(json, severity ? severity : "info");
            break;
        }
        default:
            json_write_string(json, sql_text(row, column));
        }
    }
    json_write_object_end(json);
}

int list_write_one(const struct list *list, struct query *query, struct sql *sql,
                   struct buffer *output)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    struct list without_facts = *list;
    struct json_writer json;

    without_facts.column_count--;
    int r = query_prepare(query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    json_writer_init(&json, output);
    list_write_row(&json, &without_facts, row);
    return 0;
}

/* RFC 4180; a text that a spreadsheet would run as a formula gets an apostrophe. */
static void write_csv_text(struct buffer *output, const char *text)
{
    bool formula = text[0] && strchr("=+-@\t\r", text[0]);
    (void)buffer_append_text(output, formula ? "\"'" : "\"");
    for (const char *at = text; *at; at++) {
        if (*at == '"')
            (void)buffer_append(output, "\"", 1);
        (void)buffer_append(output, at, 1);
    }
    (void)buffer_append(output, "\"", 1);
}

static void write_csv_row(struct buffer *output, const struct list *list, struct sql_statement *row)
{
    for (size_t i = 0; i < list->column_count; i++) {
        int column = (int)i + 1;
        char text[CLOCK_TEXT_BYTES];
        if (i)
            (void)buffer_append(output, ",", 1);
        if (sql_is_null(row, column)) /* a number would read 0, which says something else */
            continue;
        switch (list->columns[i].type) {
        case LIST_TIME:
            if (sql_number(row, column) > 0) {
                clock_format(text, (uint64_t)sql_number(row, column) * NS_PER_MS);
                (void)buffer_append_text(output, text);
            }
            break;
        case LIST_NUMBER:
        case LIST_BOOL:
            (void)buffer_append_format(output, "%lld", (long long)sql_number(row, column));
            break;
        case LIST_SEVERITY: {
            const char *severity = wire_severity_name((unsigned)sql_number(row, column));
            (void)buffer_append_text(output, severity ? severity : "");
            break;
        }
        default:
            write_csv_text(output, sql_text(row, column));
        }
    }
    (void)buffer_append(output, "\r\n", 2);
}

static void write_csv_head(struct listing *listing)
{
    for (size_t i = 0; i < listing->list->column_count; i++)
        (void)buffer_append_format(&listing->output, "%s%s", i ? "," : "",
                                   listing->list->columns[i].name);
    (void)buffer_append(&listing->output, "\r\n", 2);
}

static int read_page(struct sql *sql, void *user)
{
    struct listing *listing = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    int64_t wanted = listing->page.limit++; /* one more tells whether there is a next page */
    int r = listing->list->build(&listing->page, &query);
    listing->page.limit = wanted;
    listing->answered = r == -EINVAL;
    if (r == 0)
        r = query_prepare(&query, sql, &row);
    struct json_writer json;
    json_writer_init(&json, &listing->output);
    if (!listing->csv) {
        json_write_object_begin(&json);
        json_write_key(&json, listing->list->name);
        json_write_array_begin(&json);
    }
    listing->more = false;
    for (int64_t rows = 0; r == 0; rows++) {
        int stepped = sql_step(row);
        if (stepped <= 0) {
            r = stepped;
            break;
        }
        if (rows == wanted) {
            listing->more = true;
            break;
        }
        if (listing->csv)
            write_csv_row(&listing->output, listing->list, row);
        else
            list_write_row(&json, listing->list, row);
        set_cursor(listing, row);
    }
    if (r < 0 || listing->csv)
        return r;
    json_write_array_end(&json);
    json_write_key(&json, "next");
    if (listing->more) {
        char cursor[BASE64_TEXT_BYTES(LIST_CURSOR_BYTES)];
        base64_url_encode(cursor, listing->cursor, strlen(listing->cursor));
        json_write_string(&json, cursor);
    } else {
        json_write_null(&json);
    }
    json_write_object_end(&json);
    return 0;
}

/* --- CSV */

static void free_listing(void *user)
{
    struct listing *listing = user;
    buffer_done(&listing->output);
    free(listing);
}

static ssize_t fill_csv(void *user, char *bytes, size_t size)
{
    struct listing *listing = user;
    while (listing->sent == listing->output.length) {
        if (!listing->more)
            return 0;
        buffer_clear(&listing->output);
        listing->sent = 0;
        int r = console_store_read(listing->service->store, read_page, listing);
        if (r == 0)
            r = buffer_failed(&listing->output);
        if (r < 0)
            return r;
    }
    size_t length = MIN(size, listing->output.length - listing->sent);
    memcpy(bytes, listing->output.data + listing->sent, length);
    listing->sent += length;
    return (ssize_t)length;
}

static void stream_csv(struct listing *listing)
{
    char disposition[128];
    (void)text_format(disposition, sizeof(disposition), "attachment; filename=\"%s.csv\"",
                      listing->list->name);
    http_response_header(listing->page.request, "Content-Disposition", disposition);
    http_respond_stream(listing->page.request, "text/csv; charset=utf-8", fill_csv, free_listing,
                        listing);
}

/* --- the handler's call */

struct known_names {
    const struct list *list;
    char unknown[64];
};

static bool is_known(void *user, const char *name)
{
    struct known_names *known = user;
    bool found = text_equal(name, "cursor") || text_equal(name, "limit");
    for (size_t i = 0; !found && known->list->filters && known->list->filters[i]; i++)
        found = text_equal(known->list->filters[i], name);
    if (!found)
        (void)text_copy(known->unknown, sizeof(known->unknown), name);
    return found;
}

static int parse_request(struct listing *listing)
{
    struct known_names known = {.list = listing->list};
    if (!http_request_query_names(listing->page.request, is_known, &known)) {
        http_respond_problem(listing->page.request, 400, "bad_filter",
                             "this list does not take the filter \"%s\"", known.unknown);
        return -EINVAL;
    }
    int r = parse_limit(listing);
    return r < 0 ? r : parse_cursor(listing);
}

void api_list(struct http_request *request, struct api_service *service, const struct list *list)
{
    struct listing *listing = calloc(1, sizeof(*listing));
    if (!listing) {
        api_respond_error(request, -ENOMEM);
        return;
    }
    const char *accept = http_request_header(request, "Accept");
    listing->service = service;
    listing->list = list;
    listing->page.request = request;
    listing->page.viewer = api_viewer(request);
    listing->page.online_after_ms = api_online_after(service);
    listing->page.shared = console_store_is_shared(service->store);
    listing->csv = accept && text_starts_with(accept, "text/csv");
    buffer_init(&listing->output, PAGE_MAXIMUM);
    if (parse_request(listing) < 0) {
        free_listing(listing);
        return;
    }
    if (listing->csv) {
        listing->page.limit = LIMIT_API_PAGE;
        write_csv_head(listing);
    }
    int r = console_store_read(service->store, read_page, listing);
    if (r < 0) {
        if (!listing->answered)
            api_respond_error(request, r);
    } else if (listing->csv) {
        stream_csv(listing); /* owns it from here */
        return;
    } else {
        http_respond_buffer(request, 200, "application/json", &listing->output);
    }
    free_listing(listing);
}
