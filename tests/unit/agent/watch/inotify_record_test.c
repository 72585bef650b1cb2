#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/inotify.h>

#include "agent/watch/watch_source.h"

static size_t put(char *bytes, size_t offset, uint32_t mask, const char *name, uint32_t room)
{
    struct inotify_event event = {.wd = 7, .mask = mask, .cookie = 9, .len = room};

    memcpy(bytes + offset, &event, sizeof(event));
    memset(bytes + offset + sizeof(event), 0, room);
    memcpy(bytes + offset + sizeof(event), name, strlen(name));
    return offset + sizeof(event) + room;
}

static void reads_records_in_order(void **state)
{
    char bytes[256];
    struct watch_record record;
    size_t offset = 0;
    size_t length = put(bytes, 0, IN_CREATE | IN_ISDIR, "name", 16);

    (void)state;
    length = put(bytes, length, IN_IGNORED, "", 0);
    length = put(bytes, length, IN_MOVED_TO, "sixteen-bytes-ab", 16);
    assert_true(inotify_record_parse(bytes, length, &offset, &record));
    assert_int_equal(record.key, 7);
    assert_int_equal(record.cookie, 9);
    assert_int_equal(record.what, RECORD_CREATED | RECORD_DIRECTORY);
    assert_int_equal(record.name_length, 4);
    assert_memory_equal(record.name, "name", 4);
    assert_true(inotify_record_parse(bytes, length, &offset, &record));
    assert_int_equal(record.what, RECORD_IGNORED);
    assert_int_equal(record.name_length, 0);
    /* No terminator within: the name is all of it. */
    assert_true(inotify_record_parse(bytes, length, &offset, &record));
    assert_int_equal(record.name_length, 16);
    assert_false(inotify_record_parse(bytes, length, &offset, &record));
}

static void stops_at_a_broken_record(void **state)
{
    char bytes[64];
    struct watch_record record;
    size_t length = put(bytes, 0, IN_CREATE, "name", 16);

    (void)state;
    for (size_t cut = 0; cut < length; cut++) {
        size_t offset = 0;
        assert_false(inotify_record_parse(bytes, cut, &offset, &record));
        assert_int_equal(offset, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_records_in_order),
        cmocka_unit_test(stops_at_a_broken_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
