/* S3 Object Lambda: the object comes by the reader's own link, is scanned whole, and goes on to the
 * reader, or a range of it, when it is clean; otherwise the reader gets an error and the result is
 * published. One of it a thread. */
#ifndef STORAGE_OBJECT_LAMBDA_OBJECT_LAMBDA_H
#define STORAGE_OBJECT_LAMBDA_OBJECT_LAMBDA_H

#include "common/attributes.h"
#include "storage/object_lambda/object_lambda_event.h"
#include "storage/scan/object_scanner.h"

struct object_lambda;

int object_lambda_new(struct scan_resources *resources, struct object_lambda **ret_lambda) MUST_USE;
struct object_lambda *object_lambda_free(struct object_lambda *lambda);

/* response: of the function, for HEAD; "{}" otherwise. -EBADMSG: the event is none. -EIO: the
 * reader could not be answered. deadline_ns: monotonic. */
int object_lambda_handle(struct object_lambda *lambda, const char *json, size_t length,
                         uint64_t deadline_ns, struct buffer *response) MUST_USE;

#endif
