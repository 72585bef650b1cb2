/* Whether a policy text is one the agents will take: by the agents' own parser, over the whole
 * chain and over every policy that has it as an ancestor. */
#ifndef CONSOLE_POLICIES_POLICY_CHECK_H
#define CONSOLE_POLICIES_POLICY_CHECK_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "console/policies/policy_store.h"

#include "common/settings/settings.h"

/* The `parent` a text names, "" for none; 128 bytes. -EINVAL with ret_error. */
int policy_check_parent(const char *name, const char *text, char ret_parent[static 128],
                        struct settings_error *ret_error) MUST_USE;
/* -EINVAL with ret_error: "NAME.conf:line: key: what is wrong, what to do". scratch_directory:
 * ours, where texts stand for a moment. */
int policy_check(struct sql *sql, const struct policy_substitute *policy,
                 const char *scratch_directory, struct settings_error *ret_error) MUST_USE;
/* Every key with its value and where it comes from, as a JSON array, for the stored policy. */
int policy_check_effective(struct sql *sql, const char *name, const char *scratch_directory,
                           struct buffer *json, struct settings_error *ret_error) MUST_USE;

#endif
