/* All that is known of a quarantined file besides its content: it stands sealed in front of the
 * content, so that the catalogue can be made anew from the sealed files alone, and in the store as
 * part of an intent. Format: docs in quarantine_facts.c. */
#ifndef AGENT_RESPOND_QUARANTINE_FACTS_H
#define AGENT_RESPOND_QUARANTINE_FACTS_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct quarantine_facts {
    char id[UUID_TEXT_BYTES];
    char sha256[SHA256_HEX_BYTES]; /* of the sealed content; before sealing of what was scanned */
    char signature[LIMIT_SIGNATURE_NAME_BYTES];
    char *path; /* raw bytes, owned */
    uint32_t mode, uid, gid, cause;
    uint64_t size, links, device, inode;
    uint64_t accessed_ns, modified_ns, changed_ns;
    uint64_t time_ns; /* when it was quarantined */
    uint64_t generation;
    struct buffer attributes; /* extended ones: name, NUL, 32-bit length, value; again */
};

void quarantine_facts_done(struct quarantine_facts *facts);
#define AUTO_FACTS CLEANUP(quarantine_facts_done)

/* The length depends on path and attributes only, not on sha256 or the numbers. */
int quarantine_facts_encode(const struct quarantine_facts *facts, struct buffer *buffer) MUST_USE;
/* -EBADMSG for anything that encode would not have written. ret_facts is owned by the caller. */
int quarantine_facts_decode(const void *bytes, size_t length,
                            struct quarantine_facts *ret_facts) MUST_USE;

/* Reads the extended attributes of fd; those beyond LIMIT_QUARANTINE_ATTRIBUTES are left out. */
int quarantine_facts_take_attributes(struct quarantine_facts *facts, int fd) MUST_USE;
/* Sets them; security.capability only when privileged. Returns how many could not be set. */
int quarantine_facts_give_attributes(const struct quarantine_facts *facts, int fd, bool privileged);

/* Lower-case 8-4-4-4-12 hexadecimal: what may be a file name in the quarantine. */
bool quarantine_id_valid(const char *id);

#endif
