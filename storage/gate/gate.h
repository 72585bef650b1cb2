/* The read gate: an object is given out when a verdict that is young enough says that it is clean,
 * by a link to exactly that version; otherwise it is scanned now, or by the queue when it is large.
 * What a scan finds is tagged and published as when it was written, so that the actions follow.
 * Thread-safe but for the scanner, of which each thread has its own. */
#ifndef STORAGE_GATE_GATE_H
#define STORAGE_GATE_GATE_H

#include "common/attributes.h"
#include "storage/gate/gate_request.h"
#include "storage/scan/object_scanner.h"

struct gate;

/* -EINVAL, -EIO with a problem: no bucket is named, or the secret cannot be read. resources live
 * longer. */
int gate_new(struct scan_resources *resources, struct gate **ret_gate, char *problem,
             size_t problem_size) MUST_USE;
struct gate *gate_free(struct gate *gate);
/* The secret of tokens; "" = none. */
const char *gate_secret(const struct gate *gate);

struct gate_answer {
    unsigned status;        /* 302, 202, 400, 403, 404, 405, 410, 503 */
    struct buffer location; /* of 302 */
    unsigned retry_after_s; /* of 202 and 503 */
    const char *verdict;    /* "clean", "infected", ...; "" = none yet */
    char problem[256];      /* for the reader; no secrets */
};
void gate_answer_done(struct gate_answer *answer);

/* Always answers. error: 0, or why the request could not be read (gate_request_read_event). */
void gate_serve(struct gate *gate, struct object_scanner *scanner,
                const struct gate_request *request, int error, uint64_t deadline_ns,
                struct gate_answer *ret_answer);
/* {"verdict", "problem"}. */
int gate_answer_write(const struct gate_answer *answer, struct buffer *json) MUST_USE;

#endif
