/* Owns the download of the diagnostics that a command brought. Each is told in the audit log: they
 * say much about a computer. */
#include "common/crypto/base64.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <errno.h>

struct download {
    struct http_request *request;
    struct buffer tar;
};

static int decode(const char *text, struct buffer *tar)
{
    size_t length = strlen(text), size = length / 4 * 3 + 3;
    char *space;
    buffer_clear(tar);
    int r = buffer_reserve(tar, size, &space);
    if (r == 0)
        r = base64_decode(text, length, (uint8_t *)space, size, &size);
    if (r == 0)
        buffer_commit(tar, size);
    return r;
}

static int read_bundle(struct sql *sql, void *user)
{
    struct download *download = user;
    const char *command = http_request_segment(download->request, 1);
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT bundle, (SELECT hostname FROM computers WHERE number = computer)"
                      " FROM commands WHERE bundle IS NOT NULL AND id = ");
    query_add_text(&query, command);
    query_add(&query, " AND computer = (SELECT number FROM computers WHERE id = ");
    query_add_text(&query, http_request_segment(download->request, 0));
    query_add(&query, ")");
    viewer_limit_computers(api_viewer(download->request), "computer", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    r = decode(sql_text(row, 0), &download->tar);
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(1024);
    struct json_writer json;
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "command", command);
    json_write_object_end(&json);
    return r < 0 ? r
                 : api_audit(sql, download->request, "bundle_read", sql_text(row, 1),
                             buffer_text(&detail));
}

void api_bundle(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct download download = {.request = request, .tar = BUFFER_WITH_MAXIMUM(16 << 20)};
    char disposition[128];
    int r = console_store_write(service->store, read_bundle, &download);
    if (r < 0) {
        api_respond_error(request, r);
    } else {
        (void)text_format(disposition, sizeof(disposition),
                          "attachment; filename=\"diagnostics-%s.tar\"",
                          http_request_segment(request, 1));
        http_response_header(request, "Content-Disposition", disposition);
        http_respond_buffer(request, 200, "application/x-tar", &download.tar);
    }
    buffer_done(&download.tar);
}
