/* Fetches an object, pinned to its version and content, into memory or an unnamed file, with its
 * SHA-256 on the way; in parts at once when it is large. What fails midway is begun again; what
 * arrives is counted, so that a body cut short is no object. */
#ifndef STORAGE_SCAN_FETCH_H
#define STORAGE_SCAN_FETCH_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "common/crypto/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct fetch_pool;

struct fetch_limits {
    uint64_t maximum;      /* larger objects are not fetched */
    uint64_t memory;       /* larger ones go to a file */
    uint64_t part;         /* larger ones are fetched in parts of this size */
    const char *directory; /* of unnamed files */
};

/* Threads that fetch parts, each with a client of its own made from settings; 0 or 1 thread: parts
 * come one after another. One for all who fetch. -errno. */
int fetch_pool_new(const struct aws_settings *settings, size_t threads,
                   struct fetch_pool **ret_pool) MUST_USE;
/* Nobody may be fetching. NULL is legal. */
struct fetch_pool *fetch_pool_free(struct fetch_pool *pool);

struct fetched {
    int fd; /* at its start; -1 = none */
    struct s3_facts facts;
    char sha256[SHA256_HEX_BYTES];
    bool too_large; /* not fetched; facts are known */
    bool by_one_get;
    char problem[768];
    char code[96]; /* the service's word for what was wrong */
};
void fetched_done(struct fetched *fetched);

/* AWS_CHANGED: another content, or another version, stands there. deadline_ns: monotonic.
 * pool NULL: no parts at once. */
enum aws_outcome fetch_object(struct aws_client *client, struct fetch_pool *pool,
                              const struct fetch_limits *limits, const struct s3_object *object,
                              bool size_known, uint64_t size, uint64_t deadline_ns,
                              struct fetched *ret_fetched);

#endif
