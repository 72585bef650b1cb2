/* What must be found is found by a confined worker, exactly as outside; what cannot be looked at is
 * never clean. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLAMAV_TEST_FILES "/usr/share/clamav-testfiles"

/* 79616775... is "yagura marker in hypertext", as libclamav normalises it. */
static const char marker_database[] =
    "Html.Marker:3:*:796167757261206d61726b657220696e20687970657274657874\n";

static struct scan_fixture fixture;
static char samples[96];

struct seen {
    size_t files;
    size_t wrong;
};

/* Scans all files of a folder; check says whether the result is right. */
static struct seen scan_folder(const char *folder,
                               bool (*check)(const char *name, const struct scan_result *result))
{
    struct seen seen = {0};
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char path[512];
        struct stat status;
        (void)text_format(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
            continue;
        struct scan_result result = scan_fixture_scan_path(&fixture, path);
        seen.files++;
        if (!check(entry->d_name, &result)) {
            seen.wrong++;
            print_error("%s: %s (%s) %s\n", entry->d_name, scan_verdict_name(result.verdict),
                        scan_reason_name(result.reason), result.signature);
        }
    }
    (void)closedir(directory);
    return seen;
}

static struct seen scan_samples(const char *group,
                                bool (*check)(const char *name, const struct scan_result *result))
{
    char folder[160];
    (void)text_format(folder, sizeof(folder), "%s/%s", samples, group);
    return scan_folder(folder, check);
}

static bool is_infected(const char *name, const struct scan_result *result)
{
    (void)name;
    return result->verdict == SCAN_INFECTED && result->reason == SCAN_REASON_NONE &&
           result->signature[0] != '\0';
}

static bool is_clean(const char *name, const struct scan_result *result)
{
    (void)name;
    return result->verdict == SCAN_CLEAN && result->reason == SCAN_REASON_NONE;
}

/* The file's extension is the reason. */
static bool is_incomplete(const char *name, const struct scan_result *result)
{
    const char *reason = strrchr(name, '.') + 1;
    return result->verdict == SCAN_INCOMPLETE &&
           text_equal(scan_reason_name(result->reason), reason);
}

static bool is_test_file(const char *name, const struct scan_result *result)
{
    return is_infected(name, result) &&
           text_equal(result->signature, "ClamAV-Test-File.UNOFFICIAL");
}

static bool is_anything(const char *name, const struct scan_result *result)
{
    (void)name;
    return result->verdict != SCAN_ERROR || result->reason != SCAN_REASON_CRASHED;
}

static void test_eicar_in_containers_and_encodings(void **state)
{
    (void)state;
    struct seen seen = scan_samples("infected", is_infected);
    assert_true(seen.files >= 36);
    assert_int_equal(seen.wrong, 0);
}

static void test_clamavs_own_test_files(void **state)
{
    (void)state;
    if (access(CLAMAV_TEST_FILES, R_OK) < 0) {
        print_message("skipped: package clamav-testfiles is not installed\n");
        skip();
    }
    struct seen seen = scan_folder(CLAMAV_TEST_FILES, is_test_file);
    assert_int_equal(seen.files, 44);
    assert_int_equal(seen.wrong, 0);
}

static void test_limits_and_secrets_are_incomplete(void **state)
{
    (void)state;
    struct seen seen = scan_samples("incomplete", is_incomplete);
    assert_true(seen.files >= 7);
    assert_int_equal(seen.wrong, 0);
}

static void test_clean_files_are_clean(void **state)
{
    (void)state;
    assert_int_equal(scan_samples("clean", is_clean).wrong, 0);
}

static void test_damaged_containers_get_a_verdict(void **state)
{
    (void)state;
    assert_int_equal(scan_samples("damaged", is_anything).wrong, 0);
    assert_int_equal(scan_samples("infected", is_infected).wrong, 0);
}

static void test_unreadable_descriptors_are_errors(void **state)
{
    (void)state;
    char path[192];
    (void)text_format(path, sizeof(path), "%s/infected/eicar.com", samples);
    AUTO_CLOSE int write_only = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(write_only >= 0);
    struct scan_result result = scan_fixture_scan_fd(&fixture, write_only);
    assert_int_equal(result.verdict, SCAN_ERROR);
    assert_int_equal(result.reason, SCAN_REASON_READ);

    static const char *const not_files[] = {"/dev/null", "/dev/zero", "/tmp"};
    for (size_t i = 0; i < ARRAY_LENGTH(not_files); i++) {
        AUTO_CLOSE int fd = open(not_files[i], O_RDONLY | O_CLOEXEC);
        result = scan_fixture_scan_fd(&fixture, fd);
        assert_int_equal(result.verdict, SCAN_ERROR);
        assert_int_equal(result.reason, SCAN_REASON_READ);
    }
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    result = scan_fixture_scan_fd(&fixture, pipe_ends[0]);
    assert_int_equal(result.verdict, SCAN_ERROR);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* A terabyte that is not there. */
static void test_sparse_file_is_incomplete_at_once(void **state)
{
    (void)state;
    char path[192];
    (void)text_format(path, sizeof(path), "%s/sparse", fixture.folder);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1LL << 40), 0);
    struct scan_result result = scan_fixture_scan_fd(&fixture, fd);
    assert_int_equal(result.verdict, SCAN_INCOMPLETE);
    assert_int_equal(result.reason, SCAN_REASON_FILE_SIZE);
    assert_true(result.scan_ns < 1000000000ULL);
}

/* An infection counts more than what could not be looked at. */
static void test_infection_beside_a_secret_is_found(void **state)
{
    (void)state;
    char path[192];
    (void)text_format(path, sizeof(path), "%s/mixed/secret-and-eicar.zip", samples);
    if (access(path, R_OK) < 0) {
        print_message("skipped: 7z is not installed\n");
        skip();
    }
    struct scan_result result = scan_fixture_scan_path(&fixture, path);
    assert_int_equal(result.verdict, SCAN_INFECTED);
}

static void test_generation_comes_with_every_result(void **state)
{
    (void)state;
    struct scan_result result = scan_fixture_scan_bytes(&fixture, "x", 1);
    assert_true(result.generation != 0);
    assert_true(result.generation == fixture.status.generation);
}

static int start(void **state)
{
    (void)state;
    scan_fixture_prepare(&fixture);
    scan_fixture_write_database(&fixture, "marker.ndb", marker_database);
    (void)text_format(samples, sizeof(samples), "%s/samples", fixture.folder);
    scan_fixture_make_samples(samples);
    fixture.options.seccomp_debug = true; /* a denied call is named in the test's output */
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    scanner_client_status(fixture.client, &fixture.status);
    assert_int_equal(fixture.status.crashed, 0);
    assert_int_equal(fixture.status.timed_out, 0);
    scan_fixture_stop(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eicar_in_containers_and_encodings),
        cmocka_unit_test(test_clamavs_own_test_files),
        cmocka_unit_test(test_limits_and_secrets_are_incomplete),
        cmocka_unit_test(test_clean_files_are_clean),
        cmocka_unit_test(test_damaged_containers_get_a_verdict),
        cmocka_unit_test(test_unreadable_descriptors_are_errors),
        cmocka_unit_test(test_sparse_file_is_incomplete_at_once),
        cmocka_unit_test(test_infection_beside_a_secret_is_found),
        cmocka_unit_test(test_generation_comes_with_every_result),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
