/* Which paths integrity monitoring cares about, and how much. Immutable once made, shared by
 * reference; any number of threads may ask. Paths are absolute, raw bytes, no slash at the end. */
#ifndef AGENT_INTEGRITY_INTEGRITY_RULES_H
#define AGENT_INTEGRITY_INTEGRITY_RULES_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

enum integrity_care {
    CARE_NONE,
    CARE_ATTRIBUTES, /* mode, owner, links, extended attributes; content changes are its business */
    CARE_LOG,        /* grows and is rotated; what is written already must stay */
    CARE_CONTENT,    /* all of it */
};

/* The longest path of the three lists that covers a file decides. Each list NULL or
 * NULL-terminated. */
struct integrity_lists {
    const char *const *paths, *const *attributes, *const *logs;
    const char *const *exclude_directories, *const *exclude_files; /* as watch/exclusions.h */
    const char *const *own_directories;                            /* of the agent: never */
    const char *const *critical; /* changes here or below are severe */
    const char *const *diff;     /* text differences may be told of files here or below */
    const char *const *no_diff;  /* but never of these: as exclude_files */
};

struct integrity_rules;

/* Copies the lists. -EINVAL: a pattern that cannot be understood; -ENOMEM. */
int integrity_rules_new(const struct integrity_lists *lists,
                        struct integrity_rules **ret_rules) MUST_USE;
struct integrity_rules *integrity_rules_ref(struct integrity_rules *rules);
struct integrity_rules *integrity_rules_unref(struct integrity_rules *rules); /* NULL is legal */

/* The file's care. A directory above it that is excluded counts. */
enum integrity_care integrity_rules_care(const struct integrity_rules *rules, const char *path,
                                         size_t length);
/* The same for a file of a directory that is known not to be excluded. */
enum integrity_care integrity_rules_care_here(const struct integrity_rules *rules, const char *path,
                                              size_t length);
const char *integrity_care_name(enum integrity_care care);
bool integrity_rules_exclude_directory(const struct integrity_rules *rules, const char *path,
                                       size_t length);
/* Whether something below the directory (or it) may be cared for. */
bool integrity_rules_reach(const struct integrity_rules *rules, const char *path, size_t length);
bool integrity_rules_are_critical(const struct integrity_rules *rules, const char *path,
                                  size_t length);
bool integrity_rules_allow_text(const struct integrity_rules *rules, const char *path,
                                size_t length);

/* Where walks begin: no root below another. NULL-terminated. */
const char *const *integrity_rules_roots(const struct integrity_rules *rules);

/* What decides about coverage as a text, to find out later what was covered then; the rules' own.
 */
const char *integrity_rules_text(const struct integrity_rules *rules);
/* From such a text: answers integrity_rules_care only. -EINVAL, -ENOMEM. */
int integrity_rules_from_text(const char *text, struct integrity_rules **ret_rules) MUST_USE;

#endif
