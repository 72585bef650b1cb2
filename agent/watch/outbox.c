/* Owns: packed events on their way to the sink. */
#include "agent/watch/outbox.h"

#include <string.h>

struct packed {
    enum watch_event_kind kind;
    bool has_detail;
    size_t length;
    size_t detail_length;
};

void outbox_init(struct outbox *outbox)
{
    buffer_init(&outbox->bytes, OUTBOX_BYTES_MAXIMUM);
}

void outbox_done(struct outbox *outbox)
{
    buffer_done(&outbox->bytes);
}

bool outbox_add(struct outbox *outbox, enum watch_event_kind kind, const char *path, size_t length,
                const char *detail)
{
    struct packed packed = {.kind = kind,
                            .has_detail = detail != NULL,
                            .length = length,
                            .detail_length = detail == NULL ? 0 : strlen(detail)};
    size_t size = sizeof(packed) + length + 1 + packed.detail_length + 1;
    char *space;

    if (buffer_reserve(&outbox->bytes, size, &space) < 0)
        return false;
    memcpy(space, &packed, sizeof(packed));
    space += sizeof(packed);
    memcpy(space, path, length);
    space[length] = '\0';
    space += length + 1;
    if (detail != NULL)
        memcpy(space, detail, packed.detail_length);
    space[packed.detail_length] = '\0';
    buffer_commit(&outbox->bytes, size);
    return true;
}

bool outbox_is_full(const struct outbox *outbox)
{
    return outbox->bytes.length > OUTBOX_FULL;
}

bool outbox_next(const struct outbox *outbox, size_t *offset, struct watch_event *ret_event)
{
    struct packed packed;
    const char *at;

    if (*offset >= outbox->bytes.length)
        return false;
    at = outbox->bytes.data + *offset;
    memcpy(&packed, at, sizeof(packed));
    at += sizeof(packed);
    *ret_event = (struct watch_event){
        .kind = packed.kind,
        .path = at,
        .path_length = packed.length,
        .detail = packed.has_detail ? at + packed.length + 1 : NULL,
    };
    *offset += sizeof(packed) + packed.length + 1 + packed.detail_length + 1;
    return true;
}

void outbox_clear(struct outbox *outbox)
{
    buffer_clear(&outbox->bytes);
}
