/* Owns a table of the mounts, read anew when the kernel says that they changed. Must not touch any
 * mount. */
#include "agent/scan/mount_classes.h"

#include "common/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

struct mount_classes {
    pthread_mutex_t lock;
    int fd; /* of mountinfo: polls ready when mounts changed */
    struct mounts *mounts;
};

static void read_again(struct mount_classes *classes)
{
    classes->mounts = mounts_free(classes->mounts);
    /* On a failure all is remote until the next try. */
    (void)!mounts_read(classes->fd, &classes->mounts);
}

enum mount_class mount_class_of_id(struct mount_classes *classes, uint64_t mount_id)
{
    enum mount_class class = MOUNT_REMOTE;
    struct pollfd change = {.fd = classes->fd, .events = POLLPRI};

    (void)pthread_mutex_lock(&classes->lock);
    if (classes->mounts == NULL || poll(&change, 1, 0) != 0)
        read_again(classes);
    for (size_t i = 0; classes->mounts != NULL && i < classes->mounts->count; i++)
        if (classes->mounts->entries[i].id == mount_id) {
            class = classes->mounts->entries[i].class;
            break;
        }
    (void)pthread_mutex_unlock(&classes->lock);
    return class;
}

int mount_class_of(struct mount_classes *classes, int directory_fd, const char *name,
                   enum mount_class *ret_class, struct statx *ret_status)
{
    struct statx status;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC |
                (name[0] == '\0' ? AT_EMPTY_PATH : 0);

    if (statx(directory_fd, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &status) < 0)
        return -errno;
    bool told = (status.stx_mask & STATX_MNT_ID) != 0;
    *ret_class = told ? mount_class_of_id(classes, status.stx_mnt_id) : MOUNT_REMOTE;
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

int mount_classes_new(struct mount_classes **ret_classes)
{
    struct mount_classes *classes = calloc(1, sizeof *classes);
    if (classes == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&classes->lock, NULL);
    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &classes->fd);
    if (r < 0) {
        (void)pthread_mutex_destroy(&classes->lock);
        free(classes);
        return r;
    }
    *ret_classes = classes;
    return 0;
}

struct mount_classes *mount_classes_free(struct mount_classes *classes)
{
    if (classes == NULL)
        return NULL;
    (void)close(classes->fd);
    mounts_free(classes->mounts);
    (void)pthread_mutex_destroy(&classes->lock);
    free(classes);
    return NULL;
}
