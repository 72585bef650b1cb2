/* Typed, bounded values of a settings text by a table of rules: the agent's configuration, policies
 * and everything else an administrator writes is read by this one walk.
 *
 * A key is the path of nested groups: "watch.paths" is  watch = { paths = ("/srv"); };  */
#ifndef COMMON_SETTINGS_SCHEMA_H
#define COMMON_SETTINGS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/settings/settings.h"

enum settings_type {
    SETTINGS_BOOL,     /* true, false */
    SETTINGS_NUMBER,   /* 4 */
    SETTINGS_SIZE,     /* "64M", or bytes */
    SETTINGS_DURATION, /* "30s", "12h", or seconds; kept in ns */
    SETTINGS_CHOICE,   /* one of bounds */
    SETTINGS_TEXT,
    SETTINGS_LIST /* of texts */
};
const char *settings_type_name(enum settings_type type); /* "true or false", "a number", ... */

struct settings_rule {
    const char *key;
    enum settings_type type;
    /* The value when nothing is written, as text; a list's entries are separated by '|'. */
    const char *fallback;
    /* Numbers, sizes, durations: "least..most". Choices: "a|b|c". Texts and lists of texts: what
     * each must be, one of
     *   ""           anything
     *   "text"       not empty
     *   "absolute"   an absolute path without "." and ".." parts
     *   "directory"  an excluded directory: absolute, or a name anywhere; "*" within a level
     *   "file"       an excluded file: a name, or an absolute path; "*" within a level
     *   "extension"  a file name extension, without the dot
     *   "sha256"     64 hexadecimal digits
     *   "group"      a group { ... } instead of a text; kept as one line of libconfig
     *   "window"     a daily time span, 22:00-05:00, or empty
     *   "name"       letters, digits, '.', '_' and '-', not beginning with a dot or '-' */
    const char *bounds;
    const char *meaning; /* one line */
};

struct settings_value {
    bool set;        /* written in the text (not by settings_fallback) */
    bool added;      /* a list written as KEY_add: it adds to what is inherited */
    unsigned line;   /* where */
    uint64_t number; /* bool (0, 1), number, bytes, ns */
    char *text;      /* text, choice */
    char **list;     /* NULL-terminated; NULL when this is no list */
    size_t length;   /* of list */
};

/* Reads everything written in settings into values[count] (zeroed by the caller). A key no rule
 * knows, a wrong type or a value out of bounds is -EINVAL with ret_error, and values are left
 * released; -ENOMEM. With additions a list KEY may be written as KEY_add instead. */
int settings_read(const struct settings *settings, const struct settings_rule *rules, size_t count,
                  bool additions, struct settings_value *values,
                  struct settings_error *ret_error) MUST_USE;
/* The fallback of a rule. -EINVAL when the rule itself is wrong; -ENOMEM. */
int settings_fallback(const struct settings_rule *rule, struct settings_value *value) MUST_USE;
/* A deep copy. -ENOMEM. */
int settings_value_copy(const struct settings_value *source,
                        struct settings_value *target) MUST_USE;
/* Puts base's entries before those of value (both lists), dropping doubles. -ENOMEM, -E2BIG. */
int settings_value_extend(struct settings_value *value, const struct settings_value *base) MUST_USE;
void settings_value_done(struct settings_value *value);
void settings_values_done(struct settings_value *values, size_t count);

/* As an administrator would write it: 64M, 30s, "text", ("a", "b"). Escaped. NULL: out of memory.
 */
char *settings_value_show(const struct settings_rule *rule, const struct settings_value *value);

#endif
