/* Owns: the slow crawl that verifies the watch: it looks at everything in scope at a bounded rate,
 * tells it as found, and counts what no event had told. Must not own: when it runs (reader.c). It
 * goes through the nodes by number, so it needs no memory of its own, and one directory is the
 * smallest slice. */
#include "agent/watch/crawl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "agent/watch/exclusions.h"
#include "agent/watch/mounts.h"
#include "agent/watch/scope.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/time/clock.h"

#define PATH_ROOM       (LIMIT_PATH_BYTES + 1)
#define SLICE_NS        (250 * NS_PER_MS)
#define DEFAULT_RATE    1000U
#define NODES_PER_SLICE 4096U
/* An event is read, and the coarse clock of file times has passed it, within this. */
#define EVENT_SLACK_NS NS_PER_SECOND

/* A directory that is being looked at. */
struct crawled {
    uint32_t index;
    uint16_t generation;
    uint64_t inode;
    uint32_t device;
    uint64_t told_ns; /* no event of it was told after */
    bool unwatched;
    bool counted; /* something was missed here */
    struct scope *scope;
    size_t path_length;
};

struct crawler {
    struct watch *watch;
    uint32_t epoch;
    struct outbox outbox;
    char *path; /* PATH_ROOM */
    uint64_t settle_ns;
    uint64_t seen; /* entries of this slice */
    struct crawled directory;
};

static void cleanup_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

/* The next node to look at; false: the round is done, or the slice looked at enough nodes. */
static bool take_node(struct crawler *crawler, bool *ret_round_done)
{
    struct watch *watch = crawler->watch;
    struct crawled *directory = &crawler->directory;
    bool found = false;

    (void)pthread_mutex_lock(&watch->lock);
    for (unsigned int i = 0;
         i < NODES_PER_SLICE && !found && watch->crawl.cursor < watch->tree.high;
         i++, watch->crawl.cursor++) {
        const struct tree_node *node = tree_at(&watch->tree, watch->crawl.cursor);
        uint16_t wanted = NODE_USED | NODE_SCOPE | NODE_WALKED;

        if ((node->state & wanted) != wanted ||
            tree_path(&watch->tree, watch->crawl.cursor, crawler->path, PATH_ROOM,
                      &directory->path_length) < 0)
            continue;
        directory->index = watch->crawl.cursor;
        directory->generation = node->generation;
        directory->inode = node->inode;
        directory->device = node->device;
        directory->told_ns = node->told_seconds * NS_PER_SECOND;
        directory->counted = false;
        directory->unwatched = (node->state & NODE_UNWATCHED) != 0;
        directory->scope = scope_ref(watch->scope);
        found = true;
    }
    *ret_round_done = watch->stopping || watch->crawl.cursor >= watch->tree.high;
    (void)pthread_mutex_unlock(&watch->lock);
    return found;
}

static DIR *open_listing(struct crawler *crawler)
{
    struct stat status;
    DIR *listing = NULL;
    int fd;

    if (file_open_directory(crawler->path, true, &fd) < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && status.st_ino == crawler->directory.inode &&
        tree_pack_device(status.st_dev) == crawler->directory.device)
        listing = fdopendir(fd);
    if (listing == NULL)
        (void)close(fd);
    return listing;
}

/* A lease to read is refused while somebody has the file open for writing: then its close, which
 * has yet to come, tells it. A writer that comes in this very moment breaks it: his signal goes to
 * the process, all of whose threads block it. */
static bool is_being_written(int directory_fd, const char *name)
{
    AUTO_CLOSE int fd = -1;

    return file_open_regular(directory_fd, name, &fd, NULL) < 0 ||
           fcntl(fd, F_SETLEASE, F_RDLCK) < 0;
}

/* Did it change after the last event of its directory, and long enough ago for one to come? */
static bool was_missed(const struct crawler *crawler, int directory_fd, const char *name,
                       uint64_t *ret_changed_ns)
{
    struct stat status;

    if (crawler->directory.unwatched ||
        fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return false;
    if (scope_may_be_own(crawler->directory.scope, name) && scope_is_own(&status))
        return false;
    *ret_changed_ns = timespec_to_ns(status.st_ctim);
    return *ret_changed_ns > crawler->directory.told_ns + 2 * EVENT_SLACK_NS &&
           *ret_changed_ns + crawler->settle_ns + EVENT_SLACK_NS < clock_realtime_ns();
}

/* Asks the node once more: an event may have been read since. */
static bool still_missed(struct crawler *crawler, uint64_t changed_ns)
{
    struct watch *watch = crawler->watch;
    struct tree_node *node;
    bool missed = false;

    (void)pthread_mutex_lock(&watch->lock);
    node =
        tree_at_generation(&watch->tree, crawler->directory.index, crawler->directory.generation);
    if (node != NULL && !watch->gap.open)
        missed = changed_ns > node->told_seconds * NS_PER_SECOND + 2 * EVENT_SLACK_NS;
    (void)pthread_mutex_unlock(&watch->lock);
    return missed;
}

/* The entry's path behind the directory's; its length, 0: too long. */
static size_t entry_path(struct crawler *crawler, const char *name, size_t name_length)
{
    size_t length = crawler->directory.path_length;

    length -= length == 1;
    if (length + 1 + name_length >= PATH_ROOM)
        return 0;
    crawler->path[length++] = '/';
    memcpy(crawler->path + length, name, name_length + 1);
    return length + name_length;
}

static void look_at_file(struct crawler *crawler, int directory_fd, const char *name)
{
    size_t name_length = strlen(name);
    size_t length = entry_path(crawler, name, name_length);
    enum watch_event_kind kind = WATCH_FILE_FOUND;
    uint64_t changed_ns;

    if (length == 0 || exclusions_match_file(crawler->directory.scope->exclusions, crawler->path,
                                             length, name_length))
        return;
    if (was_missed(crawler, directory_fd, name, &changed_ns) &&
        !is_being_written(directory_fd, name) && still_missed(crawler, changed_ns)) {
        (void)atomic_fetch_add(&crawler->watch->counters.found_by_crawl, 1);
        crawler->directory.counted = true;
        kind = WATCH_FILE_ARRIVED;
    }
    (void)outbox_add(&crawler->outbox, kind, crawler->path, length, NULL);
    if (outbox_is_full(&crawler->outbox))
        watch_deliver(crawler->watch, &crawler->outbox);
}

/* A directory that has no node though it should: walked like a new one. */
static void look_at_directory(struct crawler *crawler, int directory_fd, const char *name)
{
    struct watch *watch = crawler->watch;
    size_t name_length = strlen(name);
    size_t length = entry_path(crawler, name, name_length);
    const struct mount_entry *mount;
    struct tree_node *parent;
    uint64_t changed_ns = 0;
    bool known;

    if (length == 0 || exclusions_match_directory(crawler->directory.scope->exclusions,
                                                  crawler->path, length, name_length))
        return;
    (void)pthread_mutex_lock(&watch->lock);
    mount = mounts_at(watch->mounts, crawler->path, length);
    known = tree_child(&watch->tree, crawler->directory.index, name, name_length) != TREE_NONE ||
            (mount != NULL && mount->class != MOUNT_LOCAL);
    (void)pthread_mutex_unlock(&watch->lock);
    if (known || !was_missed(crawler, directory_fd, name, &changed_ns))
        return;
    (void)pthread_mutex_lock(&watch->lock);
    parent =
        tree_at_generation(&watch->tree, crawler->directory.index, crawler->directory.generation);
    if (parent != NULL && !watch->gap.open &&
        tree_child(&watch->tree, crawler->directory.index, name, name_length) == TREE_NONE) {
        (void)atomic_fetch_add(&watch->counters.found_by_crawl, 1);
        crawler->directory.counted = true;
        watch_continue_walk(watch, crawler->directory.index, WALK_TELL, crawler->epoch);
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

static void look_into(struct crawler *crawler)
{
    CLEANUP(cleanup_directory) DIR *listing = open_listing(crawler);
    const struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        const char *name = entry->d_name;

        if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
            continue;
        crawler->seen++;
        if (entry->d_type == DT_REG)
            look_at_file(crawler, dirfd(listing), name);
        else if (entry->d_type == DT_DIR)
            look_at_directory(crawler, dirfd(listing), name);
    }
}

/* What was missed is told now: the next round must not count it again. */
static void note_told(struct crawler *crawler)
{
    struct watch *watch = crawler->watch;
    struct tree_node *node;

    if (!crawler->directory.counted)
        return;
    (void)pthread_mutex_lock(&watch->lock);
    node =
        tree_at_generation(&watch->tree, crawler->directory.index, crawler->directory.generation);
    if (node != NULL)
        node->told_seconds = (uint32_t)(clock_realtime_ns() / NS_PER_SECOND);
    (void)pthread_mutex_unlock(&watch->lock);
}

static void begin_round(struct watch_crawl *crawl)
{
    if (crawl->cursor != 0)
        return;
    crawl->cursor = TREE_ROOT;
    crawl->started_ns = clock_monotonic_ns();
}

/* When the next slice is due: after the time that what was seen may take. */
static void plan_next(struct crawler *crawler, bool round_done)
{
    struct watch_crawl *crawl = &crawler->watch->crawl;
    uint64_t rate = crawl->rate == 0 ? DEFAULT_RATE : crawl->rate;
    uint64_t now_ns = clock_monotonic_ns();

    if (crawl->interval_ns == 0) {
        crawl->next_ns = UINT64_MAX;
    } else if (round_done) {
        crawl->cursor = 0;
        crawl->next_ns = MAX(now_ns + SLICE_NS, crawl->started_ns + crawl->interval_ns);
    } else {
        crawl->next_ns = now_ns + crawler->seen * NS_PER_SECOND / rate;
    }
}

void watch_crawl_slice(struct watch *watch, uint32_t epoch)
{
    struct crawler crawler = {.watch = watch, .epoch = epoch};
    uint64_t allowed;
    bool round_done = false;

    outbox_init(&crawler.outbox);
    crawler.path = malloc(PATH_ROOM);
    (void)pthread_mutex_lock(&watch->lock);
    begin_round(&watch->crawl);
    crawler.settle_ns = watch->settle.delay_ns;
    allowed = MAX(watch->crawl.rate * SLICE_NS / NS_PER_SECOND, (uint64_t)1);
    (void)pthread_mutex_unlock(&watch->lock);
    while (crawler.path != NULL && crawler.seen < allowed && !round_done) {
        if (!take_node(&crawler, &round_done))
            continue;
        crawler.seen++;
        look_into(&crawler);
        note_told(&crawler);
        (void)scope_unref(crawler.directory.scope);
    }
    watch_deliver(watch, &crawler.outbox);
    (void)pthread_mutex_lock(&watch->lock);
    plan_next(&crawler, round_done || crawler.path == NULL);
    watch_wake_reader(watch);
    (void)pthread_mutex_unlock(&watch->lock);
    outbox_done(&crawler.outbox);
    free(crawler.path);
}
