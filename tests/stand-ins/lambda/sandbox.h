/* The sandbox of one function, and the two APIs inside it. */
#ifndef TESTS_STAND_INS_LAMBDA_SANDBOX_H
#define TESTS_STAND_INS_LAMBDA_SANDBOX_H

#include "common/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox_options {
    const char *events, *extension;
    char **runtime;
    uint64_t timeout_ms;
    unsigned concurrency, repeat;
    bool chunked;
};
/* Until every event has come to an end. -errno. */
int sandbox_run(const struct sandbox_options *options) MUST_USE;

#define SANDBOX_EVENTS 100000

enum sandbox_outcome {
    OUTCOME_WAITING,
    OUTCOME_RUNNING,
    OUTCOME_RESPONSE,
    OUTCOME_ERROR,
    OUTCOME_TIMEOUT,
    OUTCOME_RUNTIME_EXIT,
    OUTCOME_EXTENSION_EXIT,
};

struct sandbox_event {
    const char *text;
    size_t length;
    char request_id[37];
    enum sandbox_outcome outcome;
    uint64_t began_ns, ended_ns;
    char *answer; /* its content, chunks undone */
    size_t answer_length;
    char *head, *trailers; /* of the answer's request, as they came */
};

struct sandbox {
    struct sandbox_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct sandbox_event *events;
    size_t count, next, ended;
    unsigned running;
    pid_t extension, runtime;
    bool registered, extension_ready, shutdown;
    bool asked;          /* the runtime of this sandbox has asked for an event */
    unsigned generation; /* counts sandboxes: an old one's connections are of no meaning */
    size_t announced;    /* invocations that the extension was told of */
    char address[32];
};

/* The APIs: a listener and its threads. Sets address. -errno. */
int sandbox_serve(struct sandbox *sandbox) MUST_USE;

#endif
