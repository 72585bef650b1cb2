/* The loop of a function on AWS Lambda's Runtime API: takes events, hands them to a handler, gives
 * its answers back. Several threads do so at once where the platform allows it.
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html */
#ifndef STORAGE_RUNTIME_LAMBDA_RUNTIME_H
#define STORAGE_RUNTIME_LAMBDA_RUNTIME_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAMBDA_MOST_EVENT    (6 * 1024 * 1024 + 65536)
#define LAMBDA_MOST_RESPONSE 6291556             /* longer ones are refused by the service */
#define LAMBDA_MARGIN_NS     (2 * 1000000000ULL) /* kept before the platform kills us */
#define LAMBDA_MOST_THREADS  64

struct lambda_event {
    const char *body; /* JSON, terminated */
    size_t length;
    const char *request_id;
    const char *function_arn;
    uint64_t deadline_ns; /* monotonic, LAMBDA_MARGIN_NS before the end of our time */
};

/* The texts are shown to whoever invoked the function. */
struct lambda_failure {
    char type[64]; /* "Storage.NotUnderstood" */
    char message[512];
};

struct lambda_function {
    /* One for each thread, before its first event; context is handed to the others. NULL = none.
     * -errno: the function cannot begin. */
    int (*begin)(void *user, void **ret_context);
    void (*end)(void *user, void *context);
    /* response is empty and takes LAMBDA_MOST_RESPONSE bytes of JSON. -errno with ret_failure: the
     * invocation failed. */
    int (*handle)(void *user, void *context, const struct lambda_event *event,
                  struct buffer *response, struct lambda_failure *ret_failure);
    /* After the answer was given and before the next event is asked for: whoever invoked us does
     * not wait for it. NULL = none. deadline_ns as the event's. */
    void (*after)(void *user, uint64_t deadline_ns);
    void *user;
};

/* True in a function: its address is in AWS_LAMBDA_RUNTIME_API. */
bool lambda_runtime_is_here(void);
/* Serves until the platform ends us: returns 0 when *stop was set (by a signal handler) or
 * -errno when the API cannot be used. Threads: AWS_LAMBDA_MAX_CONCURRENCY, otherwise one. */
int lambda_runtime_run(const struct lambda_function *function, const bool *stop) MUST_USE;
/* The function cannot begin: tells the platform why. The process must end after it, not with 0. */
void lambda_runtime_refuse(const struct lambda_failure *failure);

#endif
