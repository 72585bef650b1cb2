/* Runs a rule table over a request: rules in their order, the transformed forms of each value made
 * once, and a regular expression only given what its match could be in.
 *
 * Owns: transaction variables, what was matched, compiled expressions. Hands off: findings to the
 * judgement. Not thread-safe. */
#ifndef APPLICATION_DETECTION_RULE_ENGINE_H
#define APPLICATION_DETECTION_RULE_ENGINE_H

#include "application/detection/judgement.h"
#include "application/detection/rule_table.h"

/* The paranoia level among a rule's tags; 1 when there is none. */
unsigned rule_paranoia(const struct rule_table *table, const struct table_rule *rule);

struct rule_engine;
/* table must outlive the engine. paranoia: the rule set's level. -ENOMEM. */
int rule_engine_new(const struct rule_table *table, bool exact, unsigned paranoia,
                    struct rule_engine **ret_engine) MUST_USE;
struct rule_engine *rule_engine_free(struct rule_engine *engine);
/* Runs every rule. In exact mode: findings are the rules that the rule set would log, the score is
 * its anomaly score, and the result says whether it denies the request. Otherwise findings are the
 * rules that score. */
void rule_engine_run(struct rule_engine *engine, struct judgement *judgement);
/* Whether the last run's rules denied the request (exact mode). */
bool rule_engine_denied(const struct rule_engine *engine);
/* Compiles what is not yet compiled: for idle moments. True when there is nothing left to do. */
bool rule_engine_prepare(struct rule_engine *engine, size_t most);

#endif
