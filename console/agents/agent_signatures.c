/* Owns who gets signatures: the set of its group, made by signature_desk, and pieces of the
 * mirror's files. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/agents/signature_desk.h"
#include "console/signatures/mirror.h"
#include "console/signatures/mirror_entry.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <string.h>

/* Whoever is no computer of ours, or asks again and again, takes nothing from the bucket of all. */
void agent_signatures(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    struct agent_row row;
    char certificate[65];
    if (!agent_certificate(request, certificate) ||
        !agent_find(request, service, certificate, &row) ||
        agent_must_wait_alone(request, &service->signature_shares, row.number) ||
        agent_must_wait(request, &service->signature_bucket))
        return;
    if (!signature_desk_take(service->desk, request, &row))
        agent_respond_busy(request);
}

/* "bytes=FIRST-LAST", one range, both ends given. */
static bool read_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    char first[24];
    if (!text || !text_starts_with(text, "bytes="))
        return false;
    text += strlen("bytes=");
    const char *dash = strchr(text, '-');
    if (!dash || text_format(first, sizeof(first), "%.*s", (int)(dash - text), text) < 0)
        return false;
    return text_parse_u64(first, ret_first) == 0 && text_parse_u64(dash + 1, ret_last) == 0 &&
           *ret_first <= *ret_last;
}

struct file_find {
    const char *sha256;
    struct mirror_entry entry;
};

static int find_file(struct sql *sql, void *user)
{
    struct file_find *find = user;
    return mirror_entry_find(sql, find->sha256, &find->entry);
}

/* In pieces, so that heartbeats never wait behind a whole file, a lost connection costs one piece,
 * and the bucket bounds what all agents together take. */
void agent_signature_file(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    struct file_find find = {.sha256 = http_request_segment(request, 0)};
    char certificate[65], text[96];
    uint64_t first, last;
    struct agent_row row;
    if (!agent_certificate(request, certificate) ||
        !agent_find(request, service, certificate, &row) ||
        agent_must_wait_alone(request, &service->mirror_shares, row.number) ||
        agent_must_wait(request, &service->mirror_bucket))
        return;
    int r = wire_is_sha256(find.sha256) ? console_store_read(service->store, find_file, &find) : 0;
    if (r < 0) {
        agent_respond_failure(request, r);
        return;
    }
    if (r == 0) {
        http_respond_problem(request, 404, "no_file", "the mirror has no such file (any more)");
        return;
    }
    if (!read_range(http_request_header(request, "Range"), &first, &last) ||
        first >= find.entry.size) {
        (void)text_format(text, sizeof(text), "bytes */%llu", (unsigned long long)find.entry.size);
        http_response_header(request, "Content-Range", text);
        http_respond_problem(request, 416, "bad_range", "send \"Range: bytes=FIRST-LAST\"");
        return;
    }
    last = MIN(last, MIN(find.entry.size, first + LIMIT_MIRROR_PIECE_BYTES) - 1);
    AUTO_BUFFER struct buffer piece = BUFFER_WITH_MAXIMUM(LIMIT_MIRROR_PIECE_BYTES);
    r = mirror_read(service->mirror_directory, find.sha256, first, (size_t)(last - first + 1),
                    &piece);
    if (r < 0) { /* another node took it in, and this one has not got it yet */
        agent_respond_failure(request, r);
        return;
    }
    (void)text_format(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)first,
                      (unsigned long long)last, (unsigned long long)find.entry.size);
    http_response_header(request, "Content-Range", text);
    (void)text_format(text, sizeof(text), "\"%s\"", find.sha256);
    http_response_header(request, "ETag", text);
    http_response_header(request, "Accept-Ranges", "bytes");
    http_respond_buffer(request, 206, "application/octet-stream", &piece);
}
