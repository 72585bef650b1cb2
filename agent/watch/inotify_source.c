/* Owns: the inotify instance, its read buffer, the translation of its records. Must not own: what a
 * watch descriptor stands for (tree.c). Hands off: records in kernel order.
 *
 * No IN_EXCL_UNLINK: with it, a file made by O_TMPFILE and linkat never tells its close. No
 * IN_MODIFY: the close tells it, and a busy writer would fill the queue. No IN_MASK_CREATE: adding
 * a directory again must succeed and give the same descriptor. No IN_OPEN, IN_ACCESS or
 * IN_CLOSE_NOWRITE: our own reads would tell themselves.
 *
 * The marker of watch_source_mark() is an inotify watch on a memfd that is removed: the kernel
 * queues IN_IGNORED with its descriptor, which is never used again soon, behind all that happened
 * before. One instance has one queue, so one marker covers every mount; it needs no file, works
 * when all disks are full or read-only, and cannot be forged. The watch of the next marker is held
 * in advance, so that markers work at the kernel's limit of watches, too. */
#include "agent/watch/watch_source.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/mman.h>

#include "common/files/file.h"

#define READ_BYTES ((size_t)262144)
/* Less room than this was left: a record may have been held back. */
#define RECORD_BYTES_MAXIMUM (sizeof(struct inotify_event) + 256)

#define ANCHOR_MASK \
    (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)
#define FULL_MASK (ANCHOR_MASK | IN_CLOSE_WRITE | IN_ATTRIB)

struct watch_source {
    int fd;
    int marker_fd;      /* a memfd */
    int32_t marker_key; /* its watch; -1: none */
    size_t length;      /* bytes of the last read */
    size_t offset;      /* of the next record */
    char *bytes;        /* READ_BYTES */
};

static int add_watch(struct watch_source *source, int fd, uint32_t mask, int32_t *ret_key)
{
    char link[FILE_LINK_BYTES];

    file_link_of(fd, link);
    int wd = inotify_add_watch(source->fd, link, mask);
    if (wd < 0)
        return -errno;
    *ret_key = wd;
    return 0;
}

static int hold_marker(struct watch_source *source)
{
    if (source->marker_key >= 0)
        return 0;
    return add_watch(source, source->marker_fd, IN_ATTRIB, &source->marker_key);
}

int watch_source_open(struct watch_source **ret_source)
{
    struct watch_source *source = calloc(1, sizeof(*source));
    int r;

    if (source == NULL)
        return -ENOMEM;
    source->marker_fd = source->marker_key = -1;
    source->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (source->fd >= 0)
        source->marker_fd = memfd_create("watch-marker", MFD_CLOEXEC);
    if (source->marker_fd < 0) {
        r = -errno;
        (void)watch_source_close(source);
        return r;
    }
    source->bytes = malloc(READ_BYTES);
    if (source->bytes == NULL) {
        (void)watch_source_close(source);
        return -ENOMEM;
    }
    (void)hold_marker(source);
    *ret_source = source;
    return 0;
}

struct watch_source *watch_source_close(struct watch_source *source)
{
    if (source == NULL)
        return NULL;
    if (source->marker_fd >= 0)
        (void)close(source->marker_fd);
    if (source->fd >= 0)
        (void)close(source->fd);
    free(source->bytes);
    free(source);
    return NULL;
}

int watch_source_fd(const struct watch_source *source)
{
    return source->fd;
}

int watch_source_add(struct watch_source *source, int directory_fd, enum watch_depth depth,
                     int32_t *ret_key)
{
    /* IN_MASK_ADD: an anchor may be the same directory as a full watch under another path. */
    uint32_t mask = depth == WATCH_DEPTH_FULL ? FULL_MASK : ANCHOR_MASK | IN_MASK_ADD;

    return add_watch(source, directory_fd, mask | IN_ONLYDIR, ret_key);
}

void watch_source_remove(struct watch_source *source, int32_t key)
{
    /* EINVAL: the kernel was first, its IN_IGNORED is on the way. */
    (void)inotify_rm_watch(source->fd, key);
}

int watch_source_mark(struct watch_source *source, int32_t *ret_key)
{
    int r = hold_marker(source);
    if (r < 0)
        return r;
    if (inotify_rm_watch(source->fd, source->marker_key) < 0)
        return -errno;
    *ret_key = source->marker_key;
    source->marker_key = -1;
    (void)hold_marker(source); /* or at the next call */
    return 0;
}

int watch_source_read(struct watch_source *source, bool *ret_drained)
{
    ssize_t n;

    source->length = source->offset = 0;
    do {
        n = read(source->fd, source->bytes, READ_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    source->length = (size_t)n;
    *ret_drained = source->length + RECORD_BYTES_MAXIMUM <= READ_BYTES;
    return 0;
}

bool watch_source_next(struct watch_source *source, struct watch_record *ret_record)
{
    return inotify_record_parse(source->bytes, source->length, &source->offset, ret_record);
}

static uint32_t translate(uint32_t mask)
{
    static const struct {
        uint32_t bit;
        uint32_t what;
    } table[] = {
        {IN_CREATE, RECORD_CREATED},           {IN_CLOSE_WRITE, RECORD_WRITTEN},
        {IN_MOVED_FROM, RECORD_MOVED_FROM},    {IN_MOVED_TO, RECORD_MOVED_TO},
        {IN_DELETE, RECORD_DELETED},           {IN_ATTRIB, RECORD_ATTRIBUTES},
        {IN_DELETE_SELF, RECORD_SELF_DELETED}, {IN_MOVE_SELF, RECORD_SELF_MOVED},
        {IN_UNMOUNT, RECORD_UNMOUNTED},        {IN_IGNORED, RECORD_IGNORED},
        {IN_Q_OVERFLOW, RECORD_OVERFLOW},      {IN_ISDIR, RECORD_DIRECTORY},
    };
    uint32_t what = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if ((mask & table[i].bit) != 0)
            what |= table[i].what;
    }
    return what;
}

bool inotify_record_parse(const char *bytes, size_t length, size_t *offset,
                          struct watch_record *ret_record)
{
    struct inotify_event event;
    size_t left = length - *offset;

    if (*offset > length || left < sizeof(event))
        return false;
    memcpy(&event, bytes + *offset, sizeof(event));
    if (event.len > left - sizeof(event))
        return false;
    *ret_record = (struct watch_record){
        .key = event.wd,
        .what = translate(event.mask),
        .cookie = event.cookie,
        .pid = 0,
        .name = bytes + *offset + sizeof(event),
        .name_length = strnlen(bytes + *offset + sizeof(event), event.len),
    };
    *offset += sizeof(event) + event.len;
    return true;
}
