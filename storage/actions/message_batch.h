/* Batches of SQS messages as Lambda gives them: {"Records": [{"messageId", "body",
 * "attributes": {"ApproximateReceiveCount"}}]}. Thread-safe:
 * no state. Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html */
#ifndef STORAGE_ACTIONS_MESSAGE_BATCH_H
#define STORAGE_ACTIONS_MESSAGE_BATCH_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stddef.h>

/* 0: done with that message; anything else: it shall come again. again: it was received before. */
typedef int message_handler(void *user, const char *body, size_t length, bool again);

/* Appends {"batchItemFailures": [...]} to answer. -EBADMSG: the event is no such batch, and nothing
 * of it may count as done. -ENOMEM, -EMSGSIZE. */
int message_batch_handle(const char *event, size_t length, message_handler *handle, void *user,
                         struct buffer *answer) MUST_USE;

#endif
