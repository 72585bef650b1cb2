/* agent/store: what was committed is read back, in order and numbered; work and event stand or fall
 * together; caps drop the right ones; a corrupt file begins a new epoch. */
#include "agent/store/store.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct place {
    char directory[64], path[96], notice[512];
    struct store *store;
    struct store_options options;
};

static void open_store(struct place *place)
{
    assert_int_equal(store_open(&place->options, &place->store, place->notice), 0);
}

static void close_store(struct place *place)
{
    place->store = store_close(place->store);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    assert_true(text_copy(place->directory, sizeof(place->directory), "/tmp/store_XXXXXX") >= 0);
    assert_non_null(mkdtemp(place->directory));
    assert_true(text_format(place->path, sizeof(place->path), "%s/events", place->directory) > 0);
    place->options = (struct store_options){.path = place->path};
    open_store(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    store_close(place->store);
    clock_set_fake(0, 0);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static struct event_draft draft_of(const char *module, const char *subject)
{
    return (struct event_draft){.module = module,
                                .kind = "test_kind",
                                .severity = EVENT_HIGH,
                                .subject = subject,
                                .detail = "{\"a\":1}",
                                .time_ns = 42};
}

static uint64_t append_wait(struct place *place, const char *module, const char *subject)
{
    struct event_draft draft = draft_of(module, subject);
    uint64_t number = 0;

    assert_int_equal(store_append_wait(place->store, &draft, NULL, NULL, &number), 0);
    return number;
}

struct seen {
    char subjects[512];
    uint64_t count, first, last, stop_after;
};

static int see(void *user, const struct event_record *event)
{
    struct seen *seen = user;
    size_t used = strlen(seen->subjects);

    if (seen->count++ == 0)
        seen->first = event->number;
    seen->last = event->number;
    if (used + strlen(event->subject) + 2 < sizeof(seen->subjects))
        (void)text_format(seen->subjects + used, sizeof(seen->subjects) - used, "%s ",
                          event->subject);
    return seen->stop_after == seen->count;
}

static struct seen read_all(struct place *place, struct event_filter filter)
{
    struct seen seen = {0};

    assert_int_equal(store_read_events(place->store, &filter, see, &seen), 0);
    return seen;
}

static void *wait_beyond_one(void *user)
{
    struct place *place = user;

    return store_wait_beyond(place->store, 1, 60 * NS_PER_SECOND) == 0 ? place : NULL;
}

static void followers_wake_with_the_commit(void **state)
{
    struct place *place = *state;
    void *woken = NULL;
    pthread_t waiter;

    assert_int_equal(append_wait(place, "malware", "a"), 1);
    assert_int_equal(store_wait_beyond(place->store, 0, 0), 0);
    assert_int_equal(store_wait_beyond(place->store, 1, NS_PER_MS), -ETIMEDOUT);
    assert_int_equal(pthread_create(&waiter, NULL, wait_beyond_one, place), 0);
    assert_int_equal(append_wait(place, "malware", "b"), 2);
    assert_int_equal(pthread_join(waiter, &woken), 0);
    assert_non_null(woken);
}

static int check_record(void *user, const struct event_record *event)
{
    assert_int_equal(event->number, 1);
    assert_int_equal(strlen(event->id), 36);
    assert_int_equal(event->time_ns, 42);
    assert_true(event->committed_ns > 0);
    assert_string_equal(event->module, "malware");
    assert_string_equal(event->kind, "test_kind");
    assert_string_equal(event->subject, "/srv/x");
    assert_string_equal(event->detail, "{\"a\":1}");
    assert_int_equal(event->severity, EVENT_HIGH);
    *(bool *)user = true;
    return 0;
}

static void an_event_comes_back_whole(void **state)
{
    struct place *place = *state;
    struct event_filter all = {0};
    bool seen = false;

    assert_int_equal(append_wait(place, "malware", "/srv/x"), 1);
    assert_int_equal(store_read_events(place->store, &all, check_record, &seen), 0);
    assert_true(seen);
}

static void numbers_go_on_after_a_restart(void **state)
{
    struct place *place = *state;
    struct store_status before, after;

    assert_int_equal(append_wait(place, "a", "1"), 1);
    assert_int_equal(append_wait(place, "a", "2"), 2);
    store_status(place->store, &before);
    close_store(place);
    open_store(place);
    assert_int_equal(append_wait(place, "a", "3"), 3);
    store_status(place->store, &after);
    assert_string_equal(before.epoch, after.epoch);
    assert_int_equal(after.last_number, 3);
    assert_string_equal(read_all(place, (struct event_filter){0}).subjects, "1 2 3 ");
}

static void filters_select(void **state)
{
    struct place *place = *state;
    struct event_draft low = draft_of("watch", "/a/low");

    low.severity = EVENT_LOW;
    low.time_ns = 100;
    append_wait(place, "malware", "/a/one");
    append_wait(place, "malware", "/b/two%");
    assert_int_equal(store_append_wait(place->store, &low, NULL, NULL, NULL), 0);
#define READ(...) read_all(place, (struct event_filter){__VA_ARGS__}).subjects
    assert_string_equal(READ(.module = "watch"), "/a/low ");
    assert_string_equal(READ(.kind = "none"), "");
    assert_string_equal(READ(.lowest = EVENT_MEDIUM), "/a/one /b/two% ");
    assert_string_equal(READ(.text = "/a/"), "/a/one /a/low ");
    assert_string_equal(READ(.text = "%"), "/b/two% ");
    assert_string_equal(READ(.module = "malware", .text = "two"), "/b/two% ");
    assert_string_equal(READ(.after_number = 1), "/b/two% /a/low ");
    assert_string_equal(READ(.until_number = 3, .newest_first = true), "/b/two% /a/one ");
    assert_string_equal(READ(.since_ns = 100), "/a/low ");
    assert_string_equal(READ(.until_ns = 100), "/a/one /b/two% ");
    assert_string_equal(READ(.limit = 1, .newest_first = true), "/a/low ");
    assert_string_equal(READ(.module = "x' OR '1'='1"), "");
#undef READ
}

static int make_row(void *user, sqlite3 *database)
{
    return sqlite3_exec(database, user, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EINVAL;
}

static int refuse(void *user, sqlite3 *database)
{
    assert_int_equal(make_row(user, database), 0);
    return -EPERM;
}

static int count_allowed(void *user, sqlite3 *database)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(database, "SELECT count(*) FROM allowed", -1, &statement, NULL) != 0)
        return -EINVAL;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *(int *)user = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return 0;
}

static void work_and_event_stand_or_fall_together(void **state)
{
    struct place *place = *state;
    struct event_draft draft = draft_of("a", "kept");
    struct event_draft refused = draft_of("a", "refused");
    int rows = -1;

    assert_int_equal(store_append_wait(place->store, &draft, make_row,
                                       (char[]){"INSERT INTO allowed VALUES('1', 2, x'03')"}, NULL),
                     0);
    assert_int_equal(store_append_wait(place->store, &refused, refuse,
                                       (char[]){"INSERT INTO allowed VALUES('2', 2, x'03')"}, NULL),
                     -EPERM);
    assert_int_equal(append_wait(place, "a", "after"), 2); /* no hole */
    assert_int_equal(store_read(place->store, count_allowed, &rows), 0);
    assert_int_equal(rows, 1);
    assert_string_equal(read_all(place, (struct event_filter){0}).subjects, "kept after ");
}

struct order {
    pthread_mutex_t mutex;
    uint64_t last, calls;
    bool disorder;
};

static void note_order(void *user, int result, uint64_t number)
{
    struct order *order = user;

    pthread_mutex_lock(&order->mutex);
    order->calls++;
    if (result != 0 || number <= order->last)
        order->disorder = true;
    order->last = number;
    pthread_mutex_unlock(&order->mutex);
}

#define MANY    500
#define THREADS 4

struct producer {
    struct place *place;
    struct order *order;
};

static void *produce(void *user)
{
    struct producer *producer = user;
    struct event_draft draft = draft_of("a", "many");

    for (int i = 0; i < MANY; i++)
        assert_int_equal(
            store_append(producer->place->store, &draft, NULL, note_order, producer->order), 0);
    return NULL;
}

static void many_threads_share_commits(void **state)
{
    struct place *place = *state;
    struct order order = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct producer producer = {place, &order};
    struct store_status status;
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producer), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(store_append_wait(place->store, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(order.calls, THREADS * MANY);
    assert_false(order.disorder);
    store_status(place->store, &status);
    assert_int_equal(status.last_number, THREADS * MANY);
    assert_int_equal(status.waiting, 0);
    assert_true(status.groups < THREADS * MANY / 4);
}

static void closing_commits_what_waits(void **state)
{
    struct place *place = *state;
    struct event_draft draft = draft_of("a", "late");

    for (int i = 0; i < 100; i++)
        assert_int_equal(store_append(place->store, &draft, NULL, NULL, NULL), 0);
    close_store(place);
    open_store(place);
    assert_int_equal(read_all(place, (struct event_filter){0}).count, 100);
}

static void hostile_sizes_are_cut(void **state)
{
    struct place *place = *state;
    struct event_draft draft = draft_of("a", "");
    AUTO_FREE char *subject = malloc(LIMIT_EVENT_SUBJECT_BYTES + 10);
    AUTO_FREE char *detail = malloc(LIMIT_EVENT_DETAIL_BYTES + 10);
    struct event_filter too_long = {.text = "\xc3\xa4"};

    assert_non_null(subject);
    assert_non_null(detail);
    memset(subject, 'x', LIMIT_EVENT_SUBJECT_BYTES + 9);
    subject[LIMIT_EVENT_SUBJECT_BYTES + 9] = '\0';
    memcpy(subject + LIMIT_EVENT_SUBJECT_BYTES - 1, "\xc3\xa4", 2); /* would be cut in half */
    memset(detail, 'y', LIMIT_EVENT_DETAIL_BYTES + 9);
    detail[LIMIT_EVENT_DETAIL_BYTES + 9] = '\0';
    draft.subject = subject;
    draft.detail = detail;
    assert_int_equal(store_append_wait(place->store, &draft, NULL, NULL, NULL), 0);
    assert_int_equal(read_all(place, too_long).count, 0);
    assert_int_equal(read_all(place, (struct event_filter){.text = "xxx"}).count, 1);
}

static void the_size_cap_drops_malware_last(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *subject = malloc(2001);
    struct store_status status;
    struct seen malware;

    assert_non_null(subject);
    memset(subject, 's', 2000);
    subject[2000] = '\0';
    place->options.max_bytes = 400 * 1024;
    assert_int_equal(store_reconfigure(place->store, &place->options), 0);
    for (int i = 0; i < 40; i++)
        append_wait(place, "malware", "/m");
    for (int i = 0; i < 1000; i++) {
        struct event_draft draft = draft_of("watch", subject);

        assert_int_equal(store_append(place->store, &draft, NULL, NULL, NULL), 0);
    }
    append_wait(place, "watch", "end");
    append_wait(place, "watch", "end");
    store_status(place->store, &status);
    assert_true(status.bytes <= place->options.max_bytes);
    assert_true(status.dropped > 500);
    malware = read_all(place, (struct event_filter){.module = "malware"});
    assert_int_equal(malware.count, 40);
    assert_int_equal(read_all(place, (struct event_filter){.kind = "events_dropped"}).count, 1);
    /* numbers go on although rows went */
    close_store(place);
    open_store(place);
    assert_int_equal(append_wait(place, "watch", "next"), status.last_number + 1);
}

static void acknowledged_events_may_go_silently(void **state)
{
    struct place *place = *state;
    struct store_status status;

    clock_set_fake(1000 * NS_PER_SECOND, 1000 * NS_PER_SECOND);
    for (int i = 0; i < 10; i++)
        append_wait(place, "watch", "old");
    assert_int_equal(store_acknowledge(place->store, 8, NULL, NULL), 0);
    assert_int_equal(store_acknowledge(place->store, 7, NULL, NULL), 0);
    assert_int_equal(store_acknowledge(place->store, 99, NULL, NULL), 0);
    place->options.max_age_ns = 60 * NS_PER_SECOND;
    assert_int_equal(store_reconfigure(place->store, &place->options), 0);
    clock_set_fake(2000 * NS_PER_SECOND, 2000 * NS_PER_SECOND);
    append_wait(place, "watch", "new");
    append_wait(place, "watch", "new");
    store_status(place->store, &status);
    assert_int_equal(status.acknowledged_number, 8);
    assert_int_equal(status.dropped, 2);
    assert_int_equal(read_all(place, (struct event_filter){.text = "old"}).count, 0);
    assert_int_equal(read_all(place, (struct event_filter){.kind = "events_dropped"}).count, 1);
}

static void what_the_console_lost_is_unacknowledged_again(void **state)
{
    struct place *place = *state;
    struct store_status status;

    for (int i = 0; i < 10; i++)
        append_wait(place, "watch", "event");
    assert_int_equal(store_acknowledge(place->store, 8, NULL, NULL), 0);
    assert_int_equal(store_take_back(place->store, 9), 0); /* was never acknowledged */
    append_wait(place, "watch", "next");
    store_status(place->store, &status);
    assert_int_equal(status.acknowledged_number, 8);
    assert_int_equal(store_take_back(place->store, 3), 0);
    append_wait(place, "watch", "last");
    store_status(place->store, &status);
    assert_int_equal(status.acknowledged_number, 3);
    close_store(place);
    open_store(place);
    store_status(place->store, &status);
    assert_int_equal(status.acknowledged_number, 3);
}

/* Without the log, whose frames would mend the pages. */
static void overwrite(const char *path, long from, long to)
{
    AUTO_FREE char *log = text_format_new("%s-wal", path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(unlink(log) == 0 || errno == ENOENT);
    assert_true(fd >= 0);
    for (long at = from; at < to; at += 4096)
        assert_int_equal(pwrite(fd, "garbage garbage garbage garbage!", 32, at), 32);
    close(fd);
}

static void a_corrupt_file_begins_a_new_epoch(void **state)
{
    struct place *place = *state;
    struct store_status before, after;

    for (int i = 0; i < 300; i++)
        append_wait(place, "a", "before");
    store_status(place->store, &before);
    close_store(place);
    overwrite(place->path, 4096, 20 * 4096);
    open_store(place);
    assert_non_null(strstr(place->notice, "corrupt"));
    assert_true(append_wait(place, "a", "after") <= 2);
    store_status(place->store, &after);
    assert_string_not_equal(before.epoch, after.epoch);
    assert_int_equal(read_all(place, (struct event_filter){.kind = "store_rebuilt"}).count, 1);
}

static void note_rebuilt(void *user)
{
    __atomic_store_n((bool *)user, true, __ATOMIC_SEQ_CST);
}

static void corruption_that_a_reader_meets_is_mended(void **state)
{
    struct place *place = *state;
    struct seen seen = {0};
    struct event_filter all = {0};
    bool rebuilt = false;

    for (int i = 0; i < 300; i++)
        append_wait(place, "a", "before");
    close_store(place);           /* moves the log into the file */
    overwrite(place->path, 0, 0); /* only removes the log */
    open_store(place);
    store_on_rebuild(place->store, note_rebuilt, &rebuilt);
    overwrite(place->path, 8192, 20 * 4096);
    assert_int_equal(store_read_events(place->store, &all, see, &seen), -EBADMSG);
    append_wait(place, "a", "after");
    append_wait(place, "a", "after");
    assert_true(__atomic_load_n(&rebuilt, __ATOMIC_SEQ_CST));
    assert_int_equal(read_all(place, (struct event_filter){.text = "after"}).count, 2);
    assert_int_equal(read_all(place, (struct event_filter){.kind = "store_rebuilt"}).count, 1);
}

static int keep_place(void *user, sqlite3 *database)
{
    (void)user;
    return sqlite3_exec(database, "INSERT INTO log_position VALUES('a', 'b')", NULL, NULL, NULL) ==
                   SQLITE_OK
               ? 0
               : -EINVAL;
}

static int count_places(void *user, sqlite3 *database)
{
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM log_position", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    *(int *)user = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    return 0;
}

/* Many events and one piece of work: they are one transaction, however many wait. */
static void a_batch_is_one_transaction(void **state)
{
    enum { SOME = 5000 };
    struct place *place = *state;
    struct event_draft *drafts = calloc(SOME, sizeof(*drafts));
    struct store_status before, after;
    int places = 0;

    assert_non_null(drafts);
    for (int i = 0; i < SOME; i++)
        drafts[i] = draft_of("log", "s");
    store_status(place->store, &before);
    assert_int_equal(store_append_batch_wait(place->store, drafts, SOME, keep_place, NULL), 0);
    store_status(place->store, &after);
    assert_int_equal(after.groups, before.groups + 1);
    assert_int_equal(after.last_number, before.last_number + SOME);
    assert_int_equal(store_read(place->store, count_places, &places), 0);
    assert_int_equal(places, 1);
    assert_int_equal(store_append_batch_wait(place->store, NULL, 0, keep_place, NULL), -EINVAL);
    free(drafts);
}

static int keep_and_refuse(void *user UNUSED, sqlite3 *database)
{
    (void)keep_place(NULL, database);
    return -EPERM;
}

static int fail_at_bad(void *user UNUSED, sqlite3 *database)
{
    assert_int_equal(sqlite3_exec(database,
                                  "CREATE TRIGGER bad BEFORE INSERT ON event WHEN NEW.subject = "
                                  "'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    return 0;
}

/* Whatever of it fails: its last piece, or an event in its middle. What stands around it does not.
 */
static void a_batch_stands_or_falls_as_a_whole(void **state)
{
    const struct event_draft drafts[] = {draft_of("log", "first"), draft_of("log", "bad"),
                                         draft_of("log", "third")};
    const struct event_draft good[] = {draft_of("log", "a"), draft_of("log", "b")};
    struct place *place = *state;
    int places = 0;

    assert_int_equal(append_wait(place, "log", "before"), 1);
    assert_int_equal(store_append_batch_wait(place->store, drafts, ARRAY_LENGTH(drafts),
                                             keep_and_refuse, NULL),
                     -EPERM);
    assert_int_equal(store_append_wait(place->store, NULL, fail_at_bad, NULL, NULL), 0);
    assert_int_equal(store_append_batch_wait(place->store, drafts, ARRAY_LENGTH(drafts), keep_place,
                                             NULL),
                     -EEXIST);
    assert_int_equal(store_read(place->store, count_places, &places), 0);
    assert_int_equal(places, 0);
    assert_int_equal(append_wait(place, "log", "after"), 2);
    assert_int_equal(
        store_append_batch_wait(place->store, good, ARRAY_LENGTH(good), keep_place, NULL), 0);
    assert_string_equal(read_all(place, (struct event_filter){.module = "log"}).subjects,
                        "before after a b ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_one_transaction),
        TEST(a_batch_stands_or_falls_as_a_whole),
        TEST(followers_wake_with_the_commit),
        TEST(an_event_comes_back_whole),
        TEST(numbers_go_on_after_a_restart),
        TEST(filters_select),
        TEST(work_and_event_stand_or_fall_together),
        TEST(many_threads_share_commits),
        TEST(closing_commits_what_waits),
        TEST(hostile_sizes_are_cut),
        TEST(the_size_cap_drops_malware_last),
        TEST(acknowledged_events_may_go_silently),
        TEST(what_the_console_lost_is_unacknowledged_again),
        TEST(a_corrupt_file_begins_a_new_epoch),
        TEST(corruption_that_a_reader_meets_is_mended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
