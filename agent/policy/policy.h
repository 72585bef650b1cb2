/* A policy: libconfig text, a chain of parents (base, role, override), and typed values with their
 * origin. Loaded whole or refused whole; immutable afterwards and shared by reference. */
#ifndef AGENT_POLICY_POLICY_H
#define AGENT_POLICY_POLICY_H

#include "agent/policy/policy_keys.h"
#include "common/attributes.h"
#include "common/settings/schema.h"

#include <stdbool.h>
#include <stdint.h>

enum policy_key {
#define POLICY_KEY_SYMBOL(symbol, ...) POLICY_##symbol,
    POLICY_KEYS(POLICY_KEY_SYMBOL)
#undef POLICY_KEY_SYMBOL
        POLICY_KEY_COUNT
};

struct policy;

/* Loads the file and its parents: `parent = "base";` is NAME.conf in the same folder, then in
 * shared_directory (may be NULL). A key of a child replaces its parent's; a list may be written as
 * KEY_add, which adds to it. -EINVAL and others with ret_error: "file:line: key: what to do". */
int policy_load(const char *path, const char *shared_directory, struct policy **ret_policy,
                struct settings_error *ret_error) MUST_USE;
/* From a text that has no file yet; parents are looked for in shared_directory only. */
int policy_parse(const char *name, const char *text, const char *shared_directory,
                 struct policy **ret_policy, struct settings_error *ret_error) MUST_USE;
/* Only the built-in defaults. */
int policy_new_default(struct policy **ret_policy) MUST_USE;
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy); /* thread-safe; NULL is legal */

bool policy_bool(const struct policy *policy, enum policy_key key);
uint64_t policy_number(const struct policy *policy, enum policy_key key);  /* numbers, bytes, ns */
const char *policy_text(const struct policy *policy, enum policy_key key); /* text and choices */
const char *const *policy_list(const struct policy *policy,
                               enum policy_key key); /* NULL-terminated */

const char *policy_name(const struct policy *policy); /* file name without .conf; "default" */
const char *policy_description(const struct policy *policy); /* of the last that has one; "" */
/* The files it was read from, the oldest ancestor first; NULL-terminated, raw bytes. */
const char *const *policy_sources(const struct policy *policy);
/* -EPERM with ret_error when a source could be changed by somebody who is neither root nor the
 * user we run as: the agent obeys no such file. */
int policy_check_owners(const struct policy *policy, struct settings_error *ret_error) MUST_USE;
/* SHA-256 over the effective values, hexadecimal. */
void policy_digest(const struct policy *policy, char hex[static 65]);

/* "/etc/yagura/policies/web-server.conf:12" (escaped), "... + ..." for a list that was added to, or
 * "built-in default". */
const char *policy_origin(const struct policy *policy, enum policy_key key);
/* Value as text, for people. Freed by the caller. */
char *policy_value_text(const struct policy *policy, enum policy_key key);
/* Name, type, default, bounds and meaning. */
const struct settings_rule *policy_key_rule(enum policy_key key);
const char *policy_key_meaning_ja(enum policy_key key);                   /* in Japanese */
int policy_key_find(const char *name, enum policy_key *ret_key) MUST_USE; /* -ENOENT */
/* The key nearest to a name that policy_key_find does not know, or NULL. */
const char *policy_key_suggest(const char *name);

#endif
