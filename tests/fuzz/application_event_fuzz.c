/* Events as anybody might send them: read without leaving them or the arena, twice the same. */
#include "application/events/request.h"
#include "application/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

/* Every byte of it may be read. */
static size_t touch(struct span span)
{
    size_t sum = span.length;
    for (size_t i = 0; i < span.length; i++)
        sum = sum * 31 + (unsigned char)span.data[i];
    return sum;
}

static size_t read_all(struct arena *arena, struct span event)
{
    const struct request_options options = {.inflate = true, .length = true};
    struct event_view view;
    struct request request;
    arena_reset(arena);
    event_view_read(event, arena, &view);
    if (view.kind == EVENT_OTHER)
        return 0;
    request_read(&view, &options, arena, &request);
    size_t sum = touch(view.method) + touch(view.path) + touch(view.query) + touch(view.host) +
                 touch(view.source) + touch(view.route) + touch(view.body) + touch(request.body);
    for (size_t i = 0; i < REQUEST_LIST_COUNT; i++) {
        require(request.lists[i].count <= APPLICATION_LIMIT_ARGUMENTS);
        for (size_t j = 0; j < request.lists[i].count; j++)
            sum = sum * 31 + touch(request.lists[i].values[j].name) +
                  touch(request.lists[i].values[j].text);
    }
    for (size_t i = 0; i < request.upload_count; i++)
        sum += touch(request.uploads[i].content) + touch(request.uploads[i].file_name);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    char *copy = malloc(size + 1); /* of its own size, so that reading beyond is seen */
    if (arena.base == NULL)
        require(arena_init(&arena, (size_t)16 << 20) == 0);
    require(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    size_t first = read_all(&arena, (struct span){copy, size});
    require(first == read_all(&arena, (struct span){copy, size}));
    free(copy);
    return 0;
}
