/* What tells of objects: S3's notifications, EventBridge's events, SNS's envelopes around them, and
 * our own scan jobs. All is an outsider's. Thread-safe: no state.
 * Sources:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html */
#ifndef STORAGE_EVENTS_STORAGE_EVENT_H
#define STORAGE_EVENTS_STORAGE_EVENT_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORAGE_EVENT_OBJECTS 256 /* most in one message */
#define STORAGE_EVENT_NESTING 3   /* most envelopes around one another */
#define STORAGE_JOB_SCHEMA    "yagura-scan-job/1"

enum storage_trigger {
    STORAGE_TRIGGER_CREATED,   /* the object was written */
    STORAGE_TRIGGER_FULL_SCAN, /* a scan of what is there */
    STORAGE_TRIGGER_READ,      /* it is about to be read */
};
const char *storage_trigger_name(enum storage_trigger trigger); /* "object-created", ... */

/* "" = not said. */
struct storage_object {
    enum storage_trigger trigger;
    char bucket[S3_BUCKET_BYTES];
    char key[S3_KEY_BYTES]; /* decoded: raw UTF-8 */
    char version[S3_VERSION_BYTES];
    char etag[S3_ETAG_BYTES];
    char region[AWS_REGION_BYTES];
    char sequencer[64];
    char request_id[64]; /* of the request that wrote it */
    uint64_t size;
    bool size_known;
};

struct storage_event {
    struct storage_object *objects;
    size_t count;
    bool test;        /* S3's test of a new notification */
    unsigned ignored; /* entries that tell of no new object */
};

/* -EBADMSG with a problem (128 bytes) when it is none of these; -E2BIG above the limits; -ENOMEM. A
 * test and an event of other things are understood and hold no objects. */
int storage_event_read(const char *text, size_t length, struct storage_event *ret_event,
                       char ret_problem[static 128]) MUST_USE;
void storage_event_done(struct storage_event *event);

/* Our own job, as storage_event_read reads it. */
int storage_event_write_job(const struct storage_object *objects, size_t count,
                            struct buffer *json) MUST_USE;

#endif
