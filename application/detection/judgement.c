#include "application/detection/judgement.h"

#include "common/time/clock.h"

/* The clock is asked every so many ticks: a tick is some tens of nanoseconds to some microseconds.
 */
#define TICKS_BETWEEN_LOOKS 64

bool judgement_in_time(struct judgement *judgement)
{
    if (judgement->out_of_time)
        return false;
    if (judgement->deadline_ns == 0 || ++judgement->ticks % TICKS_BETWEEN_LOOKS != 0)
        return true;
    if (clock_monotonic_ns() >= judgement->deadline_ns)
        judgement->out_of_time = true;
    return !judgement->out_of_time;
}

bool judgement_excluded(const struct judgement *judgement, struct span name, uint32_t rule)
{
    return !judgement->exact && detection_policy_any_exclusion(judgement->policy) &&
           detection_policy_excludes(judgement->policy, judgement->view, name, rule);
}

/* "ARGS:name", cut to its limit. */
static struct span matched_name(struct arena *arena, const struct judgement_match *match)
{
    struct span pieces[] = {match->list, SPAN(":"),
                            span_first(match->name, APPLICATION_LIMIT_MATCHED)};
    return arena_join(arena, pieces, match->name.length == 0 ? 1 : 3);
}

static bool has_word(struct span name, const char *word)
{
    struct span wanted = span_of(word);
    for (size_t i = 0; i + wanted.length <= name.length; i++) {
        if (span_alike(span_first(span_from(name, i), wanted.length), wanted))
            return true;
    }
    return false;
}

/* Values under such names are secrets: what they contain is not repeated. */
static bool is_secret(const struct judgement_match *match)
{
    static const char *const words[] = {"password",   "passwd",        "passphrase", "pwd",
                                        "secret",     "token",         "api-key",    "api_key",
                                        "apikey",     "authorization", "cookie",     "session",
                                        "credential", "private"};
    if (span_begins(match->list, "REQUEST_COOKIES"))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (has_word(match->name, words[i]))
            return true;
    }
    return false;
}

/* Begins a little before the match. Of a whole body or URI, where names and values run together,
 * the excerpt might show a secret that stands beside: those get a shorter one from the match on. */
static struct span excerpt_of(const struct judgement_match *match)
{
    size_t before = MIN(match->offset, (size_t)32);
    if (is_secret(match))
        return SPAN("***");
    return span_first(span_from(match->text, match->offset - before), APPLICATION_LIMIT_EXCERPT);
}

static enum inspection_action action_of(enum protection_mode mode)
{
    return mode == PROTECTION_MITIGATE ? INSPECTION_BLOCK : INSPECTION_REPORT;
}

bool judgement_find(struct judgement *judgement, const struct judgement_match *match)
{
    struct inspection_result *result = judgement->result;
    enum protection_mode mode = detection_policy_mode(judgement->policy, match->protection);
    if (!judgement->exact &&
        (mode == PROTECTION_OFF || judgement_excluded(judgement, match->name, match->rule)))
        return false;
    for (size_t i = 0; i < result->finding_count; i++) {
        if (result->findings[i].rule == match->rule)
            return true;
    }
    result->score += match->score;
    if (result->finding_count == APPLICATION_LIMIT_FINDINGS)
        return true;
    result->findings[result->finding_count++] = (struct inspection_finding){
        .protection = match->protection,
        .action = action_of(mode),
        .rule = match->rule,
        .score = match->score,
        .message = match->message,
        .matched = matched_name(judgement->arena, match),
        .excerpt = excerpt_of(match),
    };
    return true;
}
