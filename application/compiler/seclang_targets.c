/* The first argument of a rule: which values it looks at. */
#include "application/compiler/seclang_internal.h"

#include "application/events/request.h"

#include <errno.h>

struct known_variable {
    const char *name;
    uint16_t first;
    uint16_t second; /* a second list; VARIABLE_END: none */
};

#define LIST(name, list)         \
    {                            \
        name, list, VARIABLE_END \
    }
#define LISTS(name, list, more) \
    {                           \
        name, list, more        \
    }

static const struct known_variable known[] = {
    LIST("REQUEST_URI", REQUEST_URI),
    LIST("REQUEST_URI_RAW", REQUEST_URI_RAW),
    LIST("REQUEST_FILENAME", REQUEST_FILENAME),
    LIST("PATH_INFO", REQUEST_FILENAME),
    LIST("REQUEST_BASENAME", REQUEST_BASENAME),
    LIST("REQUEST_LINE", REQUEST_LINE),
    LIST("REQUEST_METHOD", REQUEST_METHOD),
    LIST("REQUEST_PROTOCOL", REQUEST_PROTOCOL),
    LIST("QUERY_STRING", REQUEST_QUERY),
    LIST("REQUEST_BODY", REQUEST_BODY),
    LIST("REQBODY_PROCESSOR", REQUEST_BODY_PROCESSOR),
    LIST("REMOTE_ADDR", REQUEST_ADDRESS),
    LIST("REQUEST_HEADERS", REQUEST_HEADERS),
    LIST("REQUEST_HEADERS_NAMES", REQUEST_HEADER_NAMES),
    LIST("REQUEST_COOKIES", REQUEST_COOKIES),
    LIST("REQUEST_COOKIES_NAMES", REQUEST_COOKIE_NAMES),
    LISTS("ARGS", REQUEST_ARGUMENTS_GET, REQUEST_ARGUMENTS_POST),
    LISTS("ARGS_NAMES", REQUEST_ARGUMENTS_GET_NAMES, REQUEST_ARGUMENTS_POST_NAMES),
    LIST("ARGS_GET", REQUEST_ARGUMENTS_GET),
    LIST("ARGS_GET_NAMES", REQUEST_ARGUMENTS_GET_NAMES),
    LIST("ARGS_POST", REQUEST_ARGUMENTS_POST),
    LIST("ARGS_POST_NAMES", REQUEST_ARGUMENTS_POST_NAMES),
    LIST("FILES", REQUEST_FILES),
    LIST("FILES_NAMES", REQUEST_FILES_NAMES),
    LIST("MULTIPART_PART_HEADERS", REQUEST_PART_HEADERS),
    LIST("TX", VARIABLE_TRANSACTION),
    LIST("MATCHED_VAR", VARIABLE_MATCHED),
    LIST("MATCHED_VAR_NAME", VARIABLE_MATCHED_NAME),
    LIST("MATCHED_VARS", VARIABLE_MATCHED_ALL),
    LIST("MATCHED_VARS_NAMES", VARIABLE_MATCHED_ALL_NAMES),
    LIST("ARGS_COMBINED_SIZE", VARIABLE_ARGUMENTS_SIZE),
    LIST("FILES_COMBINED_SIZE", VARIABLE_FILES_SIZE),
    LIST("REQBODY_ERROR", VARIABLE_BODY_ERROR),
    LIST("REQBODY_PROCESSOR_ERROR", VARIABLE_BODY_ERROR),
    LIST("REQUEST_BODY_LENGTH", VARIABLE_BODY_LENGTH),
    LIST("UNIQUE_ID", VARIABLE_UNIQUE_ID),
    LIST("IP", VARIABLE_ABSENT),
    LIST("GLOBAL", VARIABLE_ABSENT),
    LIST("SESSION", VARIABLE_ABSENT),
    LIST("RESOURCE", VARIABLE_ABSENT),
    LIST("USER", VARIABLE_ABSENT),
    LIST("GEO", VARIABLE_ABSENT),
    LIST("ENV", VARIABLE_ABSENT),
    LIST("DURATION", VARIABLE_ABSENT),
    LIST("RESPONSE_STATUS", VARIABLE_ABSENT),
    LIST("RESPONSE_HEADERS", VARIABLE_ABSENT),
    LIST("RESPONSE_BODY", VARIABLE_ABSENT),
    LIST("RESPONSE_CONTENT_TYPE", VARIABLE_ABSENT),
};

static struct known_variable find_variable(struct seclang *seclang, struct span name,
                                           struct span selector)
{
    if (span_alike(name, SPAN("XML")))
        return (struct known_variable){"XML",
                                       span_contains(selector, SPAN("@")) ? REQUEST_XML_ATTRIBUTES
                                                                          : REQUEST_XML_TEXT,
                                       VARIABLE_END};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (span_alike(name, span_of(known[i].name)))
            return known[i];
    }
    seclang->counts.unknown++;
    return (struct known_variable){"", VARIABLE_ABSENT, VARIABLE_END};
}

/* The end of one target: a '|' that is not inside of /.../ or '...'. */
static size_t target_length(struct span rest)
{
    size_t colon = span_find(rest, ':');
    size_t bar = span_find(rest, '|');
    if (bar < colon || colon == rest.length)
        return bar;
    struct span selector = span_from(rest, colon + 1);
    const char *end = NULL;
    if (span_begins(selector, "'"))
        end = selector.length < 2 ? NULL : memchr(selector.data + 1, '\'', selector.length - 1);
    else if (span_begins(selector, "/") && !span_begins(rest, "XML"))
        end = memmem(selector.data + 1, selector.length - 1, "/|", 2);
    else
        return bar;
    if (end == NULL)
        return rest.length;
    size_t from = (size_t)(end - rest.data);
    return from + span_find(span_from(rest, from), '|');
}

static struct span unquote(struct span text)
{
    if (text.length >= 2 && text.data[0] == '\'' && text.data[text.length - 1] == '\'')
        return span_from(span_first(text, text.length - 1), 1);
    return text;
}

static void keep_target(struct seclang *seclang, struct table_target target,
                        struct known_variable variable, struct table_rule *rule)
{
    target.variable = variable.first;
    (void)table_builder_add(&seclang->builder, TABLE_TARGETS, &target);
    rule->target_count++;
    if (variable.second != VARIABLE_END) {
        target.variable = variable.second;
        (void)table_builder_add(&seclang->builder, TABLE_TARGETS, &target);
        rule->target_count++;
    }
}

/* Names are compared without regard to case, by patterns too. */
static void add_pattern(struct seclang *seclang, struct span text, struct table_target target,
                        struct known_variable variable, struct span pattern,
                        struct table_rule *rule)
{
    AUTO_FREE char *caseless = malloc(pattern.length + 4);
    if (caseless == NULL) {
        seclang->no_memory = true;
        return;
    }
    memcpy(caseless, "(?i)", 4);
    if (pattern.length > 0)
        memcpy(caseless + 4, pattern.data, pattern.length);
    target.selector =
        table_builder_text(&seclang->builder, (struct span){caseless, pattern.length + 4});
    target.name = table_builder_text(&seclang->builder, text);
    keep_target(seclang, target, variable, rule);
}

static void add_target(struct seclang *seclang, struct span text, struct table_rule *rule)
{
    struct table_builder *builder = &seclang->builder;
    struct table_target target = {.slot = RULE_TABLE_NONE};
    if (span_begins(text, "!") || span_begins(text, "&")) {
        target.flags |= text.data[0] == '!' ? TARGET_EXCLUDED : TARGET_COUNT;
        text = span_from(text, 1);
    }
    size_t colon = span_find(text, ':');
    struct span selector = unquote(span_from(text, colon + 1));
    struct known_variable variable = find_variable(seclang, span_first(text, colon), selector);
    bool is_xml = span_is(span_of(variable.name), "XML");
    if (colon < text.length && !is_xml) {
        bool pattern = selector.length >= 2 && selector.data[0] == '/' &&
                       selector.data[selector.length - 1] == '/';
        target.flags |= pattern ? TARGET_PATTERN : TARGET_SELECTED;
        if (pattern)
            return add_pattern(seclang, text, target, variable,
                               span_from(span_first(selector, selector.length - 1), 1), rule);
        if (variable.first == VARIABLE_TRANSACTION)
            target.slot = table_builder_slot(builder, selector);
        target.selector = table_builder_text(builder, selector);
    }
    target.name = table_builder_text(builder, text);
    keep_target(seclang, target, variable, rule);
}

int seclang_read_targets(struct seclang *seclang, struct span text, struct table_rule *rule,
                         struct seclang_error *error)
{
    rule->first_target = table_builder_count(&seclang->builder, TABLE_TARGETS);
    while (text.length > 0) {
        size_t length = target_length(text);
        struct span target = span_trim(span_first(text, length));
        if (target.length == 0)
            return seclang_fail(seclang, error, "a variable is missing", text);
        add_target(seclang, target, rule);
        text = span_from(text, length + 1);
    }
    return rule->target_count == 0 ? seclang_fail(seclang, error, "a rule without variables", text)
                                   : 0;
}
