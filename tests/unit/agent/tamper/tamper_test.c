/* What happens to the agent's own files is told, once, with what was before; what a package did is
 * told as such; and a change made while nobody looked is found by the next start. */
#include "agent/tamper/tamper.h"

#include "agent/respond/package_owner.h"
#include "agent/store/store.h"
#include "agent/tamper/own_files.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST_EVENTS 32

static char root[64];
static struct tamper *tamper;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t count;
static struct {
    char kind[64], subject[256], detail[4096];
    enum event_severity severity;
} events[MOST_EVENTS];
static enum package_answer answer;

int __wrap_store_append(struct store *store, const struct event_draft *draft, store_work *work,
                        store_committed *committed, void *user);
int __wrap_store_append(struct store *store UNUSED, const struct event_draft *draft,
                        store_work *work UNUSED, store_committed *committed UNUSED,
                        void *user UNUSED)
{
    (void)pthread_mutex_lock(&lock);
    assert_true(count < MOST_EVENTS);
    (void)text_copy(events[count].kind, sizeof events[count].kind, draft->kind);
    (void)text_copy(events[count].subject, sizeof events[count].subject, draft->subject);
    (void)text_copy(events[count].detail, sizeof events[count].detail, draft->detail);
    events[count++].severity = draft->severity;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

int __wrap_package_owner_new(const char *program, struct package_owner **ret_owner);
int __wrap_package_owner_new(const char *program UNUSED, struct package_owner **ret_owner)
{
    *ret_owner = NULL;
    return 0;
}

enum package_answer __wrap_package_owner_ask(struct package_owner *owner, const char *path, int fd,
                                             char ret_package[static PACKAGE_NAME_BYTES]);
enum package_answer __wrap_package_owner_ask(struct package_owner *owner UNUSED,
                                             const char *path UNUSED, int fd UNUSED,
                                             char ret_package[static PACKAGE_NAME_BYTES])
{
    (void)text_copy(ret_package, PACKAGE_NAME_BYTES, "yagura-agent");
    return answer;
}

static const char *at(const char *name)
{
    static char path[4][256];
    static size_t next;

    next = (next + 1) % ARRAY_LENGTH(path);
    (void)text_format(path[next], sizeof path[next], "%s%s", root, name);
    return path[next];
}

static void put(const char *name, const char *text)
{
    char directory[256];

    (void)text_copy(directory, sizeof directory, at(name));
    *strrchr(directory, '/') = '\0';
    assert_int_equal(file_make_directories(directory, 0755), 0);
    assert_int_equal(file_replace(at(name), text, strlen(text), 0644), 0);
}

static void start(void)
{
    char helpers[256], config[256], database[256], snapshot[256], program[256];

    (void)text_copy(helpers, sizeof helpers, at("/libexec"));
    (void)text_copy(config, sizeof config, at("/etc/yagura/agent.conf"));
    (void)text_copy(database, sizeof database, at("/var/events.db"));
    (void)text_copy(snapshot, sizeof snapshot, at("/var/own-files"));
    (void)text_copy(program, sizeof program, at("/sbin/yagura-agent"));
    const struct tamper_options options = {.root = root,
                                           .program = program,
                                           .program_directory = helpers,
                                           .configuration = config,
                                           .database = database,
                                           .snapshot_path = snapshot,
                                           .interval_ns = 3600 * NS_PER_SECOND};
    assert_int_equal(tamper_start(&options, NULL, &tamper), 0);
}

static uint64_t passes(void)
{
    struct tamper_status status;

    tamper_status(tamper, &status);
    return status.passes;
}

/* A whole pass that begins now. The thread has no other event to wait for than its own count. */
static void pass(void)
{
    uint64_t before = passes();

    tamper_set_interval(tamper, 3600 * NS_PER_SECOND);
    while (passes() == before)
        (void)sched_yield();
}

static void first_pass(void)
{
    while (passes() == 0)
        (void)sched_yield();
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(root, sizeof root, "/tmp/yagura-tamper-XXXXXX");
    assert_non_null(mkdtemp(root));
    count = 0;
    answer = PACKAGE_NONE;
    put("/sbin/yagura-agent", "agent");
    put("/libexec/yagura-scanner", "scanner");
    put("/etc/yagura/agent.conf", "policy = \"/etc/yagura/policy.conf\";\n");
    put("/usr/lib/systemd/system/yagura-agent.service", "[Service]\n");
    put("/var/events.db", "database");
    start();
    first_pass();
    return 0;
}

static int tear_down(void **state UNUSED)
{
    tamper = tamper_stop(tamper);
    return file_remove_tree(AT_FDCWD, root);
}

static void expect(const char *kind, enum event_severity severity, const char *name,
                   const char *word)
{
    assert_int_equal(count, 1);
    assert_string_equal(events[0].kind, kind);
    assert_string_equal(events[0].subject, at(name));
    assert_int_equal(events[0].severity, severity);
    assert_non_null(strstr(events[0].detail, word));
    count = 0;
    pass();
    assert_int_equal(count, 0); /* once */
}

static void a_first_start_has_nothing_to_tell(void **state UNUSED)
{
    struct tamper_status status;

    assert_int_equal(count, 0);
    tamper_status(tamper, &status);
    assert_int_equal(status.files, 5);
    assert_int_equal(status.problem, 0);
    pass();
    assert_int_equal(count, 0);
}

static void a_changed_program_is_told(void **state UNUSED)
{
    put("/libexec/yagura-scanner", "another");
    pass();
    expect("own_file_changed", EVENT_HIGH, "/libexec/yagura-scanner", "\"before\"");
    assert_int_equal(unlink(at("/sbin/yagura-agent")), 0);
    pass();
    expect("own_file_changed", EVENT_HIGH, "/sbin/yagura-agent", "\"before\"");
    put("/libexec/more", "what is this");
    pass();
    expect("own_file_changed", EVENT_HIGH, "/libexec/more", "\"after\"");
}

static void configuration_is_told(void **state UNUSED)
{
    assert_int_equal(chmod(at("/etc/yagura/agent.conf"), 0666), 0);
    pass();
    expect("own_file_changed", EVENT_MEDIUM, "/etc/yagura/agent.conf", "\"mode\"");
}

static void overrides_are_told(void **state UNUSED)
{
    put("/etc/systemd/system/yagura-agent.service.d/weak.conf", "[Service]\nRestart=no\n");
    pass();
    expect("own_file_changed", EVENT_HIGH, "/etc/systemd/system/yagura-agent.service.d/weak.conf",
           "\"override\"");
    assert_int_equal(unlink(at("/etc/systemd/system/yagura-agent.service.d/weak.conf")), 0);
    pass();
    expect("own_file_changed", EVENT_HIGH, "/etc/systemd/system/yagura-agent.service.d/weak.conf",
           "\"before\"");
    assert_int_equal(symlink("/dev/null", at("/etc/systemd/system/yagura-agent.service")), 0);
    pass();
    expect("own_file_changed", EVENT_HIGH, "/etc/systemd/system/yagura-agent.service",
           "/dev/null"); /* systemctl mask */
}

static void too_many_files_are_told(void **state UNUSED)
{
    char name[64];

    tamper = tamper_stop(tamper);
    assert_int_equal(unlink(at("/var/own-files")), 0);
    for (unsigned i = 0; i < OWN_FILES_MAXIMUM; i++) {
        (void)text_format(name, sizeof name, "/libexec/%u", i);
        put(name, "x");
    }
    start();
    first_pass();
    assert_int_equal(count, 1);
    assert_string_equal(events[0].kind, "own_files_left_out");
    assert_int_equal(events[0].severity, EVENT_HIGH);
    pass();
    assert_int_equal(count, 1);
}

static void a_preloaded_library_is_told(void **state UNUSED)
{
    put("/etc/ld.so.preload", "/tmp/evil.so\n");
    pass();
    expect("own_file_changed", EVENT_CRITICAL, "/etc/ld.so.preload", "\"preload\"");
}

static void what_was_there_before_the_first_start_is_told(void **state UNUSED)
{
    tamper = tamper_stop(tamper);
    assert_int_equal(unlink(at("/var/own-files")), 0);
    put("/etc/ld.so.preload", "/tmp/evil.so\n");
    start();
    first_pass();
    expect("own_file_changed", EVENT_CRITICAL, "/etc/ld.so.preload", "\"preload\"");
}

static void a_change_while_nobody_looks_is_told(void **state UNUSED)
{
    tamper = tamper_stop(tamper);
    put("/libexec/yagura-scanner", "another");
    start();
    first_pass();
    expect("own_file_changed", EVENT_HIGH, "/libexec/yagura-scanner", "\"while_away\":true");
    tamper = tamper_stop(tamper);
    start();
    first_pass();
    assert_int_equal(count, 0);
}

#define UNIT "/usr/lib/systemd/system/yagura-agent.service"

static void an_upgrade_is_told_as_such(void **state UNUSED)
{
    put(UNIT, "[Service]\nRestart=always\n");
    answer = PACKAGE_UNCHANGED;
    pass();
    assert_int_equal(count, 1);
    assert_string_equal(events[0].kind, "own_files_updated");
    assert_string_equal(events[0].subject, "yagura-agent");
    assert_int_equal(events[0].severity, EVENT_INFO);
    pass();
    assert_int_equal(count, 1);
}

static void a_unit_that_is_not_the_packages_is_told(void **state UNUSED)
{
    struct tamper_status status;

    put(UNIT, "[Service]\nExecStart=/bin/true\n");
    answer = PACKAGE_CHANGED;
    pass();
    expect("own_file_changed", EVENT_HIGH, UNIT, "\"package\":\"changed\"");
    tamper_status(tamper, &status);
    assert_int_equal(status.altered, 1);
    assert_string_equal(status.first_altered, at(UNIT));
    tamper = tamper_stop(tamper);
    answer = PACKAGE_UNCHANGED; /* its digest was taken over, or the package repaired */
    start();
    first_pass();
    tamper_status(tamper, &status);
    assert_int_equal(status.altered, 0);
    assert_int_equal(count, 0);
}

static void what_was_altered_before_the_first_start_is_told(void **state UNUSED)
{
    tamper = tamper_stop(tamper);
    assert_int_equal(unlink(at("/var/own-files")), 0);
    answer = PACKAGE_CHANGED;
    start();
    first_pass();
    expect("own_file_altered", EVENT_HIGH, UNIT, "\"after\"");
}

/* While nobody knows what the package says. */
static void a_change_waits_for_the_package(void **state UNUSED)
{
    put(UNIT, "[Service]\nRestart=always\n");
    answer = PACKAGE_UNKNOWN;
    pass();
    assert_int_equal(count, 0);
    answer = PACKAGE_UNCHANGED;
    pass();
    assert_int_equal(count, 1);
    assert_string_equal(events[0].kind, "own_files_updated");
    count = 0;
    put(UNIT, "[Service]\nRestart=no\n");
    answer = PACKAGE_UNKNOWN;
    for (unsigned i = 0; i < 10; i++)
        pass();
    expect("own_file_changed", EVENT_HIGH, UNIT, "\"package\":\"unknown\"");
}

/* As dpkg and rpm lock: by another process, which holds it until it is told to end. */
static pid_t hold(const char *name, int *ret_end)
{
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int ready[2], end[2];
    char byte = 0;

    put(name, "");
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(end, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(end[1]);
        int fd = open(at(name), O_RDWR | O_CLOEXEC);
        bool held = fd >= 0 && fcntl(fd, F_SETLK, &whole) == 0 && write(ready[1], &byte, 1) == 1;
        _exit(held && read(end[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_true(child > 0);
    (void)close(ready[1]);
    (void)close(end[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    *ret_end = end[1];
    return child;
}

static void release(pid_t child, int end)
{
    int status;

    (void)close(end);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_change_waits_for_the_package_manager(void **state UNUSED)
{
    static const char *const locks[] = {"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock",
                                        "/var/lib/rpm/.rpm.lock",
                                        "/usr/lib/sysimage/rpm/.rpm.lock"};

    answer = PACKAGE_CHANGED;
    for (size_t i = 0; i < ARRAY_LENGTH(locks); i++) {
        int end;
        pid_t child = hold(locks[i], &end);
        put(UNIT, locks[i]);
        pass();
        assert_int_equal(count, 0);
        release(child, end);
        pass();
        expect("own_file_changed", EVENT_HIGH, UNIT, "\"package\":\"changed\"");
    }
}

/* A change that was taken back leaves the next one all of its passes. */
static void what_was_postponed_is_counted_anew(void **state UNUSED)
{
    answer = PACKAGE_UNKNOWN;
    for (unsigned round = 0; round < 3; round++) {
        put(UNIT, "[Service]\nRestart=no\n");
        for (unsigned i = 0; i < 5; i++)
            pass();
        put(UNIT, "[Service]\n");
        pass();
    }
    assert_int_equal(count, 0);
}

static void another_database_is_told(void **state UNUSED)
{
    struct tamper_status status;

    put("/var/events.db", "another");
    pass();
    expect("own_file_changed", EVENT_HIGH, "/var/events.db", "\"database\"");
    tamper_status(tamper, &status);
    assert_true(status.database_replaced);
}

static void a_snapshot_that_is_damaged_begins_anew(void **state UNUSED)
{
    tamper = tamper_stop(tamper);
    put("/var/own-files", "0 0 zz /x\n1 2 3\n\n9 9 9 9");
    start();
    first_pass();
    assert_int_equal(count, 0);
    put("/libexec/yagura-scanner", "another");
    pass();
    expect("own_file_changed", EVENT_HIGH, "/libexec/yagura-scanner", "\"before\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_first_start_has_nothing_to_tell),
        TEST(a_changed_program_is_told),
        TEST(configuration_is_told),
        TEST(overrides_are_told),
        TEST(too_many_files_are_told),
        TEST(a_preloaded_library_is_told),
        TEST(what_was_there_before_the_first_start_is_told),
        TEST(a_change_while_nobody_looks_is_told),
        TEST(an_upgrade_is_told_as_such),
        TEST(a_unit_that_is_not_the_packages_is_told),
        TEST(what_was_altered_before_the_first_start_is_told),
        TEST(a_change_waits_for_the_package),
        TEST(a_change_waits_for_the_package_manager),
        TEST(what_was_postponed_is_counted_anew),
        TEST(another_database_is_told),
        TEST(a_snapshot_that_is_damaged_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
