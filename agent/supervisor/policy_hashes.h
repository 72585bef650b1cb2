/* The policy's denied hashes as a signature file, so that the scanner finds such files and the
 * whole path of a detection is the same for them. */
#ifndef AGENT_SUPERVISOR_POLICY_HASHES_H
#define AGENT_SUPERVISOR_POLICY_HASHES_H

#include "common/attributes.h"

/* Below the state directory; one of the scanner's database folders. */
#define POLICY_HASHES_FOLDER "signatures"

/* Writes the list when it differs from the one that is there; none: removes it. hashes: SHA-256 in
 * hexadecimal, NULL-terminated. The scanner sees the change by itself. -errno. */
int policy_hashes_write(const char *state_directory, const char *const *hashes) MUST_USE;

#endif
