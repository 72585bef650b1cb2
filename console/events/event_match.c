/* Owns the comparison of an event with what somebody wants. Must not know SQL. */
#include "console/events/event_match.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>

const char *const EVENT_MATCH_NAMES[] = {"severity",  "modules", "kinds",
                                         "signature", "groups",  NULL};

static size_t read_words(struct wire_reader *reader, const char *key, char *words, size_t word_size,
                         bool uuids)
{
    const json_t *list = wire_read_array(reader, key, EVENT_MATCH_WORDS, true);
    size_t i, count = 0;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const char *word = json_string_value(entry);
        if (!word || !word[0] || (uuids && !wire_is_uuid(word)) ||
            text_copy(words + count * word_size, word_size, word) < 0) {
            wire_fail(reader, "%s must be a list of %s", key,
                      uuids ? "ids of groups" : "texts of 1 to 64 bytes");
            return 0;
        }
        count++;
    }
    return count;
}

void event_match_read(struct wire_reader *reader, struct event_match *ret_match)
{
    *ret_match = (struct event_match){.severity = 0};
    const char *severity = wire_read_text(reader, "severity", 1, 16, "info");
    if (!reader->error && wire_severity_parse(severity, &ret_match->severity) < 0)
        wire_fail(reader, "severity must be info, low, medium, high or critical");
    ret_match->module_count =
        read_words(reader, "modules", ret_match->modules[0], EVENT_MATCH_WORD, false);
    ret_match->kind_count =
        read_words(reader, "kinds", ret_match->kinds[0], EVENT_MATCH_WORD, false);
    ret_match->group_count =
        read_words(reader, "groups", ret_match->groups[0], UUID_TEXT_BYTES, true);
    (void)text_copy(ret_match->signature, sizeof(ret_match->signature),
                    wire_read_text(reader, "signature", 0, LIMIT_SIGNATURE_NAME_BYTES, ""));
}

int event_match_parse(const char *json, struct event_match *ret_match)
{
    json_t *root = NULL;
    struct wire_problem problem;
    int r = wire_parse(json, strlen(json), &root, &problem);
    if (r < 0)
        return r;
    struct wire_reader reader = wire_reader_of(root, &problem);
    event_match_read(&reader, ret_match);
    json_decref(root);
    return reader.error;
}

static bool is_among(const char *words, size_t word_size, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(words + i * word_size, word))
            return true;
    return count == 0;
}

void event_signature(const char *detail, char ret_signature[static 257])
{
    ret_signature[0] = '\0';
    json_t *root = json_loads(detail, JSON_REJECT_DUPLICATES, NULL);
    const char *signature = json_string_value(json_object_get(root, "signature"));
    if (signature)
        (void)text_copy(ret_signature, 257, signature);
    json_decref(root);
}

bool event_matches(const struct event_match *match, const struct event_facts *event)
{
    if (event->severity < match->severity ||
        !is_among(match->modules[0], EVENT_MATCH_WORD, match->module_count, event->module) ||
        !is_among(match->kinds[0], EVENT_MATCH_WORD, match->kind_count, event->kind) ||
        !is_among(match->groups[0], UUID_TEXT_BYTES, match->group_count, event->group))
        return false;
    if (!match->signature[0])
        return true;
    char signature[257];
    event_signature(event->detail, signature);
    return text_starts_with(signature, match->signature);
}
