/* Owns: what a match says, as an event's detail, and when two say the same. Must not own: when it
 * is told (log_folds.c). */
#include "agent/logs/log_match.h"

#include "agent/inspector/log_messages.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/json/json_writer.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

/* Of an event's detail, without what folding adds; of it, what ends the fields. */
enum { MOST_HEAD_BYTES = LIMIT_EVENT_DETAIL_BYTES / 2, FIELDS_END_BYTES = 64 };

/* By which two matches of a rule are the same: not by what differs each time. */
static bool is_telling(const char *name)
{
    static const char *const passing[] = {"port", "process", "address", "instruction"};

    for (size_t i = 0; i < ARRAY_LENGTH(passing); i++)
        if (text_equal(passing[i], name))
            return false;
    return true;
}

struct match {
    uint32_t rule, severity, group, lines, process;
    uint64_t time_ns;
    char description[LOG_DESCRIPTION_BYTES], description_ja[LOG_DESCRIPTION_BYTES];
    char decoder[LOG_NAME_BYTES], program[LOG_VALUE_BYTES], unit[LOG_VALUE_BYTES];
    char line[LOG_LINE_BYTES];
};

static void read_match(struct message_reader *reader, struct match *match)
{
    match->rule = message_read_u32(reader);
    match->severity = message_read_u32(reader);
    match->group = message_read_u32(reader);
    match->lines = message_read_u32(reader);
    match->time_ns = message_read_u64(reader);
    match->process = message_read_u32(reader);
    message_read_text(reader, match->description, sizeof match->description);
    message_read_text(reader, match->description_ja, sizeof match->description_ja);
    message_read_text(reader, match->decoder, sizeof match->decoder);
    message_read_text(reader, match->program, sizeof match->program);
    message_read_text(reader, match->unit, sizeof match->unit);
    message_read_text(reader, match->line, sizeof match->line);
}

static void write_facts(const struct match *match, const char *path, struct json_writer *json)
{
    json_write_field_unsigned(json, "rule", match->rule);
    json_write_field_string(json, "description", match->description);
    json_write_field_string(json, "description_ja", match->description_ja);
    json_write_field_string(json, "decoder", match->decoder);
    json_write_field_string(json, "log", path != NULL ? path : "journal");
    json_write_field_string(json, "program", match->program);
    if (match->process != 0)
        json_write_field_unsigned(json, "process", match->process);
    if (match->unit[0] != '\0')
        json_write_field_string(json, "unit", match->unit);
    json_write_field_string(json, "line", match->line);
    if (match->lines > 1)
        json_write_field_unsigned(json, "lines", match->lines);
}

/* A field that has no room any more is left out; returns whether it was. */
static bool write_field(struct json_writer *json, const char *name, const char *value)
{
    AUTO_BUFFER struct buffer field = BUFFER_WITH_MAXIMUM(MOST_HEAD_BYTES);
    struct json_writer alone;

    json_writer_init(&alone, &field);
    json_write_field_string(&alone, name, value);
    if (buffer_failed(&field) < 0 ||
        json->buffer->length + field.length + FIELDS_END_BYTES > MOST_HEAD_BYTES)
        return true;
    json_write_field_string(json, name, value);
    return false;
}

/* The fields, into the detail and into the key. */
static int read_fields(struct message_reader *reader, struct json_writer *json, struct sha256 *key)
{
    uint32_t count = message_read_u32(reader);
    char name[LOG_NAME_BYTES], value[LOG_VALUE_BYTES];
    int r = count <= LOG_FIELDS ? 0 : -EBADMSG;
    bool cut = false;

    json_write_key(json, "fields");
    json_write_object_begin(json);
    for (uint32_t i = 0; i < count && r == 0; i++) {
        message_read_text(reader, name, sizeof name);
        message_read_text(reader, value, sizeof value);
        cut = write_field(json, name, value) || cut;
        if (is_telling(name))
            r = sha256_update(key, name, strlen(name) + 1);
        if (r == 0 && is_telling(name))
            r = sha256_update(key, value, strlen(value) + 1);
    }
    json_write_object_end(json);
    if (cut)
        json_write_field_bool(json, "fields_cut", true);
    return r;
}

static int write_match(struct message_reader *reader, const struct match *match, const char *path,
                       struct sha256 *key, struct log_told *told)
{
    AUTO_BUFFER struct buffer head = BUFFER_WITH_MAXIMUM(MOST_HEAD_BYTES);
    uint8_t digest[SHA256_BYTES];
    struct json_writer json;

    json_writer_init(&json, &head);
    json_write_object_begin(&json);
    write_facts(match, path, &json);
    int r = sha256_update(key, &match->rule, sizeof match->rule);
    if (r == 0)
        r = sha256_update(key, match->program, strlen(match->program) + 1);
    if (r == 0)
        r = sha256_update(key, match->unit, strlen(match->unit) + 1);
    if (r == 0)
        r = read_fields(reader, &json, key);
    if (r == 0)
        r = sha256_finish(key, digest);
    if (r == 0)
        r = buffer_failed(&head);
    if (r < 0)
        return r;
    text_hex(told->key, digest, sizeof digest);
    told->subject = text_format_new("%s: %s", match->program, match->line);
    told->head = buffer_take(&head);
    return told->subject != NULL && told->head != NULL ? 0 : -ENOMEM;
}

int log_match_read(struct message_reader *reader, const char *path, struct log_told *ret_told)
{
    struct sha256 *key = NULL;
    struct match match;

    read_match(reader, &match);
    if (reader->failed || match.group >= LOG_GROUP_COUNT || match.severity < LOG_SEVERITY_INFO ||
        match.severity > LOG_SEVERITY_CRITICAL)
        return -EBADMSG;
    struct log_told told = {
        .rule = match.rule,
        .severity = (enum event_severity)(match.severity - LOG_SEVERITY_INFO),
        .kind = log_group_kind((enum log_group)match.group),
        .time_ns = match.time_ns,
    };
    int r = sha256_new(&key);
    if (r == 0)
        r = write_match(reader, &match, path, key, &told);
    sha256_free(key);
    if (r == 0)
        r = message_reader_end(reader);
    if (r < 0) {
        log_told_done(&told);
        return r;
    }
    *ret_told = told;
    return 0;
}

void log_told_done(struct log_told *told)
{
    free(told->subject);
    free(told->head);
}
