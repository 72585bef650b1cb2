/* A JSON body as arguments, named the way libmodsecurity names them ("json.user.name",
 * "json.tags.array_0"), because the rule set's users write exclusions with these names. */
#include "application/events/json_scan.h"
#include "application/events/request.h"
#include "application/limits.h"

struct level {
    bool list;
    size_t index;  /* of the next element */
    size_t length; /* of the path before this level */
};

struct walk {
    struct request *request;
    struct json_cursor cursor;
    struct level levels[APPLICATION_LIMIT_JSON_DEPTH];
    size_t depth;
    char path[APPLICATION_LIMIT_NAME];
    size_t length;   /* of path: all levels, with the last list's index not yet there */
    struct span key; /* the last one seen, at whatever level */
};

static void append(struct walk *walk, struct span text)
{
    size_t room = sizeof(walk->path) - walk->length;
    size_t length = MIN(room, text.length);
    if (length > 0)
        memcpy(walk->path + walk->length, text.data, length);
    walk->length += length;
}

static void append_index(struct walk *walk, size_t index)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    append(walk, SPAN(".array_"));
    append(walk, (struct span){digits + at, sizeof(digits) - at});
}

static void add_scalar(struct walk *walk, const struct json_item *item)
{
    struct request *request = walk->request;
    struct span text = item->kind == JSON_TEXT ? json_unescape(request->arena, item) : item->span;
    size_t before = walk->length;
    if (item->kind == JSON_WORD && span_is(text, "null"))
        text = SPAN("");
    if (walk->depth == 0) {
        append(walk, SPAN("json"));
    } else if (walk->levels[walk->depth - 1].list) {
        append_index(walk, walk->levels[walk->depth - 1].index);
    } else {
        append(walk, walk->key);
    }
    struct span name = arena_copy(request->arena, (struct span){walk->path, walk->length});
    walk->length = before;
    request_add_argument(request, name, text);
}

static bool enter(struct walk *walk, bool list)
{
    if (walk->depth == APPLICATION_LIMIT_JSON_DEPTH) {
        walk->request->partial = true;
        return false;
    }
    struct level *level = &walk->levels[walk->depth];
    *level = (struct level){list, 0, walk->length};
    if (walk->depth > 0 && walk->levels[walk->depth - 1].list)
        append_index(walk, walk->levels[walk->depth - 1].index);
    append(walk, walk->key.length == 0 ? SPAN("json") : walk->key);
    if (!list)
        append(walk, SPAN("."));
    walk->depth++;
    walk->cursor.at++;
    return true;
}

static void leave(struct walk *walk)
{
    walk->depth--;
    walk->length = walk->levels[walk->depth].length;
    walk->cursor.at++;
}

static bool read_key(struct walk *walk)
{
    struct json_item key = json_scalar(&walk->cursor);
    json_blanks(&walk->cursor);
    if (key.kind != JSON_TEXT || walk->cursor.at >= walk->cursor.end || *walk->cursor.at != ':')
        return false;
    walk->cursor.at++;
    json_blanks(&walk->cursor);
    walk->key = json_unescape(walk->request->arena, &key);
    return true;
}

static bool is_word(struct span word)
{
    return span_is(word, "true") || span_is(word, "false") || span_is(word, "null") ||
           (word.length > 0 && (byte_is_digit(word.data[0]) || word.data[0] == '-'));
}

enum step { STEP_VALUE, STEP_AFTER, STEP_FAILED };

/* A value (or the end of an empty container) begins at the cursor. */
static enum step read_value(struct walk *walk, bool first)
{
    struct json_cursor *cursor = &walk->cursor;
    struct level *level = walk->depth == 0 ? NULL : &walk->levels[walk->depth - 1];
    json_blanks(cursor);
    if (cursor->at >= cursor->end)
        return STEP_FAILED;
    if (first && level != NULL && *cursor->at == (level->list ? ']' : '}')) {
        leave(walk);
        return STEP_AFTER;
    }
    if (level != NULL && !level->list && !read_key(walk))
        return STEP_FAILED;
    if (cursor->at < cursor->end && (*cursor->at == '{' || *cursor->at == '['))
        return enter(walk, *cursor->at == '[') ? STEP_VALUE : STEP_FAILED;
    struct json_item item = json_scalar(cursor);
    if (item.kind == JSON_NOTHING || (item.kind == JSON_WORD && !is_word(item.span)))
        return STEP_FAILED;
    add_scalar(walk, &item);
    return STEP_AFTER;
}

/* Behind a value: the next one, or the end of its container, and so on. */
static enum step read_after(struct walk *walk)
{
    struct json_cursor *cursor = &walk->cursor;
    json_blanks(cursor);
    if (walk->depth == 0)
        return STEP_FAILED;
    struct level *level = &walk->levels[walk->depth - 1];
    level->index++;
    if (cursor->at >= cursor->end)
        return STEP_FAILED;
    if (*cursor->at == ',') {
        cursor->at++;
        return STEP_VALUE;
    }
    if (*cursor->at != (level->list ? ']' : '}'))
        return STEP_FAILED;
    leave(walk);
    return STEP_AFTER;
}

void body_json_read(struct request *request, struct span text)
{
    struct walk *walk = arena_take(request->arena, sizeof(*walk));
    if (walk == NULL || text.length == 0)
        return;
    *walk =
        (struct walk){.request = request, .cursor = {text.data, text.data + text.length, false}};
    bool first = true;
    enum step step = STEP_VALUE;
    while (step != STEP_FAILED) {
        size_t depth = walk->depth;
        step = step == STEP_VALUE ? read_value(walk, first) : read_after(walk);
        first = step == STEP_VALUE && walk->depth > depth;
    }
    if (walk->depth > 0 || walk->cursor.at != walk->cursor.end)
        request->body_malformed = true;
}
