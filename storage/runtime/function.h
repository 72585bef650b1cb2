/* Modes "lambda" and "dead-letter" as functions of AWS Lambda: messages of a queue in batches, of
 * which those that failed are named, or one event by itself.
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html */
#ifndef STORAGE_RUNTIME_FUNCTION_H
#define STORAGE_RUNTIME_FUNCTION_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "storage/report/console_report.h"
#include "storage/runtime/lambda_runtime.h"
#include "storage/runtime/message_handler.h"

/* Handles an event's body with handler. -EAGAIN, -EBADMSG with ret_failure when it was a single
 * event; a batch of messages always gives 0 and a response. */
int function_handle(struct object_scanner *scanner, message_handler *handler,
                    const struct lambda_event *event, struct buffer *response,
                    struct lambda_failure *ret_failure) MUST_USE;
/* Serves until the platform ends us. report may be NULL. The exit code. */
int function_run(struct scan_resources *resources, message_handler *handler,
                 struct console_report *report, const bool *stop);

#endif
