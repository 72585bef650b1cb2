/* A quarantined file at rest: unreadable without the host's key, and complete in itself.
 *
 *   "YGQF", u16 version (1), u16 zero, u32 length of the sealed facts
 *   the sealed facts (aead_seal; the 12 bytes above are its label)
 *   the sealed content (aead_seal_fd; the id is its label)
 *
 * While it is being written the facts are zero, so a file cut short by a crash does not open. */
#ifndef AGENT_RESPOND_SEALED_FILE_H
#define AGENT_RESPOND_SEALED_FILE_H

#include "agent/respond/quarantine_facts.h"
#include "common/crypto/aead.h"

/* A sealed file's bytes; no data: none. */
struct sealed_bytes {
    void *data;
    size_t length;
};
void sealed_bytes_done(struct sealed_bytes *sealed);
#define AUTO_SEALED CLEANUP(sealed_bytes_done)

/* Seals source_fd's content (by pread) with facts into directory_fd/name, replacing what an
 * interrupted try left there. Sets facts->sha256 and facts->size to what was sealed. Not yet
 * durable: the caller fsyncs ret_fd and the directory. -EFBIG above maximum, -ENOSPC, -errno. */
int sealed_file_write(const uint8_t key[static AEAD_KEY_BYTES], struct quarantine_facts *facts,
                      int source_fd, uint64_t maximum, int directory_fd, const char *name,
                      int *ret_fd) MUST_USE;

/* The same into an open, empty file that has no name yet, or never gets one. */
int sealed_file_fill(const uint8_t key[static AEAD_KEY_BYTES], struct quarantine_facts *facts,
                     int source_fd, uint64_t maximum, int fd) MUST_USE;

/* Reads the facts and leaves fd's position at the content. -EBADMSG. */
int sealed_file_read_facts(const uint8_t key[static AEAD_KEY_BYTES], int fd,
                           struct quarantine_facts *ret_facts) MUST_USE;

/* After sealed_file_read_facts: the content into target_fd (-1: only checked), compared with the
 * facts' size and digest. -EBADMSG. */
int sealed_file_read_content(const uint8_t key[static AEAD_KEY_BYTES], int fd,
                             const struct quarantine_facts *facts, int target_fd) MUST_USE;

#endif
