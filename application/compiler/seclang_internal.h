/* What the files of the compiler share. */
#ifndef APPLICATION_COMPILER_SECLANG_INTERNAL_H
#define APPLICATION_COMPILER_SECLANG_INTERNAL_H

#include "application/compiler/regex_needs.h"
#include "application/compiler/seclang.h"

/* A rule before rules are put in order of phase. */
struct pending_rule {
    struct table_rule record;
    uint32_t skip_after; /* index of a marker's name, RULE_TABLE_NONE */
};

struct pending_marker {
    struct table_text name;
    uint32_t before; /* the pending rule that follows it */
};

struct seclang {
    struct table_builder builder;
    struct buffer rules;   /* struct pending_rule */
    struct buffer markers; /* struct pending_marker */
    struct buffer skips;   /* struct table_text: names of markers that rules skip to */
    struct buffer scratch; /* one directive, or one data file */
    struct seclang_counts counts;
    const char *file; /* being read */
    const char *directory;
    unsigned line;
    bool no_memory;       /* somewhere; the table would lack something */
    bool chain_open;      /* the last rule waits for the next */
    bool chain_dropped;   /* and is of a phase that is left out */
    uint32_t chain_first; /* pending rule that begins the open chain */
};

int seclang_fail(struct seclang *seclang, struct seclang_error *error, const char *what,
                 struct span where);

/* "ARGS|!ARGS:x|REQUEST_COOKIES:/^a/". */
int seclang_read_targets(struct seclang *seclang, struct span text, struct table_rule *rule,
                         struct seclang_error *error) MUST_USE;
/* "!@rx ..." . */
int seclang_read_operator(struct seclang *seclang, struct span text, struct table_rule *rule,
                          struct seclang_error *error) MUST_USE;

struct rule_actions {
    unsigned phase; /* 0: none given */
    bool denies;
    struct span skip_after;
    bool chain;
    bool given_score;
};
/* "id:1,phase:2,..." . */
int seclang_read_actions(struct seclang *seclang, struct span text, struct table_rule *rule,
                         struct rule_actions *actions, struct seclang_error *error) MUST_USE;
/* The set of phrases separated by lines or blanks; marks: "|41 42|" is bytes. */
uint32_t seclang_add_phrases(struct seclang *seclang, struct span text, bool lines,
                             struct regex_needs *ret_needs);

#endif
