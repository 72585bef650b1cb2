/* JSON read where it stands: nothing is copied, a string is the bytes between its quotes, and a
 * container that nobody asks about is passed over at memchr's speed. Only as strict as finding the
 * way needs; what is malformed ends the walk with an error. Thread-safe: no state of its own.
 * Source: RFC 8259. */
#ifndef APPLICATION_EVENTS_JSON_SCAN_H
#define APPLICATION_EVENTS_JSON_SCAN_H

#include "application/events/arena.h"
#include "application/events/span.h"

enum json_kind { JSON_NOTHING, JSON_TEXT, JSON_WORD, JSON_MAP, JSON_LIST };

struct json_item {
    enum json_kind kind;
    bool escaped;     /* a text with backslashes in it */
    struct span span; /* text: between the quotes; word (number, true, false, null): itself;
                         containers: from the opening to the closing bracket */
};

struct json_cursor {
    const char *at;
    const char *end;
    bool failed; /* the text is malformed at `at` */
};

/* The one value of a text. JSON_NOTHING when it is malformed or more follows. */
struct json_item json_whole(struct span text);
/* Begins a walk over the members or elements of a container; any other kind has none. */
struct json_cursor json_enter(const struct json_item *container);
/* The next member of a map, element of a list. False at the end and when malformed. */
bool json_member(struct json_cursor *cursor, struct span *ret_key, struct json_item *ret_value);
bool json_element(struct json_cursor *cursor, struct json_item *ret_value);

/* For walks that go into everything: blanks passed over, then one value begins at cursor->at. */
void json_blanks(struct json_cursor *cursor);
/* Reads a text or word that begins at cursor->at; containers are not read. */
struct json_item json_scalar(struct json_cursor *cursor);

/* A text with its escapes undone, in UTF-8; lone surrogates become U+FFFD. The same bytes when
 * there are none. SPAN_NONE when arena has no more. */
struct span json_unescape(struct arena *arena, const struct json_item *text);

#endif
