/* Owns: the private folder, the loop and the client of one test. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/files/file.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS (30 * NS_PER_SECOND)
#define TURN_NS     (20 * NS_PER_MS)

/* In two pieces, so that the test program is not itself taken for the test virus. */
const char eicar_text[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$"
                          "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
const char eicar_database[] =
    "Eicar-Test-Signature:0:0:"
    "58354f2150254041505b345c505a58353428505e2937434329377d24454943415"
    "22d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n";
const char testfile_database[] = "aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n";

static void on_scanned(void *owner, void *job, const struct scan_result *result)
{
    struct scan_fixture *fixture = owner;
    struct scan_request *request = job;
    assert_false(request->done); /* exactly once */
    request->done = true;
    request->result = *result;
    fixture->answered++;
}

static void on_ready(void *owner)
{
    (void)owner;
}

static void on_changed(void *owner)
{
    (void)owner;
}

static size_t children_of(pid_t parent, pid_t *pids)
{
    char path[96];
    char text[MOST_FIXTURE_WORKERS * 12];
    (void)text_format(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    size_t count = 0;
    for (const char *next = text; count < MOST_FIXTURE_WORKERS && *next >= '0';) {
        char *end;
        pids[count++] = (pid_t)strtol(next, &end, 10);
        next = *end == ' ' ? end + 1 : end;
    }
    return count;
}

/* A worker that a test stopped between its fork and its first instruction has no way to notice
 * that its loader died; as their next of kin we end it. */
static void end_stopped_orphans(void)
{
    pid_t pids[MOST_FIXTURE_WORKERS];
    size_t count = children_of(getpid(), pids);
    for (size_t i = 0; i < count; i++) {
        (void)kill(pids[i], SIGKILL);
        (void)waitpid(pids[i], NULL, 0);
    }
}

void scan_fixture_prepare(struct scan_fixture *fixture)
{
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    memset(fixture, 0, sizeof(*fixture));
    (void)text_copy(fixture->folder, sizeof(fixture->folder), "/tmp/yagura-scanner-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->databases, sizeof(fixture->databases), "%s/db", fixture->folder);
    (void)text_format(fixture->temporary, sizeof(fixture->temporary), "%s/tmp", fixture->folder);
    assert_int_equal(mkdir(fixture->databases, 0700), 0);
    assert_int_equal(mkdir(fixture->temporary, 0700), 0);
    scan_fixture_write_database(fixture, "eicar.ndb", eicar_database);
    scan_fixture_write_database(fixture, "clamav.hdb", testfile_database);
    fixture->database_list[0] = fixture->databases;
    const char *program = getenv("YAGURA_SCANNER");
    assert_non_null(program);
    fixture->options = (struct scanner_options){
        .program = program,
        .databases = fixture->database_list,
        .user = geteuid() == 0 ? "nobody" : NULL,
        .temporary_directory = fixture->temporary,
        .temporary_bytes = 256ULL << 20,
        .workers = 2,
        .recycle_files = 20000,
        .reload = SCANNER_RELOAD_AUTO,
        .limits =
            {
                .max_file_size = 25ULL << 20,
                .max_scan_size = 100ULL << 20,
                .max_files = 10000,
                .max_recursion = 17,
                .max_time_ns = 120 * NS_PER_SECOND,
                .heuristics = true,
                .report_encrypted = true,
            },
    };
}

void scan_fixture_start(struct scan_fixture *fixture)
{
    static const struct scanner_callbacks callbacks = {.scanned = on_scanned,
                                                       .ready = on_ready,
                                                       .changed = on_changed};
    assert_int_equal(event_loop_new(&fixture->loop), 0);
    assert_int_equal(scanner_client_start(fixture->loop, &fixture->options, &callbacks, fixture,
                                          &fixture->client),
                     0);
}

void scan_fixture_stop(struct scan_fixture *fixture)
{
    fixture->client = scanner_client_stop(fixture->client);
    fixture->loop = event_loop_free(fixture->loop);
    end_stopped_orphans();
    assert_int_equal(file_remove_tree(AT_FDCWD, fixture->folder), 0);
}

void scan_fixture_until(struct scan_fixture *fixture,
                        bool (*condition)(const struct scan_fixture *fixture), const char *what)
{
    uint64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    for (;;) {
        scanner_client_status(fixture->client, &fixture->status);
        if (condition(fixture))
            return;
        if (clock_monotonic_ns() > end_ns)
            fail_msg("no %s within 30 s: state %d, problem \"%s\"", what, fixture->status.state,
                     fixture->status.problem);
        assert_true(event_loop_turn(fixture->loop, TURN_NS) >= 0);
    }
}

bool scan_fixture_is_ready(const struct scan_fixture *fixture)
{
    pid_t pids[MOST_FIXTURE_WORKERS];
    return fixture->status.state == SCANNER_READY &&
           fixture->status.workers == fixture->options.workers &&
           scan_fixture_worker_pids(fixture, pids) == fixture->options.workers + 1;
}

static bool has_room(const struct scan_fixture *fixture)
{
    return scanner_client_room(fixture->client) > 0;
}

void scan_fixture_submit(struct scan_fixture *fixture, int fd, struct scan_request *request)
{
    *request = (struct scan_request){.fixture = fixture};
    scan_fixture_until(fixture, has_room, "room");
    assert_int_equal(scanner_client_submit(fixture->client, fd, request), 0);
}

void scan_fixture_await(struct scan_fixture *fixture, struct scan_request *request)
{
    uint64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    while (!request->done) {
        if (clock_monotonic_ns() > end_ns)
            fail_msg("no verdict within 30 s");
        assert_true(event_loop_turn(fixture->loop, TURN_NS) >= 0);
    }
}

struct scan_result scan_fixture_scan_fd(struct scan_fixture *fixture, int fd)
{
    struct scan_request request;
    scan_fixture_submit(fixture, fd, &request);
    scan_fixture_await(fixture, &request);
    return request.result;
}

struct scan_result scan_fixture_scan_path(struct scan_fixture *fixture, const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return scan_fixture_scan_fd(fixture, fd);
}

int scan_fixture_file(const void *bytes, size_t length)
{
    int fd = memfd_create("scan-fixture", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, bytes, length), 0);
    return fd;
}

void scan_fixture_make_samples(const char *folder)
{
    assert_int_equal(mkdir(folder, 0755), 0);
    char *argv[] = {(char *)"python3", (char *)getenv("YAGURA_SAMPLES"), (char *)folder, NULL};
    assert_non_null(argv[1]);
    pid_t pid;
    int status;
    assert_int_equal(spawn_program("/usr/bin/python3", argv, NULL, 0, &pid, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

struct scan_result scan_fixture_scan_bytes(struct scan_fixture *fixture, const void *bytes,
                                           size_t length)
{
    AUTO_CLOSE int fd = scan_fixture_file(bytes, length);
    return scan_fixture_scan_fd(fixture, fd);
}

size_t scan_fixture_worker_pids(const struct scan_fixture *fixture, pid_t *pids)
{
    return children_of(fixture->status.loader_pid, pids);
}

void scan_fixture_signal_workers(const struct scan_fixture *fixture, int signal_number)
{
    pid_t pids[MOST_FIXTURE_WORKERS];
    size_t count = scan_fixture_worker_pids(fixture, pids);
    for (size_t i = 0; i < count; i++)
        (void)kill(pids[i], signal_number);
}

void scan_fixture_write_database(const struct scan_fixture *fixture, const char *name,
                                 const char *content)
{
    char path[192];
    (void)text_format(path, sizeof(path), "%s/%s", fixture->databases, name);
    if (content == NULL)
        assert_int_equal(unlink(path), 0);
    else
        assert_int_equal(file_replace(path, content, strlen(content), 0600), 0);
}
