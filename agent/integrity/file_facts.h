/* What is known about one file: all that integrity monitoring compares. Thread-safe: no state. */
#ifndef AGENT_INTEGRITY_FILE_FACTS_H
#define AGENT_INTEGRITY_FILE_FACTS_H

#include "agent/integrity/integrity_rules.h"
#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/json/json_writer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum facts_content {
    FACTS_NO_CONTENT, /* not asked for, or no regular file */
    FACTS_HASHED,     /* SHA-256 of all of it */
    FACTS_BEGINNING,  /* of a log: SHA-256 of its first `covered` bytes */
    FACTS_TOO_LARGE,  /* beyond the policy's limit: size and time speak for it */
    FACTS_UNREADABLE,
};

/* The part of fixed size; stored as it is, so it has no padding that is not zeroed. */
struct facts_state {
    uint64_t size, mtime_ns, ctime_ns, inode, device; /* device: a device node's number */
    uint64_t covered;
    uint32_t mode, uid, gid, links;
    uint32_t content; /* enum facts_content */
    uint32_t young; /* 1: ctime was so near to the look that a later change may not have moved it */
    uint8_t digest[SHA256_BYTES];
};

struct file_facts {
    struct facts_state state;
    char *target;     /* of a symbolic link, raw; NULL */
    char *attributes; /* extended ones, ACLs and capabilities among them: "name=digest\n" sorted by
                         name; NULL: none */
};

/* What differs, as bits. */
enum facts_difference {
    FACTS_DIFFER_TYPE = 1 << 0,
    FACTS_DIFFER_MODE = 1 << 1,
    FACTS_DIFFER_OWNER = 1 << 2,
    FACTS_DIFFER_GROUP = 1 << 3,
    FACTS_DIFFER_CONTENT = 1 << 4,
    FACTS_DIFFER_TARGET = 1 << 5,
    FACTS_DIFFER_ATTRIBUTES = 1 << 6,
    FACTS_DIFFER_LINKS = 1 << 7,
    FACTS_DIFFER_DEVICE = 1 << 8,
    FACTS_DIFFER_SHRUNK = 1 << 9,     /* a log that lost what was in it */
    FACTS_DIFFER_REWRITTEN = 1 << 10, /* a log whose beginning is another one */
};

/* Looks at name below directory_fd without following links or opening anything but regular files.
 * known: of the same file, whose log beginning is hashed over as many bytes; NULL. At most
 * most_bytes are hashed. ret_facts is the caller's to release. -ENOENT, -errno. ret_fd: of a
 * regular file's content, or -1; may be NULL. */
int file_facts_collect(int directory_fd, const char *name, enum integrity_care care,
                       uint64_t most_bytes, const struct file_facts *known,
                       struct file_facts *ret_facts, int *ret_fd) MUST_USE;
void file_facts_done(struct file_facts *facts);
#define AUTO_FACTS CLEANUP(file_facts_done)

/* Whether stat tells no change since: the usual case, decided without opening anything. Any change
 * of content, mode, owner, links or extended attributes moves ctime, unless it comes within the
 * same tick of the kernel's clock: what was young when it was looked at is looked at once more. */
bool facts_state_holds(const struct facts_state *state, const struct stat *status);

/* What matters at this care. */
uint32_t file_facts_compare(const struct file_facts *before, const struct file_facts *after,
                            enum integrity_care care);
/* Whether it gains power over others: setuid, setgid, or a file capability. before NULL: it is new.
 */
bool file_facts_gain_privilege(const struct file_facts *before, const struct file_facts *after);

void file_facts_encode(const struct file_facts *facts, struct buffer *bytes);
/* -EBADMSG. */
int file_facts_decode(const void *bytes, size_t length, struct file_facts *ret_facts) MUST_USE;
int file_facts_copy(const struct file_facts *facts, struct file_facts *ret_copy) MUST_USE;
/* Of encoded facts, without allocating. False: they are none. */
bool file_facts_peek(const void *bytes, size_t length, struct facts_state *ret_state);

/* As an object: type, mode, owner, ... */
void file_facts_write(struct json_writer *json, const struct file_facts *facts);
/* As an array of words: "content", "mode", ... */
void file_facts_write_difference(struct json_writer *json, uint32_t difference);

#endif
