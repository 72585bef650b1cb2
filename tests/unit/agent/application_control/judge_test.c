/* What the judge does not read is told and answered all the same: what is asked too late, is too
 * large, or is being written. What changes while it is read is read again. */
#include "agent/application_control/application_control_private.h"
#include "agent/scan/file_lease.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { MOST_TOLD = 8, MOST_BYTES = 1024 };

static char folder[64];
static struct application_rules rules;
static struct application_control control;
static char told[MOST_TOLD][512];
static size_t told_count;
static unsigned answered_count, allowed_count;

int __wrap_store_append(struct store *store, const struct event_draft *draft, store_work *work,
                        store_committed *committed, void *user);

int __wrap_store_append(struct store *store UNUSED, const struct event_draft *draft,
                        store_work *work UNUSED, store_committed *committed UNUSED,
                        void *user UNUSED)
{
    assert_true(told_count < MOST_TOLD);
    (void)text_format(told[told_count++], sizeof told[0], "%s %s %s", draft->kind, draft->subject,
                      draft->detail);
    return 0;
}

/* ---- a file that changes during its first reading ---- */

static char changing[128]; /* its path; "": none does */
static bool is_changing;
static pthread_t changer;

/* Its opening waits for the judge to give its lease back. */
static void *change(void *user UNUSED)
{
    int fd = -1;

    if (file_open_at(AT_FDCWD, changing, O_WRONLY, 0, &fd) < 0)
        return NULL;
    (void)!file_write(fd, "2", 1);
    (void)close(fd);
    return NULL;
}

static bool is_changed(int fd)
{
    char byte = 0;

    return pread(fd, &byte, 1, 0) == 1 && byte == '2';
}

int __real_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);
int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);

int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES])
{
    int r = __real_hash_sha256_fd(fd, maximum, ret_digest);

    if (changing[0] == '\0')
        return r;
    bool leased = file_lease_holds(fd); /* not on every file system */
    is_changing = pthread_create(&changer, NULL, change, NULL) == 0;
    while (is_changing && (leased ? file_lease_holds(fd) : !is_changed(fd)))
        (void)sched_yield();
    return r;
}

int __real_file_lease_take(int fd);
int __wrap_file_lease_take(int fd);

int __wrap_file_lease_take(int fd)
{
    if (TAKE_FLAG(is_changing)) {
        (void)pthread_join(changer, NULL);
        changing[0] = '\0';
    }
    return __real_file_lease_take(fd);
}

/* ---- the judge, alone ---- */

static void path_of(const char *name, char path[static 128])
{
    (void)text_format(path, 128, "%s/%s", folder, name);
}

static int set_up(void **state UNUSED)
{
    char path[128], key[128], notice[512];
    const struct inventory_marks complete = {.complete_ns = 1};

    (void)text_copy(folder, sizeof folder, "/tmp/yagura-judge-XXXXXX");
    assert_non_null(mkdtemp(folder));
    rules = (struct application_rules){.references = 1,
                                       .mode = APPLICATION_BLOCK,
                                       .most_bytes = MOST_BYTES};
    control = (struct application_control){.rules = &rules};
    (void)pthread_mutex_init(&control.lock, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&control.changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    path_of("programs.db", path);
    path_of("programs.key", key);
    assert_int_equal(inventory_open(path, key, &control.inventory, notice), 0);
    inventory_set_marks(control.inventory, &complete);
    told_count = 0;
    answered_count = allowed_count = 0;
    return 0;
}

static int tear_down(void **state UNUSED)
{
    int fd = -1;

    control.inventory = inventory_close(control.inventory);
    (void)pthread_cond_destroy(&control.changed);
    (void)pthread_mutex_destroy(&control.lock);
    assert_int_equal(file_open_directory("/tmp", true, &fd), 0);
    assert_int_equal(file_remove_tree(fd, folder + strlen("/tmp/")), 0);
    (void)close(fd);
    return 0;
}

static void take_answer(void *user UNUSED, bool allow, bool remember UNUSED)
{
    (void)pthread_mutex_lock(&control.lock);
    answered_count++;
    allowed_count += allow;
    (void)pthread_cond_broadcast(&control.changed);
    (void)pthread_mutex_unlock(&control.lock);
}

static int make(const char *name, off_t size)
{
    char path[128];
    int fd = -1;

    path_of(name, path);
    assert_int_equal(file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0755, &fd), 0);
    assert_int_equal(ftruncate(fd, size), 0);
    return fd;
}

static void ask_for(const char *name, uint64_t until_ns)
{
    char path[128];
    struct open_question question = {.until_ns = until_ns, .pid = getpid()};

    path_of(name, path);
    question.path = text_new(path, strlen(path));
    assert_int_equal(file_open_at(AT_FDCWD, path, O_RDONLY, 0, &question.fd), 0);
    assert_int_equal(application_judge_ask(&control, &question, take_answer, NULL), 0);
}

static void judge_until_answered(unsigned count)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, application_judge_run, &control), 0);
    (void)pthread_mutex_lock(&control.lock);
    while (answered_count < count)
        (void)pthread_cond_wait(&control.changed, &control.lock);
    control.stopping = true;
    (void)pthread_cond_broadcast(&control.changed);
    (void)pthread_mutex_unlock(&control.lock);
    (void)pthread_join(thread, NULL);
}

static void learn(void)
{
    const struct inventory_marks none = {.complete_ns = 0};

    inventory_set_marks(control.inventory, &none);
}

static void maintain(void)
{
    const struct inventory_marks maintained = {
        .complete_ns = 1,
        .maintenance_from_ns = 1,
        .maintenance_until_ns = clock_realtime_ns() + 600 * NS_PER_SECOND,
    };

    inventory_set_marks(control.inventory, &maintained);
}

static uint64_t in_time(void)
{
    return clock_monotonic_ns() + 600 * NS_PER_SECOND;
}

static bool is_told(size_t number, const char *kind, const char *reason)
{
    return number < told_count && text_starts_with(told[number], kind) &&
           strstr(told[number], reason) != NULL && strstr(told[number], "sha256") == NULL;
}

static void digest_of(const char *text, uint8_t ret_digest[static SHA256_BYTES])
{
    AUTO_CLOSE int fd = memfd_create("yagura-test", MFD_CLOEXEC);

    assert_int_equal(file_write(fd, text, 1), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(__real_hash_sha256_fd(fd, 1, ret_digest), 0);
}

/* One that is asked too late. kind: as what it is told; NULL: it is not. */
static void judge_late(const char *kind, unsigned allowed)
{
    (void)close(make("late", 1));
    ask_for("late", clock_monotonic_ns());
    judge_until_answered(1);
    assert_int_equal(told_count, kind ? 1 : 0);
    assert_true(!kind || is_told(0, kind, "\"late\""));
    assert_int_equal(allowed_count, allowed);
}

/* ---- tests ---- */

static void what_is_late_is_not_read(void **state UNUSED)
{
    judge_late("application_unknown ", 1);
}

/* The guard refuses it in every mode. */
static void what_is_late_is_told_as_refused_when_it_is(void **state UNUSED)
{
    rules.mode = APPLICATION_REPORT;
    rules.deny_late = true;
    judge_late("application_blocked ", 0);
}

static void what_is_late_while_learning_is_told_when_it_is_refused(void **state UNUSED)
{
    rules.deny_late = true;
    learn();
    judge_late("application_blocked ", 0);
}

static void what_is_late_while_learning_is_nothing_to_tell(void **state UNUSED)
{
    learn();
    judge_late(NULL, 1);
}

static void each_that_is_too_large_is_told(void **state UNUSED)
{
    (void)close(make("large", MOST_BYTES + 1));
    (void)close(make("larger", MOST_BYTES + 2));
    ask_for("large", in_time());
    ask_for("larger", in_time());
    ask_for("larger", in_time());
    judge_until_answered(3);
    assert_int_equal(told_count, 2);
    for (size_t i = 0; i < told_count; i++)
        assert_true(is_told(i, "application_blocked ", "\"too_large\""));
    assert_int_equal(control.blocked, 3);
    assert_int_equal(allowed_count, 0);
}

static void what_is_being_written_is_told(void **state UNUSED)
{
    int writer = make("written", 1);

    ask_for("written", in_time());
    judge_until_answered(1);
    (void)close(writer);
    assert_int_equal(told_count, 1);
    assert_true(is_told(0, "application_blocked ", "\"being_written\""));
    assert_int_equal(allowed_count, 0);
}

/* Told, because it does not run afterwards. */
static void what_is_not_read_runs_while_all_may_run(void **state UNUSED)
{
    int writer = make("written", 1);

    (void)close(make("large", MOST_BYTES + 1));
    ask_for("written", in_time());
    ask_for("large", in_time());
    maintain();
    judge_until_answered(2);
    (void)close(writer);
    assert_int_equal(told_count, 2);
    assert_true(is_told(0, "application_unknown ", "\"too_large\""));
    assert_true(is_told(1, "application_unknown ", "\"being_written\""));
    assert_int_equal(allowed_count, 2);
}

static void a_program_is_counted_once(void **state UNUSED)
{
    struct inventory_program package = {.path = "", .package = "a", .origin = INVENTORY_PACKAGE};

    memset(package.sha256, 1, SHA256_BYTES);
    assert_true(application_control_add(&control, &package));
    assert_int_equal(control.known, 0); /* but as trusted */
    (void)close(make("new", 1));
    ask_for("new", in_time());
    maintain();
    judge_until_answered(1);
    assert_int_equal(control.known, 1);
    assert_int_equal(control.added, 1);
}

static uint64_t changed_ns(const char *name)
{
    struct stat status;
    char path[128];

    path_of(name, path);
    assert_int_equal(stat(path, &status), 0);
    return file_identity_of(&status).ctime_ns;
}

/* Somebody who brings much while the walk at its end looks for it makes nothing more run. */
static void only_what_came_in_maintenance_runs_after_it(void **state UNUSED)
{
    struct inventory_marks over = {.complete_ns = 1, .maintenance_from_ns = 1};

    (void)close(make("meanwhile", 1));
    over.maintenance_until_ns = changed_ns("meanwhile");
    do
        (void)close(make("afterwards", 2));
    while (changed_ns("afterwards") <= over.maintenance_until_ns);
    inventory_set_marks(control.inventory, &over);
    ask_for("meanwhile", in_time());
    ask_for("afterwards", in_time());
    judge_until_answered(2);
    assert_int_equal(control.added, 1);
    assert_int_equal(allowed_count, 1);
    assert_int_equal(told_count, 1);
    assert_non_null(strstr(told[0], "afterwards"));
}

static void a_blocked_hash_does_not_run_in_maintenance(void **state UNUSED)
{
    uint8_t digest[SHA256_BYTES];

    digest_of("", digest); /* one zero byte */
    (void)close(make("blocked", 1));
    assert_int_equal(digest_table_add(&rules.block, digest), 1);
    maintain();
    ask_for("blocked", in_time());
    judge_until_answered(1);
    digest_table_done(&rules.block);
    assert_int_equal(told_count, 1);
    assert_non_null(strstr(told[0], "\"blocked_hash\""));
    assert_int_equal(allowed_count, 0);
}

static void what_changes_while_it_is_read_is_read_again(void **state UNUSED)
{
    struct inventory_program before = {.path = "", .package = "", .origin = INVENTORY_FOUND};
    char hex[SHA256_HEX_BYTES];
    uint8_t after[SHA256_BYTES];

    digest_of("", before.sha256); /* one zero byte */
    digest_of("2", after);
    text_hex(hex, after, sizeof after);
    assert_int_equal(inventory_add(control.inventory, &before), 1);
    (void)close(make("changing", 1));
    path_of("changing", changing);
    ask_for("changing", in_time());
    judge_until_answered(1);
    assert_int_equal(allowed_count, 0);
    assert_int_equal(told_count, 1);
    assert_non_null(strstr(told[0], "\"unknown\""));
    assert_non_null(strstr(told[0], hex));
}

static void what_cannot_be_read_is_told(void **state UNUSED)
{
    struct open_question question = {.until_ns = in_time(), .fd = -1, .path = text_new("", 0)};

    question.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(application_judge_ask(&control, &question, take_answer, NULL), 0);
    judge_until_answered(1);
    assert_int_equal(told_count, 1);
    assert_true(is_told(0, "application_unknown ", "\"unreadable\""));
    assert_int_equal(allowed_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_late_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_late_is_told_as_refused_when_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_late_while_learning_is_told_when_it_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_late_while_learning_is_nothing_to_tell, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_that_is_too_large_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_being_written_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_read_runs_while_all_may_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_program_is_counted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_came_in_maintenance_runs_after_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_blocked_hash_does_not_run_in_maintenance, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_changes_while_it_is_read_is_read_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told, set_up, tear_down),
    };
    sigset_t broken; /* leases */

    (void)sigemptyset(&broken);
    (void)sigaddset(&broken, SIGIO);
    (void)pthread_sigmask(SIG_BLOCK, &broken, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
