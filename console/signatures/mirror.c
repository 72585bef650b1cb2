/* Owns the folder of the mirror's files. Must not: give a file out under a name that its content
 * was not checked for. */
#include "console/signatures/mirror.h"

#include "common/crypto/hash.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/signature_file/signature_file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"
#include "console/people/audit.h"
#include "console/signatures/mirror_entry.h"
#include "console/signatures/mirror_memory.h"
#include "console/signatures/reserved_name.h"
#include "console/signatures/signature_set.h"
#include "console/store/console_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE   0600
#define FOLDER_MODE 0700
#define COPY_BYTES  65536
#define KEEP_NS     (24 * 3600 * NS_PER_SECOND) /* a file that is offered no more */
#define WORK_NS     (3600 * NS_PER_SECOND)      /* nobody works for so long in one folder */

struct taking {
    const struct mirror *mirror;
    const struct mirror_take *take;
    int folder_fd, mirror_fd, work_fd; /* what is taken, where it goes, where it is judged */
    char work[4096];                   /* path of the latter */
    struct mirror_entry entry, had;
    bool has_had, same, quiet; /* the mirror has one, of this content; nobody is told */
    char problem[SIGNATURE_PROBLEM_BYTES];
};

/* --- one file */

static bool is_wanted(const struct mirror_take *take, const char *name)
{
    enum signature_kind kind = signature_file_kind(name);
    return kind == SIGNATURE_SIGNED || signature_file_is_updated(name) ||
           (kind == SIGNATURE_UNSIGNED && take->unsigned_too);
}

static void free_hash(struct sha256 **hash)
{
    *hash = sha256_free(*hash);
}

/* One piece of it; ClamAV's own may name what it likes. */
static int look_at(struct taking *taking, struct reserved_name *reserved, const uint8_t *bytes,
                   size_t length)
{
    taking->entry.size += length;
    if (taking->entry.size > LIMIT_MIRROR_FILE_BYTES)
        return -EFBIG;
    if (signature_file_kind(taking->entry.name) != SIGNATURE_UNSIGNED ||
        !reserved_name_find(reserved, (const char *)bytes, length))
        return 0;
    reserved_name_tell(reserved, taking->problem, sizeof(taking->problem));
    return -EINVAL;
}

static int copy(struct taking *taking, int from, int to)
{
    CLEANUP(free_hash) struct sha256 *hash = NULL;
    AUTO_FREE uint8_t *bytes = malloc(COPY_BYTES);
    struct reserved_name reserved = RESERVED_NAME_INIT;
    uint8_t digest[SHA256_BYTES];
    int r = bytes ? sha256_new(&hash) : -ENOMEM;

    while (r == 0) {
        ssize_t length = file_read(from, bytes, COPY_BYTES);
        if (length <= 0) {
            r = (int)length;
            break;
        }
        r = look_at(taking, &reserved, bytes, (size_t)length);
        if (r == 0)
            r = sha256_update(hash, bytes, (size_t)length);
        if (r == 0)
            r = file_write(to, bytes, (size_t)length);
    }
    if (r == 0 && taking->entry.size == 0) {
        (void)text_copy(taking->problem, sizeof(taking->problem), "it is empty");
        r = -EBADMSG;
    }
    if (r == 0)
        r = sha256_finish(hash, digest);
    if (r == 0)
        text_hex(taking->entry.sha256, digest, sizeof(digest));
    return r;
}

static int read_head(struct taking *taking, int fd)
{
    struct signature_head head;

    if (signature_file_kind(taking->entry.name) == SIGNATURE_UNSIGNED)
        return 0;
    int r = signature_head_read_file(fd, &head);
    if (r == -EBADMSG)
        (void)text_copy(taking->problem, sizeof(taking->problem),
                        "it does not begin as ClamAV's databases do");
    if (r < 0)
        return r;
    if (head.version > INT64_MAX || head.built_s > INT64_MAX / 1000)
        return -EBADMSG;
    taking->entry.version = head.version;
    taking->entry.built_ms = head.built_s * 1000;
    return 0;
}

static int read_had(struct sql *sql, void *user)
{
    struct taking *taking = user;
    int r = mirror_entry_read(sql, taking->entry.name, &taking->had);
    taking->has_had = r == 1;
    return r < 0 ? r : 0;
}

static bool is_older(const struct taking *taking)
{
    return taking->has_had && taking->had.version > taking->entry.version;
}

/* Looks again: another node may have been faster. */
static int put_entry(struct sql *sql, void *user)
{
    struct taking *taking = user;
    struct audit_entry audit = {.actor = taking->take->actor,
                                .address = "",
                                .action = "mirror_file_taken",
                                .subject = taking->entry.name,
                                .detail = ""};
    char detail[128];
    int r = signature_set_hold(sql);
    if (r == 0)
        r = read_had(sql, taking);
    if (r == 0 && is_older(taking))
        r = -ESTALE;
    if (r == 0)
        r = mirror_entry_put(sql, &taking->entry);
    (void)text_format(detail, sizeof(detail), "{\"version\":%llu,\"source\":\"%s\"}",
                      (unsigned long long)taking->entry.version, taking->entry.source);
    audit.detail = detail;
    return r < 0 ? r : audit_append(sql, &audit);
}

static bool is_ending(const struct taking *taking)
{
    return taking->take->ending && taking->take->ending(taking->take->user);
}

static int judge(struct taking *taking)
{
    if (!taking->mirror->judge.program)
        return 0;
    int r;
    do { /* a person's list may be checked meanwhile */
        r = signature_judge_files(&taking->mirror->judge, taking->work, taking->problem);
        if (r == -EAGAIN && is_ending(taking))
            r = -ECANCELED;
        if (r == -EAGAIN)
            (void)usleep(200000);
    } while (r == -EAGAIN);
    if (r != -ENOENT)
        return r;
    log_warning("mirror_file_not_checked", "file", taking->entry.name, "problem",
                "there is no yagura-scanner", "now", "it is taken as it is: agents check it",
                "cure", "install yagura-scanner on this machine", "scanner",
                taking->mirror->judge.program, NULL);
    return 0;
}

/* With what the mirror has: 1 it must be taken, 0 it is there. */
static int compare(struct taking *taking)
{
    int r = console_store_read(taking->mirror->store, read_had, taking);
    if (r < 0)
        return r;
    taking->same = taking->has_had && text_equal(taking->had.sha256, taking->entry.sha256);
    if (taking->same)
        return faccessat(taking->mirror_fd, taking->entry.sha256, R_OK, 0) == 0 ? 0 : 1;
    return is_older(taking) ? -ESTALE : 1;
}

/* To its place, whole and on the disk, before anybody hears of it. */
static int place(struct taking *taking, int fd)
{
    int r = fsync(fd) < 0 ? -errno : 0;
    if (r == 0 &&
        renameat(taking->work_fd, taking->entry.name, taking->mirror_fd, taking->entry.sha256) < 0)
        r = -errno;
    if (r == 0)
        r = file_sync_directory(taking->mirror_fd);
    return r;
}

static int read_and_take(struct taking *taking, int from)
{
    AUTO_CLOSE int to = -1;

    int r = file_open_at(taking->work_fd, taking->entry.name, O_RDWR | O_CREAT | O_TRUNC, FILE_MODE,
                         &to);
    if (r == 0)
        r = copy(taking, from, to);
    if (r == 0)
        r = read_head(taking, to);
    if (r == 0)
        r = compare(taking);
    if (r != 1)
        return r;
    r = taking->same ? 0 : judge(taking); /* else this node, or a backup, has lost the file */
    if (r == 0)
        r = place(taking, to);
    if (r == 0 && !taking->same)
        r = console_store_write(taking->mirror->store, put_entry, taking);
    return r < 0 ? r : 1;
}

/* For what the file is. */
static bool is_refused(int result)
{
    return result == -EBADMSG || result == -EINVAL || result == -EFBIG;
}

/* 1 taken, 0 it is there already. */
static int take_file(struct taking *taking)
{
    struct mirror_memory *memory = taking->take->memory;
    AUTO_CLOSE int from = -1;
    struct stat status;

    int r = file_open_regular(taking->folder_fd, taking->entry.name, &from, &status);
    if (r < 0)
        return r;
    int known = memory ? mirror_memory_recall(memory, &status, &taking->entry) : 0;
    taking->quiet = known < 0;
    if (known != 0)
        r = known < 0 ? known : compare(taking);
    if (known == 0 || r == 1) {
        taking->entry.size = 0;
        r = read_and_take(taking, from);
    }
    if (memory && known == 0 && (r >= 0 || r == -ESTALE || is_refused(r)))
        mirror_memory_keep(memory, &status, &taking->entry, is_refused(r));
    return r;
}

static void tell(const struct taking *taking, int result)
{
    const struct mirror_outcome outcome = {.name = taking->entry.name,
                                           .result = result,
                                           .version = taking->entry.version,
                                           .problem = taking->problem};
    if (taking->take->told && !taking->quiet)
        taking->take->told(taking->take->user, &outcome);
}

static int take_one(struct taking *taking, const char *name)
{
    taking->entry = (struct mirror_entry){.version = 0};
    taking->problem[0] = '\0';
    taking->quiet = false;
    (void)text_copy(taking->entry.name, sizeof(taking->entry.name), name);
    (void)text_copy(taking->entry.source, sizeof(taking->entry.source), taking->take->source);
    int r = take_file(taking);
    (void)unlinkat(taking->work_fd, name, 0);
    if (r < 0 && !taking->problem[0])
        (void)text_copy(taking->problem, sizeof(taking->problem),
                        r == -ESTALE ? "it is older than what the mirror has"
                                     : strerrordesc_np(-r));
    tell(taking, r);
    return r;
}

/* --- all of them */

static void end_taking(struct taking *taking)
{
    char *slash = strrchr(taking->work, '/');
    if (slash && taking->mirror_fd >= 0)
        (void)!file_remove_tree(taking->mirror_fd, slash + 1);
    if (taking->folder_fd >= 0)
        (void)close(taking->folder_fd);
    if (taking->work_fd >= 0)
        (void)close(taking->work_fd);
    if (taking->mirror_fd >= 0)
        (void)close(taking->mirror_fd);
}

static int begin(struct taking *taking)
{
    const char *directory = taking->mirror->directory;
    int r = file_make_directories(directory, FOLDER_MODE);
    if (r == 0)
        r = file_open_directory(directory, true, &taking->mirror_fd);
    if (r == 0)
        r = file_open_following(taking->take->folder, O_RDONLY | O_DIRECTORY, 0,
                                &taking->folder_fd);
    if (r == 0)
        r = text_format(taking->work, sizeof(taking->work), "%s/take-XXXXXX", directory);
    if (r < 0)
        return r;
    if (!mkdtemp(taking->work)) {
        r = -errno;
        taking->work[0] = '\0';
        return r;
    }
    return file_open_directory(taking->work, true, &taking->work_fd);
}

int mirror_take(const struct mirror *mirror, const struct mirror_take *take, size_t *ret_taken)
{
    CLEANUP(end_taking)
    struct taking taking = {
        .mirror = mirror, .take = take, .folder_fd = -1, .mirror_fd = -1, .work_fd = -1};
    *ret_taken = 0;
    int r = begin(&taking);
    if (r < 0)
        return r;
    int own = -1;
    r = file_reopen(taking.folder_fd, O_RDONLY | O_DIRECTORY, &own);
    DIR *listing = r == 0 ? fdopendir(own) : NULL;
    if (!listing) {
        if (own >= 0)
            (void)close(own);
        return r < 0 ? r : -errno;
    }
    for (const struct dirent *entry; !is_ending(&taking) && (entry = readdir(listing)) != NULL;) {
        if (!is_wanted(take, entry->d_name))
            continue;
        int one = take_one(&taking, entry->d_name);
        *ret_taken += one == 1;
        if (one < 0 && one != -ESTALE && one != -ECANCELED && !is_refused(one))
            r = one;
    }
    (void)closedir(listing);
    return r;
}

struct sweep {
    const char *name;
    struct mirror_entry entry;
};

static int find_entry(struct sql *sql, void *user)
{
    struct sweep *sweep = user;
    return mirror_entry_find(sql, sweep->name, &sweep->entry);
}

/* Of ours, and of the judge's, whose scratch folder this is. */
static bool is_work_folder(const char *name)
{
    static const char *const begins[] = {"take-", "fetch-", "signatures-", "scanner-"};
    for (size_t i = 0; i < ARRAY_LENGTH(begins); i++)
        if (text_starts_with(name, begins[i]))
            return true;
    return false;
}

/* Also what a crash left behind: the names of its folders are no digests, and they are old. */
static void sweep_one(const struct mirror *mirror, int directory_fd, const char *name)
{
    struct sweep sweep = {.name = name};
    struct stat status;
    bool work = is_work_folder(name);
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        (uint64_t)status.st_ctim.tv_sec * NS_PER_SECOND + (work ? WORK_NS : KEEP_NS) >
            clock_realtime_ns())
        return;
    if (work)
        (void)!file_remove_tree(directory_fd, name);
    else if (wire_is_sha256(name) && console_store_read(mirror->store, find_entry, &sweep) == 0)
        (void)unlinkat(directory_fd, name, 0);
}

void mirror_sweep(const struct mirror *mirror)
{
    int fd = -1;
    if (file_open_directory(mirror->directory, true, &fd) < 0)
        return;
    DIR *listing = fdopendir(fd);
    if (!listing) {
        (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.')
            sweep_one(mirror, fd, entry->d_name);
    (void)closedir(listing);
}

int mirror_read(const char *directory, const char *sha256, uint64_t offset, size_t length,
                struct buffer *piece)
{
    AUTO_CLOSE int fd = -1;
    char path[4096];
    char *room;

    int r = text_format(path, sizeof(path), "%s/%s", directory, sha256);
    if (r < 0)
        return r;
    r = file_open_at(AT_FDCWD, path, O_RDONLY, 0, &fd);
    if (r < 0)
        return r;
    r = buffer_reserve(piece, length, &room);
    if (r < 0)
        return r;
    ssize_t got = file_read_at(fd, room, length, offset);
    if (got < 0)
        return (int)got;
    if ((size_t)got < length)
        return -EIO;
    buffer_commit(piece, length);
    return 0;
}
