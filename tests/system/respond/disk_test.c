/* Disks that are full, read-only, immutable, or mounted twice: the file is never lost, never left
 * in place without a word, and nothing waits for ever. In a mount namespace of its own, so nothing
 * is left behind; needs root. */
#include "agent/respond/respond_step.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

#define CONTENT "this is malware, we say"

struct disks {
    struct respond_fixture fixture;
    char place[64]; /* an empty tmpfs of the namespace, on which all happens */
};

static bool have_namespace;

static int set_up_namespace(void **state)
{
    (void)state;
    have_namespace =
        unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    if (!have_namespace)
        print_message("SKIPPED: no mount namespace (needs root)\n");
    return 0;
}

static int set_up(void **state)
{
    struct disks *disks;

    if (!have_namespace)
        return 0;
    disks = calloc(1, sizeof(*disks));
    assert_non_null(disks);
    assert_true(text_copy(disks->place, sizeof(disks->place), "/tmp/disks_XXXXXX") >= 0);
    assert_non_null(mkdtemp(disks->place));
    assert_int_equal(mount("tmpfs", disks->place, "tmpfs", 0, "size=64m"), 0);
    fixture_open(&disks->fixture, disks->place);
    *state = disks;
    return 0;
}

static int tear_down(void **state)
{
    struct disks *disks = *state;

    if (!disks)
        return 0;
    fixture_stop(&disks->fixture);
    assert_int_equal(umount2(disks->place, MNT_DETACH), 0);
    assert_int_equal(rmdir(disks->place), 0);
    free(disks);
    return 0;
}

#define NEED_NAMESPACE(disks) \
    do {                      \
        if (!(disks))         \
            skip();           \
    } while (0)

static void mount_on(const char *directory, const char *options)
{
    assert_int_equal(mount("tmpfs", directory, "tmpfs", 0, options), 0);
}

/* Uses up what is left of the file system; the file is removed to free it. */
static void fill(const char *path)
{
    static char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

/* ---- tests ---- */

static void another_mount_gets_its_own_holding_directory(void **state)
{
    struct disks *disks = *state;
    struct quarantine_restore in_place = {0};
    char id[UUID_TEXT_BYTES];
    AUTO_FREE char *deep = NULL;
    int missing;

    NEED_NAMESPACE(disks);
    mount_on(disks->fixture.files, "size=1m");
    deep = fixture_path(&disks->fixture, "deep");
    assert_int_equal(mkdir(deep, 0755), 0);
    fixture_make(&disks->fixture, "deep/evil", CONTENT);
    fixture_start(&disks->fixture);
    assert_int_equal(fixture_detect(&disks->fixture, "deep/evil", "Test.M"), 0);
    fixture_settle(&disks->fixture);
    assert_false(fixture_exists(&disks->fixture, "deep/evil"));
    assert_int_equal(fixture_rows(&disks->fixture, id), 1);
    assert_int_equal(quarantine_restore(responder_quarantine(disks->fixture.responder), id,
                                        &in_place, &missing),
                     0);
    assert_true(fixture_exists(&disks->fixture, "deep/evil"));
}

/* A user who owns the mount's root takes the name of our directory first. */
static void occupy(const char *place, const char *kind)
{
    if (text_equal(kind, "directory")) {
        assert_int_equal(mkdir(place, 0700), 0);
        assert_int_equal(lchown(place, 1000, 1000), 0);
    } else if (text_equal(kind, "link")) {
        assert_int_equal(symlink("/tmp", place), 0);
    } else {
        assert_int_equal(mknod(place, S_IFREG | 0600, 0), 0);
    }
}

static void nobody_can_take_our_name_away(void **state)
{
    static const char *const kinds[] = {"directory", "link", "file"};
    struct disks *disks = *state;

    NEED_NAMESPACE(disks);
    fixture_start(&disks->fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        AUTO_FREE char *place =
            text_format_new("%s/.yagura-quarantine-%s", disks->fixture.files,
                            quarantine_host(responder_quarantine(disks->fixture.responder)));

        mount_on(disks->fixture.files, "size=1m,uid=1000,mode=0755");
        occupy(place, kinds[i]);
        fixture_make(&disks->fixture, "evil", CONTENT);
        assert_int_equal(fixture_detect(&disks->fixture, "evil", "Test.M"), 0);
        fixture_settle(&disks->fixture);
        assert_false(fixture_exists(&disks->fixture, "evil"));
        assert_int_equal(fixture_rows(&disks->fixture, NULL), i + 1);
        assert_int_equal(umount2(disks->fixture.files, MNT_DETACH), 0);
    }
    assert_int_equal(fixture_events(&disks->fixture, "malware_action_failed"), 0);
}

/* Nor hide in a directory that is only called like ours. */
static void nobody_can_hide_behind_our_name(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *name = NULL, *place = NULL;

    NEED_NAMESPACE(disks);
    fixture_start(&disks->fixture);
    name = text_format_new(".yagura-quarantine-%s/evil",
                           quarantine_host(responder_quarantine(disks->fixture.responder)));
    place = fixture_path(&disks->fixture, name);
    *strrchr(place, '/') = '\0';
    occupy(place, "directory");
    fixture_make(&disks->fixture, name, CONTENT);
    assert_int_equal(fixture_detect(&disks->fixture, name, "Test.M"), 0);
    fixture_settle(&disks->fixture);
    assert_false(fixture_exists(&disks->fixture, name));
    assert_int_equal(fixture_rows(&disks->fixture, NULL), 1);
}

/* More names of attributes than the kernel can list; XFS and btrfs let any user make them. */
static void attributes_beyond_number_protect_nothing(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *path = NULL;
    char names[65536];

    NEED_NAMESPACE(disks);
    fixture_make(&disks->fixture, "evil", CONTENT);
    path = fixture_path(&disks->fixture, "evil");
    for (int i = 0; i < 400; i++) {
        AUTO_FREE char *name = text_format_new("trusted.%0240d", i);

        assert_int_equal(setxattr(path, name, "", 0, 0), 0);
    }
    assert_int_equal(listxattr(path, names, sizeof(names)), -1);
    fixture_start(&disks->fixture);
    assert_int_equal(fixture_detect(&disks->fixture, "evil", "Test.M"), 0);
    fixture_settle(&disks->fixture);
    assert_false(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(fixture_rows(&disks->fixture, NULL), 1);
}

static void a_bind_mount_is_a_mount_of_its_own(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *source = NULL;

    NEED_NAMESPACE(disks);
    source = text_format_new("%s/source", disks->fixture.directory);
    assert_int_equal(mkdir(source, 0755), 0);
    assert_int_equal(mount(source, disks->fixture.files, NULL, MS_BIND, NULL), 0);
    fixture_make(&disks->fixture, "evil", CONTENT);
    fixture_start(&disks->fixture);
    assert_int_equal(fixture_detect(&disks->fixture, "evil", "Test.M"), 0);
    fixture_settle(&disks->fixture);
    assert_false(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(fixture_rows(&disks->fixture, NULL), 1);
}

static void a_mounted_file_stays_and_is_told(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *path = NULL, *source = NULL;

    NEED_NAMESPACE(disks);
    fixture_make(&disks->fixture, "evil", CONTENT);
    fixture_make(&disks->fixture, "source", CONTENT);
    path = fixture_path(&disks->fixture, "evil");
    source = fixture_path(&disks->fixture, "source");
    assert_int_equal(mount(source, path, NULL, MS_BIND, NULL), 0);
    fixture_start(&disks->fixture);
    assert_true(fixture_detect(&disks->fixture, "evil", "Test.M") < 0);
    assert_true(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(fixture_events(&disks->fixture, "malware_action_failed"), 1);
}

static void a_read_only_file_system_is_told(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *detail = NULL;

    NEED_NAMESPACE(disks);
    mount_on(disks->fixture.files, "size=1m");
    fixture_make(&disks->fixture, "evil", CONTENT);
    assert_int_equal(mount(NULL, disks->fixture.files, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    fixture_start(&disks->fixture);
    assert_int_equal(fixture_detect(&disks->fixture, "evil", "Test.M"), -EROFS);
    assert_true(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(fixture_events(&disks->fixture, "malware_found"), 1);
    detail = fixture_detail(&disks->fixture, "malware_action_failed");
    assert_non_null(detail);
    assert_non_null(strstr(detail, "read-only"));
    assert_int_equal(fixture_rows(&disks->fixture, NULL), 0);
    /* the same again is not told again */
    assert_int_equal(fixture_detect(&disks->fixture, "evil", "Test.M"), -EROFS);
    assert_int_equal(fixture_events(&disks->fixture, "malware_found"), 1);
}

static void an_immutable_file_is_told(void **state)
{
    struct disks *disks = *state;
    struct respond_fixture fixture;
    AUTO_FREE char *path = NULL;
    int flags = FS_IMMUTABLE_FL, none = 0;
    AUTO_CLOSE int fd = -1;

    NEED_NAMESPACE(disks);
    fixture_open(&fixture, "/tmp"); /* not every tmpfs knows the flag */
    fixture_make(&fixture, "evil", CONTENT);
    path = fixture_path(&fixture, "evil");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
        print_message("SKIPPED: /tmp has no immutable files\n");
        fixture_close(&fixture);
        skip();
    }
    fixture_start(&fixture);
    assert_int_equal(fixture_detect(&fixture, "evil", "Test.M"), -EPERM);
    assert_true(fixture_exists(&fixture, "evil"));
    assert_int_equal(fixture_events(&fixture, "malware_action_failed"), 1);
    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &none), 0);
    fixture_close(&fixture);
}

/* The quarantine's own folder is full while the event store is not. */
static void a_file_that_cannot_be_sealed_is_disarmed_and_sealed_later(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *folder = NULL, *filler = NULL, *big = NULL;
    char id[UUID_TEXT_BYTES];
    struct quarantine_restore in_place = {0};
    int missing;

    NEED_NAMESPACE(disks);
    folder = text_format_new("%s/quarantine", disks->fixture.state);
    filler = text_format_new("%s/filler", folder);
    big = malloc(300001);
    assert_non_null(big);
    memset(big, 'm', 300000);
    big[300000] = '\0';
    assert_int_equal(mkdir(folder, 0700), 0);
    mount_on(folder, "size=200k,mode=700");
    fill(filler);
    fixture_make(&disks->fixture, "evil", big);
    fixture_start(&disks->fixture);
    {
        AUTO_FREE char *path = fixture_path(&disks->fixture, "evil");
        struct detection detection = {.path = path,
                                      .result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat status;

        assert_int_equal(fstat(fd, &status), 0);
        detection.fd = fd;
        detection.identity = file_identity_of(&status);
        assert_int_equal(responder_submit(disks->fixture.responder, &detection, NULL, NULL), 0);
    }
    fixture_settle(&disks->fixture);
    assert_false(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(fixture_events(&disks->fixture, "malware_action_delayed"), 1);
    assert_int_equal(fixture_rows(&disks->fixture, NULL), 0);
    /* space again, and a restart */
    fixture_stop(&disks->fixture);
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT, "size=8m"), 0);
    fixture_start(&disks->fixture);
    fixture_settle(&disks->fixture);
    assert_int_equal(fixture_rows(&disks->fixture, id), 1);
    assert_int_equal(quarantine_restore(responder_quarantine(disks->fixture.responder), id,
                                        &in_place, &missing),
                     0);
    assert_true(fixture_exists(&disks->fixture, "evil"));
}

struct flag {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool set;
    int result;
};

static void set_flag(void *user, int result, uint64_t number)
{
    struct flag *flag = user;

    (void)number;
    pthread_mutex_lock(&flag->mutex);
    flag->set = true;
    flag->result = result;
    pthread_cond_signal(&flag->changed);
    pthread_mutex_unlock(&flag->mutex);
}

static volatile bool take_descriptors; /* at the next intent that is committed */

void __wrap_respond_step(enum respond_step step);
void __wrap_respond_step(enum respond_step step)
{
    struct rlimit limit;

    if (step != RESPOND_STEP_INTENT_COMMITTED || !take_descriptors)
        return;
    take_descriptors = false;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* What we lack ourselves is no verdict on the file: it is moved when there are descriptors again.
 */
static void a_file_that_cannot_be_moved_for_want_of_descriptors_is_moved_later(void **state)
{
    struct disks *disks = *state;
    struct rlimit before;
    AUTO_FREE char *path = NULL;

    NEED_NAMESPACE(disks);
    fixture_make(&disks->fixture, "evil", CONTENT);
    fixture_start(&disks->fixture);
    fixture_settle(&disks->fixture);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    take_descriptors = true;
    path = fixture_path(&disks->fixture, "evil");
    {
        struct detection detection = {.path = path,
                                      .result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat status;

        assert_int_equal(fstat(fd, &status), 0);
        detection.fd = fd;
        detection.identity = file_identity_of(&status);
        assert_int_equal(responder_submit(disks->fixture.responder, &detection, NULL, NULL), 0);
    }
    while (take_descriptors)
        (void)sched_yield();
    fixture_settle(&disks->fixture);
    assert_true(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(fixture_events(&disks->fixture, "malware_action_failed"), 0);
    assert_int_equal(fixture_events(&disks->fixture, "malware_action_delayed"), 1);
    /* its next try comes by itself */
    for (unsigned tries = 0; tries < 400 && fixture_exists(&disks->fixture, "evil"); tries++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    fixture_settle(&disks->fixture);
    assert_false(fixture_exists(&disks->fixture, "evil"));
    assert_int_equal(fixture_rows(&disks->fixture, NULL), 1);
}

/* The event store itself is full: events wait, status says why, and they come when there is room.
 */
static void a_full_event_store_loses_nothing(void **state)
{
    struct disks *disks = *state;
    struct flag flag = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct event_draft draft = {.module = "test", .kind = "big", .severity = EVENT_INFO};
    AUTO_FREE char *filler = NULL, *detail = NULL;
    struct store_status status;

    NEED_NAMESPACE(disks);
    filler = text_format_new("%s/filler", disks->fixture.state);
    detail = malloc(20001);
    assert_non_null(detail);
    memset(detail, 'd', 20000);
    detail[20000] = '\0';
    draft.detail = detail;
    mount_on(disks->fixture.state, "size=4m");
    fixture_start(&disks->fixture);
    fixture_settle(&disks->fixture);
    fill(filler);
    for (int i = 0; i < 100; i++)
        assert_int_equal(store_append(disks->fixture.store, &draft, NULL, NULL, NULL), 0);
    assert_int_equal(store_append(disks->fixture.store, &draft, NULL, set_flag, &flag), 0);
    do {
        (void)sched_yield();
        store_status(disks->fixture.store, &status);
    } while (status.problem == 0 && !flag.set);
    assert_false(flag.set);
    assert_int_equal(status.problem, -ENOSPC);
    assert_true(status.waiting >= 100);
    assert_int_equal(unlink(filler), 0);
    pthread_mutex_lock(&flag.mutex);
    while (!flag.set)
        pthread_cond_wait(&flag.changed, &flag.mutex);
    pthread_mutex_unlock(&flag.mutex);
    assert_int_equal(flag.result, 0);
    store_status(disks->fixture.store, &status);
    assert_int_equal(status.problem, 0);
    assert_int_equal(fixture_events(&disks->fixture, "big"), 101);
}

static void a_stop_on_a_full_disk_does_not_hang(void **state)
{
    struct disks *disks = *state;
    AUTO_FREE char *filler = NULL, *path = NULL;
    struct detection detection = {.result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    AUTO_CLOSE int fd = -1;
    struct stat status;

    NEED_NAMESPACE(disks);
    filler = text_format_new("%s/filler", disks->fixture.state);
    path = fixture_path(&disks->fixture, "evil");
    mount_on(disks->fixture.state, "size=1m");
    fixture_make(&disks->fixture, "evil", CONTENT);
    fixture_start(&disks->fixture);
    fixture_settle(&disks->fixture);
    fill(filler);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    detection.path = path;
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    for (int i = 0; i < 400; i++) {
        detection.identity.ctime_ns++; /* another file each, as far as the memory knows */
        assert_int_equal(responder_submit(disks->fixture.responder, &detection, NULL, NULL), 0);
    }
    fixture_stop(&disks->fixture);
    /* committed or not: the file is in its place, or the next start brings it into the quarantine
     */
    assert_int_equal(unlink(filler), 0);
    fixture_start(&disks->fixture);
    fixture_settle(&disks->fixture);
    assert_int_equal(fixture_rows(&disks->fixture, NULL) + fixture_exists(&disks->fixture, "evil"),
                     1);
}

static void a_read_only_state_directory_is_waited_for(void **state)
{
    struct disks *disks = *state;
    struct flag flag = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct event_draft draft = {.module = "test", .kind = "late", .severity = EVENT_INFO};
    AUTO_FREE char *path = NULL;
    struct store_options options;
    struct store_status status;
    struct store *store;
    char notice[512];

    NEED_NAMESPACE(disks);
    mount_on(disks->fixture.state, "size=1m");
    assert_int_equal(mount(NULL, disks->fixture.state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    path = text_format_new("%s/events.db", disks->fixture.state);
    options = (struct store_options){.path = path};
    assert_int_equal(store_open(&options, &store, notice), 0);
    store_status(store, &status);
    assert_int_equal(status.problem, -EROFS);
    assert_int_equal(store_append(store, &draft, NULL, set_flag, &flag), 0);
    assert_int_equal(mount(NULL, disks->fixture.state, NULL, MS_REMOUNT, "size=1m"), 0);
    pthread_mutex_lock(&flag.mutex);
    while (!flag.set)
        pthread_cond_wait(&flag.changed, &flag.mutex);
    pthread_mutex_unlock(&flag.mutex);
    assert_int_equal(flag.result, 0);
    store_close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(another_mount_gets_its_own_holding_directory),
        TEST(nobody_can_take_our_name_away),
        TEST(attributes_beyond_number_protect_nothing),
        TEST(nobody_can_hide_behind_our_name),
        TEST(a_bind_mount_is_a_mount_of_its_own),
        TEST(a_mounted_file_stays_and_is_told),
        TEST(a_read_only_file_system_is_told),
        TEST(an_immutable_file_is_told),
        TEST(a_file_that_cannot_be_sealed_is_disarmed_and_sealed_later),
        TEST(a_file_that_cannot_be_moved_for_want_of_descriptors_is_moved_later),
        TEST(a_full_event_store_loses_nothing),
        TEST(a_stop_on_a_full_disk_does_not_hang),
        TEST(a_read_only_state_directory_is_waited_for),
    };

    cmocka_set_test_filter(getenv("YAGURA_TEST_FILTER"));
    return cmocka_run_group_tests(tests, set_up_namespace, NULL);
}
