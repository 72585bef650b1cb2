#include "application/detection/graphql.h"

struct query {
    struct span rest;
    unsigned depth;
    unsigned deepest;
    unsigned parentheses;
    unsigned outer_depth; /* where the outermost of these was opened */
    unsigned names;       /* that may still stand in the operation's head */
    bool ended;           /* the next word begins an operation */
    bool directive;       /* '@' stands before */
    bool introspects;
    bool broken; /* no query after all */
};

static size_t name_length(struct span text)
{
    size_t length = 0;
    while (length < text.length && (byte_is_letter(text.data[length]) || text.data[length] == '_' ||
                                    (length > 0 && byte_is_digit(text.data[length]))))
        length++;
    return length;
}

/* Behind a quotation mark: the text up to the next, and what follows. Blocks have three marks. */
static struct span read_text(struct query *query)
{
    bool block = span_begins(query->rest, "\"\"\"");
    struct span text = span_from(query->rest, block ? 3 : 1);
    size_t length = 0;
    while (length < text.length &&
           !(block ? span_begins(span_from(text, length), "\"\"\"") : text.data[length] == '"')) {
        if (!block && text.data[length] == '\n')
            break;
        length += text.data[length] == '\\' && length + 1 < text.length ? 2 : 1;
    }
    length = length < text.length ? length : text.length;
    if (length == text.length || text.data[length] != '"')
        query->broken = true;
    query->rest = span_from(text, length + (block ? 3 : 1));
    return span_first(text, length);
}

static bool is_operation(struct span word)
{
    return span_is(word, "query") || span_is(word, "mutation") || span_is(word, "subscription") ||
           span_is(word, "fragment");
}

/* Outside of all brackets only an operation's head has words: "query name", "fragment name on
 * type", and directives. Anything else is other code that has a query in it. */
static void read_head_word(struct query *query, struct span word)
{
    if (query->ended && is_operation(word)) {
        query->names = span_is(word, "fragment") ? 3 : 1;
        query->ended = false;
    } else if (!query->directive && query->names > 0) {
        query->names--;
    } else if (!query->directive) {
        query->broken = true;
    }
}

static void read_word(struct query *query, size_t length)
{
    struct span word = span_first(query->rest, length);
    query->introspects = query->introspects || span_is(word, "__schema") || span_is(word, "__type");
    if (query->depth == 0 && query->parentheses == 0)
        read_head_word(query, word);
    query->directive = false;
    query->rest = span_from(query->rest, length);
}

/* Behind '(' stands the name of an argument or variable, and a colon. */
static bool begins_arguments(struct span text)
{
    text = span_trim(text);
    text = span_from(text, span_begins(text, "$") ? 1 : 0);
    size_t length = name_length(text);
    return length > 0 && span_begins(span_trim(span_from(text, length)), ":");
}

static void read_bracket(struct query *query, char byte)
{
    if (byte == '(') {
        query->outer_depth = query->parentheses == 0 ? query->depth : query->outer_depth;
        query->broken = query->broken || !begins_arguments(span_from(query->rest, 1));
        query->parentheses++;
    } else if (byte == ')') {
        query->broken = query->broken || query->parentheses == 0;
        query->parentheses -= query->parentheses > 0 ? 1 : 0;
    } else if (byte == '{') {
        query->depth++;
        query->deepest = query->depth > query->deepest ? query->depth : query->deepest;
    } else {
        unsigned least = query->parentheses > 0 ? query->outer_depth : 0;
        query->broken = query->broken || query->depth <= least;
        query->depth -= query->depth > 0 ? 1 : 0;
        query->ended = query->ended || (query->depth == 0 && query->parentheses == 0);
    }
}

static void read_sign(struct query *query, char byte)
{
    bool arguments = query->parentheses > 0;
    const char *signs = arguments ? "!$&[]:=@|.,+-" : query->depth > 0 ? ":@.," : "@,";
    bool known = byte_is_space(byte) || (arguments && byte_is_digit(byte)) ||
                 (byte != '\0' && strchr(signs, byte) != NULL);
    query->broken = query->broken || !known;
    query->directive = byte == '@';
}

/* One token; a text is returned, be it a comment's. */
static struct span read_token(struct query *query)
{
    char byte = query->rest.data[0];
    size_t name = name_length(query->rest);
    if (byte == '"')
        return read_text(query);
    if (byte == '#') {
        struct span comment = span_first(query->rest, span_find(query->rest, '\n'));
        query->rest = span_from(query->rest, comment.length);
        return span_trim(span_from(comment, 1));
    }
    if (name > 0) {
        read_word(query, name);
        return SPAN_NONE;
    }
    if (strchr("(){}", byte) != NULL && byte != '\0')
        read_bracket(query, byte);
    else
        read_sign(query, byte);
    query->rest = span_from(query->rest, 1);
    return SPAN_NONE;
}

/* Begins with '{', or with an operation. */
static bool may_be_query(struct span text)
{
    text = span_trim(text);
    while (span_begins(text, "#"))
        text = span_trim(span_from(text, span_find(text, '\n')));
    size_t name = name_length(text);
    if (span_begins(text, "{"))
        return name_length(span_trim(span_from(text, 1))) > 0;
    return is_operation(span_first(text, name)) && span_find(text, '{') < text.length;
}

static void report(struct judgement *judgement, const struct request_value *value, uint32_t rule,
                   struct span message)
{
    (void)judgement_find(judgement,
                         &(struct judgement_match){.protection = PROTECTION_MALICIOUS_PAYLOAD,
                                                   .rule = rule,
                                                   .score = SCORE_CRITICAL,
                                                   .message = message,
                                                   .list = SPAN("ARGS"),
                                                   .name = value->name,
                                                   .text = value->text});
}

/* Two walks: the first finds out whether it is a query to its end, the second takes its texts. */
static bool walk(struct judgement *judgement, const struct request_value *value, bool take,
                 struct query *query)
{
    *query = (struct query){.rest = value->text, .ended = true};
    while (query->rest.length > 0 && !query->broken) {
        struct span text = read_token(query);
        if (take && text.length > 0)
            request_add(judgement->request, REQUEST_ARGUMENTS_POST, value->name, text);
    }
    return !query->broken && query->depth == 0 && query->parentheses == 0;
}

static void check_value(struct judgement *judgement, size_t index)
{
    struct request_values *values = &judgement->request->lists[REQUEST_ARGUMENTS_POST];
    struct request_value value = values->values[index];
    struct query query;
    if (!may_be_query(value.text) || !walk(judgement, &value, false, &query))
        return;
    if (query.deepest > detection_policy_graphql_depth(judgement->policy))
        report(judgement, &value, RULE_GRAPHQL_DEPTH, SPAN("GraphQL query is nested too deeply"));
    if (query.introspects && !detection_policy_graphql_introspection(judgement->policy))
        report(judgement, &value, RULE_GRAPHQL_INTROSPECTION,
               SPAN("GraphQL query asks for the schema"));
    (void)walk(judgement, &value, true, &query);
    values->values[index].text = SPAN("");
}

void graphql_check(struct judgement *judgement)
{
    const struct request_values *values = &judgement->request->lists[REQUEST_ARGUMENTS_POST];
    size_t count = values->count;
    for (size_t i = 0; i < count; i++) {
        struct span name = values->values[i].name;
        if (name.length >= 5 && span_is(span_from(name, name.length - 5), "query"))
            check_value(judgement, i);
    }
}
