/* Owns: reading and comparing mount tables, and which file systems are watched. Must not own: what
 * is done about a change (mount_changes in walk.c). */
#include "agent/watch/mounts.h"

#include <errno.h>
#include <sys/sysmacros.h>

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#define MOUNTINFO_BYTES_MAXIMUM ((size_t)64 * 1024 * 1024)

enum mount_class mount_classify(const char *type)
{
    static const char *const pseudo[] = {
        "autofs",     "binder",    "binfmt_misc", "bpf",      "cgroup",     "cgroup2", "configfs",
        "debugfs",    "devpts",    "devtmpfs",    "efivarfs", "functionfs", "fusectl", "hugetlbfs",
        "mqueue",     "nfsd",      "nsfs",        "proc",     "pstore",     "resctrl", "rpc_pipefs",
        "securityfs", "selinuxfs", "smackfs",     "sysfs",    "tracefs",
    };
    static const char *const remote[] = {
        "9p",       "afs",    "beegfs", "ceph",   "cifs",   "coda",     "davfs",  "fuse",
        "fuseblk",  "gfs2",   "gpfs",   "lustre", "ncpfs",  "nfs",      "nfs4",   "ocfs2",
        "orangefs", "prl_fs", "smb3",   "smbfs",  "vboxsf", "virtiofs", "vmhgfs",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(pseudo); i++) {
        if (text_equal(type, pseudo[i]))
            return MOUNT_PSEUDO;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(remote); i++) {
        if (text_equal(type, remote[i]))
            return MOUNT_REMOTE;
    }
    return text_starts_with(type, "fuse.") ? MOUNT_REMOTE : MOUNT_LOCAL;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Three octal digits of one byte that may stand in a path: no NUL. */
static bool is_escape(const char *text)
{
    return text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && is_octal(text[2]) &&
           is_octal(text[3]) && memcmp(text + 1, "000", 3) != 0;
}

/* "\040" and the like, in place. */
static size_t undo_escapes(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        if (is_escape(from)) {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* "98:0" */
static uint64_t device_of(char *text)
{
    uint64_t major_number, minor_number;
    char *minor_text = strchr(text, ':');

    if (minor_text == NULL)
        return 0;
    *minor_text++ = '\0';
    if (text_parse_u64(text, &major_number) < 0 || text_parse_u64(minor_text, &minor_number) < 0)
        return 0;
    return makedev((unsigned)major_number, (unsigned)minor_number);
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw" */
static int parse_line(char *line, struct mount_entry *ret_entry)
{
    enum { FIELD_ID = 0, FIELD_DEVICE = 2, FIELD_PATH = 4, FIELD_OPTIONAL = 6, FIELD_LIMIT = 64 };
    char *fields[FIELD_LIMIT];
    size_t count = 0;
    size_t type = 0;

    for (char *rest = line; rest != NULL && count < FIELD_LIMIT;) {
        fields[count] = strsep(&rest, " ");
        if (count >= FIELD_OPTIONAL && type == 0 && text_equal(fields[count], "-"))
            type = count + 1;
        count++;
    }
    if (type == 0 || type >= count || fields[FIELD_PATH][0] != '/')
        return -EINVAL;
    int r = text_parse_u64(fields[FIELD_ID], &ret_entry->id);
    if (r < 0)
        return r;
    ret_entry->device = device_of(fields[FIELD_DEVICE]);
    ret_entry->path_length = undo_escapes(fields[FIELD_PATH]);
    ret_entry->path = strdup(fields[FIELD_PATH]);
    ret_entry->type = strdup(fields[type]);
    ret_entry->told = false;
    if (ret_entry->path == NULL || ret_entry->type == NULL) {
        free(ret_entry->path);
        free(ret_entry->type);
        return -ENOMEM;
    }
    ret_entry->class = mount_classify(ret_entry->type);
    return 0;
}

static int compare_paths(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, MIN(a_length, b_length));

    if (order != 0)
        return order;
    return a_length < b_length ? -1 : a_length > b_length;
}

/* Ids are used again, so they say nothing about age: the kernel lists a covered mount first. */
static int compare_entries(const void *first, const void *second)
{
    const struct mount_entry *a = first;
    const struct mount_entry *b = second;
    int order = compare_paths(a->path, a->path_length, b->path, b->path_length);

    if (order != 0)
        return order;
    return a->line < b->line ? -1 : a->line > b->line;
}

int mounts_parse(char *text, struct mounts **ret_mounts)
{
    struct mounts *mounts = calloc(1, sizeof(*mounts));
    size_t capacity = 0;
    size_t line_number = 0;

    if (mounts == NULL)
        return -ENOMEM;
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        if (mounts->count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct mount_entry *entries = realloc(mounts->entries, capacity * sizeof(*entries));
            if (entries == NULL) {
                (void)mounts_free(mounts);
                return -ENOMEM;
            }
            mounts->entries = entries;
        }
        int r = parse_line(line, &mounts->entries[mounts->count]);
        if (r == -ENOMEM) {
            (void)mounts_free(mounts);
            return r;
        }
        mounts->entries[mounts->count].line = line_number++;
        mounts->count += r == 0;
    }
    qsort(mounts->entries, mounts->count, sizeof(*mounts->entries), compare_entries);
    *ret_mounts = mounts;
    return 0;
}

int mounts_read(int fd, struct mounts **ret_mounts)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOUNTINFO_BYTES_MAXIMUM);

    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    int r = file_read_all_fd(fd, &text);
    if (r < 0)
        return r;
    if (text.data == NULL)
        return -EIO;
    return mounts_parse(text.data, ret_mounts);
}

struct mounts *mounts_free(struct mounts *mounts)
{
    if (mounts == NULL)
        return NULL;
    for (size_t i = 0; i < mounts->count; i++) {
        free(mounts->entries[i].path);
        free(mounts->entries[i].type);
    }
    free(mounts->entries);
    free(mounts);
    return NULL;
}

/* Position behind the last entry of path, or where it would stand. */
static size_t position_behind(const struct mounts *mounts, const char *path, size_t length)
{
    size_t low = 0, high = mounts->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mount_entry *entry = &mounts->entries[middle];

        if (compare_paths(entry->path, entry->path_length, path, length) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct mount_entry *mounts_at(const struct mounts *mounts, const char *path, size_t length)
{
    size_t position = position_behind(mounts, path, length);
    struct mount_entry *entry;

    if (position == 0)
        return NULL;
    entry = &mounts->entries[position - 1];
    return entry->path_length == length && memcmp(entry->path, path, length) == 0 ? entry : NULL;
}

struct mount_entry *mounts_covering(const struct mounts *mounts, const char *path, size_t length)
{
    while (length > 1) {
        struct mount_entry *entry = mounts_at(mounts, path, length);

        if (entry != NULL)
            return entry;
        while (length > 1 && path[length - 1] != '/')
            length--;
        if (length > 1)
            length--;
    }
    return mounts_at(mounts, "/", 1);
}

/* Number of entries with the path of the entry at position. */
static size_t group_size(const struct mounts *mounts, size_t position)
{
    size_t size = 1;

    while (position + size < mounts->count &&
           text_equal(mounts->entries[position].path, mounts->entries[position + size].path))
        size++;
    return size;
}

/* Nothing was mounted or unmounted at the path of these two groups; hands on the told marks. */
static bool same_group(const struct mount_entry *old, size_t old_size, struct mount_entry *new,
                       size_t new_size)
{
    if (old_size != new_size)
        return false;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].id != new[i].id || !text_equal(old[i].type, new[i].type))
            return false;
    }
    for (size_t i = 0; i < old_size; i++)
        new[i].told = old[i].told;
    return true;
}

void mounts_compare(const struct mounts *before, const struct mounts *after,
                    void (*changed)(void *user, const char *path, size_t length), void *user)
{
    size_t b = 0, a = 0;

    while (b < before->count || a < after->count) {
        struct mount_entry *old = b < before->count ? &before->entries[b] : NULL;
        struct mount_entry *new = a < after->count ? &after->entries[a] : NULL;
        int order = old == NULL ? 1
                    : new == NULL
                        ? -1
                        : compare_paths(old->path, old->path_length, new->path, new->path_length);
        size_t old_size = order <= 0 ? group_size(before, b) : 0;
        size_t new_size = order >= 0 ? group_size(after, a) : 0;
        const struct mount_entry *entry = order <= 0 ? old : new;

        if (order != 0 || !same_group(old, old_size, new, new_size))
            /* One of the two is there. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
            changed(user, entry->path, entry->path_length);
        b += old_size;
        a += new_size;
    }
}
