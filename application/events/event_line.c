#include "application/events/event_line.h"

#include "application/events/json_scan.h"

struct span event_line_read(struct span line, struct span *ret_id)
{
    struct json_item whole = json_whole(line);
    struct json_cursor cursor = json_enter(&whole);
    struct json_item value;
    struct span key, event = line;
    *ret_id = SPAN_NONE;
    while (whole.kind == JSON_MAP && json_member(&cursor, &key, &value)) {
        if (span_is(key, "event") && value.kind == JSON_MAP)
            event = value.span;
        else if (span_is(key, "id") && value.kind == JSON_TEXT)
            *ret_id = value.span;
    }
    return event;
}
