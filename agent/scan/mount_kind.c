/* Owns a table of mount ids and their kinds, read anew when the kernel says that mounts changed.
 * Must not touch any mount. */
#include "agent/scan/mount_kind.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

enum { MOUNTINFO_BYTES = 16 * 1024 * 1024 };

struct mount {
    uint64_t id;
    enum mount_kind kind;
};

struct mount_kinds {
    pthread_mutex_t lock;
    int fd; /* of mountinfo: polls ready when mounts changed */
    struct mount *mounts;
    size_t count, capacity;
    bool valid;
};

static const char *const pseudo_types[] = {
    "autofs",  "binfmt_misc", "bpf",      "cgroup",     "cgroup2",    "configfs",
    "debugfs", "devpts",      "efivarfs", "fusectl",    "hugetlbfs",  "mqueue",
    "nsfs",    "proc",        "pstore",   "rpc_pipefs", "securityfs", "selinuxfs",
    "smackfs", "sysfs",       "tracefs",  "resctrl",    "nfsd",
};

static const char *const local_types[] = {
    "bcachefs", "btrfs", "cramfs",  "devtmpfs", "erofs",    "exfat",  "ext2",     "ext3",
    "ext4",     "f2fs",  "hfs",     "hfsplus",  "iso9660",  "jfs",    "minix",    "msdos",
    "nilfs2",   "ntfs3", "overlay", "ramfs",    "reiserfs", "rootfs", "squashfs", "tmpfs",
    "udf",      "ufs",   "vfat",    "xfs",      "zfs",
};

static bool is_in(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

enum mount_kind mount_kind_of_type(const char *type)
{
    if (is_in(pseudo_types, ARRAY_LENGTH(pseudo_types), type))
        return MOUNT_PSEUDO;
    return is_in(local_types, ARRAY_LENGTH(local_types), type) ? MOUNT_LOCAL : MOUNT_REMOTE;
}

static int add_mount(struct mount_kinds *kinds, uint64_t id, enum mount_kind kind)
{
    if (kinds->count == kinds->capacity) {
        size_t capacity = MAX(kinds->capacity * 2, (size_t)64);
        struct mount *mounts = reallocarray(kinds->mounts, capacity, sizeof *mounts);
        if (mounts == NULL)
            return -ENOMEM;
        kinds->mounts = mounts;
        kinds->capacity = capacity;
    }
    kinds->mounts[kinds->count++] = (struct mount){.id = id, .kind = kind};
    return 0;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw" */
static int add_line(struct mount_kinds *kinds, char *line)
{
    char *id_end = strchr(line, ' ');
    char *type = strstr(line, " - ");
    uint64_t id;

    if (id_end == NULL || type == NULL)
        return 0;
    *id_end = '\0';
    type += 3;
    char *type_end = strchr(type, ' ');
    if (type_end != NULL)
        *type_end = '\0';
    if (text_parse_u64(line, &id) < 0)
        return 0;
    return add_mount(kinds, id, mount_kind_of_type(type));
}

static int read_mounts(struct mount_kinds *kinds)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOUNTINFO_BYTES);

    kinds->count = 0;
    if (lseek(kinds->fd, 0, SEEK_SET) < 0)
        return -errno;
    int r = file_read_all_fd(kinds->fd, &text);
    for (char *line = text.data, *end; r == 0 && line != NULL && *line != '\0'; line = end) {
        end = strchrnul(line, '\n');
        if (*end == '\n')
            *end++ = '\0';
        r = add_line(kinds, line);
    }
    return r;
}

enum mount_kind mount_kind_of_id(struct mount_kinds *kinds, uint64_t mount_id)
{
    enum mount_kind kind = MOUNT_REMOTE;
    struct pollfd change = {.fd = kinds->fd, .events = POLLPRI};

    (void)pthread_mutex_lock(&kinds->lock);
    if (!kinds->valid || poll(&change, 1, 0) != 0)
        kinds->valid = read_mounts(kinds) == 0;
    for (size_t i = 0; i < kinds->count; i++)
        if (kinds->mounts[i].id == mount_id) {
            kind = kinds->mounts[i].kind;
            break;
        }
    (void)pthread_mutex_unlock(&kinds->lock);
    return kind;
}

int mount_kind_of(struct mount_kinds *kinds, int directory_fd, const char *name,
                  enum mount_kind *ret_kind, struct statx *ret_status)
{
    struct statx status;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC |
                (name[0] == '\0' ? AT_EMPTY_PATH : 0);

    if (statx(directory_fd, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &status) < 0)
        return -errno;
    *ret_kind = (status.stx_mask & STATX_MNT_ID) != 0 ? mount_kind_of_id(kinds, status.stx_mnt_id)
                                                      : MOUNT_REMOTE;
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

int mount_kinds_new(struct mount_kinds **ret_kinds)
{
    struct mount_kinds *kinds = calloc(1, sizeof *kinds);
    if (kinds == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&kinds->lock, NULL);
    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &kinds->fd);
    if (r < 0) {
        (void)pthread_mutex_destroy(&kinds->lock);
        free(kinds);
        return r;
    }
    *ret_kinds = kinds;
    return 0;
}

struct mount_kinds *mount_kinds_free(struct mount_kinds *kinds)
{
    if (kinds == NULL)
        return NULL;
    (void)close(kinds->fd);
    free(kinds->mounts);
    (void)pthread_mutex_destroy(&kinds->lock);
    free(kinds);
    return NULL;
}
