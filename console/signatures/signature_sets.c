/* Owns a copy of two columns of signature_sets. Must not make a set: signature_set does. */
#include "console/signatures/signature_sets.h"

#include "common/crypto/random.h"
#include "common/text/text.h"
#include "console/store/console_store.h"
#include "console/store/sql.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct scope {
    char group[UUID_TEXT_BYTES], digest[65];
};

struct scopes {
    struct scope *list; /* by group, the empty one first */
    size_t count, room;
};

struct signature_sets {
    pthread_rwlock_t lock;
    struct scopes scopes;
    atomic_uint_fast64_t begun; /* reads */
    uint64_t installed;         /* which of them */
};

struct reading {
    struct signature_sets *sets;
    struct scopes scopes;
    uint64_t number; /* a higher one has seen all that was committed before a lower one was given */
};

int signature_sets_new(struct signature_sets **ret_sets)
{
    struct signature_sets *sets = calloc(1, sizeof(*sets));
    if (!sets)
        return -ENOMEM;
    (void)pthread_rwlock_init(&sets->lock, NULL);
    *ret_sets = sets;
    return 0;
}

struct signature_sets *signature_sets_free(struct signature_sets *sets)
{
    if (!sets)
        return NULL;
    (void)pthread_rwlock_destroy(&sets->lock);
    free(sets->scopes.list);
    free(sets);
    return NULL;
}

static int take_scope(struct scopes *scopes, const char *group, const char *digest)
{
    if (scopes->count == scopes->room) {
        size_t room = scopes->room ? 2 * scopes->room : 16;
        struct scope *more = reallocarray(scopes->list, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        scopes->list = more;
        scopes->room = room;
    }
    struct scope *scope = &scopes->list[scopes->count];
    if (text_copy(scope->group, sizeof(scope->group), group) < 0 ||
        text_copy(scope->digest, sizeof(scope->digest), digest) < 0)
        return 0; /* none of ours */
    scopes->count++;
    return 0;
}

static int read_scopes(struct sql *sql, void *user)
{
    struct reading *reading = user;
    struct scopes *scopes = &reading->scopes;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    reading->number = 1 + atomic_fetch_add(&reading->sets->begun, 1);
    int r = sql_run(sql, "SELECT scope, digest FROM signature_sets", &row, "");
    while (r == 1) {
        int taken = take_scope(scopes, sql_text(row, 0), sql_text(row, 1));
        r = taken < 0 ? taken : sql_step(row);
    }
    return r;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct scope *)left)->group, ((const struct scope *)right)->group);
}

/* Unless one is there that was begun later: it knows more. What is not wanted is in the reading
 * afterwards. */
static void install(struct signature_sets *sets, struct reading *reading)
{
    (void)pthread_rwlock_wrlock(&sets->lock);
    if (reading->number > sets->installed) {
        struct scopes old = sets->scopes;
        sets->scopes = reading->scopes;
        reading->scopes = old;
        sets->installed = reading->number;
    }
    (void)pthread_rwlock_unlock(&sets->lock);
}

int signature_sets_refresh(struct signature_sets *sets, struct console_store *store)
{
    struct reading reading = {.sets = sets};
    struct scopes *scopes = &reading.scopes;
    int r = console_store_read(store, read_scopes, &reading);
    if (r == 0 && scopes->count > 0)
        qsort(scopes->list, scopes->count, sizeof(*scopes->list), compare);
    if (r == 0)
        install(sets, &reading);
    free(scopes->list);
    return r;
}

void signature_sets_digest(struct signature_sets *sets, const char *group_id,
                           char ret_digest[static 65])
{
    struct scope wanted = {.digest = ""};
    ret_digest[0] = '\0';
    (void)text_copy(wanted.group, sizeof(wanted.group), group_id);
    (void)pthread_rwlock_rdlock(&sets->lock);
    const struct scopes *scopes = &sets->scopes;
    const struct scope *found = scopes->count > 0 ? bsearch(&wanted, scopes->list, scopes->count,
                                                            sizeof(*scopes->list), compare)
                                                  : NULL;
    if (!found && scopes->count > 0 && !scopes->list[0].group[0])
        found = &scopes->list[0];
    if (found)
        (void)text_copy(ret_digest, 65, found->digest);
    (void)pthread_rwlock_unlock(&sets->lock);
}
