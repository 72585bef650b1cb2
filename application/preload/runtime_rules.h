/* What a function may open and start: lists of patterns, the first match decides. Used inside the
 * function's own process, so nothing here allocates, locks, or keeps state after it was read. */
#ifndef APPLICATION_PRELOAD_RUNTIME_RULES_H
#define APPLICATION_PRELOAD_RUNTIME_RULES_H

#include <stdbool.h>
#include <stddef.h>

/* '*' is any number of any characters; the whole text must match. At most length(pattern) times
 * length(text) steps. */
bool runtime_rules_match(const char *pattern, size_t length, const char *text);

enum runtime_rule { RUNTIME_RULE_NONE, RUNTIME_RULE_ALLOW, RUNTIME_RULE_DENY };
/* rules: "allow:/etc/passwd;deny:/etc*", length bytes: what the first one that matches says. What
 * is neither "allow:" nor "deny:" is skipped. */
enum runtime_rule runtime_rules_judge(const char *rules, size_t length, const char *text);

/* Goes from the absolute folder in text, which has no '.' and '..' in it, along path, and leaves
 * there where that leads, by the names alone: links are not looked at. False: it does not fit, or
 * path is empty. */
bool runtime_rules_follow(char *text, size_t size, const char *path);

/* The text that a shell is given to run, as in "sh -c TEXT"; NULL: it is no such start. */
const char *runtime_rules_shell_text(const char *path, char *const *argv);

/* The command as one text, its words separated by blanks, cut where it does not fit. */
void runtime_rules_join(char *text, size_t size, const char *path, char *const *argv);

#endif
