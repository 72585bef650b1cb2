/* Where a computer that activates for the first time belongs: rules in order, the first that
 * matches decides. What it leaves open, the token says, and then the agent. */
#ifndef CONSOLE_AGENTS_ACTIVATION_RULES_H
#define CONSOLE_AGENTS_ACTIVATION_RULES_H

#include "common/attributes.h"
#include "common/crypto/random.h"
#include "console/store/sql.h"

#include <jansson.h>
#include <stdbool.h>

/* The lists a rule's conditions may have, NULL at the end. Every list that is there must have an
 * entry that matches: cidrs, accounts, regions, hostnames ("web-*"), tags (of the token), tokens
 * (ids). */
extern const char *const RULE_CONDITIONS[];

struct rule_draft {
    const char *name, *conditions;    /* JSON object of lists of texts */
    const char *group_id, *policy_id; /* NULL: left open */
    const char *tags;                 /* JSON array of texts */
    const char *created_by;
    int64_t position; /* lower ones come first; 0: after all others */
};
/* -EEXIST when the name is taken, -ENOSPC beyond LIMIT_ACTIVATION_RULES. */
int rule_create(struct sql *sql, const struct rule_draft *draft,
                char ret_id[static UUID_TEXT_BYTES]) MUST_USE;
/* All of it but created_by; position 0: stays where it is. -ENOENT. */
int rule_change(struct sql *sql, const char *id, const struct rule_draft *draft) MUST_USE;
/* By id or name. 1 when it was there. ret_name: 129 bytes. */
int rule_delete(struct sql *sql, const char *text, char ret_name[static 129]) MUST_USE;
/* One entry of a condition: whether it can match anything at all. */
bool rule_entry_is_valid(const char *condition, const char *entry);

struct rule_facts {
    const char *address, *account, *region, *hostname; /* "" = unknown: matches nothing */
    const char *token_id, *token_tags;                 /* tags: JSON array */
};
struct rule_outcome {
    char name[129], group_id[UUID_TEXT_BYTES], policy_id[UUID_TEXT_BYTES]; /* "": left open */
    char tags[1024];
};
/* 1 and what the first matching rule says, or 0. */
int rules_match(struct sql *sql, const struct rule_facts *facts,
                struct rule_outcome *ret_outcome) MUST_USE;

#endif
