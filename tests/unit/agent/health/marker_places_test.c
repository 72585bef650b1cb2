/* Which directories test files go to, from a mount table and what is watched. */
#include "agent/health/marker_places.h"

#include "agent/watch/mounts.h"
#include "agent/watch/scope.h"
#include "agent/watch/watch.h"
#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char table[] = "1 0 8:1 / / rw - ext4 /dev/a rw\n"
                            "2 1 0:2 / /proc rw - proc proc rw\n"
                            "3 1 8:2 / /srv rw - xfs /dev/b rw\n"
                            "4 3 0:9 / /srv/remote rw - nfs4 server:/x rw\n"
                            "5 3 8:3 / /srv/left rw - ext4 /dev/c rw\n"
                            "6 1 0:5 / /tmp rw - tmpfs tmpfs rw\n"
                            "7 1 8:4 / /data rw - ext4 /dev/d rw\n";

static const char *const nothing[] = {NULL};

/* The places, joined by blanks. */
static void expect(const char *const *paths, const char *const *excluded, const char *wanted)
{
    const struct watch_options options = {
        .paths = paths,
        .exclude_directories = excluded,
        .exclude_files = nothing,
        .exclude_extensions = nothing,
        .own_directories = nothing,
    };
    char text[sizeof table], joined[256] = "";
    struct scope *scope;
    struct mounts *mounts;
    char **places;
    size_t count;

    memcpy(text, table, sizeof table);
    assert_int_equal(mounts_parse(text, &mounts), 0);
    assert_int_equal(scope_new(&options, &scope), 0);
    assert_int_equal(marker_places_of(scope, mounts, &places, &count), 0);
    for (size_t i = 0, at = 0; i < count; i++) {
        int length =
            text_format(joined + at, sizeof joined - at, "%s%s", i > 0 ? " " : "", places[i]);
        assert_true(length > 0);
        at += (size_t)length;
    }
    assert_string_equal(joined, wanted);
    assert_null(marker_places_free(places, count));
    (void)scope_unref(scope);
    (void)mounts_free(mounts);
}

static void each_local_mount_below_is_tried_once(void **state UNUSED)
{
    static const char *const paths[] = {"/", NULL}, *const excluded[] = {"/srv/left/", NULL};

    expect(paths, excluded, "/var/tmp /data /srv /tmp");
}

static void a_mount_above_is_tried_where_it_is_watched(void **state UNUSED)
{
    static const char *const paths[] = {"/data/web", "/home", NULL};

    expect(paths, nothing, "/home /data/web");
}

static void what_is_not_watched_is_not_written_to(void **state UNUSED)
{
    static const char *const paths[] = {"/srv/remote", "/proc", NULL};

    expect(paths, nothing, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_local_mount_below_is_tried_once),
        cmocka_unit_test(a_mount_above_is_tried_where_it_is_watched),
        cmocka_unit_test(what_is_not_watched_is_not_written_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
