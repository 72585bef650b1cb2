/* Scanning by yagura-scanner: starts it, feeds its workers, survives their deaths.
 *
 * The client starts one loader (spawn_program). The loader compiles the engine and forks sandboxed
 * workers, whose sockets come back to us; each worker gets one file to scan and one queued behind
 * it. A worker that crashes or runs past its time is killed and replaced; its file is tried once
 * more in a fresh worker, and is then SCAN_ERROR. When signatures change, a second loader takes
 * over (overlap) or replaces the first (sequential); one that does not come to its end within
 * LIMIT_SCANNER_LOAD_SECONDS is ended, told and tried again.
 *
 * All functions and callbacks: the thread that runs the given event loop. */
#ifndef SCANNER_CLIENT_SCANNER_CLIENT_H
#define SCANNER_CLIENT_SCANNER_CLIENT_H

#include "common/attributes.h"
#include "scanner/client/scan_result.h"

#include <stdbool.h>
#include <sys/types.h>

struct event_loop;
struct scanner_client;

enum scanner_reload { SCANNER_RELOAD_AUTO, SCANNER_RELOAD_OVERLAP, SCANNER_RELOAD_SEQUENTIAL };

/* Limits and switches of a scan; sizes in bytes, times in ns. Part of the engine generation. */
struct scanner_limits {
    uint64_t max_file_size;
    uint64_t max_scan_size;
    uint64_t max_files;
    uint64_t max_recursion;
    uint64_t max_time_ns;
    bool heuristics;
    bool report_encrypted; /* encrypted parts give INCOMPLETE / ENCRYPTED */
    bool detect_macros;
    bool detect_broken;
    bool unwanted_applications; /* load PUA signatures */
};

struct scanner_options {
    const char *program;             /* path of yagura-scanner */
    const char *const *databases;    /* folders and files of signatures; NULL-terminated */
    const char *user;                /* workers run as this user; NULL: stay who we are */
    const char *temporary_directory; /* where a worker's private tmpfs is mounted */
    uint64_t temporary_bytes;        /* its size, a worker */
    size_t workers;                  /* 0: one a core; a further one is kept free of archives */
    uint64_t recycle_files;          /* a worker ends after this many files */
    enum scanner_reload reload;
    int niceness; /* of the scanner's processes above ours, 0 to 19 */
    struct scanner_limits limits;
    bool seccomp_debug; /* name the denied system call before dying */
    /* Scan also where neither seccomp nor Landlock is allowed; otherwise that is a failed load. */
    bool accept_unconfined;
};

enum scanner_state {
    SCANNER_LOADING, /* no engine yet */
    SCANNER_READY,
    SCANNER_RELOADING,     /* an engine works while the next one loads */
    SCANNER_NO_SIGNATURES, /* the folders hold none, or only broken ones, and no older engine lives
                            */
    SCANNER_FAILED,        /* the loader cannot be started; retried with back-off */
    SCANNER_RESTING,       /* given up by scanner_client_rest; status says what it was */
};

struct scanner_status {
    enum scanner_state state;
    char problem[512]; /* why a load failed and what to do; "" when all is well */
    uint64_t generation;
    uint64_t signatures;
    uint64_t database_time_ns; /* newest signature file's build or change time; 0 unknown */
    char engine_version[64];   /* of libclamav */
    char sandbox[128]; /* which confinement the workers reached: "user,namespaces,landlock,seccomp"
                        */
    pid_t loader_pid;
    size_t workers;
    size_t in_flight;
    uint64_t scanned, crashed, timed_out, recycled, reloads;
};

/* Files can be scanned, though perhaps only once the engine that there was is loaded again. */
static inline bool scanner_status_is_ready(const struct scanner_status *status)
{
    return status->state == SCANNER_READY || status->state == SCANNER_RELOADING ||
           status->state == SCANNER_RESTING ||
           (status->state == SCANNER_LOADING && status->generation != 0);
}

/* All may submit further files; none may stop the client. */
struct scanner_callbacks {
    /* The result of the job submitted with this user pointer: exactly one a job. */
    void (*scanned)(void *owner, void *job, const struct scan_result *result);
    /* Room for at least one more job. Called often: after each result, too. */
    void (*ready)(void *owner);
    /* State, problem, generation, crashes or timed_out changed; see scanner_client_status. */
    void (*changed)(void *owner);
};

int scanner_client_start(struct event_loop *loop, const struct scanner_options *options,
                         const struct scanner_callbacks *callbacks, void *owner,
                         struct scanner_client **ret_client) MUST_USE;
/* Ends the scanner; jobs in flight get SCAN_ERROR. NULL is legal. */
struct scanner_client *scanner_client_stop(struct scanner_client *client);

/* Scans the file behind fd, which is dupped and must be readable. -EAGAIN: no room (wait for
 * ready), also while no engine is loaded; -errno when it cannot be dupped. */
int scanner_client_submit(struct scanner_client *client, int fd, void *job) MUST_USE;
/* The same for one that somebody waits for: it goes before others where it can, and has room when
 * they have none. Containers wait with theirs. */
int scanner_client_submit_urgent(struct scanner_client *client, int fd, void *job) MUST_USE;
bool scanner_client_has_urgent_room(const struct scanner_client *client);
/* How many jobs could be submitted now; 1 at rest. */
size_t scanner_client_room(const struct scanner_client *client);
/* New options: limits change at once when they can, otherwise through a reload. */
int scanner_client_reconfigure(struct scanner_client *client,
                               const struct scanner_options *options) MUST_USE;
/* Gives the engine and its workers up, and with them their memory. The next file begins a load: its
 * submit returns -EAGAIN, and ready follows. Changed signatures are loaded at once. -EBUSY: files
 * are in flight, or no engine is there and settled, or the one that is there is older than the
 * signatures, which could not be used: it could not be loaded again. */
int scanner_client_rest(struct scanner_client *client) MUST_USE;
/* Loads the signatures anew even if nothing changed. */
int scanner_client_reload(struct scanner_client *client) MUST_USE;
void scanner_client_status(const struct scanner_client *client, struct scanner_status *ret_status);

#endif
