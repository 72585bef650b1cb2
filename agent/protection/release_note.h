/* A release that was given while no agent ran: a file that the next start reads, once. Nothing in
 * it lasts longer than a release, and who may write it is root. */
#ifndef AGENT_PROTECTION_RELEASE_NOTE_H
#define AGENT_PROTECTION_RELEASE_NOTE_H

#include "common/attributes.h"

#include <stdint.h>

/* Durably. detail: a JSON object of at most LIMIT_EVENT_DETAIL_BYTES. */
int release_note_write(const char *path, uint64_t duration_ns, const char *detail) MUST_USE;
/* What is left of the time, 0 when it is over; the file is gone. ret_detail is freed by the caller.
 * -ENOENT: there is none; -errno. */
int release_note_take(const char *path, uint64_t *ret_left_ns, char **ret_detail) MUST_USE;

#endif
