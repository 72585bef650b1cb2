#include "application/detection/own_checks.h"

#include "application/detection/libinjection.h"

bool own_check_address(struct judgement *judgement)
{
    struct span source = judgement->view->source;
    enum policy_verdict verdict = detection_policy_address(judgement->policy, source);
    if (verdict == POLICY_DENIED)
        (void)judgement_find(judgement,
                             &(struct judgement_match){.protection = PROTECTION_IP_PROTECTION,
                                                       .rule = RULE_ADDRESS,
                                                       .score = SCORE_CRITICAL,
                                                       .message = SPAN("Address is denied"),
                                                       .list = SPAN("REMOTE_ADDR"),
                                                       .text = source});
    return verdict == POLICY_ALLOWED;
}

static void check_value(struct judgement *judgement, const char *list,
                        const struct request_value *value)
{
    char fingerprint[8] = "";
    struct judgement_match match = {
        .score = SCORE_CRITICAL, .list = span_of(list), .name = value->name, .text = value->text};
    if (libinjection_sqli(value->text.data, value->text.length, fingerprint) == 1) {
        match.protection = PROTECTION_SQL_INJECTION;
        match.rule = RULE_INJECTED_SQL;
        match.message = SPAN("SQL injection");
        (void)judgement_find(judgement, &match);
    }
    if (libinjection_xss(value->text.data, value->text.length) == 1) {
        match.protection = PROTECTION_MALICIOUS_PAYLOAD;
        match.rule = RULE_INJECTED_SCRIPT;
        match.message = SPAN("Cross-site scripting");
        (void)judgement_find(judgement, &match);
    }
}

void own_check_injection(struct judgement *judgement)
{
    static const struct {
        enum request_list list;
        const char *name;
    } looked_at[] = {{REQUEST_ARGUMENTS_GET, "ARGS"},
                     {REQUEST_ARGUMENTS_POST, "ARGS"},
                     {REQUEST_COOKIES, "REQUEST_COOKIES"}};
    for (size_t i = 0; i < ARRAY_LENGTH(looked_at); i++) {
        const struct request_values *values = &judgement->request->lists[looked_at[i].list];
        for (size_t j = 0; j < values->count && judgement_in_time(judgement); j++) {
            if (values->values[j].text.length > 0)
                check_value(judgement, looked_at[i].name, &values->values[j]);
        }
    }
}
