/* S3 in a test: one scripted answer for each request, in their order; whatever else is asked
 * strays. */
#ifndef TESTS_UNIT_STORAGE_ACTIONS_SCRIPTED_S3_H
#define TESTS_UNIT_STORAGE_ACTIONS_SCRIPTED_S3_H

#include "common/aws/aws_client.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <stdbool.h>
#include <stddef.h>

struct step {
    const char *method, *in_target; /* what the request must be */
    int status;
    const char *lines, *body;
    const char *in_body, *not_in_body; /* of the request; NULL = no matter */
};
/* Of which the body is no matter. */
#define STEP(method, in_target, status, lines, body)       \
    {                                                      \
        method, in_target, status, lines, body, NULL, NULL \
    }

struct world {
    struct stand_in stand_in;
    struct aws_client *client; /* asks once, and never sleeps */
    const struct step *steps;
    size_t count, at;
    bool strayed;
    char heads[16][4096]; /* of the requests */
};

/* cmocka's set-up and tear-down; *state is a struct world. */
int scripted_s3_begin(void **state);
int scripted_s3_end(void **state);

void scripted_s3_load(struct world *world, const struct step *steps, size_t count);
/* Fails the test unless each step was taken, and nothing else. */
void scripted_s3_check(const struct world *world);

#endif
