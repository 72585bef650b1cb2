/* Malware that goes on writing: whoever has the file open when it is taken away can still make it
 * grow, as large as a sparse file may be. What is sealed fits into the quarantine's cap, or waits
 * disarmed until there is room. respond_step, replaced at link time, is where it grows. */
#include "agent/respond/respond_step.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CAP (1U << 20)

static atomic_int writer_fd = -1;
static off_t grown_size;

void __wrap_respond_step(enum respond_step step);
void __wrap_respond_step(enum respond_step step)
{
    int fd = atomic_load(&writer_fd);

    if (step == RESPOND_STEP_DISARMED && fd >= 0)
        (void)!ftruncate(fd, grown_size);
}

static void detect_and_grow(struct respond_fixture *fixture, off_t size)
{
    AUTO_FREE char *path = NULL;
    struct detection detection = {.result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    struct stat status;
    AUTO_CLOSE int fd = -1, writer = -1;

    fixture_open(fixture, "/tmp");
    fixture->options.quarantine_bytes = CAP;
    fixture_start(fixture);
    fixture_make(fixture, "evil", "malware");
    path = fixture_path(fixture, "evil");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    writer = open(path, O_WRONLY | O_CLOEXEC);
    grown_size = size;
    atomic_store(&writer_fd, writer);
    assert_int_equal(fstat(fd, &status), 0);
    detection.path = path;
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    assert_int_equal(responder_submit(fixture->responder, &detection, NULL, NULL), 0);
    fixture_settle(fixture);
    atomic_store(&writer_fd, -1);
    assert_false(fixture_exists(fixture, "evil"));
}

static void what_outgrows_the_cap_waits_disarmed(void **state)
{
    struct respond_fixture fixture;
    struct responder_status status;

    (void)state;
    detect_and_grow(&fixture, 64 * (off_t)CAP);
    assert_int_equal(fixture_rows(&fixture, NULL), 0);
    assert_int_equal(fixture_events(&fixture, "malware_action_delayed"), 1);
    responder_status(fixture.responder, &status);
    assert_int_equal(status.delayed, 1);
    fixture_close(&fixture);
}

static void what_still_fits_is_sealed_whole(void **state)
{
    struct quarantine_restore in_place = {0};
    AUTO_FREE char *path = NULL;
    struct respond_fixture fixture;
    char id[UUID_TEXT_BYTES];
    struct stat status;
    int missing;

    (void)state;
    detect_and_grow(&fixture, CAP / 2);
    assert_int_equal(fixture_rows(&fixture, id), 1);
    assert_int_equal(
        quarantine_restore(responder_quarantine(fixture.responder), id, &in_place, &missing), 0);
    path = fixture_path(&fixture, "evil");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, CAP / 2);
    fixture_close(&fixture);
}

/* Before it is decided on: nobody reads through what was not scanned. */
static void what_grew_since_the_scan_is_not_read_through(void **state)
{
    struct respond_fixture fixture;
    struct detection detection = {.result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    AUTO_FREE char *path = NULL, *detail = NULL;
    struct stat status;
    AUTO_CLOSE int fd = -1;

    (void)state;
    fixture_open(&fixture, "/tmp");
    fixture.options.quarantine_bytes = CAP;
    fixture_start(&fixture);
    fixture_make(&fixture, "evil", "malware");
    path = fixture_path(&fixture, "evil");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    detection.path = path;
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    assert_int_equal(truncate(path, CAP / 2), 0);
    assert_int_equal(responder_submit(fixture.responder, &detection, NULL, NULL), 0);
    fixture_settle(&fixture);
    assert_false(fixture_exists(&fixture, "evil"));
    assert_int_equal(fixture_rows(&fixture, NULL), 1);
    detail = fixture_detail(&fixture, "malware_found");
    assert_non_null(detail);
    assert_null(strstr(detail, "sha256"));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_outgrows_the_cap_waits_disarmed),
        cmocka_unit_test(what_still_fits_is_sealed_whole),
        cmocka_unit_test(what_grew_since_the_scan_is_not_read_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
