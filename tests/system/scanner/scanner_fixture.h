/* A real yagura-scanner behind a real scanner client, driven synchronously by a test. */
#ifndef TESTS_SYSTEM_SCANNER_SCANNER_FIXTURE_H
#define TESTS_SYSTEM_SCANNER_SCANNER_FIXTURE_H

#include "common/event_loop/event_loop.h"
#include "scanner/client/scanner_client.h"

#include <stdbool.h>
#include <stddef.h>

struct scan_fixture {
    char folder[64];    /* private, removed by scan_fixture_stop */
    char databases[96]; /* below it */
    char temporary[96]; /* below it */
    const char *database_list[4];
    struct scanner_options options;
    struct event_loop *loop;
    struct scanner_client *client;
    struct scanner_status status;
    size_t answered;
};

/* A job of the fixture. */
struct scan_request {
    struct scan_fixture *fixture;
    bool done;
    struct scan_result result;
};

/* Makes the folders and default options (EICAR and ClamAV's test file as signatures, two workers);
 * change fixture->options before scan_fixture_start. */
void scan_fixture_prepare(struct scan_fixture *fixture);
void scan_fixture_start(struct scan_fixture *fixture);
void scan_fixture_stop(struct scan_fixture *fixture);

/* Turns the loop until condition(fixture) or 30 seconds passed; then the test fails. */
void scan_fixture_until(struct scan_fixture *fixture,
                        bool (*condition)(const struct scan_fixture *fixture), const char *what);
bool scan_fixture_is_ready(const struct scan_fixture *fixture);

/* Submits fd, waiting for room. */
void scan_fixture_submit(struct scan_fixture *fixture, int fd, struct scan_request *request);
void scan_fixture_await(struct scan_fixture *fixture, struct scan_request *request);
/* Submits and awaits. */
struct scan_result scan_fixture_scan_fd(struct scan_fixture *fixture, int fd);
struct scan_result scan_fixture_scan_path(struct scan_fixture *fixture, const char *path);
struct scan_result scan_fixture_scan_bytes(struct scan_fixture *fixture, const void *bytes,
                                           size_t length);
/* Runs make_samples.py into a new folder of this name. */
void scan_fixture_make_samples(const char *folder);
/* A memfd with these bytes. */
int scan_fixture_file(const void *bytes, size_t length);

/* Writes a signature file atomically, as freshclam does; content NULL removes it. */
void scan_fixture_write_database(const struct scan_fixture *fixture, const char *name,
                                 const char *content);

/* Processes of the current engine: its workers, the reserve included. Returns their number. */
#define MOST_FIXTURE_WORKERS 32
size_t scan_fixture_worker_pids(const struct scan_fixture *fixture, pid_t *pids);
void scan_fixture_signal_workers(const struct scan_fixture *fixture, int signal_number);

extern const char eicar_text[];
extern const char eicar_database[];    /* .ndb line */
extern const char testfile_database[]; /* .hdb line */

#endif
