/* One request being judged: what everything that looks for attacks is given, and where it says what
 * it found. */
#ifndef APPLICATION_DETECTION_JUDGEMENT_H
#define APPLICATION_DETECTION_JUDGEMENT_H

#include "application/detection/detection_policy.h"
#include "application/events/request.h"

/* Our own rules; those of the rule set are below 990000. */
enum own_rule {
    RULE_INJECTED_SQL = 990110,
    RULE_INJECTED_SCRIPT = 990120,
    RULE_XML_ENTITY = 990200,
    RULE_XML_INCLUDE = 990210,
    RULE_NOSQL = 990300,
    RULE_LDAP = 990310,
    RULE_TEMPLATE = 990320,
    RULE_INTERNAL_ADDRESS = 990330,
    RULE_LOOPBACK = 990331,
    RULE_LOCAL_FILE = 990340,
    RULE_COMMAND = 990350,
    RULE_SERVER_INCLUDE = 990360,
    RULE_MAIL = 990370,
    RULE_PROTOTYPE = 990380,
    RULE_SERIALISED = 990390,
    RULE_GRAPHQL_DEPTH = 990400,
    RULE_GRAPHQL_INTROSPECTION = 990410,
    RULE_UPLOAD_SIZE = 990500,
    RULE_UPLOAD_COUNT = 990510,
    RULE_UPLOAD_NAME = 990520,
    RULE_UPLOAD_TYPE = 990530,
    RULE_UPLOAD_CONTENT = 990540,
    RULE_UPLOAD_HASH = 990550,
    RULE_ADDRESS = 990600,
    RULE_REDIRECT = 990700,
};

#define SCORE_CRITICAL 5

struct judgement {
    struct arena *arena;
    const struct event_view *view;
    struct request *request;
    const struct detection_policy *policy;
    struct inspection_result *result;
    uint64_t deadline_ns; /* 0: none */
    unsigned ticks;
    unsigned decodings; /* that the value in hand is behind */
    bool out_of_time;
    bool exact;
};

struct judgement_match {
    enum inspection_protection protection;
    uint32_t rule;
    unsigned score;
    struct span message;
    struct span list; /* "ARGS", "REQUEST_HEADERS" */
    struct span name; /* within the list; may be empty */
    struct span text; /* what was looked at */
    size_t offset;    /* of the match in it */
};

/* False once the request's time is up; cheap enough to ask before every rule and value. */
bool judgement_in_time(struct judgement *judgement);
/* Records a finding, once a rule; nothing when the protection is off or an exclusion names it.
 * True when it counts. */
bool judgement_find(struct judgement *judgement, const struct judgement_match *match);
/* Whether a policy exclusion takes the part out of a rule's sight. */
bool judgement_excluded(const struct judgement *judgement, struct span name, uint32_t rule);

#endif
