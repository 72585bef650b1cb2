/* Owns: the fanotify group, its thread, and a table of who changed what lately. Must not: touch a
 * file beyond resolving a directory's handle. The table is of fixed size; a newer change takes the
 * place of an older one.
 *
 * A mark is on a whole file system, so most events are of no interest. Directories are known by
 * their handles: whether one matters is found once, and forgotten when any directory is renamed. */
#include "agent/integrity/change_authors.h"

#include "agent/watch/mounts.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/statfs.h>

enum {
    AUTHORS = 1024,     /* changes remembered */
    DIRECTORIES = 4096, /* of which it is known that they do not matter */
    MOST_MOUNTS = 64,
    READ_BYTES = 65536,
};
#define LATELY_NS (120 * NS_PER_SECOND)

#define CHANGES                                                                               \
    (FAN_CLOSE_WRITE | FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ATTRIB | \
     FAN_ONDIR)

struct marked_mount {
    char *path; /* of its top: opened to resolve a handle, for it is not ours to hold mounted */
    fsid_t id;
};

struct author {
    uint64_t path; /* hash; 0: none */
    uint64_t when_ns;
    struct process_facts *facts;
};

struct change_authors {
    int fanotify, stop;
    pthread_t thread;
    bool runs;
    struct integrity_rules *rules;
    struct marked_mount mounts[MOST_MOUNTS];
    size_t mount_count;
    uint64_t indifferent[DIRECTORIES]; /* hashes of handles */
    uint8_t buffer[READ_BYTES];

    pthread_mutex_t lock; /* of the table */
    struct author authors[AUTHORS];
};

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 0x100000001b3ULL;
    return hash;
}

static uint64_t hash_path(const char *path, size_t length)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, path, length);

    return hash != 0 ? hash : 1;
}

/* ---- the table ---- */

static void remember(struct change_authors *authors, const char *path, size_t length, pid_t pid)
{
    uint64_t hash = hash_path(path, length);
    struct author *author = &authors->authors[(hash >> 32) % AUTHORS];
    struct process_facts *facts = malloc(sizeof *facts);

    if (facts == NULL)
        return;
    process_facts_read(pid, facts);
    (void)pthread_mutex_lock(&authors->lock);
    /* Who has ended by the last of its events was there at an earlier one. */
    bool known_better =
        facts->user == PROCESS_NO_USER && author->path == hash && author->facts->pid == pid;
    struct process_facts *older = known_better ? facts : author->facts;
    *author = (struct author){.path = hash,
                              .when_ns = clock_monotonic_ns(),
                              .facts = known_better ? author->facts : facts};
    (void)pthread_mutex_unlock(&authors->lock);
    free(older);
}

bool change_authors_find(struct change_authors *authors, const char *path, size_t length,
                         struct process_facts *ret_facts)
{
    bool found = false;

    if (authors == NULL)
        return false;
    uint64_t hash = hash_path(path, length);
    const struct author *author = &authors->authors[(hash >> 32) % AUTHORS];
    (void)pthread_mutex_lock(&authors->lock);
    if (author->path == hash && clock_monotonic_ns() - author->when_ns < LATELY_NS) {
        *ret_facts = *author->facts;
        found = true;
    }
    (void)pthread_mutex_unlock(&authors->lock);
    return found;
}

/* ---- events ---- */

struct changed_entry {
    const struct fanotify_event_info_fid *info;
    struct file_handle *handle;
    const char *name;
    size_t name_length;
};

/* The directory and the name of an event, when they are told and hold together. */
static bool read_entry(const uint8_t *at, size_t length, struct changed_entry *ret_entry)
{
    const uint8_t *end = at + length;

    while ((size_t)(end - at) >= sizeof(struct fanotify_event_info_fid)) {
        const struct fanotify_event_info_fid *info = (const void *)at;
        size_t size = info->hdr.len;
        if (size < sizeof *info + sizeof(struct file_handle) || size > (size_t)(end - at))
            return false;
        struct file_handle *handle = (struct file_handle *)info->handle;
        size_t before = sizeof *info + sizeof *handle + handle->handle_bytes;
        if (info->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME && before < size) {
            const char *name = (const char *)at + before;
            *ret_entry = (struct changed_entry){.info = info,
                                                .handle = handle,
                                                .name = name,
                                                .name_length = strnlen(name, size - before)};
            return true;
        }
        at += size;
    }
    return false;
}

/* Opens a directory that lies on the file system of that id: by now another may be mounted there.
 */
static int open_on(const char *path, const fsid_t *id, int *ret_fd)
{
    struct statfs status;
    AUTO_CLOSE int fd = -1;

    int r = file_open_directory(path, true, &fd);
    if (r < 0)
        return r;
    if (fstatfs(fd, &status) < 0)
        return -errno;
    if (memcmp(&status.f_fsid, id, sizeof *id) != 0)
        return -ESTALE;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int open_mount_of(const struct change_authors *authors, const struct changed_entry *entry,
                         int *ret_fd)
{
    fsid_t id;

    memcpy(&id, &entry->info->fsid, sizeof id);
    for (size_t i = 0; i < authors->mount_count; i++)
        if (memcmp(&authors->mounts[i].id, &id, sizeof id) == 0)
            return open_on(authors->mounts[i].path, &id, ret_fd);
    return -ENODEV;
}

/* "directory/name", or the directory itself for "."; 0 when it cannot be told. */
static size_t resolve(const struct change_authors *authors, const struct changed_entry *entry,
                      char path[static PATH_MAX + NAME_MAX + 2])
{
    char link[FILE_LINK_BYTES];
    AUTO_CLOSE int mount = -1, fd = -1;

    if (open_mount_of(authors, entry, &mount) < 0)
        return 0;
    fd = open_by_handle_at(mount, entry->handle, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return 0;
    file_link_of(fd, link);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length <= 0 || length >= PATH_MAX || entry->name_length > NAME_MAX)
        return 0;
    if (entry->name_length == 1 && entry->name[0] == '.')
        return (size_t)length;
    if (path[length - 1] != '/')
        path[length++] = '/';
    memcpy(path + length, entry->name, entry->name_length);
    return (size_t)length + entry->name_length;
}

static uint64_t *directory_slot(struct change_authors *authors, const struct changed_entry *entry,
                                uint64_t *ret_hash)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, &entry->info->fsid, sizeof(fsid_t));

    hash = hash_bytes(hash, entry->handle->f_handle, entry->handle->handle_bytes);
    *ret_hash = hash != 0 ? hash : 1;
    return &authors->indifferent[(hash >> 32) % DIRECTORIES];
}

static void take_event(struct change_authors *authors, const struct fanotify_event_metadata *event,
                       const uint8_t *records)
{
    char path[PATH_MAX + NAME_MAX + 2];
    struct changed_entry entry;
    uint64_t hash;

    if ((event->mask & FAN_ONDIR) != 0 && (event->mask & (FAN_MOVED_FROM | FAN_MOVED_TO)) != 0)
        memset(authors->indifferent, 0, sizeof authors->indifferent);
    if (event->pid == getpid() ||
        !read_entry(records, event->event_len - event->metadata_len, &entry))
        return;
    uint64_t *slot = directory_slot(authors, &entry, &hash);
    if (*slot == hash)
        return;
    size_t length = resolve(authors, &entry, path);
    if (length == 0)
        return;
    if (integrity_rules_care(authors->rules, path, length) != CARE_NONE) {
        remember(authors, path, length, event->pid);
        return;
    }
    size_t above = length - entry.name_length;
    if (!integrity_rules_reach(authors->rules, path, above > 1 ? above - 1 : above))
        *slot = hash;
}

/* Events are aligned to 4 bytes, their first part to 8: it is copied. */
static void read_events(struct change_authors *authors)
{
    ssize_t left = read(authors->fanotify, authors->buffer, sizeof authors->buffer);
    const uint8_t *at = authors->buffer;
    struct fanotify_event_metadata event;

    for (; left >= (ssize_t)sizeof event; at += event.event_len, left -= event.event_len) {
        memcpy(&event, at, sizeof event);
        if (event.vers != FANOTIFY_METADATA_VERSION || event.event_len < event.metadata_len ||
            event.metadata_len < sizeof event || (ssize_t)event.event_len > left)
            return;
        take_event(authors, &event, at + event.metadata_len);
    }
}

/* ---- the marks ---- */

static void mark_mount(struct change_authors *authors, const struct mount_entry *mount)
{
    struct marked_mount *marked = &authors->mounts[authors->mount_count];
    struct statfs status;
    AUTO_CLOSE int fd = -1;

    if (mount == NULL || mount->class != MOUNT_LOCAL || authors->mount_count == MOST_MOUNTS ||
        file_open_directory(mount->path, true, &fd) < 0 || fstatfs(fd, &status) < 0)
        return;
    for (size_t i = 0; i < authors->mount_count; i++)
        if (memcmp(&authors->mounts[i].id, &status.f_fsid, sizeof(fsid_t)) == 0)
            return;
    AUTO_FREE char *path = strdup(mount->path);
    if (path == NULL)
        return;
    if (fanotify_mark(authors->fanotify, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, CHANGES, fd, NULL) < 0)
        return;
    *marked = (struct marked_mount){.path = TAKE_POINTER(path), .id = status.f_fsid};
    authors->mount_count++;
}

static int mark_all(struct change_authors *authors)
{
    const char *const *roots = integrity_rules_roots(authors->rules);
    struct mounts *mounts = NULL;
    AUTO_CLOSE int fd = -1;

    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &fd);
    if (r == 0)
        r = mounts_read(fd, &mounts);
    if (r != 0)
        return r;
    for (; *roots != NULL; roots++) {
        mark_mount(authors, mounts_covering(mounts, *roots, strlen(*roots)));
        for (size_t i = 0; i < mounts->count; i++)
            if (integrity_rules_care(authors->rules, mounts->entries[i].path,
                                     mounts->entries[i].path_length) != CARE_NONE)
                mark_mount(authors, &mounts->entries[i]);
    }
    (void)mounts_free(mounts);
    return authors->mount_count > 0 ? 0 : -ENODEV;
}

/* ---- the thread ---- */

static void *run_authors(void *user)
{
    struct change_authors *authors = user;
    struct pollfd fds[] = {{.fd = authors->fanotify, .events = POLLIN},
                           {.fd = authors->stop, .events = POLLIN}};

    (void)pthread_setname_np(pthread_self(), "change-authors");
    int r = mark_all(authors);
    if (r < 0)
        log_warning("change_authors_unknown", "error", log_error_text(r), NULL);
    while (fds[1].revents == 0) {
        if (fds[0].revents != 0)
            read_events(authors);
        if (poll(fds, ARRAY_LENGTH(fds), -1) < 0)
            fds[0].revents = fds[1].revents = 0;
    }
    return NULL;
}

/* ---- life ---- */

struct change_authors *change_authors_stop(struct change_authors *authors)
{
    uint64_t one = 1;

    if (authors == NULL)
        return NULL;
    if (authors->runs) {
        (void)!write(authors->stop, &one, sizeof one);
        (void)pthread_join(authors->thread, NULL);
    }
    for (size_t i = 0; i < authors->mount_count; i++)
        free(authors->mounts[i].path);
    for (size_t i = 0; i < AUTHORS; i++)
        free(authors->authors[i].facts);
    if (authors->fanotify >= 0)
        (void)close(authors->fanotify);
    if (authors->stop >= 0)
        (void)close(authors->stop);
    (void)integrity_rules_unref(authors->rules);
    (void)pthread_mutex_destroy(&authors->lock);
    free(authors);
    return NULL;
}

int change_authors_start(struct integrity_rules *rules, struct change_authors **ret_authors)
{
    struct change_authors *authors = calloc(1, sizeof *authors);

    if (authors == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&authors->lock, NULL);
    authors->rules = integrity_rules_ref(rules);
    authors->stop = eventfd(0, EFD_CLOEXEC);
    authors->fanotify =
        fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_CLOEXEC | FAN_NONBLOCK,
                      O_RDONLY | O_CLOEXEC);
    int r = authors->fanotify < 0 || authors->stop < 0 ? -errno : 0;
    if (r == 0)
        r = -pthread_create(&authors->thread, NULL, run_authors, authors);
    authors->runs = r == 0;
    if (r < 0) {
        (void)change_authors_stop(authors);
        return r;
    }
    *ret_authors = authors;
    return 0;
}
