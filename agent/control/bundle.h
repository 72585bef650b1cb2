/* A bundle of texts for whoever helps: a tar file (POSIX ustar) in memory, every text redacted and
 * bounded. */
#ifndef AGENT_CONTROL_BUNDLE_H
#define AGENT_CONTROL_BUNDLE_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stddef.h>

#define BUNDLE_TEXT_BYTES ((size_t)512 * 1024) /* of one text; of longer ones the end is kept */

struct bundle {
    struct buffer tar;
    char folder[64]; /* that all names stand in */
};

void bundle_begin(struct bundle *bundle, const char *folder);
/* name: at most 90 bytes. -EMSGSIZE: the bundle is full, and has lost nothing of what was in it. */
int bundle_add(struct bundle *bundle, const char *name, const char *text, size_t length) MUST_USE;
int bundle_end(struct bundle *bundle) MUST_USE;
void bundle_done(struct bundle *bundle);

#endif
