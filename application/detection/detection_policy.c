#include "application/detection/detection_policy.h"

#include "application/detection/address.h"
#include "application/runtime_area.h"
#include "common/text/text.h"

#include <errno.h>

enum policy_key {
    KEY_PROTECTIONS, /* PROTECTION_COUNT of them */
    KEY_THRESHOLD = KEY_PROTECTIONS + PROTECTION_COUNT,
    KEY_EXCLUSIONS,
    KEY_ALLOW,
    KEY_DENY,
    KEY_UPLOAD_SIZE,
    KEY_UPLOAD_COUNT,
    KEY_HASHES,
    KEY_HOSTS,
    KEY_GRAPHQL_DEPTH,
    KEY_GRAPHQL_INTROSPECTION,
    KEY_RUNTIME_FILES,
    KEY_RUNTIME_COMMANDS,
    KEY_RUNTIME_CORRELATION,
    KEY_COUNT
};

#define MODES "off|report|mitigate"

static const struct settings_rule rules[KEY_COUNT] = {
    [PROTECTION_SQL_INJECTION] = {"protection.sql_injection", SETTINGS_CHOICE, "report", MODES,
                                  "SQL in arguments, cookies and bodies"},
    [PROTECTION_MALICIOUS_PAYLOAD] = {"protection.malicious_payload", SETTINGS_CHOICE, "report",
                                      MODES, "scripts, templates, XML entities and other payloads"},
    [PROTECTION_ILLEGAL_FILE_ACCESS] = {"protection.illegal_file_access", SETTINGS_CHOICE, "report",
                                        MODES, "paths out of the application, included files"},
    [PROTECTION_REMOTE_COMMAND_EXECUTION] = {"protection.remote_command_execution", SETTINGS_CHOICE,
                                             "report", MODES, "commands of shells"},
    [PROTECTION_OPEN_REDIRECT] = {"protection.open_redirect", SETTINGS_CHOICE, "report", MODES,
                                  "answers that send the browser where the request said"},
    [PROTECTION_MALICIOUS_FILE_UPLOAD] = {"protection.malicious_file_upload", SETTINGS_CHOICE,
                                          "report", MODES, "files that a server might run"},
    [PROTECTION_IP_PROTECTION] = {"protection.ip_protection", SETTINGS_CHOICE, "report", MODES,
                                  "addresses that are denied"},
    [KEY_THRESHOLD] = {"detection.threshold", SETTINGS_NUMBER, "5", "1..1000",
                       "score from which a request counts as malicious"},
    [KEY_EXCLUSIONS] = {"detection.exclusions", SETTINGS_LIST, "", "text",
                        "what is not inspected: route=, argument=, rule=, in any combination"},
    [KEY_ALLOW] = {"address.allow", SETTINGS_LIST, "", "text",
                   "addresses and networks that are not inspected"},
    [KEY_DENY] = {"address.deny", SETTINGS_LIST, "", "text",
                  "addresses and networks that are refused"},
    [KEY_UPLOAD_SIZE] = {"upload.max_file_size", SETTINGS_SIZE, "6M", "0..6M",
                         "largest uploaded file"},
    [KEY_UPLOAD_COUNT] = {"upload.max_files", SETTINGS_NUMBER, "100", "0..512",
                          "most files in one request"},
    [KEY_HASHES] = {"upload.denied_sha256", SETTINGS_LIST, "", "sha256",
                    "files that are refused, by SHA-256"},
    [KEY_HOSTS] = {"redirect.allowed_hosts", SETTINGS_LIST, "", "text",
                   "hosts that answers may redirect to; *. before one for all below it"},
    [KEY_GRAPHQL_DEPTH] = {"graphql.max_depth", SETTINGS_NUMBER, "20", "1..128",
                           "deepest nesting of a GraphQL query"},
    [KEY_GRAPHQL_INTROSPECTION] = {"graphql.introspection", SETTINGS_BOOL, "true", "",
                                   "GraphQL queries may ask for the schema"},
    [KEY_RUNTIME_FILES] = {"runtime.files", SETTINGS_LIST, "", "text",
                           "allow:PATTERN and deny:PATTERN over opened files; the first match "
                           "decides"},
    [KEY_RUNTIME_COMMANDS] = {"runtime.commands", SETTINGS_LIST, "", "text",
                              "the same over started programs and their arguments"},
    [KEY_RUNTIME_CORRELATION] = {"runtime.correlation", SETTINGS_BOOL, "true", "",
                                 "files and commands that a request's values lead to count as "
                                 "denied"},
};

struct detection_policy {
    struct settings_value values[KEY_COUNT];
    enum protection_mode modes[PROTECTION_COUNT];
    struct policy_exclusion *exclusions;
    size_t exclusion_count;
    struct address_list allow;
    struct address_list deny;
};

const struct settings_rule *detection_policy_rules(size_t *ret_count)
{
    *ret_count = KEY_COUNT;
    return rules;
}

static int fail(struct settings_error *error, enum policy_key key, const char *entry,
                const char *wish)
{
    (void)text_format(error->text, sizeof(error->text), "%s: \"%s\" %s", rules[key].key, entry,
                      wish);
    return -EINVAL;
}

/* "942100" or "942100-942999". */
static int parse_rules(char *text, struct policy_exclusion *exclusion)
{
    uint64_t first = 0, last = 0;
    char *dash = strchr(text, '-');
    if (dash != NULL)
        *dash = '\0';
    if (text_parse_u64(text, &first) < 0 ||
        text_parse_u64(dash == NULL ? text : dash + 1, &last) < 0 || first == 0 || last < first ||
        last > UINT32_MAX)
        return -EINVAL;
    exclusion->first_rule = (uint32_t)first;
    exclusion->last_rule = (uint32_t)last;
    return 0;
}

/* "route=/a argument=b rule=1"; cuts entry into pieces that exclusion then points at. */
static int parse_exclusion(char *entry, struct policy_exclusion *exclusion)
{
    char *at = entry;
    bool any = false;
    while (*at != '\0') {
        char *next = strchr(at, ' ');
        if (next != NULL)
            *next++ = '\0';
        if (*at == '\0') {
            at = next == NULL ? at : next;
            continue;
        }
        if (text_starts_with(at, "route=") && at[6] != '\0')
            exclusion->route = at + 6;
        else if (text_starts_with(at, "argument=") && at[9] != '\0')
            exclusion->argument = at + 9;
        else if (!text_starts_with(at, "rule=") || parse_rules(at + 5, exclusion) < 0)
            return -EINVAL;
        any = true;
        if (next == NULL)
            break;
        at = next;
    }
    return any ? 0 : -EINVAL;
}

static int parse_exclusions(struct detection_policy *policy, struct settings_error *error)
{
    const struct settings_value *value = &policy->values[KEY_EXCLUSIONS];
    if (value->length > APPLICATION_LIMIT_POLICY_ENTRIES)
        return fail(error, KEY_EXCLUSIONS, value->list[0], "and the others are too many");
    policy->exclusions = calloc(value->length + 1, sizeof(*policy->exclusions));
    if (policy->exclusions == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < value->length; i++) {
        AUTO_FREE char *shown = text_new(value->list[i], strlen(value->list[i]));
        if (parse_exclusion(value->list[i], &policy->exclusions[i]) < 0)
            return fail(error, KEY_EXCLUSIONS, shown == NULL ? "" : shown,
                        "is not route=PATH argument=NAME rule=ID, one or more of them");
        policy->exclusion_count++;
    }
    return 0;
}

static int parse_addresses(const struct settings_value *value, enum policy_key key,
                           struct address_list *list, struct settings_error *error)
{
    if (value->length > APPLICATION_LIMIT_POLICY_ENTRIES)
        return fail(error, key, value->list[0], "and the others are too many");
    list->entries = calloc(value->length + 1, sizeof(*list->entries));
    if (list->entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < value->length; i++) {
        if (address_parse(span_of(value->list[i]), &list->entries[i]) < 0)
            return fail(error, key, value->list[i], "is no address and no network");
        list->count++;
    }
    return 0;
}

static int check_runtime_rules(const struct settings_value *value, enum policy_key key,
                               struct settings_error *error)
{
    size_t total = 0;
    for (size_t i = 0; i < value->length; i++) {
        const char *rule = value->list[i];
        total += strlen(rule) + 1;
        if ((!text_starts_with(rule, "allow:") && !text_starts_with(rule, "deny:")) ||
            strchr(rule, ';') != NULL)
            return fail(error, key, rule, "is not allow:PATTERN or deny:PATTERN, without ';'");
        if (total > RUNTIME_AREA_RULES)
            return fail(error, key, rule, "and what follows is too long");
    }
    return 0;
}

static enum protection_mode mode_of(const char *text)
{
    if (text_equal(text, "mitigate"))
        return PROTECTION_MITIGATE;
    return text_equal(text, "report") ? PROTECTION_REPORT : PROTECTION_OFF;
}

static int compile(struct detection_policy *policy, struct settings_error *error)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        if (policy->values[i].set)
            continue;
        int r = settings_fallback(&rules[i], &policy->values[i]);
        if (r < 0)
            return r;
    }
    for (int i = 0; i < PROTECTION_COUNT; i++)
        policy->modes[i] = mode_of(policy->values[KEY_PROTECTIONS + i].text);
    int r = parse_exclusions(policy, error);
    if (r < 0)
        return r;
    r = parse_addresses(&policy->values[KEY_ALLOW], KEY_ALLOW, &policy->allow, error);
    if (r < 0)
        return r;
    r = parse_addresses(&policy->values[KEY_DENY], KEY_DENY, &policy->deny, error);
    if (r == 0)
        r = check_runtime_rules(&policy->values[KEY_RUNTIME_FILES], KEY_RUNTIME_FILES, error);
    if (r == 0)
        r = check_runtime_rules(&policy->values[KEY_RUNTIME_COMMANDS], KEY_RUNTIME_COMMANDS, error);
    return r;
}

static int read_text(const char *text, struct detection_policy *policy,
                     struct settings_error *error)
{
    struct settings *settings = NULL;
    if (text == NULL)
        return 0;
    int r = settings_parse("policy", text, &settings, error);
    if (r < 0)
        return r;
    r = settings_read(settings, rules, KEY_COUNT, false, policy->values, error);
    settings_free(settings);
    return r;
}

int detection_policy_parse(const char *text, struct detection_policy **ret_policy,
                           struct settings_error *ret_error)
{
    struct detection_policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL)
        return -ENOMEM;
    int r = read_text(text, policy, ret_error);
    if (r == 0)
        r = compile(policy, ret_error);
    if (r < 0) {
        detection_policy_free(policy);
        return r;
    }
    *ret_policy = policy;
    return 0;
}

struct detection_policy *detection_policy_free(struct detection_policy *policy)
{
    if (policy == NULL)
        return NULL;
    settings_values_done(policy->values, KEY_COUNT);
    free(policy->exclusions);
    free(policy->allow.entries);
    free(policy->deny.entries);
    free(policy);
    return NULL;
}

enum protection_mode detection_policy_mode(const struct detection_policy *policy,
                                           enum inspection_protection protection)
{
    return policy->modes[protection];
}

unsigned detection_policy_threshold(const struct detection_policy *policy)
{
    return (unsigned)policy->values[KEY_THRESHOLD].number;
}

/* text against a pattern whose last byte may be '*'. */
static bool matches(const char *pattern, struct span text)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*')
        return text.length >= length - 1 &&
               (length == 1 || memcmp(text.data, pattern, length - 1) == 0);
    return span_is(text, pattern);
}

bool detection_policy_any_exclusion(const struct detection_policy *policy)
{
    return policy->exclusion_count > 0;
}

bool detection_policy_excludes(const struct detection_policy *policy, const struct event_view *view,
                               struct span argument, uint32_t rule)
{
    for (size_t i = 0; i < policy->exclusion_count; i++) {
        const struct policy_exclusion *exclusion = &policy->exclusions[i];
        if (exclusion->route != NULL && !matches(exclusion->route, view->path) &&
            !matches(exclusion->route, view->route))
            continue;
        if (exclusion->argument != NULL && !matches(exclusion->argument, argument))
            continue;
        if (exclusion->first_rule == 0 ||
            (rule >= exclusion->first_rule && rule <= exclusion->last_rule))
            return true;
    }
    return false;
}

enum policy_verdict detection_policy_address(const struct detection_policy *policy,
                                             struct span address)
{
    struct policy_address parsed;
    if (policy->allow.count + policy->deny.count == 0 || address_parse(address, &parsed) < 0)
        return POLICY_NEUTRAL;
    for (size_t i = 0; i < policy->allow.count; i++) {
        if (address_within(&parsed, &policy->allow.entries[i]))
            return POLICY_ALLOWED;
    }
    for (size_t i = 0; i < policy->deny.count; i++) {
        if (address_within(&parsed, &policy->deny.entries[i]))
            return POLICY_DENIED;
    }
    return POLICY_NEUTRAL;
}

uint64_t detection_policy_upload_bytes(const struct detection_policy *policy)
{
    return policy->values[KEY_UPLOAD_SIZE].number;
}

uint64_t detection_policy_upload_count(const struct detection_policy *policy)
{
    return policy->values[KEY_UPLOAD_COUNT].number;
}

const char *const *detection_policy_denied_hashes(const struct detection_policy *policy)
{
    static const char *const none[] = {NULL};
    const struct settings_value *value = &policy->values[KEY_HASHES];
    return value->length == 0 ? none : (const char *const *)value->list;
}

bool detection_policy_host_allowed(const struct detection_policy *policy, struct span host)
{
    const struct settings_value *value = &policy->values[KEY_HOSTS];
    for (size_t i = 0; i < value->length; i++) {
        struct span allowed = span_of(value->list[i]);
        if (span_begins(allowed, "*.")) {
            struct span suffix = span_from(allowed, 1);
            if (host.length > suffix.length &&
                span_alike(span_from(host, host.length - suffix.length), suffix))
                return true;
        } else if (span_alike(host, allowed)) {
            return true;
        }
    }
    return false;
}

uint64_t detection_policy_graphql_depth(const struct detection_policy *policy)
{
    return policy->values[KEY_GRAPHQL_DEPTH].number;
}

bool detection_policy_graphql_introspection(const struct detection_policy *policy)
{
    return policy->values[KEY_GRAPHQL_INTROSPECTION].number != 0;
}

static void join_rules(const struct settings_value *value, enum protection_mode mode,
                       struct runtime_list *list)
{
    list->mode = mode == PROTECTION_MITIGATE ? RUNTIME_MITIGATE
                 : mode == PROTECTION_REPORT ? RUNTIME_REPORT
                                             : RUNTIME_OFF;
    list->length = 0;
    for (size_t i = 0; i < value->length; i++) {
        size_t length = strlen(value->list[i]);
        memcpy(list->rules + list->length, value->list[i], length);
        list->rules[list->length + length] = ';';
        list->length += (uint32_t)length + 1;
    }
}

void detection_policy_write_runtime(const struct detection_policy *policy,
                                    struct runtime_area *area)
{
    runtime_write_begin(&area->sequence);
    area->correlates = policy->values[KEY_RUNTIME_CORRELATION].number != 0;
    join_rules(&policy->values[KEY_RUNTIME_FILES], policy->modes[PROTECTION_ILLEGAL_FILE_ACCESS],
               &area->lists[RUNTIME_FILES]);
    join_rules(&policy->values[KEY_RUNTIME_COMMANDS],
               policy->modes[PROTECTION_REMOTE_COMMAND_EXECUTION], &area->lists[RUNTIME_COMMANDS]);
    runtime_write_end(&area->sequence);
}
