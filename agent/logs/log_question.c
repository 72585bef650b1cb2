/* Owns: questions, and what is taken for an answer. Must not own: what a match is made into
 * (log_match.c), the process (agent/inspector/client). */
#include "agent/logs/log_question.h"

#include "agent/inspector/client/inspector_client.h"
#include "agent/logs/log_match.h"
#include "common/files/file.h"
#include "common/log_rules/log_rules.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* A line may be of more than one rule: what one answer can tell beyond LIMIT_LOG_MATCHES. */
enum { MOST_ERRNO = 4095 };
enum { MOST_TOLD = LIMIT_LOG_MATCHES + LIMIT_LOG_RULES, JOURNAL_ENTRIES = 5000 };
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
        .ask_once = true, /* the line that ended one would end another, too */
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
        log_told_done(&answer->told[i]);
    }
    answer->count = 0;
}

void log_answer_done(struct log_answer *answer)
{
    forget_told(answer);
    free(answer->told);
    *answer = (struct log_answer){.count = 0};
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

    if (answer->count >= MOST_TOLD)
        return -EBADMSG;
    int r = make_room(answer);
    if (r < 0)
        return r;
    r = log_match_read(reader, question->path, &answer->told[answer->count]);
    if (r < 0)
        return r;
    answer->count++;
    return 1;
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
        uint32_t error = message_read_u32(&reader);
        if (answer->offset < question->offset ||
            answer->offset - question->offset > question->most || error > MOST_ERRNO)
            return -EBADMSG;
        answer->error = -(int)error;
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
