/* agent/respond: what happens to a detected file, and that it can come back. */
#include "tests/unit/agent/respond/respond_fixture.h"

#include "agent/respond/respond_step.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define CONTENT "this is malware, we say"

static int set_up(void **state)
{
    struct respond_fixture *fixture = malloc(sizeof(*fixture));

    assert_non_null(fixture);
    fixture_open(fixture, "/tmp");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static void check_content(const char *path, const char *expected)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(65536);

    assert_int_equal(file_read_all(path, &content), 0);
    assert_string_equal(buffer_text(&content), expected);
}

static void a_detected_file_goes_and_comes_back_the_same(void **state)
{
    struct respond_fixture *fixture = *state;
    struct quarantine_restore in_place = {.exclude = true};
    AUTO_FREE char *path = fixture_path(fixture, "evil");
    struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 7}, {.tv_sec = 2000, .tv_nsec = 9}};
    char id[UUID_TEXT_BYTES], value[8];
    struct stat before, after;
    int missing;

    fixture_make(fixture, "evil", CONTENT);
    assert_int_equal(chmod(path, 0751), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(path, 1234, 4321), 0);
    assert_int_equal(setxattr(path, "user.origin", "web", 3, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(stat(path, &before), 0);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_settle(fixture);
    assert_false(fixture_exists(fixture, "evil"));
    assert_int_equal(fixture_events(fixture, "malware_found"), 1);
    assert_int_equal(fixture_events(fixture, "malware_quarantined"), 1);
    assert_int_equal(fixture_rows(fixture, id), 1);

    assert_int_equal(
        quarantine_restore(responder_quarantine(fixture->responder), id, &in_place, &missing), 0);
    assert_int_equal(missing, 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(after.st_gid, before.st_gid);
    assert_memory_equal(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim));
    assert_int_equal(getxattr(path, "user.origin", value, sizeof(value)), 3);
    assert_memory_equal(value, "web", 3);
    check_content(path, CONTENT);
    assert_int_equal(fixture_rows(fixture, NULL), 0);
    assert_int_equal(fixture_events(fixture, "quarantine_restored"), 1);
    /* excluded: detected again, it stays, and nothing is told */
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    assert_true(fixture_exists(fixture, "evil"));
    assert_int_equal(fixture_events(fixture, "malware_found"), 1);
    /* also after a restart */
    fixture_stop(fixture);
    fixture_start(fixture);
    fixture_settle(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    assert_true(fixture_exists(fixture, "evil"));
}

/* Two seconds later it would be there anyway. */
static char *sealed_path(struct respond_fixture *fixture, const char *id)
{
    struct quarantine_facts facts;
    char *path = text_format_new("%s/quarantine/%s.sealed", fixture->state, id);

    assert_non_null(path);
    assert_int_equal(quarantine_show(responder_quarantine(fixture->responder), id, true, &facts),
                     0);
    quarantine_facts_done(&facts);
    return path;
}

static void the_sealed_file_does_not_show_the_content(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_BUFFER struct buffer sealed = BUFFER_WITH_MAXIMUM(65536);
    AUTO_FREE char *path = NULL;
    char id[UUID_TEXT_BYTES];
    struct stat status;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    assert_int_equal(fixture_rows(fixture, id), 1);
    path = sealed_path(fixture, id);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(file_read_all(path, &sealed), 0);
    assert_null(memmem(sealed.data, sealed.length, "malware", 7));
    assert_null(memmem(sealed.data, sealed.length, "evil", 4));
}

static void a_hard_link_is_disarmed_and_told(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *path = fixture_path(fixture, "evil");
    AUTO_FREE char *link_path = fixture_path(fixture, "link");
    AUTO_FREE char *detail = NULL;
    struct stat status;

    fixture_make(fixture, "evil", CONTENT);
    assert_int_equal(link(path, link_path), 0);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    assert_int_equal(stat(link_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0);
    detail = fixture_detail(fixture, "malware_quarantined");
    assert_non_null(strstr(detail, "\"links\":2"));
}

static void policy_decides(void **state)
{
    struct respond_fixture *fixture = *state;

    fixture_make(fixture, "a", "a");
    fixture_make(fixture, "b", "b");
    fixture_make(fixture, "c", "c");
    fixture->options.heuristic_action = RESPOND_PASS;
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "a", "Heuristics.Phishing"), 0);
    assert_true(fixture_exists(fixture, "a"));
    fixture->options.action = RESPOND_DELETE;
    assert_int_equal(responder_reconfigure(fixture->responder, &fixture->options), 0);
    assert_int_equal(fixture_detect(fixture, "b", "Test.Malware"), 0);
    fixture_settle(fixture);
    assert_false(fixture_exists(fixture, "b"));
    assert_int_equal(fixture_events(fixture, "malware_deleted"), 1);
    assert_int_equal(fixture_rows(fixture, NULL), 0);
    fixture->options.allowed_signatures = (const char *const[]){"Test.Malware", NULL};
    assert_int_equal(responder_reconfigure(fixture->responder, &fixture->options), 0);
    assert_int_equal(fixture_detect(fixture, "c", "Test.Malware"), 0);
    assert_true(fixture_exists(fixture, "c"));
    assert_int_equal(fixture_events(fixture, "malware_found"), 2);
}

static void a_repeat_is_folded_and_a_change_is_told(void **state)
{
    struct respond_fixture *fixture = *state;

    fixture->options.action = RESPOND_PASS;
    fixture_make(fixture, "a", "one");
    fixture_start(fixture);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fixture_detect(fixture, "a", "Test.Malware"), 0);
    assert_int_equal(fixture_events(fixture, "malware_found"), 1);
    fixture_make(fixture, "a", "another");
    assert_int_equal(fixture_detect(fixture, "a", "Test.Malware"), 0);
    assert_int_equal(fixture_events(fixture, "malware_found"), 2);
    assert_int_equal(fixture_detect(fixture, "a", "Test.Other"), 0);
    assert_int_equal(fixture_events(fixture, "malware_found"), 3);
}

static void the_brake_holds_and_releases(void **state)
{
    struct respond_fixture *fixture = *state;
    struct responder_status status;
    char name[16];

    fixture->options.brake_actions = 3;
    for (int i = 0; i < 14; i++) {
        (void)text_format(name, sizeof(name), "f%d", i);
        fixture_make(fixture, name, name);
    }
    fixture_start(fixture);
    for (int i = 0; i < 14; i++) {
        (void)text_format(name, sizeof(name), "f%d", i);
        assert_int_equal(fixture_detect(fixture, name, "Test.Malware"), 0);
    }
    fixture_settle(fixture);
    responder_status(fixture->responder, &status);
    assert_int_equal(status.quarantined, 3);
    assert_int_equal(status.held, 11);
    assert_true(fixture_exists(fixture, "f3"));
    assert_int_equal(fixture_events(fixture, "malware_found"), 14);
    assert_int_equal(fixture_events(fixture, "malware_held"), 2); /* the 1st and the 10th */
    /* another signature is not held */
    fixture_make(fixture, "other", "other");
    assert_int_equal(fixture_detect(fixture, "other", "Test.Other"), 0);
    assert_false(fixture_exists(fixture, "other"));
    /* the count survives a restart */
    fixture_stop(fixture);
    fixture_start(fixture);
    fixture_settle(fixture);
    fixture_make(fixture, "late", "late");
    assert_int_equal(fixture_detect(fixture, "late", "Test.Malware"), 0);
    assert_true(fixture_exists(fixture, "late"));
}

struct held {
    char id[UUID_TEXT_BYTES], last[UUID_TEXT_BYTES];
    unsigned count;
};

static int take_held(void *user, const struct held_entry *entry)
{
    struct held *held = user;

    (void)text_copy(held->count++ == 0 ? held->id : held->last, UUID_TEXT_BYTES, entry->id);
    assert_string_equal(entry->reason, "brake");
    assert_int_equal(strlen(entry->sha256), 64);
    return 0;
}

static void an_administrator_answers_for_held_files(void **state)
{
    struct respond_fixture *fixture = *state;
    struct held held = {0};

    fixture->options.brake_actions = 1;
    fixture_make(fixture, "first", "first");
    fixture_make(fixture, "allow", "allow");
    fixture_make(fixture, "act", "act");
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "first", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(fixture, "allow", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(fixture, "act", "Test.Malware"), 0);
    fixture_settle(fixture);
    assert_int_equal(
        quarantine_list_held(responder_quarantine(fixture->responder), 0, take_held, &held), 0);
    assert_int_equal(held.count, 2);
    assert_int_equal(responder_release(fixture->responder, held.id, HELD_ACT), 0);
    assert_int_equal(responder_release(fixture->responder, held.last, HELD_ALLOW), 0);
    assert_int_equal(responder_release(fixture->responder, held.last, HELD_ALLOW), -ENOENT);
    fixture_settle(fixture);
    assert_false(fixture_exists(fixture, "act"));
    assert_true(fixture_exists(fixture, "allow"));
    fixture_make(fixture, "copy", "allow");
    assert_int_equal(fixture_detect(fixture, "copy", "Test.Malware"), 0);
    assert_true(fixture_exists(fixture, "copy"));
    held.count = 0;
    assert_int_equal(
        quarantine_list_held(responder_quarantine(fixture->responder), 0, take_held, &held), 0);
    assert_int_equal(held.count, 0);
}

static void a_renamed_file_is_followed(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *path = fixture_path(fixture, "evil");
    AUTO_FREE char *moved = fixture_path(fixture, "elsewhere");
    struct detection detection = {.path = path,
                                  .result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    AUTO_CLOSE int fd = -1;
    struct stat status;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    assert_int_equal(rename(path, moved), 0);
    fixture_make(fixture, "evil", "innocent");
    assert_int_equal(responder_submit(fixture->responder, &detection, NULL, NULL), 0);
    fixture_settle(fixture);
    check_content(path, "innocent");
    assert_false(fixture_exists(fixture, "elsewhere"));
    assert_int_equal(fixture_rows(fixture, NULL), 1);
}

static void a_vanished_file_is_told(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *path = fixture_path(fixture, "evil");
    struct detection detection = {.path = path,
                                  .result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    AUTO_CLOSE int fd = -1;
    struct stat status;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(responder_submit(fixture->responder, &detection, NULL, NULL), 0);
    fixture_settle(fixture);
    assert_int_equal(fixture_events(fixture, "malware_found"), 1);
    assert_int_equal(fixture_events(fixture, "malware_vanished"), 1);
}

static void a_link_in_the_path_is_not_followed(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *folder = fixture_path(fixture, "folder");
    AUTO_FREE char *other = fixture_path(fixture, "other");
    AUTO_FREE char *path = fixture_path(fixture, "folder/f");
    struct detection detection = {.path = path,
                                  .result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    AUTO_CLOSE int fd = -1;
    struct stat status;

    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(mkdir(other, 0755), 0);
    fixture_make(fixture, "folder/f", CONTENT);
    fixture_make(fixture, "other/f", "innocent");
    fixture_start(fixture);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(symlink(other, folder), 0);
    assert_int_equal(responder_submit(fixture->responder, &detection, NULL, NULL), 0);
    fixture_settle(fixture);
    assert_true(fixture_exists(fixture, "other/f"));
}

static void the_space_cap_refuses_or_drops(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *big = malloc(5001);

    assert_non_null(big);
    memset(big, 'b', 5000);
    big[5000] = '\0';
    fixture->options.quarantine_bytes = 8000;
    fixture_make(fixture, "one", big);
    fixture_make(fixture, "two", big);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "one", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(fixture, "two", "Test.Malware"), -EDQUOT);
    assert_true(fixture_exists(fixture, "two"));
    assert_int_equal(fixture_events(fixture, "malware_action_failed"), 1);
    /* told once, not again and again */
    assert_int_equal(fixture_detect(fixture, "two", "Test.Malware"), -EDQUOT);
    assert_int_equal(fixture_events(fixture, "malware_action_failed"), 1);
    fixture->options.quarantine_drop_oldest = true;
    assert_int_equal(responder_reconfigure(fixture->responder, &fixture->options), 0);
    assert_int_equal(fixture_detect(fixture, "two", "Test.Malware"), 0);
    assert_false(fixture_exists(fixture, "two"));
    assert_int_equal(fixture_events(fixture, "quarantine_dropped"), 1);
    assert_int_equal(fixture_rows(fixture, NULL), 1);
}

static void restoring_never_overwrites_nor_follows_links(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *elsewhere = fixture_path(fixture, "elsewhere");
    AUTO_FREE char *link_path = fixture_path(fixture, "link");
    AUTO_FREE char *through = fixture_path(fixture, "link/f");
    struct quarantine_restore in_place = {0}, to_link = {.to = link_path},
                              by_link = {.to = through}, to = {.to = elsewhere};
    struct quarantine *quarantine;
    char id[UUID_TEXT_BYTES];
    int missing;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    quarantine = responder_quarantine(fixture->responder);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_rows(fixture, id);
    fixture_make(fixture, "evil", "new");
    assert_int_equal(symlink("/tmp", link_path), 0);
    assert_int_equal(quarantine_restore(quarantine, id, &in_place, &missing), -EEXIST);
    assert_int_equal(quarantine_restore(quarantine, id, &to_link, &missing), -EEXIST);
    assert_int_equal(quarantine_restore(quarantine, id, &by_link, &missing), -ELOOP);
    assert_int_equal(fixture_rows(fixture, NULL), 1);
    assert_int_equal(quarantine_restore(quarantine, id, &to, &missing), 0);
    check_content(elsewhere, CONTENT);
    assert_int_equal(quarantine_restore(quarantine, id, &to, &missing), -ENOENT);
}

static void set_user_id_comes_back_only_when_asked(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *path = fixture_path(fixture, "evil");
    AUTO_FREE char *second = fixture_path(fixture, "second");
    struct quarantine_restore plain = {.exclude = false},
                              privileged = {.to = second, .privileged = true};
    char id[UUID_TEXT_BYTES];
    struct stat status;
    int missing;

    fixture_make(fixture, "evil", CONTENT);
    assert_int_equal(chmod(path, 06755), 0);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_rows(fixture, id);
    assert_int_equal(
        quarantine_restore(responder_quarantine(fixture->responder), id, &plain, &missing), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_int_equal(chmod(path, 06755), 0);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_rows(fixture, id);
    assert_int_equal(
        quarantine_restore(responder_quarantine(fixture->responder), id, &privileged, &missing), 0);
    assert_int_equal(stat(second, &status), 0);
    assert_int_equal(status.st_mode & 07777, 06755);
}

static void administration(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *copy = fixture_path(fixture, "copy");
    struct quarantine_facts facts;
    struct quarantine_usage usage;
    struct quarantine *quarantine;
    char id[UUID_TEXT_BYTES], found[UUID_TEXT_BYTES], beginning[5];
    struct stat status;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    quarantine = responder_quarantine(fixture->responder);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_rows(fixture, id);
    (void)text_copy(beginning, sizeof(beginning), id);
    assert_int_equal(quarantine_find(quarantine, beginning, found), 0);
    assert_string_equal(found, id);
    assert_int_equal(quarantine_find(quarantine, "ffff", found), -ENOENT);
    assert_int_equal(quarantine_find(quarantine, "' OR 1", found), -EINVAL);
    assert_int_equal(quarantine_show(quarantine, id, true, &facts), 0);
    assert_string_equal(facts.signature, "Test.Malware");
    assert_true(text_ends_with(facts.path, "/evil"));
    quarantine_facts_done(&facts);
    assert_int_equal(quarantine_usage(quarantine, &usage), 0);
    assert_int_equal(usage.files, 1);
    assert_true(usage.bytes > strlen(CONTENT));
    assert_int_equal(quarantine_export(quarantine, id, copy), 0);
    assert_int_equal(quarantine_export(quarantine, id, copy), -EEXIST);
    check_content(copy, CONTENT);
    assert_int_equal(stat(copy, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0400);
    assert_int_equal(quarantine_delete(quarantine, "../../etc/passwd"), -EINVAL);
    assert_int_equal(quarantine_delete(quarantine, id), 0);
    assert_int_equal(quarantine_delete(quarantine, id), -ENOENT);
    assert_int_equal(fixture_rows(fixture, NULL), 0);
    assert_int_equal(quarantine_usage(quarantine, &usage), 0);
    assert_int_equal(usage.bytes, 0);
}

static const struct respond_fixture *barred; /* what it moved away cannot be removed */
static char moved[128], aside[128];

/* A directory in its place is what root cannot unlink either, whatever the file system. */
void __wrap_respond_step(enum respond_step step);
void __wrap_respond_step(enum respond_step step)
{
    AUTO_FREE char *pattern = NULL;
    glob_t found;

    if (step != RESPOND_STEP_DURABLE || !barred)
        return;
    pattern = text_format_new("%s/moved/*", barred->state);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(text_copy(moved, sizeof(moved), found.gl_pathv[0]) >= 0);
    globfree(&found);
    assert_true(text_format(aside, sizeof(aside), "%s/aside", barred->state) > 0);
    assert_int_equal(rename(moved, aside), 0);
    assert_int_equal(mkdir(moved, 0700), 0);
}

static void what_cannot_be_removed_is_told_and_removed_later(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *detail = NULL;

    fixture_make(fixture, "evil", CONTENT);
    barred = fixture;
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_stop(fixture); /* finishes what was told */
    barred = NULL;
    assert_int_equal(rmdir(moved), 0);
    assert_int_equal(rename(aside, moved), 0);
    fixture_start(fixture);
    fixture_settle(fixture);
    assert_int_equal(fixture_events(fixture, "malware_quarantined"), 1);
    assert_int_equal(fixture_events(fixture, "malware_action_delayed"), 1);
    detail = fixture_detail(fixture, "malware_action_delayed");
    assert_non_null(strstr(detail, "cannot be removed"));
    assert_non_null(strstr(detail, "/moved\""));
    fixture_stop(fixture);
    assert_int_equal(access(moved, F_OK), -1);
}

static void our_own_files_are_left_alone(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *path = text_format_new("%s/moved/x", fixture->state);
    AUTO_CLOSE int fd = -1;

    fixture_start(fixture);
    fixture_settle(fixture);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fixture_detect_path(fixture, path, "Test.Malware"), 0);
    assert_int_equal(fixture_events(fixture, ""), 0);
}

static void a_damaged_sealed_file_is_told_and_not_restored(void **state)
{
    struct respond_fixture *fixture = *state;
    struct quarantine_restore in_place = {0};
    AUTO_FREE char *sealed = NULL;
    AUTO_CLOSE int fd = -1;
    char id[UUID_TEXT_BYTES];
    int missing;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_rows(fixture, id);
    sealed = sealed_path(fixture, id);
    fd = open(sealed, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t place = lseek(fd, 0, SEEK_END) - 3;
    char byte;
    assert_int_equal(pread(fd, &byte, 1, place), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    assert_int_equal(quarantine_restore(responder_quarantine(fixture->responder), id, &in_place,
                                        &missing),
                     -EBADMSG);
    assert_false(fixture_exists(fixture, "evil"));
    assert_int_equal(fixture_rows(fixture, NULL), 1);
}

static void a_lost_store_is_filled_from_the_sealed_files(void **state)
{
    struct respond_fixture *fixture = *state;
    AUTO_FREE char *database = text_format_new("%s/events.db", fixture->state);
    AUTO_FREE char *log = text_format_new("%s/events.db-wal", fixture->state);
    struct quarantine_restore in_place = {0};
    char id[UUID_TEXT_BYTES], again[UUID_TEXT_BYTES];
    int missing;

    fixture_make(fixture, "evil", CONTENT);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "evil", "Test.Malware"), 0);
    fixture_rows(fixture, id);
    fixture_settle(fixture);
    fixture_stop(fixture); /* brings it to the disk */
    assert_int_equal(unlink(database), 0);
    assert_true(unlink(log) == 0 || errno == ENOENT);
    fixture_start(fixture);
    fixture_settle(fixture);
    assert_int_equal(fixture_rows(fixture, again), 1);
    assert_string_equal(id, again);
    assert_int_equal(fixture_events(fixture, "quarantine_recovered"), 1);
    assert_int_equal(
        quarantine_restore(responder_quarantine(fixture->responder), id, &in_place, &missing), 0);
    assert_true(fixture_exists(fixture, "evil"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_detected_file_goes_and_comes_back_the_same),
        TEST(the_sealed_file_does_not_show_the_content),
        TEST(a_hard_link_is_disarmed_and_told),
        TEST(policy_decides),
        TEST(a_repeat_is_folded_and_a_change_is_told),
        TEST(the_brake_holds_and_releases),
        TEST(an_administrator_answers_for_held_files),
        TEST(a_renamed_file_is_followed),
        TEST(a_vanished_file_is_told),
        TEST(a_link_in_the_path_is_not_followed),
        TEST(the_space_cap_refuses_or_drops),
        TEST(restoring_never_overwrites_nor_follows_links),
        TEST(set_user_id_comes_back_only_when_asked),
        TEST(administration),
        TEST(what_cannot_be_removed_is_told_and_removed_later),
        TEST(our_own_files_are_left_alone),
        TEST(a_damaged_sealed_file_is_told_and_not_restored),
        TEST(a_lost_store_is_filled_from_the_sealed_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
