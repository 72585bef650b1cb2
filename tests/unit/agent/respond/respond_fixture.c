#include "tests/unit/agent/respond/respond_fixture.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

void fixture_open(struct respond_fixture *fixture, const char *parent)
{
    *fixture = (struct respond_fixture){0};
    assert_true(text_format(fixture->directory, sizeof(fixture->directory), "%s/respond_XXXXXX",
                            parent) > 0);
    assert_non_null(mkdtemp(fixture->directory));
    assert_true(
        text_format(fixture->state, sizeof(fixture->state), "%s/state", fixture->directory) > 0);
    assert_true(
        text_format(fixture->files, sizeof(fixture->files), "%s/files", fixture->directory) > 0);
    assert_int_equal(mkdir(fixture->state, 0700), 0);
    assert_int_equal(mkdir(fixture->files, 0755), 0);
    fixture->options = (struct responder_options){.state_directory = fixture->state,
                                                  .action = RESPOND_QUARANTINE,
                                                  .quarantine_bytes = 1 << 30};
}

void fixture_start(struct respond_fixture *fixture)
{
    AUTO_FREE char *path = text_format_new("%s/events.db", fixture->state);
    struct store_options options = {.path = path};
    char notice[512];

    assert_int_equal(store_open(&options, &fixture->store, notice), 0);
    assert_int_equal(responder_start(fixture->store, &fixture->options, &fixture->responder), 0);
}

void fixture_stop(struct respond_fixture *fixture)
{
    fixture->responder = responder_stop(fixture->responder);
    fixture->store = store_close(fixture->store);
}

void fixture_close(struct respond_fixture *fixture)
{
    fixture_stop(fixture);
    assert_int_equal(file_remove_tree(AT_FDCWD, fixture->directory), 0);
}

char *fixture_path(const struct respond_fixture *fixture, const char *name)
{
    char *path = text_format_new("%s/%s", fixture->files, name);

    assert_non_null(path);
    return path;
}

void fixture_make(const struct respond_fixture *fixture, const char *name, const char *content)
{
    AUTO_FREE char *path = fixture_path(fixture, name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, content, strlen(content)), 0);
}

bool fixture_exists(const struct respond_fixture *fixture, const char *name)
{
    AUTO_FREE char *path = fixture_path(fixture, name);
    struct stat status;

    return lstat(path, &status) == 0;
}

struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    int result;
};

static void note_done(void *user, int result)
{
    struct wait *wait = user;

    pthread_mutex_lock(&wait->mutex);
    wait->done = true;
    wait->result = result;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
}

int fixture_detect_path(struct respond_fixture *fixture, const char *path, const char *signature)
{
    struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct detection detection = {.path = path, .result = {.verdict = SCAN_INFECTED}};
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    int r;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    assert_true(
        text_copy(detection.result.signature, sizeof(detection.result.signature), signature) >= 0);
    r = responder_submit(fixture->responder, &detection, note_done, &wait);
    if (r < 0)
        return r;
    pthread_mutex_lock(&wait.mutex);
    while (!wait.done)
        pthread_cond_wait(&wait.changed, &wait.mutex);
    pthread_mutex_unlock(&wait.mutex);
    return wait.result;
}

int fixture_detect(struct respond_fixture *fixture, const char *name, const char *signature)
{
    AUTO_FREE char *path = fixture_path(fixture, name);

    return fixture_detect_path(fixture, path, signature);
}

struct settled {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
};

static void note_settled(void *user)
{
    struct settled *settled = user;

    pthread_mutex_lock(&settled->mutex);
    settled->done = true;
    pthread_cond_signal(&settled->changed);
    pthread_mutex_unlock(&settled->mutex);
}

/* The acting thread has had a turn, and so has the store; both until nothing is left. */
void fixture_settle(struct respond_fixture *fixture)
{
    struct responder_status status;

    do {
        struct settled settled = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                  .changed = PTHREAD_COND_INITIALIZER};

        assert_int_equal(store_append_wait(fixture->store, NULL, NULL, NULL, NULL), 0);
        assert_int_equal(responder_run(fixture->responder, note_settled, &settled), 0);
        pthread_mutex_lock(&settled.mutex);
        while (!settled.done)
            pthread_cond_wait(&settled.changed, &settled.mutex);
        pthread_mutex_unlock(&settled.mutex);
        responder_status(fixture->responder, &status);
    } while (status.waiting + status.pending > status.delayed || !status.recovered);
    /* Events that nobody waits for. */
    assert_int_equal(store_append_wait(fixture->store, NULL, NULL, NULL, NULL), 0);
}

static int count_event(void *user, const struct event_record *event)
{
    (void)event;
    (*(unsigned *)user)++;
    return 0;
}

unsigned fixture_events(struct respond_fixture *fixture, const char *kind)
{
    struct event_filter filter = {.kind = kind[0] ? kind : NULL};
    unsigned count = 0;

    assert_int_equal(store_read_events(fixture->store, &filter, count_event, &count), 0);
    return count;
}

static int take_detail(void *user, const struct event_record *event)
{
    *(char **)user = strdup(event->detail);
    return 1;
}

char *fixture_detail(struct respond_fixture *fixture, const char *kind)
{
    struct event_filter filter = {.kind = kind, .newest_first = true};
    char *detail = NULL;

    assert_int_equal(store_read_events(fixture->store, &filter, take_detail, &detail), 0);
    return detail;
}

struct rows {
    unsigned count;
    char id[UUID_TEXT_BYTES];
};

static int count_row(void *user, const struct quarantine_entry *entry)
{
    struct rows *rows = user;

    if (rows->count++ == 0)
        (void)text_copy(rows->id, sizeof(rows->id), entry->id);
    return 0;
}

unsigned fixture_rows(struct respond_fixture *fixture, char ret_id[UUID_TEXT_BYTES])
{
    struct rows rows = {0};

    assert_int_equal(
        quarantine_list(responder_quarantine(fixture->responder), NULL, 0, count_row, &rows), 0);
    if (ret_id)
        (void)text_copy(ret_id, UUID_TEXT_BYTES, rows.id);
    return rows.count;
}
