/* What came of an object, and the message that tells it: a superset of File Storage Security's, so
 * that what was made for its topic reads ours.
 * Source of its fields:
 * https://cloudone.trendmicro.com/docs/file-storage-security/scan-result-format/ Thread-safe: no
 * state. */
#ifndef STORAGE_SCAN_STORAGE_RESULT_H
#define STORAGE_SCAN_STORAGE_RESULT_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "scanner/client/scan_result.h"
#include "storage/events/storage_event.h"
#include "storage/scan/scan_service.h"

#include <stdbool.h>
#include <stdint.h>

#define STORAGE_RESULT_SCHEMA     "yagura/1"
#define STORAGE_RESULT_ATTRIBUTES 5

enum storage_verdict {
    STORAGE_CLEAN, /* all of it was looked at, nothing found: the only one that opens a gate */
    STORAGE_INFECTED,
    STORAGE_INCOMPLETE, /* nothing found, but not all could be looked at */
    STORAGE_ERROR,      /* not scanned */
    STORAGE_SUPERSEDED, /* another content stands there: its own event tells of it */
    STORAGE_DELETED,
};
const char *storage_verdict_name(enum storage_verdict verdict);

/* File Storage Security's scanner_status. */
enum storage_status {
    STORAGE_STATUS_SCANNED = 0,
    STORAGE_STATUS_UNSUCCESSFUL = -2,
    STORAGE_STATUS_SCANNER = -3,
    STORAGE_STATUS_UNCALLED = -4, /* given up: from the dead-letter queue */
};

struct storage_result {
    struct storage_object object; /* version and etag as they were fetched */
    enum storage_verdict verdict;
    enum storage_status status;
    unsigned code;     /* 100..109, 199 of File Storage Security when incomplete; else 0 */
    char reason[32];   /* "encrypted"; "" = none */
    char problem[512]; /* for a person; "" = none */
    char signature[LIMIT_SIGNATURE_NAME_BYTES];
    char sha256[SHA256_HEX_BYTES]; /* "" = not fetched */
    char modified[S3_TIME_BYTES];  /* of what was fetched, as S3 writes it; "" = not known */
    char signatures[SCAN_SIGNATURES_BYTES];
    char engine_version[64], sandbox[128];
    uint64_t begin_ns, scan_ns; /* realtime; time in the scanner */
    uint64_t untagged_ns;       /* monotonic; no tags were told of since then; 0 = not known */
    bool tagged, cached;
    char tag_problem[256]; /* "" = tagged, or not wanted */
};

/* Sets verdict, status, code, reason, signature of a scan. first: the object's first bytes, which
 * tell encrypted archives from documents. */
void storage_result_take_scan(struct storage_result *result, const struct scan_result *scan,
                              const void *first, size_t length);
/* Not scanned, or not to its end; code as above. */
void storage_result_take_incomplete(struct storage_result *result, unsigned code,
                                    const char *reason, const char *problem);
const char *storage_code_message(unsigned code);

/* scanner: this scanner's name; message_id: of the event in its queue, "" = none. */
int storage_result_write(const struct storage_result *result, const char *scanner,
                         const char *message_id, struct buffer *json) MUST_USE;
/* For filter policies of subscriptions; texts live in result. */
size_t storage_result_attributes(const struct storage_result *result,
                                 struct aws_pair attributes[static STORAGE_RESULT_ATTRIBUTES]);

#endif
