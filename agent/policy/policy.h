/* A policy: libconfig text, a chain of parents (base, role, override), and typed values with their
 * origin. Loaded whole or refused whole; immutable afterwards and shared by reference. */
#ifndef AGENT_POLICY_POLICY_H
#define AGENT_POLICY_POLICY_H

#include "agent/policy/policy_keys.h"
#include "common/attributes.h"
#include "common/settings/settings.h"

#include <stdbool.h>
#include <stdint.h>

enum policy_key {
#define POLICY_KEY_SYMBOL(symbol, ...) POLICY_##symbol,
    POLICY_KEYS(POLICY_KEY_SYMBOL)
#undef POLICY_KEY_SYMBOL
        POLICY_KEY_COUNT
};

enum policy_type {
    POLICY_BOOL,
    POLICY_NUMBER,
    POLICY_SIZE,
    POLICY_DURATION,
    POLICY_CHOICE,
    POLICY_TEXT,
    POLICY_LIST
};

struct policy;

/* Loads the file and its parents: `parent = "base";` is NAME.conf in the same folder, then in
 * shared_directory. -EINVAL and others with ret_error. */
int policy_load(const char *path, const char *shared_directory, struct policy **ret_policy,
                struct settings_error *ret_error) MUST_USE;
/* Only the built-in defaults. */
int policy_new_default(struct policy **ret_policy) MUST_USE;
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy); /* thread-safe; NULL is legal */

bool policy_bool(const struct policy *policy, enum policy_key key);
uint64_t policy_number(const struct policy *policy, enum policy_key key);  /* numbers, bytes, ns */
const char *policy_text(const struct policy *policy, enum policy_key key); /* text and choices */
const char *const *policy_list(const struct policy *policy,
                               enum policy_key key); /* NULL-terminated */

const char *policy_name(const struct policy *policy); /* of the last in the chain */
/* SHA-256 over the effective values, 65 bytes. */
void policy_digest(const struct policy *policy, char hex[static 65]);

/* "/etc/yagura/policies/web-server.conf:12", or "built-in default". */
const char *policy_origin(const struct policy *policy, enum policy_key key);
/* Value as text, for people. Freed by the caller. */
char *policy_value_text(const struct policy *policy, enum policy_key key);
const char *policy_key_name(enum policy_key key);
enum policy_type policy_key_type(enum policy_key key);
const char *policy_key_meaning(enum policy_key key);
int policy_key_find(const char *name, enum policy_key *ret_key) MUST_USE; /* -ENOENT */

#endif
