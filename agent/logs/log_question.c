/* Owns: questions, and what is taken for an answer. Must not own: what lines mean, the process
 * (agent/inspector/client). */
#include "agent/logs/log_question.h"

#include "agent/inspector/client/inspector_client.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* A line may be of more than one rule: what one answer can tell beyond LIMIT_LOG_MATCHES. */
enum { MOST_TOLD = LIMIT_LOG_MATCHES + LIMIT_LOG_RULES, JOURNAL_ENTRIES = 5000 };
/* Of an event's detail, without what folding adds; of it, what ends the fields. */
enum { MOST_HEAD_BYTES = LIMIT_EVENT_DETAIL_BYTES / 2, FIELDS_END_BYTES = 64 };
static const uint64_t PAUSE_NS = NS_PER_SECOND;

struct log_question {
    struct inspector_client *client;
    char *shipped_path, *custom;
    struct message_writer writer;
    /* The one at hand. */
    int fd;
    const char *path, *cursor;
    uint64_t offset;
    uint32_t most;
    bool final;
    struct log_answer *answer;
    struct log_reader_state *state;
};

/* ---- the greeting: rules ---- */

static int in_memory(const char *text, int *ret_fd)
{
    AUTO_CLOSE int fd = memfd_create("rules", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    int r = file_write(fd, text, strlen(text));
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int greet(void *user, int socket)
{
    const struct log_question *question = user;
    AUTO_CLOSE int custom_fd = -1, shipped_fd = -1;
    int r = in_memory(question->custom, &custom_fd);

    if (r == 0)
        r = file_open_following(question->shipped_path, O_RDONLY, 0, &shipped_fd);
    if (r == 0)
        r = message_send_fd(socket, LOG_RULES_CUSTOM, NULL, 0, custom_fd);
    if (r == 0)
        r = message_send_fd(socket, LOG_RULES_SHIPPED, NULL, 0, shipped_fd);
    return r;
}

int log_question_new(const struct log_question_options *options, struct log_question **ret_question)
{
    struct log_question *question = calloc(1, sizeof *question);
    const struct inspector_client_options client = {
        .program = options->inspector_program,
        .arguments = {"logs", options->journal_directory},
        .greet = greet,
        .user = question,
        .pause_ns = PAUSE_NS,
    };

    if (question == NULL)
        return -ENOMEM;
    question->shipped_path = strdup(options->shipped_path);
    question->custom = strdup(options->custom);
    int r = question->shipped_path != NULL && question->custom != NULL
                ? inspector_client_new_with(&client, &question->client)
                : -ENOMEM;
    if (r < 0) {
        (void)log_question_free(question);
        return r;
    }
    *ret_question = question;
    return 0;
}

struct log_question *log_question_free(struct log_question *question)
{
    if (question == NULL)
        return NULL;
    (void)inspector_client_free(question->client);
    free(question->shipped_path);
    free(question->custom);
    free(question);
    return NULL;
}

/* ---- matches ---- */

static void forget_told(struct log_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        free(answer->told[i].subject);
        free(answer->told[i].head);
    }
    answer->count = 0;
}

void log_answer_done(struct log_answer *answer)
{
    forget_told(answer);
    free(answer->told);
    *answer = (struct log_answer){.count = 0};
}

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

static int finish_match(struct log_question *question, struct message_reader *reader,
                        const struct match *match, struct sha256 *key, struct log_told *told)
{
    AUTO_BUFFER struct buffer head = BUFFER_WITH_MAXIMUM(MOST_HEAD_BYTES);
    uint8_t digest[SHA256_BYTES];
    struct json_writer json;

    json_writer_init(&json, &head);
    json_write_object_begin(&json);
    write_facts(match, question->path, &json);
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

static int make_room(struct log_answer *answer)
{
    if (answer->count < answer->capacity)
        return 0;
    size_t capacity = MAX(answer->capacity * 2, (size_t)64);
    struct log_told *told = reallocarray(answer->told, capacity, sizeof *told);
    if (told == NULL)
        return -ENOMEM;
    answer->told = told;
    answer->capacity = capacity;
    return 0;
}

static int take_match(struct log_question *question, struct message_reader *reader)
{
    struct log_answer *answer = question->answer;
    struct match match;
    struct sha256 *key = NULL;

    read_match(reader, &match);
    if (reader->failed || answer->count >= MOST_TOLD || match.group >= LOG_GROUP_COUNT ||
        match.severity < LOG_SEVERITY_INFO || match.severity > LOG_SEVERITY_CRITICAL)
        return -EBADMSG;
    int r = make_room(answer);
    if (r == 0)
        r = sha256_new(&key);
    if (r < 0)
        return r;
    struct log_told *told = &answer->told[answer->count++];
    *told = (struct log_told){
        .rule = match.rule,
        .severity = (enum event_severity)(match.severity - LOG_SEVERITY_INFO),
        .kind = log_group_kind((enum log_group)match.group),
        .time_ns = match.time_ns,
    };
    r = finish_match(question, reader, &match, key, told);
    sha256_free(key);
    if (r == 0)
        r = message_reader_end(reader);
    return r < 0 ? r : 1;
}

/* ---- ends of answers ---- */

static int take_counts(struct log_question *question, struct message_reader *reader)
{
    struct log_answer *answer = question->answer;

    answer->more = message_read_u32(reader) != 0;
    answer->counts.lines = message_read_u64(reader);
    answer->counts.matched = message_read_u64(reader);
    answer->counts.cut = message_read_u64(reader);
    answer->counts.exhausted = message_read_u64(reader);
    return message_reader_end(reader);
}

static int take_answer(void *user, const struct message *message)
{
    struct log_question *question = user;
    struct log_answer *answer = question->answer;
    struct message_reader reader = message_reader_of(message);

    if (message->type == LOG_MATCH)
        return take_match(question, &reader);
    if (message->type == LOG_READ_END && question->path != NULL) {
        answer->offset = message_read_u64(&reader);
        if (answer->offset < question->offset || answer->offset - question->offset > question->most)
            return -EBADMSG;
        return take_counts(question, &reader);
    }
    if (message->type == LOG_JOURNAL_END && question->path == NULL) {
        message_read_text(&reader, answer->cursor, sizeof answer->cursor);
        answer->last_ns = message_read_u64(&reader);
        answer->lost = message_read_u32(&reader) != 0;
        return take_counts(question, &reader);
    }
    return -EBADMSG;
}

static void begin_answer(struct log_question *question)
{
    struct log_answer *answer = question->answer;

    forget_told(answer); /* of a child that did not come to its end */
    *answer = (struct log_answer){.told = answer->told, .capacity = answer->capacity};
    question->writer = (struct message_writer){.length = 0};
}

static int ask_read(void *user, int socket)
{
    struct log_question *question = user;
    struct message_writer *writer = &question->writer;

    begin_answer(question);
    message_write_u64(writer, question->offset);
    message_write_u32(writer, question->most);
    message_write_u32(writer, question->final);
    message_write_text(writer, strrchr(question->path, '/') + 1);
    return message_writer_send(writer, socket, LOG_READ, question->fd);
}

int log_question_read(struct log_question *question, int fd, const char *path, uint64_t offset,
                      uint32_t most, bool final, struct log_answer *answer)
{
    const struct inspector_question asked = {ask_read, take_answer, question};

    question->fd = fd;
    question->path = path;
    question->offset = offset;
    question->most = most;
    question->final = final;
    question->answer = answer;
    return inspector_client_converse(question->client, &asked);
}

static int ask_journal(void *user, int socket)
{
    struct log_question *question = user;
    struct message_writer *writer = &question->writer;

    begin_answer(question);
    message_write_text(writer, question->cursor);
    message_write_u32(writer, JOURNAL_ENTRIES);
    return message_writer_send(writer, socket, LOG_JOURNAL, -1);
}

int log_question_journal(struct log_question *question, const char *cursor,
                         struct log_answer *answer)
{
    const struct inspector_question asked = {ask_journal, take_answer, question};

    question->path = NULL;
    question->cursor = cursor;
    question->answer = answer;
    return inspector_client_converse(question->client, &asked);
}

/* ---- state ---- */

static int ask_state(void *user, int socket)
{
    struct log_question *question = user;

    question->writer = (struct message_writer){.length = 0};
    return message_writer_send(&question->writer, socket, LOG_STATE, -1);
}

static int take_state(void *user, const struct message *message)
{
    struct log_question *question = user;
    struct message_reader reader = message_reader_of(message);
    struct log_reader_state *state = question->state;

    if (message->type != LOG_STATE_END)
        return -EBADMSG;
    state->decoders = message_read_u32(&reader);
    state->rules = message_read_u32(&reader);
    state->journal = message_read_u32(&reader) != 0;
    message_read_text(&reader, state->problem, sizeof state->problem);
    return message_reader_end(&reader);
}

int log_question_state(struct log_question *question, struct log_reader_state *ret_state)
{
    const struct inspector_question asked = {ask_state, take_state, question};

    question->state = ret_state;
    return inspector_client_converse(question->client, &asked);
}

void log_question_restart(struct log_question *question)
{
    inspector_client_restart(question->client);
}

uint64_t log_question_starts(const struct log_question *question)
{
    return inspector_client_starts(question->client);
}

pid_t log_question_pid(const struct log_question *question)
{
    return inspector_client_pid(question->client);
}
