/* SQL of the responder's tables: intents, held detections, action counts. All run on the writer's
 * connection inside its transaction (store_work) or on a reader's (store_read). */
#ifndef AGENT_RESPOND_INTENT_TABLE_H
#define AGENT_RESPOND_INTENT_TABLE_H

#include "agent/respond/quarantine_facts.h"
#include "agent/respond/responder.h"
#include "agent/respond/sealed_file.h"

#include <sqlite3.h>

/* What is to be done with a file, committed before it is done. It stays, as told, after the result
 * was committed, until what was done is known to be on the disk. */
struct intent {
    struct quarantine_facts facts; /* id, path, what was scanned; device and inode say which file */
    enum respond_action action;
    const char *holding; /* the directory it is moved into, under its id */
    bool told;           /* the result was committed */
    bool catalogued;     /* it has a row of the quarantine; intent_each sets it */
};

/* Also counts the action for the brake and remembers the directory. */
int intent_insert(const struct intent *intent, sqlite3 *database) MUST_USE;
/* The result is committed with this. sealed, unless empty, stands in the store until intent_delete:
 * the sealed file itself is not yet durable. */
int intent_note_told(const char *id, const struct sealed_bytes *sealed, sqlite3 *database) MUST_USE;
/* The sealed bytes are not needed any more: the file has left the quarantine. */
int intent_forget_sealed(const char *id, sqlite3 *database) MUST_USE;
/* Its sealed bytes, owned by the caller. -ENOENT: none. */
int intent_find_sealed(const char *id, sqlite3 *database, struct sealed_bytes *ret_sealed) MUST_USE;
/* Calls take for each that has sealed bytes, valid during the call. < 0 from take ends it. */
int intent_each_sealed(sqlite3 *database,
                       int (*take)(void *user, const char *id, const struct sealed_bytes *sealed),
                       void *user) MUST_USE;
int intent_delete(const char *id, sqlite3 *database) MUST_USE;
/* Calls take for each; facts and holding are valid during the call. < 0 from take ends it. */
int intent_each(sqlite3 *database, int (*take)(void *user, const struct intent *intent),
                void *user) MUST_USE;
/* Directories that files were ever moved into. */
int intent_each_holding(sqlite3 *database, int (*take)(void *user, const char *path),
                        void *user) MUST_USE;
/* Is there a row of the quarantine or an intent for id? 1, 0, -errno. */
int intent_knows(sqlite3 *database, const char *id) MUST_USE;

/* A held detection; one of the same path and content is replaced. */
int held_insert(const struct quarantine_facts *facts, const char *reason,
                sqlite3 *database) MUST_USE;
/* -ENOENT. ret_facts: path, signature, sha256, device, inode; ret_id is in it. */
int held_find(sqlite3 *database, const char *id, struct quarantine_facts *ret_facts) MUST_USE;
int held_delete(const char *id, sqlite3 *database) MUST_USE; /* -ENOENT */

/* Actions of the last hour, for the brake; older ones are removed by action_counts_trim. */
int action_counts_each(sqlite3 *database,
                       void (*take)(void *user, const char *signature, uint64_t minute,
                                    uint64_t count),
                       void *user) MUST_USE;
int action_counts_trim(sqlite3 *database) MUST_USE;

#endif
