/* Changes that were found and not told yet, and which of them are two halves of a rename. Bounded
 * by those who add: see changes_are_many. Not thread-safe. */
#ifndef AGENT_INTEGRITY_CHANGES_H
#define AGENT_INTEGRITY_CHANGES_H

#include "agent/integrity/baseline.h"
#include "agent/integrity/file_facts.h"
#include "common/attributes.h"

enum change_kind {
    CHANGE_SILENT, /* only the baseline learns of it */
    CHANGE_FORGET, /* nobody cares about it any more */
    CHANGE_CREATED,
    CHANGE_UPDATED,
    CHANGE_DELETED,
    CHANGE_RENAMED, /* renamed_from says from where */
};

struct change {
    char *path;
    size_t length;
    enum change_kind kind;
    enum integrity_care care;
    uint32_t difference;
    bool has_before, has_after;
    struct file_facts before, after;
    enum baseline_put put;
    bool expected;                     /* it became what a package brought */
    char *package;                     /* NULL: of none */
    const struct change *renamed_from; /* in the same list */
    uint64_t moved_along;              /* of a renamed directory: entries below it */
    bool stores_text, forgets_text;
    struct buffer text; /* the content as it is now, when it may be told of */
};

enum { CHANGES_SLOTS = 16384 };

struct changes {
    struct change **list;
    size_t count, capacity;
    size_t bytes;
    uint32_t *slots; /* by hash of the path: place in the list plus one */
};

/* A new one of that path at the end; NULL when out of memory. */
struct change *changes_add(struct changes *changes, const char *path, size_t length);
/* Whether there is one of that path already. */
bool changes_has(const struct changes *changes, const char *path, size_t length);
/* Gives the last one back. */
void changes_drop_last(struct changes *changes);
/* Time to tell them. */
bool changes_are_many(const struct changes *changes);
/* Pairs deleted and created ones that are the same inode. -ENOMEM. */
int changes_pair_renames(struct changes *changes) MUST_USE;
void changes_done(struct changes *changes);

#endif
