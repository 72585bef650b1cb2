/* Owns the answers to an agent that asks for its signatures: the set of its group, signed for this
 * agent, and pieces of the mirror's files. Must not decide what is in a set: console/signatures
 * does. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/signatures/mirror.h"
#include "console/signatures/mirror_entry.h"
#include "console/signatures/signature_set.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <string.h>

struct set_read {
    struct agent_row row;
    char digest[65];
    char *content;
};

static int read_set(struct sql *sql, void *user)
{
    struct set_read *read = user;
    return signature_set_read(sql, read->row.group_id, read->digest, &read->content);
}

static void respond_set(struct http_request *request, const struct agent_service *service,
                        const struct set_read *read)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(2 * LIMIT_SIGNED_DOCUMENT_BYTES);
    int64_t now = console_store_now_ms();
    struct wire_signatures signatures = {.agent_id = read->row.id,
                                         .digest = read->digest,
                                         .content = read->content,
                                         .issued_ms = (uint64_t)now,
                                         .expires_ms = (uint64_t)(now + SIGNING_DOCUMENT_MS)};
    int r = wire_signatures_encode(&signatures, &document);
    if (r == 0)
        r = signing_key_sign(service->identity->signing, buffer_text(&document), &body);
    if (r < 0)
        agent_respond_failure(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &body);
}

/* Whoever is no computer of ours, or asks again and again, takes nothing from the bucket of all. */
void agent_signatures(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    struct set_read read = {.content = NULL};
    char certificate[65];
    if (!agent_certificate(request, certificate) ||
        !agent_find(request, service, certificate, &read.row) ||
        agent_must_wait_alone(request, &service->signature_shares, &read.row) ||
        agent_must_wait(request, &service->signature_bucket))
        return;
    int r = console_store_read(service->store, read_set, &read);
    AUTO_FREE char *content = read.content;
    if (r < 0)
        agent_respond_failure(request, r);
    else if (!content)
        http_respond_problem(request, 404, "no_signatures",
                             "this console has no signatures for this computer");
    else
        respond_set(request, service, &read);
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
        agent_must_wait_alone(request, &service->mirror_shares, &row) ||
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
