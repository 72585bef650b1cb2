/* What the Runtime API proxy asks about an invocation: is this an HTTP request, and may it pass?
 *
 * Owns: the mapped rule table, the compiled policy, one arena. Must not own: sockets, files but the
 * table, threads, the clock (common/time). Not thread-safe: one struct inspection a thread or
 * process. Everything a result points at lives until the next call with the same inspection.
 * The event is read where it stands and must stay unchanged as long. */
#ifndef APPLICATION_DETECTION_INSPECTION_H
#define APPLICATION_DETECTION_INSPECTION_H

#include "application/events/event_view.h"
#include "application/events/span.h"
#include "application/limits.h"
#include "common/attributes.h"

enum inspection_protection {
    PROTECTION_SQL_INJECTION,
    PROTECTION_MALICIOUS_PAYLOAD,
    PROTECTION_ILLEGAL_FILE_ACCESS,
    PROTECTION_REMOTE_COMMAND_EXECUTION,
    PROTECTION_OPEN_REDIRECT,
    PROTECTION_MALICIOUS_FILE_UPLOAD,
    PROTECTION_IP_PROTECTION,
    PROTECTION_COUNT
};
/* "SQL Injection", and "sql_injection" as policies write it. */
const char *inspection_protection_name(enum inspection_protection protection);
const char *inspection_protection_word(enum inspection_protection protection);

enum inspection_action { INSPECTION_PASS, INSPECTION_REPORT, INSPECTION_BLOCK };
const char *inspection_action_name(enum inspection_action action); /* "pass", "report", "block" */

struct inspection_options {
    const char *table_path; /* made by yagura-rules-compiler; NULL: table_fd */
    int table_fd;           /* readable, stays the caller's; -1: no table, only what needs none */
    const char *policy;     /* libconfig text, see detection_policy.h; NULL: every default */
    bool exact;             /* the rule set alone, nothing left out, nothing added */
    unsigned paranoia;      /* exact: the rule set's paranoia level, 1 to 4; 0: 1 */
};

struct inspection_finding {
    enum inspection_protection protection;
    enum inspection_action action; /* what the protection's mode asks for, were it alone */
    uint32_t rule;                 /* a rule of the rule set, or one of ours (990000 and above) */
    unsigned score;
    struct span message;
    struct span matched; /* "ARGS:id", "REQUEST_HEADERS:User-Agent" */
    struct span excerpt; /* around the match, at most APPLICATION_LIMIT_EXCERPT bytes, secrets
                            masked; bytes as sent, so escape them */
};

struct inspection_result {
    bool is_http; /* false: pass the event on, byte for byte; nothing below is set */
    enum inspection_action action;
    unsigned score;
    struct inspection_finding findings[APPLICATION_LIMIT_FINDINGS];
    size_t finding_count;
    bool budget_exhausted; /* time or memory ran out: what was not reached was not inspected */
    /* The request, for the event and for inspection_judge_response(). */
    enum event_kind kind;
    struct span method, path, route, host, source, request_id, trace_id;
    /* What answers the invocation when action is INSPECTION_BLOCK: JSON, of the shape this kind of
     * event wants. */
    struct span block_answer;
};

/* -ENOENT and the like for the table, -EINVAL with a reason when table or policy are not valid;
 * ret_error may be NULL. -ENOMEM. */
struct inspection;
struct inspection_error {
    char text[512];
};
int inspection_open(const struct inspection_options *options, struct inspection **ret_inspection,
                    struct inspection_error *ret_error) MUST_USE;
struct inspection *inspection_free(struct inspection *inspection);

/* Judges one event within budget_us microseconds (0: no limit). Always sets ret_result; 0, or
 * -EINVAL when something inside failed (the result is then "pass"). */
int inspection_judge(struct inspection *inspection, const char *event, size_t length,
                     uint64_t budget_us, struct inspection_result *ret_result);
/* Judges the function's answer to the event judged last (open redirects): response is the JSON the
 * runtime posted, or its beginning. ret_result's request facts are that event's, which must still
 * stand unchanged. */
int inspection_judge_response(struct inspection *inspection, const char *response, size_t length,
                              struct inspection_result *ret_result);

/* Where product mode deliberately differs from the rule set. */
struct inspection_difference {
    uint32_t first_rule, last_rule;
    size_t rules; /* of the table that are concerned */
    const char *what;
    const char *reason;
};
/* The difference of that number; false behind the last, and without a table. */
bool inspection_difference_get(const struct inspection *inspection, size_t index,
                               struct inspection_difference *ret_difference);

/* Compiles some of the expressions that were not needed yet: for moments when the function has
 * answered and nobody waits. True when nothing is left to do. Without it each is compiled by the
 * first request that needs it. */
bool inspection_prepare(struct inspection *inspection);

/* What the preload object in the function's processes is to know: once, the policy; after each
 * inspection_judge(), the values that might turn up in a path or a command, in slot (below
 * area->slots). Those of a request that is refused, or of no request, are none. */
struct runtime_area;
void inspection_share_policy(const struct inspection *inspection, struct runtime_area *area);
void inspection_share_values(const struct inspection *inspection,
                             const struct inspection_result *result, struct runtime_area *area,
                             unsigned slot);

#endif
