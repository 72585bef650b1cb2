/* The messages between a scanner client, its loaders and their workers: types, layouts, and
 * decoding that believes nothing. The page of the protocol stands in scanner/README.md.
 * Thread-safe: no state. */
#ifndef SCANNER_CLIENT_SCANNER_MESSAGE_H
#define SCANNER_CLIENT_SCANNER_MESSAGE_H

#include "common/messages/message.h"
#include "scanner/client/scan_result.h"
#include "scanner/client/scanner_client.h"

#include <stdint.h>

enum scanner_message_type {
    /* client to loader */
    SCANNER_CONFIGURE = 1, /* once, first */
    SCANNER_FORK,          /* with the worker's end of its socket */
    /* loader to client */
    SCANNER_LOADED = 16, /* once */
    SCANNER_REFUSED,     /* instead of LOADED; the loader ends */
    SCANNER_FORKED,      /* with the worker's pidfd */
    SCANNER_FORK_FAILED,
    SCANNER_ENDED,
    /* client to worker */
    SCANNER_SCAN = 32, /* with the file */
    SCANNER_CANCEL,    /* the SCAN sent before need not be done */
    /* worker to client */
    SCANNER_WORKER_READY = 48, /* once, first */
    SCANNER_RESULT,
    SCANNER_HANDED_BACK, /* a container, which this worker does not take */
};

/* A file that is scanned longer than this is not waited behind: the client moves what is queued. */
#define SCANNER_LONG_SCAN_NS (100 * 1000000ULL)

/* Which confinement a worker runs under. */
enum scanner_sandbox {
    SCANNER_SANDBOX_USER = 1U << 0,
    SCANNER_SANDBOX_NAMESPACES = 1U << 1,
    SCANNER_SANDBOX_TMPFS = 1U << 2,
    SCANNER_SANDBOX_LANDLOCK = 1U << 3,
    SCANNER_SANDBOX_SECCOMP = 1U << 4,
    SCANNER_SANDBOX_SANITIZER = 1U << 5, /* the seccomp list is wider: a sanitizer build */
    SCANNER_SANDBOX_ALL_BITS = (1U << 6) - 1,
};
/* "user,namespaces,tmpfs,landlock,seccomp", and "; missing: ..." when something is. */
void scanner_sandbox_describe(uint32_t bits, char *text, size_t size);

/* SCANNER_CONFIGURE. The strings point into the decoder's storage. */
struct scanner_configuration {
    const char *user;      /* "" = stay who we are */
    const char *directory; /* ours alone, empty */
    const char *databases[LIMIT_DATABASE_PATHS];
    size_t database_count;
    uint64_t temporary_bytes; /* a worker */
    uint32_t slots;           /* most workers alive at once */
    bool skip_broken;         /* load what can be loaded rather than nothing */
    bool seccomp_debug;
    bool verify_signed;     /* of signed files check the signature only, and load the others */
    bool accept_unconfined; /* workers may run with neither seccomp nor Landlock */
    struct scanner_limits limits;
    char text[LIMIT_MESSAGE_BYTES]; /* the decoder's storage */
};
void scanner_configuration_write(const struct scanner_configuration *configuration,
                                 struct message_writer *writer);
int scanner_configuration_read(const struct message *message,
                               struct scanner_configuration *ret_configuration) MUST_USE;

/* SCANNER_LOADED. */
struct scanner_loaded {
    uint64_t generation;
    uint64_t signatures;
    uint64_t database_time_ns;
    uint32_t sandbox; /* what the loader reached and the workers inherit */
    char engine_version[64];
    char user[64];
    char problem[512]; /* what was left out; "" = nothing */
};
void scanner_loaded_write(const struct scanner_loaded *loaded, struct message_writer *writer);
int scanner_loaded_read(const struct message *message, struct scanner_loaded *ret_loaded) MUST_USE;

/* SCANNER_REFUSED. */
enum scanner_refusal {
    SCANNER_REFUSAL_NO_SIGNATURES, /* none there, or all broken */
    SCANNER_REFUSAL_BROKEN,        /* a file does not load */
    SCANNER_REFUSAL_INTERNAL,      /* memory, sandbox, libclamav itself */
};
struct scanner_refused {
    enum scanner_refusal refusal;
    char problem[512];
};
void scanner_refused_write(const struct scanner_refused *refused, struct message_writer *writer);
int scanner_refused_read(const struct message *message,
                         struct scanner_refused *ret_refused) MUST_USE;

/* SCANNER_FORK, _FORKED (detail: pid), _FORK_FAILED (detail: errno), _ENDED (detail: wait status).
 */
struct scanner_worker_note {
    uint64_t worker; /* number that the client chose */
    uint32_t detail;
    uint32_t reserve; /* FORK: hands containers back */
};
int scanner_worker_note_read(const struct message *message,
                             struct scanner_worker_note *ret_note) MUST_USE;

/* SCANNER_SCAN, _CANCEL, _HANDED_BACK. */
struct scanner_job_note {
    uint64_t job;
};
int scanner_job_note_read(const struct message *message,
                          struct scanner_job_note *ret_note) MUST_USE;

/* SCANNER_WORKER_READY. */
struct scanner_ready_note {
    uint32_t sandbox;
};
int scanner_ready_note_read(const struct message *message,
                            struct scanner_ready_note *ret_note) MUST_USE;

/* SCANNER_RESULT: sent without the unused end of signature. */
struct scanner_verdict {
    uint64_t job;
    uint64_t scan_ns;
    uint32_t verdict;
    uint32_t reason;
    uint32_t grown; /* 1: private memory grew beyond its limit, please replace me */
    uint32_t signature_length;
    char signature[LIMIT_SIGNATURE_NAME_BYTES];
};
size_t scanner_verdict_length(const struct scanner_verdict *verdict);
/* -EBADMSG also for a verdict, reason or signature that cannot be: an infected file has a
 * signature of printable ASCII, others none; clean and infected have no reason, others one. */
int scanner_verdict_read(const struct message *message,
                         struct scanner_verdict *ret_verdict) MUST_USE;

#endif
