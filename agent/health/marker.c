/* Owns: the name and content of a test file, and its descriptor-relative life. Nobody but root can
 * write into it, so a verdict about this inode is about our content. */
#include "agent/health/marker.h"

#include "common/crypto/random.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* In two parts, so that this program is not detected itself. Source: eicar.org. */
static const char *const eicar[] = {"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-",
                                    "ANTIVIRUS-TEST-FILE!$H+H*"};
static const char *const harmless[] = {
    "A test file of Yagura: it proves that this mount is watched ",
    "and scanned, and is removed at once.\n"};

int marker_init(struct marker *marker, const char *directory)
{
    uint64_t number;

    *marker = (struct marker){.directory_fd = -1, .held = -1};
    int r = random_bytes(&number, sizeof number);
    if (r < 0)
        return r;
    marker->directory = strdup(directory);
    marker->path =
        text_format_new("%s/" MARKER_PREFIX "%016llx", text_equal(directory, "/") ? "" : directory,
                        (unsigned long long)number);
    marker->place.directory = marker->directory;
    return marker->directory != NULL && marker->path != NULL ? 0 : -ENOMEM;
}

struct marker_hold marker_release(struct marker *marker)
{
    struct marker_hold hold = {.directory_fd = marker->directory_fd, .held = marker->held};

    marker->written = false;
    marker->directory_fd = marker->held = -1;
    return hold;
}

void marker_let_go(struct marker_hold hold)
{
    if (hold.held >= 0)
        (void)close(hold.held);
    if (hold.directory_fd >= 0)
        (void)close(hold.directory_fd);
}

void marker_done(struct marker *marker)
{
    marker_remove(marker);
    free(marker->directory);
    free(marker->path);
    *marker = (struct marker){.directory_fd = -1, .held = -1};
}

static const char *name_of(const struct marker *marker)
{
    return strrchr(marker->path, '/') + 1;
}

int marker_open(struct marker *marker)
{
    struct stat status;

    int r = file_open_directory(marker->directory, false, &marker->directory_fd);
    if (r < 0)
        return r;
    if (fstat(marker->directory_fd, &status) < 0)
        return -errno;
    marker->device = status.st_dev;
    return 0;
}

static bool is_file(const struct stat *status, uint64_t device, uint64_t inode)
{
    return status->st_dev == device && status->st_ino == inode;
}

static bool lies_there(int directory_fd, const char *name, uint64_t device, uint64_t inode)
{
    struct stat status;

    return fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           is_file(&status, device, inode);
}

static bool is_written_file(const struct marker *marker, const struct stat *status)
{
    return is_file(status, marker->device, marker->inode);
}

/* What can only be opened by name may be another's file by then. */
static int hold_file(struct marker *marker)
{
    struct stat status;

    int r = file_open_at(marker->directory_fd, name_of(marker), O_PATH, 0, &marker->held);
    if (r < 0)
        return r;
    if (fstat(marker->held, &status) < 0)
        return -errno;
    return is_written_file(marker, &status) ? 0 : -ESTALE;
}

int marker_create(struct marker *marker, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;

    int r =
        file_open_at(marker->directory_fd, name_of(marker), O_WRONLY | O_CREAT | O_EXCL, 0600, &fd);
    if (r < 0)
        return r;
    if (fstat(fd, &status) < 0) {
        r = -errno;
        (void)unlinkat(marker->directory_fd, name_of(marker), 0);
        return r;
    }
    marker->written = true;
    marker->device = status.st_dev;
    marker->inode = status.st_ino;
    r = hold_file(marker);
    if (r < 0) {
        marker_remove(marker);
        return r;
    }
    marker->written_ns = clock_monotonic_ns();
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int marker_fill(const struct marker *marker, int fd)
{
    const char *const *parts = marker->eicar ? eicar : harmless;
    AUTO_CLOSE int owned = fd;

    int r = file_write(owned, parts[0], strlen(parts[0]));
    return r < 0 ? r : file_write(owned, parts[1], strlen(parts[1]));
}

/* Needs no descriptor more: it must be gone also when there is none. */
void marker_unlink(const struct marker *marker)
{
    if (marker->written &&
        lies_there(marker->directory_fd, name_of(marker), marker->device, marker->inode))
        (void)unlinkat(marker->directory_fd, name_of(marker), 0);
}

void marker_remove(struct marker *marker)
{
    marker_unlink(marker);
    marker_let_go(marker_release(marker));
}

bool marker_is(const struct marker *marker, const char *path, size_t length)
{
    return strlen(marker->path) == length && memcmp(marker->path, path, length) == 0;
}

struct marker_sight marker_sight(const struct marker *marker)
{
    struct marker_sight sight = {.directory_fd = -1,
                                 .device = marker->device,
                                 .inode = marker->inode};

    if (marker->written && text_copy(sight.name, sizeof sight.name, name_of(marker)) == 0)
        sight.directory_fd = fcntl(marker->directory_fd, F_DUPFD_CLOEXEC, 0);
    sight.blocked = marker->written && sight.directory_fd < 0;
    return sight;
}

bool marker_lies_there(struct marker_sight sight)
{
    AUTO_CLOSE int directory_fd = sight.directory_fd;

    return directory_fd >= 0 && lies_there(directory_fd, sight.name, sight.device, sight.inode);
}

bool marker_has_inode(const struct marker *marker, const struct scan_own_verdict *scanned)
{
    return marker->inode != 0 && scanned->identity->device == marker->device &&
           scanned->identity->inode == marker->inode;
}

bool marker_is_nameless(const struct scan_own_verdict *scanned)
{
    struct stat status;

    return fstat(scanned->fd, &status) == 0 &&
           is_file(&status, scanned->identity->device, scanned->identity->inode) &&
           status.st_nlink == 0 && status.st_uid == geteuid() && (status.st_mode & 07777) == 0600;
}
