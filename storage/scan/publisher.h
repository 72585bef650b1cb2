/* Results on their way to the topic. Whoever publishes while others do goes with them in one
 * request: a request costs more than all that is in it. Nobody waits for company. Thread-safe. */
#ifndef STORAGE_SCAN_PUBLISHER_H
#define STORAGE_SCAN_PUBLISHER_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#define PUBLISHER_PROBLEM_BYTES 256

struct publisher;

/* topic: its ARN; lives as long as the publisher. -ENOMEM. */
int publisher_new(const char *topic, struct publisher **ret_publisher) MUST_USE;
/* Nobody may be publishing. NULL is legal. */
struct publisher *publisher_free(struct publisher *publisher);

/* Returns when the topic has the message, or does not take it: then the problem is for a person.
 * client: the caller's own, for a request that may be about others' messages, too. attributes: as
 * sns_publish takes them. */
enum aws_outcome publisher_publish(struct publisher *publisher, struct aws_client *client,
                                   const char *message, const struct aws_pair *attributes,
                                   size_t count, char ret_problem[static PUBLISHER_PROBLEM_BYTES]);

#endif
