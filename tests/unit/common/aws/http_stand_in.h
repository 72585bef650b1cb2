/* A small HTTP server of the tests: one request a connection, answered by the test. */
#ifndef TESTS_UNIT_COMMON_AWS_HTTP_STAND_IN_H
#define TESTS_UNIT_COMMON_AWS_HTTP_STAND_IN_H

#include "common/attributes.h"

#include <pthread.h>
#include <stdint.h>

struct stand_in_request {
    char method[16], target[2048];
    char head[16384]; /* whole, with the request line */
    char body[16384];
};

struct stand_in {
    /* Writes the whole answer, head included; "" = never answers, and keeps the connection. */
    void (*answer)(void *user, const struct stand_in_request *request, char *answer, size_t size);
    void *user;
    unsigned requests;
    /* the stand-in's own */
    int listener, silent[64];
    unsigned silent_count;
    uint16_t port;
    char url[64];
    pthread_t thread;
};

/* answer and user are set by the caller. */
void stand_in_start(struct stand_in *stand_in);
void stand_in_stop(struct stand_in *stand_in);
/* An answer with that status, body and further header lines (each with CR LF; may be ""). */
void stand_in_write(char *answer, size_t size, int status, const char *lines, const char *body);
/* The value of a header, "" when there is none. */
void stand_in_header(const struct stand_in_request *request, const char *name, char *value,
                     size_t size);

#endif
