/* Inside agent/policy: what one file of a chain says, between policy_chain.c (finds and reads the
 * files) and policy.c (combines them). */
#ifndef AGENT_POLICY_POLICY_LAYERS_H
#define AGENT_POLICY_POLICY_LAYERS_H

#include "agent/policy/policy.h"

/* The keys of policy_keys.h, and those about the file itself. */
enum { POLICY_RULE_PARENT = POLICY_KEY_COUNT, POLICY_RULE_DESCRIPTION, POLICY_RULE_COUNT };
extern const struct settings_rule policy_rules[POLICY_RULE_COUNT];

struct policy_layer {
    char *path; /* as it was opened */
    struct settings_value values[POLICY_RULE_COUNT];
};

/* layers[0] is the policy itself, the last its oldest ancestor. */
int policy_from_layers(const char *name, const struct policy_layer *layers, size_t count,
                       struct policy **ret_policy, struct settings_error *ret_error) MUST_USE;

#endif
