/* The values of a delivered policy, for sensors: libconfig texts of a chain, the oldest ancestor
 * first, where a later one's key replaces an earlier one's. The console has checked keys, types and
 * bounds (agent/policy/policy_keys.h is the list), so what is missing or of another type here is
 * simply not set. Immutable; may be read by several threads. */
#ifndef COMMON_SENSOR_REPORT_SENSOR_POLICY_H
#define COMMON_SENSOR_REPORT_SENSOR_POLICY_H

#include "common/attributes.h"
#include "common/wire/wire.h"

struct sensor_policy;

/* -EINVAL when a text does not parse, with ret_problem (256 bytes); -ENOMEM. */
int sensor_policy_new(const struct wire_policy *policy, struct sensor_policy **ret_policy,
                      char ret_problem[static 256]) MUST_USE;
/* NULL is legal. */
struct sensor_policy *sensor_policy_free(struct sensor_policy *policy);

const char *sensor_policy_digest(const struct sensor_policy *policy);
uint64_t sensor_policy_revision(const struct sensor_policy *policy);
/* key: "application.protection.sql_injection". NULL when it is not set. */
const char *sensor_policy_text(const struct sensor_policy *policy, const char *key);
/* The i-th entry of a list, NULL at its end. KEY_add of a child adds to what it inherits. */
const char *sensor_policy_entry(const struct sensor_policy *policy, const char *key, size_t i);
/* 0 when it is not set or no number (true is 1). ret_value is left alone then. */
bool sensor_policy_number(const struct sensor_policy *policy, const char *key, int64_t *ret_value);
/* One group of the policy as a libconfig text of its own, for a parser that knows only its own
 * keys: of  application = { protection = {...}; };  the section "application" is  protection =
 * {...};
 * "" when the policy says nothing there. Freed by the caller. -ENOMEM. */
int sensor_policy_section(const struct sensor_policy *policy, const char *name,
                          char **ret_text) MUST_USE;

#endif
