/* Multipart bodies: the first line is the Content-Type, the rest the body. What is found is inside
 * of the body, in order, and no more than it. */
#include "application/events/request.h"
#include "application/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_inside(struct span part, struct span body)
{
    if (part.length > 0)
        require(part.data >= body.data && part.data + part.length <= body.data + body.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    char *copy = malloc(size + 1);
    struct request request = {.arena = &arena};
    size_t uploads = 0;
    if (arena.base == NULL)
        require(arena_init(&arena, (size_t)16 << 20) == 0);
    require(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    arena_reset(&arena);
    struct span whole = {copy, size};
    size_t line = span_find(whole, '\n');
    struct span body = span_from(whole, line + 1);
    body_multipart_read(&request, body, span_first(whole, line));
    require(request.upload_count <= APPLICATION_LIMIT_PARTS);
    for (size_t i = 0; i < request.upload_count; i++) {
        check_inside(request.uploads[i].content, body);
        check_inside(request.uploads[i].file_name, body);
        uploads += request.uploads[i].content.length;
    }
    require(uploads == request.uploads_bytes && uploads <= body.length);
    const struct request_values *arguments = &request.lists[REQUEST_ARGUMENTS_POST];
    for (size_t i = 0; i < arguments->count; i++)
        check_inside(arguments->values[i].text, body);
    free(copy);
    return 0;
}
