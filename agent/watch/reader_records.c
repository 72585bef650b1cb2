/* Owns: what a record of the kernel means: a file written or arrived, a directory that appears,
 * moves or goes. Must not own: reading records, time (reader.c); any path input or output. Hands
 * off: walks to the walkers (work.c). */
#include <poll.h>

#include "agent/watch/exclusions.h"
#include "agent/watch/name_hash.h"
#include "agent/watch/reader_private.h"
#include "agent/watch/scope.h"
#include "common/time/clock.h"

#define TOO_LONG_EVERY_NS (60 * NS_PER_SECOND)
#define ALIASES_MAXIMUM   32

static void tell(struct reader *reader, enum watch_event_kind kind, const char *detail)
{
    if (!outbox_add(&reader->outbox, kind, reader->path, reader->path_length, detail))
        watch_note_loss(reader->watch);
}

/* The path is too long to be told: said about its directory, but not over and over. */
static void tell_too_long(struct reader *reader)
{
    if (reader->too_long_told_ns != 0 &&
        reader->now_ns - reader->too_long_told_ns < TOO_LONG_EVERY_NS)
        return;
    reader->too_long_told_ns = reader->now_ns;
    tell(reader, WATCH_LIMITED, WATCH_TOO_LONG);
}

/* The path of the record's name into reader->path. false: it is detached, and the end of the move
 * will walk it all; or too long. */
static bool build_path(struct reader *reader, const struct tree *tree, uint32_t directory,
                       const char *name, size_t name_length)
{
    if (tree_path(tree, directory, reader->path, PATH_ROOM, &reader->path_length) < 0)
        return false;
    if (name_length == 0)
        return true;
    if (reader->path_length + 1 + name_length >= PATH_ROOM) {
        tell_too_long(reader);
        return false;
    }
    if (reader->path_length > 1)
        reader->path[reader->path_length++] = '/';
    memcpy(reader->path + reader->path_length, name, name_length);
    reader->path_length += name_length;
    reader->path[reader->path_length] = '\0';
    return true;
}

static bool file_is_excluded(struct reader *reader, size_t name_length)
{
    return exclusions_match_file(reader->watch->scope->exclusions, reader->path,
                                 reader->path_length, name_length);
}

static bool directory_is_excluded(struct reader *reader, size_t name_length)
{
    return exclusions_match_directory(reader->watch->scope->exclusions, reader->path,
                                      reader->path_length, name_length);
}

/* --- files ----------------------------------------------------------------------------------- */

/* The close of a file that was opened without a name and has got one since. */
static void tell_named_since(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    const struct settle_entry *file;
    uint64_t inode;

    if (!unclosed_name_inode(place->record->name, place->record->name_length, &inode))
        return;
    file = unclosed_find(&watch->unclosed, place->node->device, inode);
    if (file != NULL && tree_at_generation(&watch->tree, file->directory, file->generation) &&
        build_path(reader, &watch->tree, file->directory, file->name, file->name_length))
        tell(reader, WATCH_FILE_WRITTEN, NULL);
}

static void handle_file(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    const struct watch_record *record = place->record;
    uint16_t generation = place->node->generation;

    if (!build_path(reader, &watch->tree, place->index, record->name, record->name_length) ||
        file_is_excluded(reader, record->name_length))
        return;
    place->node->told_seconds = (uint32_t)(clock_realtime_ns() / NS_PER_SECOND);
    if ((record->what & RECORD_CREATED) != 0) {
        if (settle_add(&watch->settle, place->index, generation, record->name, record->name_length,
                       reader->now_ns))
            return;
        tell(reader, WATCH_FILE_ARRIVED, NULL);
        return;
    }
    if ((record->what & RECORD_ATTRIBUTES) != 0) {
        tell(reader, WATCH_FILE_CHANGED, NULL);
        return;
    }
    settle_cancel(&watch->settle, place->index, generation, record->name, record->name_length);
    if ((record->what & (RECORD_MOVED_FROM | RECORD_DELETED)) != 0) {
        tell(reader, WATCH_FILE_REMOVED, NULL);
        return;
    }
    tell(reader, (record->what & RECORD_WRITTEN) != 0 ? WATCH_FILE_WRITTEN : WATCH_FILE_ARRIVED,
         NULL);
    told_note(&watch->told, record->key, reader->path, reader->path_length);
    if ((record->what & RECORD_WRITTEN) != 0)
        tell_named_since(reader, place);
}

/* Hands files whose time is up to a walker, which looks what they are. */
void reader_flush_settled(struct watch *watch, uint64_t until_ns)
{
    struct settle_entry *entry;

    while ((entry = settle_take(&watch->settle, until_ns)) != NULL) {
        entry->next = watch->settled;
        watch->settled = entry;
        watch_queue_job(watch, JOB_SETTLED);
    }
}

/* --- directories ----------------------------------------------------------------------------- */

/* What came out of limbo, if it is still what went in. */
static uint32_t from_limbo(struct watch *watch, struct limbo_node node)
{
    const struct tree_node *at = tree_at_generation(&watch->tree, node.number, node.generation);

    return at != NULL && at->parent == TREE_LIMBO ? node.number : TREE_NONE;
}

static struct limbo_node for_limbo(const struct watch *watch, uint32_t index)
{
    return (struct limbo_node){.number = index,
                               .generation = tree_at(&watch->tree, index)->generation};
}

void reader_bury_from_limbo(struct watch *watch, struct limbo_node node)
{
    uint32_t index = from_limbo(watch, node);

    if (index != TREE_NONE)
        watch_bury(watch, index);
}

/* The running walks of the node and of its parent must not take it for gone. */
static void affirm(struct tree_node *node)
{
    node->state = (uint16_t)((node->state | NODE_AFFIRMED) & ~(unsigned int)NODE_UNSEEN);
}

/* A directory appeared at place: reader->path is its path. */
static void begin_directory(struct reader *reader, const struct place *place, unsigned int flags)
{
    struct watch *watch = reader->watch;
    uint32_t child =
        watch_want_child(watch, place->index, place->record->name, place->record->name_length);

    if (child == TREE_NONE) {
        watch_note_loss(watch);
        return;
    }
    if ((place->node->state & NODE_SCOPE) != 0 ||
        scope_contains(watch->scope, reader->path, reader->path_length))
        tree_at(&watch->tree, child)->state |= NODE_SCOPE;
    affirm(tree_at(&watch->tree, child));
    watch_queue_walk(watch, child, flags);
}

static void directory_created(struct reader *reader, const struct place *place)
{
    const struct watch_record *record = place->record;
    struct tree *tree = &reader->watch->tree;
    uint32_t child = tree_child(tree, place->index, record->name, record->name_length);

    tell(reader, WATCH_DIRECTORY_ARRIVED, NULL);
    /* A node of this name was found by a walk that ran ahead of the queue: had the directory been
     * made anew since, its removal would have been read before this. */
    if (child != TREE_NONE)
        affirm(tree_at(tree, child));
    else
        begin_directory(reader, place, WALK_TELL);
}

static uint64_t hash_of_name(const struct watch *watch, const struct watch_record *record)
{
    return name_hash(watch->tree.seed, record->name, record->name_length);
}

/* Another directory took the name of child, which may be told to have left it only afterwards. */
static void displace(struct reader *reader, const struct place *place, uint32_t child)
{
    struct watch *watch = reader->watch;
    struct limbo_entry entry = {.node = for_limbo(watch, child),
                                .parent = place->index,
                                .parent_generation = place->node->generation,
                                .name_hash = hash_of_name(watch, place->record)};

    tree_detach(&watch->tree, child, TREE_LIMBO);
    reader_bury_from_limbo(watch, limbo_add_displaced(&watch->limbo, &entry, reader->now_ns));
}

static void directory_moved_from(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    const struct watch_record *record = place->record;
    uint32_t child =
        from_limbo(watch, limbo_take_displaced(&watch->limbo, place->index, place->node->generation,
                                               hash_of_name(watch, record)));

    told_forget(&watch->told);
    tell(reader, WATCH_DIRECTORY_REMOVED, NULL);
    if (child == TREE_NONE) {
        child = tree_child(&watch->tree, place->index, record->name, record->name_length);
        if (child == TREE_NONE)
            return;
        tree_detach(&watch->tree, child, TREE_LIMBO);
    }
    reader_bury_from_limbo(watch, limbo_add_moved(&watch->limbo, for_limbo(watch, child),
                                                  record->cookie, reader->now_ns));
}

static void directory_moved_to(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    const struct watch_record *record = place->record;
    uint32_t moved = from_limbo(watch, limbo_take_moved(&watch->limbo, record->cookie));
    uint32_t there = tree_child(&watch->tree, place->index, record->name, record->name_length);
    bool stays_in_scope = moved != TREE_NONE && (place->node->state & NODE_SCOPE) != 0 &&
                          (tree_at(&watch->tree, moved)->state & NODE_SCOPE) != 0;

    told_forget(&watch->told);
    tell(reader, WATCH_DIRECTORY_ARRIVED, NULL);
    if (there != TREE_NONE)
        displace(reader, place, there);
    if (moved != TREE_NONE &&
        (!stays_in_scope ||
         tree_attach(&watch->tree, moved, place->index, record->name, record->name_length) < 0))
        watch_bury(watch, moved);
    /* Known or not, all below it is told under its new path: what waits to be scanned under the old
     * one will not be found there. */
    begin_directory(reader, place, WALK_TELL | WALK_DEEP);
}

static void directory_deleted(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    uint32_t child =
        tree_child(&watch->tree, place->index, place->record->name, place->record->name_length);

    tell(reader, WATCH_DIRECTORY_REMOVED, NULL);
    if (child != TREE_NONE)
        watch_bury(watch, child);
}

static void handle_directory(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    const struct watch_record *record = place->record;

    if (!build_path(reader, &watch->tree, place->index, record->name, record->name_length)) {
        /* Moved away: only the halves of moves matter, so that what left here is found there. */
        if ((record->what & RECORD_MOVED_FROM) != 0)
            told_forget(&watch->told);
        return;
    }
    if (directory_is_excluded(reader, record->name_length)) {
        if ((record->what & RECORD_MOVED_TO) != 0)
            reader_bury_from_limbo(watch, limbo_take_moved(&watch->limbo, record->cookie));
        return;
    }
    place->node->told_seconds = (uint32_t)(clock_realtime_ns() / NS_PER_SECOND);
    if ((record->what & RECORD_CREATED) != 0)
        directory_created(reader, place);
    else if ((record->what & RECORD_MOVED_FROM) != 0)
        directory_moved_from(reader, place);
    else if ((record->what & RECORD_MOVED_TO) != 0)
        directory_moved_to(reader, place);
    else if ((record->what & RECORD_DELETED) != 0)
        directory_deleted(reader, place);
    else if ((record->what & RECORD_ATTRIBUTES) != 0)
        tell(reader, WATCH_DIRECTORY_CHANGED, NULL);
}

/* At a directory on the way to a watched path only the next name of that way matters, whatever it
 * is: a link there has to be refused aloud. */
static void handle_at_anchor(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    const struct watch_record *record = place->record;
    uint32_t interest = RECORD_CREATED | RECORD_MOVED_FROM | RECORD_MOVED_TO | RECORD_DELETED;

    if ((record->what & interest) == 0 ||
        !build_path(reader, &watch->tree, place->index, record->name, record->name_length) ||
        !scope_leads(watch->scope, reader->path, reader->path_length)) {
        if ((record->what & RECORD_MOVED_TO) != 0)
            reader_bury_from_limbo(watch, limbo_take_moved(&watch->limbo, record->cookie));
        return;
    }
    if ((record->what & RECORD_DIRECTORY) != 0)
        handle_directory(reader, place);
    else if ((record->what & (RECORD_CREATED | RECORD_MOVED_TO)) != 0)
        begin_directory(reader, place, WALK_TELL);
}

/* --- the directory itself --------------------------------------------------------------------- */

static void handle_self(struct reader *reader, const struct place *place)
{
    struct watch *watch = reader->watch;
    uint32_t what = place->record->what;

    if ((what & RECORD_UNMOUNTED) != 0) {
        watch_queue_job(watch, JOB_MOUNTS);
    } else if ((what & RECORD_SELF_DELETED) != 0) {
        if (place->index > TREE_LIMBO)
            watch_bury(watch, place->index);
    } else if ((what & RECORD_IGNORED) != 0) {
        /* The kernel dropped the watch though the directory was not removed: look again. */
        watch_forget_key(watch, place->index);
        if (!tree_below(&watch->tree, place->index, TREE_GRAVE))
            watch_queue_walk(watch, place->index, WALK_TELL | WALK_DEEP);
    } else if ((what & RECORD_SELF_MOVED) != 0 && place->index > TREE_LIMBO &&
               (tree_at(&watch->tree, place->node->parent)->state & NODE_UNWATCHED) != 0) {
        /* Nobody watches its parent, so no other record tells the move. */
        watch_queue_walk(watch, place->node->parent, WALK_TELL);
    }
}

/* --- records -----------------------------------------------------------------------------------
 */

static bool mounts_changed(const struct watch *watch)
{
    struct pollfd mount = {.fd = watch->mount_poll_fd, .events = POLLPRI};

    return poll(&mount, 1, 0) > 0;
}

/* The marker of a sync request was read. */
static void handle_marker(struct reader *reader, struct sync_request *request)
{
    struct watch *watch = reader->watch;

    atomic_store(&watch->counters.lag_ns, clock_monotonic_ns() - request->marked_ns);
    if (mounts_changed(watch))
        watch_queue_job(watch, JOB_MOUNTS);
    reader_flush_settled(watch, UINT64_MAX);
    if (watch->gap.open)
        request->state = SYNC_GAP;
    else
        sync_start_waiting(&watch->sync, request);
}

static void handle_key(struct reader *reader, const struct watch_record *record)
{
    struct watch *watch = reader->watch;
    uint32_t aliases[ALIASES_MAXIMUM];
    uint16_t generations[ALIASES_MAXIMUM];
    size_t count = 0;

    for (uint32_t index = tree_first_by_key(&watch->tree, record->key);
         index != TREE_NONE && count < ALIASES_MAXIMUM;
         index = tree_next_by_key(&watch->tree, index)) {
        aliases[count] = index;
        generations[count++] = tree_at(&watch->tree, index)->generation;
    }
    for (size_t i = 0; i < count; i++) {
        struct place place = {.index = aliases[i], .record = record};

        place.node = tree_at_generation(&watch->tree, aliases[i], generations[i]);
        if (place.node == NULL || place.node->key != record->key)
            continue;
        if (record->name_length == 0)
            handle_self(reader, &place);
        else if ((place.node->state & NODE_SCOPE) == 0)
            handle_at_anchor(reader, &place);
        else if ((record->what & RECORD_DIRECTORY) != 0)
            handle_directory(reader, &place);
        else
            handle_file(reader, &place);
    }
}

void reader_handle_record(struct reader *reader, const struct watch_record *record)
{
    struct watch *watch = reader->watch;
    struct sync_request *request;

    if ((record->what & RECORD_OVERFLOW) != 0) {
        (void)atomic_fetch_add(&watch->counters.overflows, 1);
        watch_note_loss(watch);
        return;
    }
    if ((record->what & RECORD_IGNORED) != 0) {
        request = sync_find(&watch->sync, record->key);
        if (request != NULL) {
            handle_marker(reader, request);
            return;
        }
    }
    handle_key(reader, record);
}
