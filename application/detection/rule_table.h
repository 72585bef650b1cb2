/* The rule table: what yagura-rules-compiler makes of a rule set and the engine maps. One file,
 * position-independent: a head, sections of fixed records, and all texts; records refer to each
 * other by index and to texts by offset. Little-endian, of this machine's alignment.
 *
 * rule_table_open() checks every index and offset once, so that the engine need not. */
#ifndef APPLICATION_DETECTION_RULE_TABLE_H
#define APPLICATION_DETECTION_RULE_TABLE_H

#include "application/events/span.h"
#include "common/attributes.h"

#define RULE_TABLE_MAGIC   0x31454c5255524759ULL /* "YGRURLE1" */
#define RULE_TABLE_VERSION 1U
#define RULE_TABLE_NONE    UINT32_MAX

enum rule_table_section {
    TABLE_RULES,     /* struct table_rule, by phase, then in the order of the rule set */
    TABLE_TARGETS,   /* struct table_target */
    TABLE_ACTIONS,   /* struct table_action */
    TABLE_PIPELINES, /* struct table_pipeline; the first is the value as it came */
    TABLE_SLOTS,     /* struct table_text: names of transaction variables, lower case */
    TABLE_CLASSES,   /* struct table_class */
    TABLE_SETS,      /* struct table_phrase_set */
    TABLE_PHRASES,   /* struct table_phrase */
    TABLE_BUCKETS,   /* uint32_t: index of the first phrase of a bucket, or RULE_TABLE_NONE */
    TABLE_TEXTS,     /* char; each text is followed by a NUL */
    TABLE_SECTION_COUNT
};

struct table_section {
    uint32_t offset; /* of 8 bytes alignment */
    uint32_t count;  /* records */
};

struct table_head {
    uint64_t magic;
    uint32_t version;
    uint32_t size;     /* of the whole file */
    uint64_t checksum; /* of everything behind this member: FNV-1a, against damage */
    struct table_section sections[TABLE_SECTION_COUNT];
};

struct table_text {
    uint32_t offset; /* within TABLE_TEXTS */
    uint32_t length; /* without the NUL */
};

/* A set of bytes. */
struct table_class {
    uint64_t bytes[4];
};

enum rule_flag {
    RULE_CHAINED = 1 << 0,     /* matches only together with the next record */
    RULE_NEGATED = 1 << 1,     /* "!@" */
    RULE_CAPTURES = 1 << 2,    /* groups go to TX:0 to TX:9 */
    RULE_MULTI_MATCH = 1 << 3, /* looks at the value after each transformation */
    RULE_SILENT = 1 << 4,      /* nolog */
    RULE_DENIES = 1 << 5,
    RULE_SCORES = 1 << 6, /* it, or one chained to it, adds to the anomaly score */
    RULE_MACRO = 1 << 7,  /* the argument has %{...} in it */
    RULE_CHILD = 1 << 8,  /* chained to the one before */
};

enum rule_operator {
    OPERATOR_ALWAYS, /* SecAction */
    OPERATOR_NEVER,  /* needs what a function does not have: reputation, geography */
    OPERATOR_REGEX,
    OPERATOR_PHRASES,
    OPERATOR_SQL,
    OPERATOR_SCRIPT,
    OPERATOR_EQUAL_TEXT,
    OPERATOR_CONTAINS,
    OPERATOR_CONTAINS_WORD,
    OPERATOR_WITHIN,
    OPERATOR_BEGINS,
    OPERATOR_ENDS,
    OPERATOR_EQUAL,
    OPERATOR_GREATER_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_LESS_EQUAL,
    OPERATOR_LESS,
    OPERATOR_BYTE_RANGE, /* operand: the class of allowed bytes */
    OPERATOR_URL_ENCODING,
    OPERATOR_UTF8,
    OPERATOR_ADDRESS,
    OPERATOR_COUNT
};

struct table_rule {
    uint32_t id; /* of the chain's first */
    uint32_t flags;
    uint8_t phase; /* 1 or 2 */
    uint8_t operation;
    uint8_t protection;
    uint8_t score; /* what its severity is worth */
    uint32_t pipeline;
    uint32_t first_target, target_count;
    uint32_t first_action, action_count;
    uint32_t first_class, class_count; /* each must meet the value's bytes for a match */
    uint32_t least_length;             /* of a value that matches */
    uint32_t operand;                  /* phrases: their set; byte range: its class */
    uint32_t skip_to;                  /* where to go on after a match; 0: behind this */
    struct table_text argument, message, tags;
};

/* Variables; those below are request_list numbers. */
enum table_variable {
    VARIABLE_LISTS = 0, /* to VARIABLE_LISTS + REQUEST_LIST_COUNT - 1 */
    VARIABLE_TRANSACTION = 64,
    VARIABLE_MATCHED,
    VARIABLE_MATCHED_NAME,
    VARIABLE_MATCHED_ALL,
    VARIABLE_MATCHED_ALL_NAMES,
    VARIABLE_ARGUMENTS_SIZE,
    VARIABLE_FILES_SIZE,
    VARIABLE_BODY_ERROR,
    VARIABLE_BODY_LENGTH,
    VARIABLE_UNIQUE_ID,
    VARIABLE_ABSENT, /* never set in a function */
    VARIABLE_END
};

enum target_flag {
    TARGET_COUNT = 1 << 0,    /* "&": how many */
    TARGET_EXCLUDED = 1 << 1, /* "!" */
    TARGET_SELECTED = 1 << 2, /* only this name */
    TARGET_PATTERN = 1 << 3,  /* only names that match */
};

struct table_target {
    uint16_t variable;
    uint16_t flags;
    uint32_t slot; /* of a transaction variable with one name; RULE_TABLE_NONE */
    struct table_text selector;
    struct table_text name; /* as the rule set writes it: "ARGS:x" */
};

enum action_kind {
    ACTION_SET,
    ACTION_ADD,
    ACTION_SUBTRACT,
    ACTION_UNSET,
    ACTION_REMOVE_RULES,      /* ctl:ruleRemoveById: first, last */
    ACTION_REMOVE_TAGGED,     /* ctl:ruleRemoveByTag: name */
    ACTION_REMOVE_TARGET,     /* ctl:ruleRemoveTargetById: first, last; value is the target */
    ACTION_REMOVE_TARGET_TAG, /* ctl:ruleRemoveTargetByTag: name; value is the target */
    ACTION_ENGINE_OFF,
    ACTION_KIND_COUNT
};

struct table_action {
    uint32_t kind;
    uint32_t slot; /* RULE_TABLE_NONE: the name has a macro in it */
    uint32_t first, last;
    struct table_text name, value;
};

struct table_pipeline {
    uint32_t parent; /* below its own index */
    uint32_t transformation;
    uint64_t needs[4]; /* transformation_needs() */
    uint32_t may_be_any;
    uint32_t reserved;
};

struct table_phrase {
    struct table_text text; /* lower case */
    uint32_t anchor;        /* where the hashed bytes begin */
    uint32_t next;          /* of the same bucket, above its own index, or RULE_TABLE_NONE */
};

/* Phrases are found by hashing a few of each one's bytes, chosen where they are rarest. */
#define PHRASE_WIDTHS 4
struct table_phrase_set {
    uint32_t first_phrase, phrase_count;
    uint32_t first_bucket[PHRASE_WIDTHS]; /* for anchors of 1, 2, 3, 4 bytes */
    uint32_t bucket_bits[PHRASE_WIDTHS];  /* 0: none of that width */
};

struct rule_table {
    const char *base;
    size_t size;
    const struct table_rule *rules;
    const struct table_target *targets;
    const struct table_action *actions;
    const struct table_pipeline *pipelines;
    const struct table_text *slots;
    const struct table_class *classes;
    const struct table_phrase_set *sets;
    const struct table_phrase *phrases;
    const uint32_t *buckets;
    const char *texts;
    uint32_t counts[TABLE_SECTION_COUNT];
};

/* Maps and checks a table. -EINVAL: it is none, damaged, or of another version; -EFBIG; -errno. */
int rule_table_open(int fd, struct rule_table *ret_table) MUST_USE;
void rule_table_close(struct rule_table *table);
/* The checks alone, over bytes that stay the caller's and are aligned to 8. */
int rule_table_check(const void *bytes, size_t size, struct rule_table *ret_table) MUST_USE;
uint64_t rule_table_checksum(const struct table_head *head);
size_t rule_table_record_bytes(enum rule_table_section section);

static inline struct span table_span(const struct rule_table *table, struct table_text text)
{
    return (struct span){table->texts + text.offset, text.length};
}

#endif
