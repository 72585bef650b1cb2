/* What an administrator says about the detections, as libconfig text:
 *
 *   protection = { sql_injection = "mitigate"; malicious_payload = "report"; ... };
 *   detection = { threshold = 5; exclusions = ("route=/admin rule=941100", "argument=html"); };
 *   address = { allow = ("192.0.2.0/24"); deny = ("2001:db8::/32"); };
 *   upload = { max_file_size = "10M"; max_files = 20; denied_sha256 = ("..."); };
 *   redirect = { allowed_hosts = ("login.example.com", "*.example.org"); };
 *   graphql = { max_depth = 12; introspection = true; };
 *
 * Compiled once, then only read: any thread. */
#ifndef APPLICATION_DETECTION_DETECTION_POLICY_H
#define APPLICATION_DETECTION_DETECTION_POLICY_H

#include "application/detection/inspection.h"
#include "common/settings/schema.h"

enum protection_mode { PROTECTION_OFF, PROTECTION_REPORT, PROTECTION_MITIGATE };

/* Empty members match everything; at least one is set. */
struct policy_exclusion {
    const char *route;    /* of the path or the route; '*' at its end stands for anything */
    const char *argument; /* the name of an argument, header or cookie; '*' likewise */
    uint32_t first_rule;  /* 0: every rule */
    uint32_t last_rule;
};

/* IPv4 is kept as ::ffff:a.b.c.d. */
struct policy_address {
    uint8_t bytes[16];
    unsigned bits;
};

struct address_list {
    struct policy_address *entries;
    size_t count;
};

struct detection_policy;
const struct settings_rule *detection_policy_rules(size_t *ret_count);
/* text NULL: every default. -EINVAL with ret_error, -ENOMEM. */
int detection_policy_parse(const char *text, struct detection_policy **ret_policy,
                           struct settings_error *ret_error) MUST_USE;
struct detection_policy *detection_policy_free(struct detection_policy *policy);

enum protection_mode detection_policy_mode(const struct detection_policy *policy,
                                           enum inspection_protection protection);
unsigned detection_policy_threshold(const struct detection_policy *policy);
bool detection_policy_any_exclusion(const struct detection_policy *policy);
bool detection_policy_excludes(const struct detection_policy *policy, const struct event_view *view,
                               struct span argument, uint32_t rule);
enum policy_verdict { POLICY_NEUTRAL, POLICY_ALLOWED, POLICY_DENIED };
enum policy_verdict detection_policy_address(const struct detection_policy *policy,
                                             struct span address);
uint64_t detection_policy_upload_bytes(const struct detection_policy *policy);
uint64_t detection_policy_upload_count(const struct detection_policy *policy);
/* NULL-terminated; lower-case hexadecimal. */
const char *const *detection_policy_denied_hashes(const struct detection_policy *policy);
bool detection_policy_host_allowed(const struct detection_policy *policy, struct span host);
uint64_t detection_policy_graphql_depth(const struct detection_policy *policy);
bool detection_policy_graphql_introspection(const struct detection_policy *policy);
/* Modes and rules for what the function's own processes open and start. */
struct runtime_area;
void detection_policy_write_runtime(const struct detection_policy *policy,
                                    struct runtime_area *area);

#endif
