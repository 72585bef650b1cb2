/* Owns: the conversation about logs: rules taken, lines read, matches told. Must not own: the
 * sandbox, what becomes of a match. */
#include "agent/inspector/log_reader.h"

#include "agent/inspector/inspector_sandbox.h"
#include "agent/inspector/journal.h"
#include "agent/inspector/line_secrets.h"
#include "agent/inspector/log_messages.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/log_rules/log_engine.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define MOST_MEMORY      (4096UL * 1024 * 1024) /* the journal's files are mapped */
#define MOST_DESCRIPTORS 8192

struct reader {
    int socket;
    const char *journal_directory;
    struct journal *journal;
    struct buffer custom, shipped;
    char problem[LOG_PROBLEM_BYTES];
    struct log_rules *rules;
    struct log_engine *engine;
    const char *unit;
    /* Of the question at hand. */
    uint64_t lines, matched, cut, exhausted_before;
    uint32_t told;
    bool more;
    char bytes[LIMIT_LOG_READ_BYTES];
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message_writer answer;
};

/* ---- rules ---- */

static int take_text(struct message *message, struct buffer *text)
{
    struct message_reader reader = message_reader_of(message);

    if (message_reader_end(&reader) < 0)
        return -EBADMSG;
    buffer_done(text);
    buffer_init(text, LIMIT_SETTINGS_BYTES);
    return file_read_all_fd(message->fds[0], text);
}

static int take_custom(void *user, struct message *message)
{
    return take_text(message, &((struct reader *)user)->custom);
}

/* The agent judged the policy's rules already: what is wrong now names what we do not ship (any
 * more), and costs the policy's rules, not ours. */
static int compile(struct reader *reader, bool with_custom)
{
    struct settings_error error = {.text = ""};
    struct log_rules *rules = NULL;
    int r = log_rules_new(&rules);

    if (r == 0 && with_custom && reader->custom.length > 0)
        r = log_rules_add_text(rules, "policy", buffer_text(&reader->custom), true, &error);
    if (r == 0)
        r = log_rules_add_text(rules, "log_rules", buffer_text(&reader->shipped), false, &error);
    if (r == 0)
        r = log_rules_seal(rules, &error);
    if (r < 0) {
        (void)log_rules_free(rules);
        (void)text_copy(reader->problem, sizeof reader->problem,
                        error.text[0] != '\0' ? error.text : log_error_text(r));
        return r;
    }
    reader->rules = rules;
    return log_engine_new(rules, &reader->engine);
}

static int take_shipped(void *user, struct message *message)
{
    struct reader *reader = user;
    int r = take_text(message, &reader->shipped);

    if (r < 0)
        return r;
    reader->engine = log_engine_free(reader->engine);
    reader->rules = log_rules_free(reader->rules);
    reader->problem[0] = '\0';
    r = compile(reader, true);
    if (r == -EINVAL)
        r = compile(reader, false);
    return r == -EINVAL ? 0 : r; /* the problem says it */
}

/* ---- matches ---- */

static void write_shown(struct message_writer *writer, const char *bytes, size_t length,
                        size_t most)
{
    char copy[MAX(LIMIT_LOG_EXCERPT_BYTES, LIMIT_LOG_FIELD_BYTES)];
    char shown[4 * sizeof copy + 1];

    length = MIN(length, MIN(most, sizeof copy));
    memcpy(copy, bytes, length);
    line_secrets_hide_said(copy, length);
    (void)text_escape(shown, sizeof shown, copy, length);
    message_write_text(writer, shown);
}

static int tell(void *user, const struct log_line *line, const struct log_match *match)
{
    struct reader *reader = user;
    struct message_writer *writer = &reader->answer;

    reader->matched++;
    if (match->rule->quiet || match->rule->severity == LOG_SEVERITY_IGNORE)
        return 0;
    *writer = (struct message_writer){.length = 0};
    message_write_u32(writer, match->rule->id);
    message_write_u32(writer, match->rule->severity);
    message_write_u32(writer, match->rule->group);
    message_write_u32(writer, match->count);
    message_write_u64(writer, line->time_ns);
    message_write_u32(writer, line->pid);
    message_write_text(writer, match->rule->description);
    message_write_text(writer, match->rule->description_ja);
    message_write_text(writer, match->decoder);
    write_shown(writer, line->program, line->program_length, LIMIT_LOG_NAME_BYTES);
    write_shown(writer, reader->unit, strlen(reader->unit), LIMIT_LOG_FIELD_BYTES);
    write_shown(writer, line->message, line->message_length, LIMIT_LOG_EXCERPT_BYTES);
    message_write_u32(writer, (uint32_t)match->field_count);
    for (size_t i = 0; i < match->field_count; i++) {
        message_write_text(writer, match->fields[i].name);
        write_shown(writer, match->fields[i].value, match->fields[i].length, LIMIT_LOG_FIELD_BYTES);
    }
    reader->told++;
    return message_writer_send(writer, reader->socket, LOG_MATCH, -1);
}

static int take_line(struct reader *reader, const struct log_line *line, const char *unit)
{
    reader->lines++;
    reader->unit = unit;
    return reader->engine != NULL ? log_engine_take(reader->engine, line, tell, reader) : 0;
}

static void begin(struct reader *reader)
{
    reader->lines = reader->matched = reader->cut = 0;
    reader->told = 0;
    reader->more = false;
    reader->exhausted_before = reader->engine != NULL ? log_engine_exhausted(reader->engine) : 0;
}

static void write_counts(struct reader *reader)
{
    uint64_t exhausted = reader->engine != NULL ? log_engine_exhausted(reader->engine) : 0;

    message_write_u32(&reader->answer, reader->more);
    message_write_u64(&reader->answer, reader->lines);
    message_write_u64(&reader->answer, reader->matched);
    message_write_u64(&reader->answer, reader->cut);
    message_write_u64(&reader->answer, exhausted - reader->exhausted_before);
}

/* ---- files ---- */

/* A line's bytes from at: without its end; 0: it is not whole yet. */
static size_t line_length(const char *at, size_t left, bool final, size_t *ret_taken)
{
    const char *end = memchr(at, '\n', left);

    *ret_taken = end != NULL ? (size_t)(end - at) + 1 : 0;
    if (end != NULL)
        return (size_t)(end - at);
    if (final || left >= LIMIT_LOG_INSPECTED_BYTES)
        *ret_taken = left;
    return *ret_taken;
}

/* Returns what was taken of length bytes, < 0: the sink's. */
static ssize_t take_lines(struct reader *reader, const char *name, size_t length, bool final)
{
    uint64_t now_ns = clock_realtime_ns();
    size_t at = 0;

    while (at < length) {
        struct log_line line;
        size_t taken, size = line_length(reader->bytes + at, length - at, final, &taken);
        if (taken == 0)
            break;
        if (size > LIMIT_LOG_INSPECTED_BYTES)
            reader->cut++;
        if (size > 0 && reader->bytes[at + size - 1] == '\r')
            size--;
        log_line_read(reader->bytes + at, MIN(size, (size_t)LIMIT_LOG_INSPECTED_BYTES), name,
                      now_ns, &line);
        int r = take_line(reader, &line, "");
        if (r < 0)
            return r;
        at += taken;
        if (reader->told >= LIMIT_LOG_MATCHES) {
            reader->more = true;
            break;
        }
    }
    return (ssize_t)at;
}

static int answer_read(void *user, struct message *message)
{
    struct reader *reader = user;
    struct message_reader fields = message_reader_of(message);
    char name[LOG_VALUE_BYTES];
    uint64_t offset = message_read_u64(&fields);
    uint32_t most = message_read_u32(&fields), final = message_read_u32(&fields);

    message_read_text(&fields, name, sizeof name);
    if (message_reader_end(&fields) < 0 || most == 0 || most > LIMIT_LOG_READ_BYTES ||
        offset > INT64_MAX - LIMIT_LOG_READ_BYTES)
        return -EBADMSG;
    begin(reader);
    ssize_t length = file_read_at(message->fds[0], reader->bytes, most, offset);
    uint32_t error = length < 0 ? (uint32_t)-length : 0; /* of the file: the others can be read */
    length = MAX(length, 0);
    reader->more = (size_t)length == most;
    /* Part of a line at the end is only final when the file is read to its end. */
    ssize_t taken = take_lines(reader, name, (size_t)length, final && !reader->more);
    if (taken < 0)
        return (int)taken;
    if (taken == 0 && reader->more) { /* fewer bytes were wanted than the line has */
        taken = length;
        reader->cut++;
    }
    reader->answer = (struct message_writer){.length = 0};
    message_write_u64(&reader->answer, offset + (uint64_t)taken);
    message_write_u32(&reader->answer, error);
    write_counts(reader);
    return message_writer_send(&reader->answer, reader->socket, LOG_READ_END, -1);
}

/* ---- the journal ---- */

static int read_entries(struct reader *reader, uint32_t most, uint64_t *ret_last_ns)
{
    struct log_line line = {.time_ns = 0};
    const char *unit;
    int r = 0;

    for (uint32_t i = 0; i < most && reader->told < LIMIT_LOG_MATCHES; i++) {
        r = journal_next(reader->journal, &line, &unit);
        if (r <= 0)
            break;
        r = take_line(reader, &line, unit);
        if (r < 0)
            return r;
        *ret_last_ns = line.time_ns;
        reader->more = i + 1 == most || reader->told >= LIMIT_LOG_MATCHES;
    }
    return MIN(r, 0);
}

static int answer_journal(void *user, struct message *message)
{
    struct reader *reader = user;
    struct message_reader fields = message_reader_of(message);
    char cursor[LOG_CURSOR_BYTES];
    uint64_t last_ns = 0;
    bool lost = false;

    message_read_text(&fields, cursor, sizeof cursor);
    uint32_t most = message_read_u32(&fields);
    if (message_reader_end(&fields) < 0 || most == 0)
        return -EBADMSG;
    if (reader->journal == NULL)
        return -ENOENT;
    begin(reader);
    int r = journal_seek(reader->journal, cursor, &lost);
    if (r == 0)
        r = read_entries(reader, most, &last_ns);
    if (r == 0)
        r = journal_cursor(reader->journal, cursor, sizeof cursor);
    if (r < 0)
        return r;
    reader->answer = (struct message_writer){.length = 0};
    message_write_text(&reader->answer, cursor);
    message_write_u64(&reader->answer, last_ns);
    message_write_u32(&reader->answer, lost);
    write_counts(reader);
    return message_writer_send(&reader->answer, reader->socket, LOG_JOURNAL_END, -1);
}

/* Whether there is one is in the answer about the state. A line of our log may not be written: it
 * would be the end of us where that is a file (RLIMIT_FSIZE). */
static void try_journal(struct reader *reader)
{
    if (reader->journal == NULL)
        (void)!journal_open(reader->journal_directory, &reader->journal);
}

static int answer_state(void *user, struct message *message)
{
    struct reader *reader = user;
    struct message_reader fields = message_reader_of(message);

    if (message_reader_end(&fields) < 0)
        return -EBADMSG;
    try_journal(reader);
    reader->answer = (struct message_writer){.length = 0};
    message_write_u32(&reader->answer,
                      reader->rules != NULL ? (uint32_t)log_rules_decoder_count(reader->rules) : 0);
    message_write_u32(&reader->answer,
                      reader->rules != NULL ? (uint32_t)log_rules_count(reader->rules) : 0);
    message_write_u32(&reader->answer, reader->journal != NULL);
    message_write_text(&reader->answer, reader->problem);
    return message_writer_send(&reader->answer, reader->socket, LOG_STATE_END, -1);
}

/* ---- life ---- */

static int serve(struct reader *reader)
{
    struct message_route routes[] = {
        {LOG_RULES_CUSTOM, "custom rules", .permitted = true, .with_fd = true, take_custom},
        {LOG_RULES_SHIPPED, "shipped rules", .permitted = true, .with_fd = true, take_shipped},
        {LOG_STATE, "state", .permitted = true, .with_fd = false, answer_state},
        {LOG_READ, "read", .permitted = true, .with_fd = true, answer_read},
        {LOG_JOURNAL, "journal", .permitted = true, .with_fd = false, answer_journal},
    };

    for (;;) {
        struct message message;
        int r = message_receive(reader->socket, reader->buffer, sizeof reader->buffer, &message);
        if (r <= 0)
            return r;
        r = message_dispatch(routes, ARRAY_LENGTH(routes), reader, &message);
        if (r < 0)
            return r;
    }
}

/* libsystemd loads what unpacks the journal when it first meets it, which is too late here. */
static void load_libraries(void)
{
    static const char *const names[] = {"libzstd.so.1", "liblz4.so.1", "liblzma.so.5"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        (void)!dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
    tzset();
}

static int confine(const struct reader *reader)
{
    static const char *const calls[] = {
        "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fstatfs",
        "statfs",        "readlink",          "readlinkat",       "uname",
        "ioctl",         "epoll_create1",     "epoll_ctl",        "epoll_wait",
        "getuid",        "prlimit64"};
    const struct privileges_path paths[] = {
        {reader->journal_directory != NULL ? reader->journal_directory : "/var/log/journal", false},
        {"/run/log/journal", false},
        {"/etc/machine-id", false},
    };
    const struct inspector_sandbox sandbox = {
        .paths = paths,
        .path_count = reader->journal_directory != NULL ? 1 : ARRAY_LENGTH(paths),
        .group = "systemd-journal",
        .most_memory = MOST_MEMORY,
        .most_descriptors = MOST_DESCRIPTORS,
        .more_calls = calls,
        .more_call_count = ARRAY_LENGTH(calls),
    };

    return inspector_confine(&sandbox);
}

int log_reader_run(int socket, const char *journal_directory)
{
    static struct reader reader;

    reader.socket = socket;
    reader.journal_directory = journal_directory;
    reader.unit = "";
    load_libraries();
    int r = confine(&reader);
    if (r < 0) {
        log_error("inspector_not_confined", "error", log_error_text(r), NULL);
        return r;
    }
    try_journal(&reader);
    r = serve(&reader);
    if (r < 0)
        log_error("inspector_ended", "error", log_error_text(r), NULL);
    reader.journal = journal_close(reader.journal);
    reader.engine = log_engine_free(reader.engine);
    reader.rules = log_rules_free(reader.rules);
    buffer_done(&reader.custom);
    buffer_done(&reader.shipped);
    return r;
}
