/* agent/store while memory runs out, SQLite's too: nothing that was told to be stored is lost,
 * numbers have no holes, and want of memory is never taken for a corrupt file. */
#include "agent/store/store.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"
#include "tests/unit/support/failing_sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MOST_FAILURES = 20, EVENTS = 3 };

struct place {
    char directory[64], path[96];
    struct store *store;
    char epoch[UUID_TEXT_BYTES];
    uint64_t stored;      /* our events that were told to be */
    uint64_t last_number; /* of the last of them */
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    assert_true(text_copy(place->directory, sizeof(place->directory), "/tmp/store_XXXXXX") >= 0);
    assert_non_null(mkdtemp(place->directory));
    assert_true(text_format(place->path, sizeof(place->path), "%s/events", place->directory) > 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    (void)failing_allocator_disarm();
    store_close(place->store);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static int open_store(struct place *place)
{
    const struct store_options options = {.path = place->path};
    char notice[512];

    return store_open(&options, &place->store, notice);
}

static void close_store(struct place *place)
{
    place->store = store_close(place->store);
}

/* What each event was told to be is counted. */
static void store_some(struct place *place)
{
    for (int i = 0; i < EVENTS; i++) {
        struct event_draft draft = {.module = "malware",
                                    .kind = "test_kind",
                                    .severity = EVENT_HIGH,
                                    .subject = "/srv/a",
                                    .detail = "{\"a\":1}"};
        uint64_t number = 0;
        int r = store_append_wait(place->store, &draft, NULL, NULL, &number);

        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            continue;
        }
        assert_true(number > place->last_number);
        place->last_number = number;
        place->stored++;
    }
}

struct found {
    uint64_t all, ours; /* the store tells itself that it failed for a while */
};

static int count_event(void *user, const struct event_record *event)
{
    struct found *found = user;

    assert_int_equal(event->number, ++found->all);
    if (!text_equal(event->kind, "test_kind"))
        return 0;
    found->ours++;
    assert_string_equal(event->subject, "/srv/a");
    assert_string_equal(event->detail, "{\"a\":1}");
    return 0;
}

static void expect_only_the_stores_files(const struct place *place)
{
    DIR *folder = opendir(place->directory);
    struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        if (strstr(entry->d_name, "corrupt"))
            fail_msg("want of memory was taken for corruption: %s", entry->d_name);
    (void)closedir(folder);
}

/* With memory again: opens what is there, and leaves it open. */
static void expect_all(struct place *place)
{
    const struct event_filter all = {0};
    struct store_status status;
    struct found found = {0};

    expect_only_the_stores_files(place);
    close_store(place);
    assert_int_equal(open_store(place), 0);
    assert_int_equal(store_read_events(place->store, &all, count_event, &found), 0);
    assert_int_equal(found.ours, place->stored);
    store_status(place->store, &status);
    assert_int_equal(status.problem, 0);
    assert_int_equal(status.last_number, found.all);
    if (place->epoch[0] == '\0')
        (void)text_copy(place->epoch, sizeof(place->epoch), status.epoch);
    assert_string_equal(status.epoch, place->epoch);
}

typedef void step(struct place *place);

/* Makes some of the step's allocations fail, alone and with all after them. */
static void starve(struct place *place, step *prepare, step *attempt)
{
    prepare(place);
    failing_allocator_arm(0, false);
    attempt(place);
    size_t allocations = failing_allocator_count();
    size_t stride = MAX(allocations / MOST_FAILURES, 1);

    assert_true(allocations > 0);
    expect_all(place);
    for (size_t number = 1; number <= allocations; number += stride)
        for (int all_after = 0; all_after < 2; all_after++) {
            prepare(place);
            failing_allocator_arm(number, all_after != 0);
            attempt(place);
            (void)failing_allocator_disarm();
            expect_all(place);
        }
}

static void keep_closed(struct place *place)
{
    close_store(place);
}

static void open_and_store(struct place *place)
{
    if (open_store(place) < 0) {
        place->store = NULL;
        return;
    }
    store_hurry(place->store); /* one try: while all fails it would wait for ever */
    store_some(place);
}

static void opening_loses_nothing(void **state)
{
    starve(*state, keep_closed, open_and_store);
}

static void keep_open(struct place *place)
{
    if (!place->store)
        assert_int_equal(open_store(place), 0);
    store_hurry(place->store);
}

static void storing_loses_nothing(void **state)
{
    starve(*state, keep_open, store_some);
}

static void read_some(struct place *place)
{
    const struct event_filter ours = {.module = "malware", .text = "srv"};
    struct found found = {0};
    int r = store_read_events(place->store, &ours, count_event, &found);

    if (r == 0)
        assert_int_equal(found.ours, place->stored);
    else
        assert_int_equal(r, -ENOMEM);
}

static void store_before_reading(struct place *place)
{
    keep_open(place);
    if (place->stored == 0)
        store_some(place);
}

static void a_reader_is_told_of_all_or_fails(void **state)
{
    starve(*state, store_before_reading, read_some);
}

/* A file that is made while memory fails is whole, or made later. */
static void making_the_file_can_fail(void **state)
{
    struct place *place = *state;

    for (size_t number = 1;; number += 97) {
        failing_allocator_arm(number, false);
        open_and_store(place);
        size_t failed = failing_allocator_disarm();
        expect_all(place);
        if (failed == 0)
            break;
        close_store(place);
        place->epoch[0] = '\0';
        place->stored = place->last_number = 0;
        assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
        assert_int_equal(mkdir(place->directory, 0700), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opening_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(storing_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_is_told_of_all_or_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(making_the_file_can_fail, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, failing_sqlite_begin, NULL);
}
