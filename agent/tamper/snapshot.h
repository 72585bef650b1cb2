/* What was seen of the own files last: in memory, and as a file that the next start compares with.
 * Not thread-safe. */
#ifndef AGENT_TAMPER_SNAPSHOT_H
#define AGENT_TAMPER_SNAPSHOT_H

#include "agent/integrity/file_facts.h"
#include "agent/tamper/own_files.h"

struct own_file {
    struct own_file *next;
    char *path;
    enum own_kind kind;
    bool there;         /* facts are of it */
    bool visited;       /* by this pass */
    bool asked;         /* about its package, in this run of the agent */
    bool altered;       /* not as its package brought it */
    unsigned postponed; /* passes that left its change alone */
    struct file_facts facts;
};

struct snapshot {
    struct own_file *first;
    bool is_new; /* there was no file: nothing to compare with */
};

void snapshot_done(struct snapshot *snapshot);
/* -ENOENT, -EBADMSG: it begins anew. */
int snapshot_read(const char *path, struct snapshot *snapshot) MUST_USE;
int snapshot_write(const char *path, const struct snapshot *snapshot) MUST_USE;
/* NULL: not known. */
struct own_file *snapshot_find(struct snapshot *snapshot, const char *path);
/* NULL: out of memory. */
struct own_file *snapshot_add(struct snapshot *snapshot, const char *path, enum own_kind kind);
/* Those that nobody visited and that are not there. */
void snapshot_forget_gone(struct snapshot *snapshot);

#endif
