/* The quarantine: sealed files, their catalogue in the store, and what an administrator does with
 * them. The responder fills it; the control socket's commands (and later the console's) read and
 * empty it.
 *
 * All functions are thread-safe; those that touch files or wait for a commit must not be called
 * from the event loop (responder_run takes them to a thread). Paths are raw bytes. */
#ifndef AGENT_RESPOND_QUARANTINE_H
#define AGENT_RESPOND_QUARANTINE_H

#include "agent/respond/quarantine_facts.h"
#include "agent/respond/sealed_file.h"
#include "agent/store/store.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct quarantine;

/* ---- for administrators ---- */

struct quarantine_entry {
    char id[UUID_TEXT_BYTES]; /* UUIDv7: sorts by time */
    const char *path;         /* where it was; valid during the call */
    const char *signature;
    char sha256[SHA256_HEX_BYTES];
    uint64_t time_ns, size, modified_ns, links;
    uint32_t mode, uid, gid, cause;
};

struct quarantine_usage {
    uint64_t files, bytes, maximum_bytes;
    uint64_t held;    /* detections that the brake holds */
    uint64_t pending; /* files that are moved away and not sealed yet */
};

int quarantine_usage(struct quarantine *quarantine, struct quarantine_usage *ret_usage) MUST_USE;

/* Newest first; after_id continues behind an id ("" or NULL: from the newest). limit 0: all. row
 * returns non-zero to stop. */
int quarantine_list(struct quarantine *quarantine, const char *after_id, uint32_t limit,
                    int (*row)(void *user, const struct quarantine_entry *entry),
                    void *user) MUST_USE;
/* The whole id for its beginning. -ENOENT, -ENOTUNIQ, -EINVAL. */
int quarantine_find(struct quarantine *quarantine, const char *beginning,
                    char ret_id[static UUID_TEXT_BYTES]) MUST_USE;
/* What the sealed file itself says, extended attributes included. -ENOENT; -EBADMSG when the file
 * was changed or the host key is another. check_content reads all of it. */
int quarantine_show(struct quarantine *quarantine, const char *id, bool check_content,
                    struct quarantine_facts *ret_facts) MUST_USE;

struct quarantine_restore {
    const char *to;  /* absolute path of the file to be made; NULL: where it was */
    bool exclude;    /* files with this content are not malware from now on */
    bool privileged; /* set-user-id, set-group-id and capabilities come back too */
};
/* Puts the file back under a parent without symbolic links, never overwriting: content, owner,
 * mode, times, extended attributes. It leaves the quarantine once it is there durably (a crash in
 * between leaves it in both: restoring again then says -EEXIST, and it can be deleted). Without
 * exclude a watched place will see it detected again. -EEXIST, -ENOENT (no such id, or no such
 * directory), -ELOOP, -EBADMSG, -ENOSPC, -EROFS. ret_missing: attributes that could not be set. */
int quarantine_restore(struct quarantine *quarantine, const char *id,
                       const struct quarantine_restore *how, int *ret_missing) MUST_USE;
/* For ever. -ENOENT. */
int quarantine_delete(struct quarantine *quarantine, const char *id) MUST_USE;
/* A plain copy for analysis, mode 0400 and owned by the agent's user, at a path that must not
 * exist. It stays in the quarantine. The copy is live malware: name a place that is not watched. */
int quarantine_export(struct quarantine *quarantine, const char *id, const char *to) MUST_USE;

/* Detections that the brake held. responder_release acts on them. */
struct held_entry {
    char id[UUID_TEXT_BYTES];
    const char *path, *signature, *reason; /* "package", "brake", "owner-unknown" */
    char sha256[SHA256_HEX_BYTES];
    uint64_t time_ns;
};
int quarantine_list_held(struct quarantine *quarantine, uint32_t limit,
                         int (*row)(void *user, const struct held_entry *entry),
                         void *user) MUST_USE;

/* Contents that are not malware, by an administrator's word: restores with exclude, dismissed
 * detections. Kept in the store. sha256 in lower-case hexadecimal. */
int quarantine_allow(struct quarantine *quarantine, const char *sha256, const char *path) MUST_USE;
int quarantine_disallow(struct quarantine *quarantine, const char *sha256) MUST_USE; /* -ENOENT */
int quarantine_list_allowed(struct quarantine *quarantine,
                            int (*row)(void *user, const char *sha256, const char *path,
                                       uint64_t time_ns),
                            void *user) MUST_USE;

/* ---- for the responder ---- */

/* Makes STATE/quarantine and the host key when they are missing. */
int quarantine_open(struct store *store, const char *state_directory,
                    struct quarantine **ret_quarantine) MUST_USE;
struct quarantine *quarantine_close(struct quarantine *quarantine);
void quarantine_configure(struct quarantine *quarantine, uint64_t maximum_bytes, bool drop_oldest);
/* 16 hexadecimal digits made from the host key. */
const char *quarantine_host(const struct quarantine *quarantine);

/* Writes sealed files whose bytes still stand in the store to the disk again, then makes catalogue
 * and folder agree: a sealed file without a row gets its row back, a row without a
 * file is removed, what cannot be opened is put aside as NAME.damaged; each with an event. To be
 * repeated while it fails (the store is not readable yet). */
int quarantine_recover(struct quarantine *quarantine) MUST_USE;

/* Room for so many bytes more: -EDQUOT when full and nothing may be dropped, -EFBIG when it could
 * never fit. What it gives is reserved until quarantine_release_room. */
int quarantine_take_room(struct quarantine *quarantine, uint64_t bytes) MUST_USE;
void quarantine_release_room(struct quarantine *quarantine, uint64_t bytes);
/* Seals source_fd's content, of which there is room for facts->size bytes (-EFBIG when there is
 * more of it), and sets facts->size and sha256 to what it was; durable after fsync of ret_fd and
 * quarantine_sync. */
int quarantine_seal(struct quarantine *quarantine, struct quarantine_facts *facts, int source_fd,
                    int *ret_fd) MUST_USE;
/* The same into memory; the caller keeps the bytes in the store or writes them. */
int quarantine_seal_bytes(struct quarantine *quarantine, struct quarantine_facts *facts,
                          int source_fd, struct sealed_bytes *ret_sealed) MUST_USE;
int quarantine_write(struct quarantine *quarantine, const char *id,
                     const struct sealed_bytes *sealed, int *ret_fd) MUST_USE;
int quarantine_sync(struct quarantine *quarantine) MUST_USE;
/* Opens a sealed file, written first where its bytes stand in the store only. -ENOENT: it has left
 * the quarantine. */
int quarantine_open_file(struct quarantine *quarantine, const char *id, int *ret_fd) MUST_USE;
/* Removes what an interrupted quarantine_seal left. */
void quarantine_discard(struct quarantine *quarantine, const char *id);
/* The row of a sealed file, in the writer's transaction. */
int quarantine_insert(const struct quarantine_facts *facts, sqlite3 *database) MUST_USE;
/* After its commit. */
void quarantine_note_added(struct quarantine *quarantine, const struct quarantine_facts *facts);

bool quarantine_is_allowed(struct quarantine *quarantine, const char *sha256);

#endif
