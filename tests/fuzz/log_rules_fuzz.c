/* Lines and rules, both as an outsider might write them. What stands before the first NUL is a text
 * of rules (empty: some that know every form of field), the rest are lines: refused with a reason
 * that a terminal can show, or matched within bounds, with fields that lie inside the line. */
#include "common/limits.h"
#include "common/log_rules/log_engine.h"
#include "common/log_rules/log_line.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig's own scanner forgets an unfinished string when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

static const char fallback[] =
    "decoders = ( { name = \"a\"; program = \"sshd\"; contains = \"for\"; regex = \"for (?<user>.*) from "
    "(?<source_address>\\\\S+)\"; }, { name = \"b\"; contains = \":\"; regex = \"(?J)^(?:(?<x>a+)+|(?<x>.*)):\"; } );"
    "rules = ( { id = 1; decoder = \"a\"; severity = \"low\"; group = \"login\"; description = \"x\"; },"
    "{ id = 2; decoder = \"b\"; unless = \"z\"; fields = { x = \"b\"; }; severity = \"ignore\"; description = \"x\"; },"
    "{ id = 3; if_matched_group = \"login\"; same = [\"user\"]; frequency = 2; timeframe = 9; severity = \"high\"; "
    "description = \"x\"; } );";

static void require(bool held)
{
    if (!held)
        abort();
}

static int check(void *user, const struct log_line *line, const struct log_match *match)
{
    (void)user;
    require(match->rule->id > 0 && match->decoder != NULL);
    for (size_t i = 0; i < match->field_count; i++) {
        const struct log_field *field = &match->fields[i];
        require(field->length > 0 && field->length <= LIMIT_LOG_FIELD_BYTES);
        require(field->value >= line->message &&
                field->value + field->length <= line->message + line->message_length);
    }
    return 0;
}

static void match_lines(const struct log_rules *rules, const char *lines, size_t length)
{
    struct log_engine *engine = NULL;

    if (log_engine_new(rules, &engine) < 0)
        return;
    while (length > 0) {
        const char *end = memchr(lines, '\n', length);
        size_t size = end != NULL ? (size_t)(end - lines) : length;
        struct log_line line;
        log_line_read(lines, size, "fuzz", 1767323045ULL * NS_PER_SECOND, &line);
        require(line.message_length <= size && line.time_ns > 0);
        require(log_engine_take(engine, &line, check, NULL) == 0);
        size += end != NULL;
        lines += size;
        length -= size;
    }
    (void)log_engine_free(engine);
}

static void require_shown(const char *text)
{
    require(text[0] != '\0');
    for (; *text != '\0'; text++)
        require((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t length = end != NULL ? (size_t)(end - data) : size;
    AUTO_FREE char *text = length > 0 ? text_new(data, length) : strdup(fallback);
    struct log_rules *rules = NULL;
    struct settings_error error = {.text = ""};

    if (text == NULL || log_rules_new(&rules) < 0)
        return 0;
    int r = log_rules_add_text(rules, "fuzz", text, false, &error);
    if (r == 0)
        r = log_rules_seal(rules, &error);
    if (r == 0 && end != NULL)
        match_lines(rules, (const char *)end + 1, size - length - 1);
    else if (r < 0)
        require_shown(error.text);
    (void)log_rules_free(rules);
    return 0;
}
