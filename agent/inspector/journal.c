/* Owns: libsystemd's handle, and which program an entry is of. Must not own: rules. */
#include "agent/inspector/journal.h"

#include "agent/inspector/log_messages.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>

struct journal {
    sd_journal *handle;
    bool stands;                   /* on an entry */
    bool at_head;                  /* there was no entry yet */
    char cursor[LOG_CURSOR_BYTES]; /* of the entry it stands on */
    char program[512], unit[256];
    char message[LIMIT_LOG_INSPECTED_BYTES];
};

int journal_open(const char *directory, struct journal **ret_journal)
{
    struct journal *journal = calloc(1, sizeof *journal);

    if (journal == NULL)
        return -ENOMEM;
    int r = directory != NULL ? sd_journal_open_directory(&journal->handle, directory, 0)
                              : sd_journal_open(&journal->handle, SD_JOURNAL_LOCAL_ONLY);
    if (r == 0)
        r = MIN(sd_journal_get_fd(journal->handle), 0); /* from now on it sees new files */
    /* Files that may not be read are no error there. */
    if (r == 0 && directory == NULL && sd_journal_has_runtime_files(journal->handle) <= 0 &&
        sd_journal_has_persistent_files(journal->handle) <= 0)
        r = -ENOENT;
    if (r == 0)
        r = sd_journal_set_data_threshold(journal->handle, LIMIT_LOG_INSPECTED_BYTES + 64);
    if (r < 0) {
        (void)journal_close(journal);
        return r;
    }
    *ret_journal = journal;
    return 0;
}

struct journal *journal_close(struct journal *journal)
{
    if (journal == NULL)
        return NULL;
    sd_journal_close(journal->handle);
    free(journal);
    return NULL;
}

/* ---- where it stands ---- */

static int note_place(struct journal *journal)
{
    char *cursor = NULL;
    int r = sd_journal_get_cursor(journal->handle, &cursor);

    journal->stands = r >= 0;
    if (r >= 0)
        r = text_copy(journal->cursor, sizeof journal->cursor, cursor) < 0 ? -ENAMETOOLONG : 0;
    free(cursor);
    return r;
}

static int seek_now(struct journal *journal)
{
    int r = sd_journal_seek_tail(journal->handle);

    if (r >= 0)
        r = sd_journal_previous(journal->handle);
    if (r > 0)
        return note_place(journal);
    journal->at_head = r == 0;
    return r < 0 ? r : sd_journal_seek_head(journal->handle);
}

static int seek_entry(struct journal *journal, const char *cursor, bool *ret_lost)
{
    int r = sd_journal_seek_cursor(journal->handle, cursor);

    if (r >= 0)
        r = sd_journal_next(journal->handle);
    if (r > 0 && sd_journal_test_cursor(journal->handle, cursor) > 0)
        return note_place(journal);
    if (r < 0)
        return r;
    *ret_lost = true;
    if (r == 0) /* all that is left is older */
        return seek_now(journal);
    /* Vacuumed: the entry it came to is to be read, and may be the first of all. */
    r = sd_journal_previous(journal->handle);
    if (r > 0)
        return note_place(journal);
    journal->at_head = r == 0;
    return r < 0 ? r : sd_journal_seek_head(journal->handle);
}

int journal_seek(struct journal *journal, const char *cursor, bool *ret_lost)
{
    *ret_lost = false;
    (void)sd_journal_process(journal->handle);
    if (journal->stands && text_equal(cursor, journal->cursor))
        return 0;
    if (journal->at_head && text_equal(cursor, LOG_CURSOR_HEAD))
        return 0;
    journal->stands = journal->at_head = false;
    if (text_equal(cursor, LOG_CURSOR_NOW))
        return seek_now(journal);
    if (text_equal(cursor, LOG_CURSOR_HEAD)) {
        journal->at_head = true;
        return sd_journal_seek_head(journal->handle);
    }
    return seek_entry(journal, cursor, ret_lost);
}

int journal_cursor(struct journal *journal, char *cursor, size_t size)
{
    return text_copy(cursor, size, journal->stands ? journal->cursor : LOG_CURSOR_HEAD) < 0
               ? -ENAMETOOLONG
               : 0;
}

/* ---- entries ---- */

/* The value of a field: NULL when there is none. */
static const char *field(struct journal *journal, const char *name, size_t *ret_length)
{
    const void *data;
    size_t length, skip = strlen(name) + 1;

    if (sd_journal_get_data(journal->handle, name, &data, &length) < 0 || length < skip)
        return NULL;
    *ret_length = length - skip;
    return (const char *)data + skip;
}

static bool copy_field(struct journal *journal, const char *name, char *text, size_t size)
{
    size_t length;
    const char *value = field(journal, name, &length);

    text[0] = '\0';
    if (value == NULL || memchr(value, '\0', length) != NULL)
        return false;
    (void)text_format(text, size, "%.*s", (int)MIN(length, size - 1), value);
    return true;
}

static bool is_below_system(const char *path)
{
    return text_starts_with(path, "/usr/") || text_starts_with(path, "/bin/") ||
           text_starts_with(path, "/sbin/");
}

/* A process names itself: the brackets make a name that no decoder's program has. */
static void take_command(struct journal *journal, bool root)
{
    char command[64];
    bool named = copy_field(journal, "_COMM", command, sizeof command);

    (void)text_format(journal->program, sizeof journal->program, root || !named ? "%s" : "[%s]",
                      command);
}

/* A person runs even sshd with whatever configuration they like: it then says what they want. Not
 * so what has rights of its own, as su does. Users of services are not people (systemd's dynamic
 * ones neither: 61184 to 65519). */
static bool is_steered(struct journal *journal, const char *user)
{
    char capabilities[32];
    uint64_t id;

    if (text_parse_u64(user, &id) < 0 || id < 1000 || (id >= 61184 && id <= 65519))
        return false;
    (void)copy_field(journal, "_CAP_EFFECTIVE", capabilities, sizeof capabilities);
    return capabilities[strspn(capabilities, "0")] == '\0';
}

/* Anybody may send an entry under any name (logger -t sshd): the sender is what journald saw. */
static void find_program(struct journal *journal)
{
    char user[16], transport[32], executable[512];
    bool named =
        copy_field(journal, "SYSLOG_IDENTIFIER", journal->program, sizeof journal->program);

    (void)copy_field(journal, "_TRANSPORT", transport, sizeof transport);
    if (text_equal(transport, "kernel")) {
        (void)text_copy(journal->program, sizeof journal->program, "kernel");
        return;
    }
    if (text_equal(transport, "audit"))
        (void)text_copy(journal->program, sizeof journal->program, "audit");
    (void)copy_field(journal, "_UID", user, sizeof user);
    (void)copy_field(journal, "_EXE", executable, sizeof executable);
    const char *slash = strrchr(executable, '/');
    bool root = text_equal(user, "0");
    bool system = slash != NULL && is_below_system(executable) && !is_steered(journal, user);
    if (named && (root || (system && text_equal(slash + 1, journal->program))))
        return;
    if (slash != NULL) /* a name of its own is not for anybody to choose: /tmp/sshd is that */
        (void)text_copy(journal->program, sizeof journal->program,
                        root || system ? slash + 1 : executable);
    else
        take_command(journal, root);
}

static void find_unit(struct journal *journal)
{
    if (!copy_field(journal, "UNIT", journal->unit, sizeof journal->unit))
        (void)copy_field(journal, "_SYSTEMD_UNIT", journal->unit, sizeof journal->unit);
}

int journal_next(struct journal *journal, struct log_line *ret_line, const char **ret_unit)
{
    uint64_t time_us = 0, pid = 0;
    size_t length = 0;
    char number[16];
    int r = sd_journal_next(journal->handle);

    if (r <= 0)
        return r;
    journal->at_head = false;
    r = note_place(journal);
    if (r < 0)
        return r;
    const char *message = field(journal, "MESSAGE", &length);
    length = message != NULL ? MIN(length, sizeof journal->message) : 0;
    if (length > 0)
        memcpy(journal->message, message, length);
    find_program(journal);
    find_unit(journal);
    if (copy_field(journal, "_PID", number, sizeof number) && text_parse_u64(number, &pid) < 0)
        pid = 0;
    (void)sd_journal_get_realtime_usec(journal->handle, &time_us);
    *ret_line = (struct log_line){
        .time_ns = time_us > 0 ? time_us * NS_PER_US : clock_realtime_ns(),
        .program = journal->program,
        .program_length = strlen(journal->program),
        .pid = (uint32_t)pid,
        .message = journal->message,
        .message_length = length,
    };
    *ret_unit = journal->unit;
    return 1;
}
