#include "application/compiler/seclang_internal.h"

#include "application/limits.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* The rule set refuses to work unless its settings say which version they are for; whoever gives no
 * settings file gets every default. */
static const char prelude[] =
    "SecAction \"id:900990,phase:1,nolog,pass,t:none,setvar:tx.crs_setup_version=334\"\n";

struct seclang *seclang_new(void)
{
    static const char digits[] = "0123456789"; /* what expressions capture: TX:0 to TX:9 */
    struct seclang *seclang = calloc(1, sizeof(*seclang));
    struct seclang_error error;
    if (seclang == NULL)
        return NULL;
    table_builder_init(&seclang->builder);
    for (size_t i = 0; i < sizeof(digits) - 1; i++)
        (void)table_builder_slot(&seclang->builder, (struct span){digits + i, 1});
    buffer_init(&seclang->rules, APPLICATION_LIMIT_RULES * sizeof(struct pending_rule));
    buffer_init(&seclang->markers, APPLICATION_LIMIT_TABLE);
    buffer_init(&seclang->skips, APPLICATION_LIMIT_TABLE);
    buffer_init(&seclang->scratch, APPLICATION_LIMIT_SOURCE);
    if (seclang_add_text(seclang, "prelude", NULL, SPAN(prelude), &error) < 0)
        return seclang_free(seclang);
    return seclang;
}

struct seclang *seclang_free(struct seclang *seclang)
{
    if (seclang == NULL)
        return NULL;
    table_builder_done(&seclang->builder);
    buffer_done(&seclang->rules);
    buffer_done(&seclang->markers);
    buffer_done(&seclang->skips);
    buffer_done(&seclang->scratch);
    free(seclang);
    return NULL;
}

struct seclang_counts seclang_counts(const struct seclang *seclang)
{
    return seclang->counts;
}

int seclang_fail(struct seclang *seclang, struct seclang_error *error, const char *what,
                 struct span where)
{
    char shown[128];
    (void)text_escape(shown, sizeof(shown), where.length == 0 ? "" : where.data,
                      MIN(where.length, (size_t)60));
    (void)text_format(error->text, sizeof(error->text), "%s:%u: %s: %s", seclang->file,
                      seclang->line, what, shown);
    return -EINVAL;
}

/* One word of a directive: in quotes, where \" is a quote, or up to a blank. What is quoted is
 * copied into scratch, which has room for it. */
static struct span next_word(struct span *rest, struct buffer *scratch)
{
    *rest = span_trim(*rest);
    if (rest->length == 0 || rest->data[0] != '"') {
        size_t end = 0;
        while (end < rest->length && !byte_is_space(rest->data[end]))
            end++;
        struct span word = span_first(*rest, end);
        *rest = span_from(*rest, end);
        return word;
    }
    char *to = NULL;
    if (buffer_reserve(scratch, rest->length, &to) < 0) {
        *rest = SPAN_NONE;
        return SPAN_NONE;
    }
    size_t length = 0;
    size_t at = 1;
    while (at < rest->length && rest->data[at] != '"') {
        if (rest->data[at] == '\\' && at + 1 < rest->length && rest->data[at + 1] == '"')
            at++;
        to[length++] = rest->data[at++];
    }
    *rest = span_from(*rest, at + 1);
    return (struct span){to, length};
}

static struct pending_rule *pending_at(struct seclang *seclang, uint32_t index)
{
    return (struct pending_rule *)(void *)seclang->rules.data + index;
}

static uint32_t pending_count(const struct seclang *seclang)
{
    return (uint32_t)(seclang->rules.length / sizeof(struct pending_rule));
}

static uint8_t protection_of(uint32_t id)
{
    switch (id / 1000) {
    case 942:
        return PROTECTION_SQL_INJECTION;
    case 930:
    case 931:
        return PROTECTION_ILLEGAL_FILE_ACCESS;
    case 932:
        return PROTECTION_REMOTE_COMMAND_EXECUTION;
    case 922:
        return PROTECTION_MALICIOUS_FILE_UPLOAD;
    default:
        return id == 933110 || id == 933111 || id == 920120 || id == 920121
                   ? PROTECTION_MALICIOUS_FILE_UPLOAD
                   : PROTECTION_MALICIOUS_PAYLOAD;
    }
}

/* Puts a rule that was read behind the others, into the chain that is open. */
static void keep_rule(struct seclang *seclang, struct pending_rule *pending,
                      const struct rule_actions *actions)
{
    bool child = seclang->chain_open;
    struct table_rule *rule = &pending->record;
    if (!child) {
        unsigned phase = actions->phase == 0 ? 2 : actions->phase;
        seclang->chain_dropped = phase > 2;
        seclang->chain_first = pending_count(seclang);
        rule->phase = (uint8_t)phase;
        seclang->counts.rules += seclang->chain_dropped ? 0 : 1;
        seclang->counts.left_out += seclang->chain_dropped ? 1 : 0;
    }
    seclang->chain_open = actions->chain;
    if (seclang->chain_dropped)
        return;
    if (child) {
        const struct table_rule *first = &pending_at(seclang, seclang->chain_first)->record;
        rule->phase = first->phase;
        rule->id = first->id;
        rule->flags |= RULE_CHILD;
    }
    rule->flags |= actions->chain ? RULE_CHAINED : 0;
    rule->protection = protection_of(rule->id);
    (void)buffer_append(&seclang->rules, pending, sizeof(*pending));
    if (buffer_failed(&seclang->rules) < 0 || !actions->given_score)
        return;
    struct table_rule *first = &pending_at(seclang, seclang->chain_first)->record;
    first->flags |= RULE_SCORES;
    first->score = rule->score;
}

/* SecRule VARIABLES OPERATOR [ACTIONS], SecAction ACTIONS. */
static int read_rule(struct seclang *seclang, struct span rest, bool unconditional,
                     struct seclang_error *error)
{
    struct pending_rule pending = {.skip_after = RULE_TABLE_NONE};
    struct rule_actions actions = {0};
    struct table_rule *rule = &pending.record;
    AUTO_BUFFER struct buffer scratch = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_SOURCE);
    char *room = NULL;
    int r = buffer_reserve(&scratch, 3 * rest.length + 1, &room);
    if (r < 0)
        return r;
    rule->operation = OPERATOR_ALWAYS;
    if (!unconditional) {
        struct span targets = next_word(&rest, &scratch);
        buffer_commit(&scratch, targets.length);
        r = seclang_read_targets(seclang, targets, rule, error);
        if (r < 0)
            return r;
        struct span operation = next_word(&rest, &scratch);
        buffer_commit(&scratch, operation.length);
        r = seclang_read_operator(seclang, operation, rule, error);
        if (r < 0)
            return r;
    }
    r = seclang_read_actions(seclang, next_word(&rest, &scratch), rule, &actions, error);
    if (r < 0)
        return r;
    if (actions.skip_after.length > 0) {
        struct table_text name = table_builder_text(&seclang->builder, actions.skip_after);
        pending.skip_after = (uint32_t)(seclang->skips.length / sizeof(name));
        (void)buffer_append(&seclang->skips, &name, sizeof(name));
    }
    keep_rule(seclang, &pending, &actions);
    return buffer_failed(&seclang->rules);
}

static int read_marker(struct seclang *seclang, struct span rest)
{
    AUTO_BUFFER struct buffer scratch = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_SOURCE);
    struct span name = next_word(&rest, &scratch);
    struct pending_marker marker = {.before = pending_count(seclang)};
    if (name.length >= 2 && name.data[0] == '\'')
        name = span_from(span_first(name, name.length - 1), 1);
    marker.name = table_builder_text(&seclang->builder, name);
    return buffer_append(&seclang->markers, &marker, sizeof(marker));
}

static int read_directive(struct seclang *seclang, struct span text, struct seclang_error *error)
{
    static const char *const no_matter[] = {"SecDefaultAction",     "SecComponentSignature",
                                            "SecCollectionTimeout", "SecRuleEngine",
                                            "SecRequestBodyAccess", "SecGeoLookupDb",
                                            "SecAuditEngine",       "SecResponseBodyAccess"};
    struct span rest = span_trim(text);
    struct span name = rest;
    for (name.length = 0; name.length < rest.length && !byte_is_space(rest.data[name.length]);)
        name.length++;
    rest = span_from(rest, name.length);
    if (name.length == 0)
        return 0;
    if (span_alike(name, SPAN("SecRule")) || span_alike(name, SPAN("SecAction")))
        return read_rule(seclang, rest, span_alike(name, SPAN("SecAction")), error);
    if (span_alike(name, SPAN("SecMarker")))
        return read_marker(seclang, rest);
    for (size_t i = 0; i < ARRAY_LENGTH(no_matter); i++) {
        if (span_alike(name, span_of(no_matter[i])))
            return 0;
    }
    if (!span_begins_alike(name, "Sec"))
        return seclang_fail(seclang, error, "not a directive", name);
    seclang->counts.unknown++;
    return 0;
}

/* Lines that end with a backslash go on in the next. */
static int read_lines(struct seclang *seclang, struct span text, struct seclang_error *error)
{
    struct span rest = text;
    struct span line;
    buffer_clear(&seclang->scratch);
    while (rest.length > 0 && span_next(&rest, '\n', &line)) {
        seclang->line++;
        if (line.length > 0 && line.data[line.length - 1] == '\r')
            line.length--;
        struct span shown = span_trim(line);
        if (seclang->scratch.length == 0 && span_begins(shown, "#"))
            continue;
        bool more = line.length > 0 && line.data[line.length - 1] == '\\';
        (void)buffer_append(&seclang->scratch, shown.length == 0 ? "" : shown.data,
                            shown.length - (more ? 1 : 0));
        if (more && rest.length > 0)
            continue;
        int r = buffer_failed(&seclang->scratch);
        if (r == 0)
            r = read_directive(seclang,
                               (struct span){seclang->scratch.data, seclang->scratch.length},
                               error);
        if (r < 0)
            return r;
        buffer_clear(&seclang->scratch);
    }
    return 0;
}

int seclang_add_text(struct seclang *seclang, const char *name, const char *directory,
                     struct span text, struct seclang_error *ret_error)
{
    seclang->file = name;
    seclang->directory = directory;
    seclang->line = 0;
    if (text.length > 0 && memchr(text.data, '\0', text.length) != NULL)
        return seclang_fail(seclang, ret_error, "a NUL byte", SPAN(""));
    int r = read_lines(seclang, text, ret_error);
    if (r == 0 && seclang->chain_open)
        r = seclang_fail(seclang, ret_error, "a chain that does not end", SPAN(""));
    if (r == -ENOMEM || r == -EMSGSIZE)
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: too much of it", name);
    return r;
}

static int add_file(struct seclang *seclang, const char *directory, const char *path,
                    struct seclang_error *error)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_SOURCE);
    int r = file_read_all(path, &text);
    if (r < 0) {
        (void)text_format(error->text, sizeof(error->text), "%s: cannot be read", path);
        return r;
    }
    return seclang_add_text(seclang, path, directory, (struct span){text.data, text.length}, error);
}

static int is_rules(const struct dirent *entry)
{
    return text_ends_with(entry->d_name, ".conf");
}

static int add_directory(struct seclang *seclang, const char *directory,
                         struct seclang_error *error)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_rules, alphasort);
    int r = count < 0 ? -errno : 0;
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *path = text_format_new("%s/%s", directory, entries[i]->d_name);
        if (r == 0 && path == NULL)
            r = -ENOMEM;
        if (r == 0)
            r = add_file(seclang, directory, path, error);
        free(entries[i]);
    }
    free(entries);
    return r;
}

int seclang_add_path(struct seclang *seclang, const char *path, struct seclang_error *ret_error)
{
    AUTO_FREE char *rules = text_format_new("%s/rules", path);
    AUTO_FREE char *setup = text_format_new("%s/crs-setup.conf", path);
    AUTO_CLOSE int fd = -1;
    struct stat status;
    if (rules == NULL || setup == NULL)
        return -ENOMEM;
    int r = file_open_following(path, O_RDONLY, 0, &fd);
    if (r < 0 || fstat(fd, &status) < 0) {
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: cannot be read", path);
        return r < 0 ? r : -errno;
    }
    if (!S_ISDIR(status.st_mode)) {
        const char *slash = strrchr(path, '/');
        AUTO_FREE char *directory =
            slash == NULL ? text_new(".", 1) : text_new(path, (size_t)(slash - path));
        return directory == NULL ? -ENOMEM : add_file(seclang, directory, path, ret_error);
    }
    if (stat(rules, &status) == 0 && S_ISDIR(status.st_mode)) {
        r = stat(setup, &status) == 0 ? add_file(seclang, path, setup, ret_error) : 0;
        return r < 0 ? r : add_directory(seclang, rules, ret_error);
    }
    return add_directory(seclang, path, ret_error);
}

/* The first rule of the phase behind the marker of that name, counted in the table; 0: none. */
static int find_skip(struct seclang *seclang, const struct pending_rule *rule, uint32_t index,
                     const uint32_t *places, uint32_t *ret_place)
{
    const char *texts = seclang->builder.sections[TABLE_TEXTS].data;
    const struct table_text *name =
        (const struct table_text *)(void *)seclang->skips.data + rule->skip_after;
    const struct pending_marker *markers = (const void *)seclang->markers.data;
    size_t count = seclang->markers.length / sizeof(*markers);
    for (size_t i = 0; i < count; i++) {
        if (markers[i].before <= index ||
            !span_equal((struct span){texts + markers[i].name.offset, markers[i].name.length},
                        (struct span){texts + name->offset, name->length}))
            continue;
        uint32_t next = markers[i].before;
        while (next < pending_count(seclang) &&
               pending_at(seclang, next)->record.phase != rule->record.phase)
            next++;
        *ret_place = next < pending_count(seclang) ? places[next]
                     : rule->record.phase == 1     ? places[pending_count(seclang)]
                                                   : pending_count(seclang);
        return 0;
    }
    return -ENOENT;
}

/* Where each pending rule comes to stand: those of phase 1 first. One more entry says where phase 2
 * begins. */
static void place_rules(struct seclang *seclang, uint32_t *places)
{
    uint32_t count = pending_count(seclang);
    uint32_t next = 0;
    for (uint8_t phase = 1; phase <= 2; phase++) {
        if (phase == 2)
            places[count] = next;
        for (uint32_t i = 0; i < count; i++) {
            if (pending_at(seclang, i)->record.phase == phase)
                places[i] = next++;
        }
    }
}

static int add_rules(struct seclang *seclang, uint32_t *places, struct seclang_error *error)
{
    uint32_t count = pending_count(seclang);
    place_rules(seclang, places);
    for (uint8_t phase = 1; phase <= 2; phase++) {
        for (uint32_t i = 0; i < count; i++) {
            struct pending_rule *pending = pending_at(seclang, i);
            if (pending->record.phase != phase)
                continue;
            if (pending->skip_after != RULE_TABLE_NONE &&
                find_skip(seclang, pending, i, places, &pending->record.skip_to) < 0) {
                (void)text_format(error->text, sizeof(error->text),
                                  "rule %u skips to a marker that is not there",
                                  pending->record.id);
                return -EINVAL;
            }
            (void)table_builder_add(&seclang->builder, TABLE_RULES, &pending->record);
        }
    }
    return 0;
}

int seclang_finish(struct seclang *seclang, struct buffer *file, struct seclang_error *ret_error)
{
    AUTO_FREE uint32_t *places = calloc((size_t)pending_count(seclang) + 1, sizeof(*places));
    ret_error->text[0] = '\0';
    if (places == NULL || seclang->no_memory)
        return -ENOMEM;
    int r = buffer_failed(&seclang->rules);
    if (r == 0)
        r = buffer_failed(&seclang->markers);
    if (r == 0)
        r = buffer_failed(&seclang->skips);
    if (r == 0) /* whose names are compared */
        r = buffer_failed(&seclang->builder.sections[TABLE_TEXTS]);
    if (r == 0)
        r = add_rules(seclang, places, ret_error);
    return r < 0 ? r : table_builder_finish(&seclang->builder, file);
}
