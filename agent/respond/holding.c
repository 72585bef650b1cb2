/* Owns: the directories that files are moved into, one a mount. Must not own: which file, what
 * becomes of it, the intent that must be committed before. */
#include "agent/respond/holding.h"

#include "common/buffers/buffer.h"
#include "common/crypto/random.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MOUNTS_BYTES    (16 * 1024 * 1024)
#define RETURNED_SUFFIX ".yagura-returned-"

struct holding {
    struct holding *next;
    uint64_t mount;
    char *path;
};

struct holdings {
    char *state_path; /* STATE/moved */
    char *state_directory;
    char name[sizeof(HOLDING_PREFIX) + HOLDING_HOST_BYTES];
    pthread_mutex_t mutex;
    struct holding *list; /* grows only; paths stay valid */
};

/* A mount's identity: its id where the kernel tells it (5.8), otherwise the device, which is wrong
 * only for bind mounts, where the rename then says EXDEV. */
static int mount_of(int fd, uint64_t *ret_mount)
{
    struct statx facts;

    if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID | STATX_INO, &facts) < 0)
        return -errno;
    if (facts.stx_mask & STATX_MNT_ID)
        *ret_mount = facts.stx_mnt_id;
    else
        *ret_mount = ((uint64_t)facts.stx_dev_major << 32) | facts.stx_dev_minor;
    return 0;
}

static int open_ours(int parent_fd, const char *path, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;
    int r;

    r = file_open_at(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, &fd);
    if (r < 0)
        return r;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return -EPERM;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int holdings_open(const char *path, int *ret_fd)
{
    return open_ours(AT_FDCWD, path, ret_fd);
}

/* Makes it when it is missing; no part of path may be a link that somebody put there. The mount
 * must be the one it is meant for: something may be mounted over the place that the path names. */
static int make_directory(const char *path, uint64_t mount, int *ret_fd)
{
    const char *name = strrchr(path, '/') + 1;
    AUTO_FREE char *parent = strndup(path, MAX((size_t)(name - path), 2) - 1);
    AUTO_CLOSE int parent_fd = -1, fd = -1;
    uint64_t found;
    int r;

    if (!parent)
        return -ENOMEM;
    r = file_open_directory(parent, false, &parent_fd);
    if (r < 0)
        return r;
    if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    r = open_ours(parent_fd, name, &fd);
    if (r < 0)
        return r;
    r = mount_of(fd, &found);
    if (r < 0)
        return r;
    if (found != mount)
        return -EXDEV;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The name is taken by what is not ours: a directory of another user, a file, a link. */
static bool is_occupied(int error)
{
    return error == -EPERM || error == -ENOTDIR || error == -ELOOP || error == -EXDEV;
}

/* Whoever may write where our directory stands can take its name before us, to keep his files. What
 * nobody can guess, nobody can take. On success *path is where it is. */
static int make_somewhere(char **path, uint64_t mount, int *ret_fd)
{
    AUTO_FREE char *other = NULL;
    uint8_t bytes[8];
    char suffix[2 * sizeof(bytes) + 1];
    int r;

    r = make_directory(*path, mount, ret_fd);
    if (!is_occupied(r))
        return r;
    r = random_bytes(bytes, sizeof(bytes));
    if (r < 0)
        return r;
    text_hex(suffix, bytes, sizeof(bytes));
    other = text_format_new("%s-%s", *path, suffix);
    if (!other)
        return -ENOMEM;
    r = make_directory(other, mount, ret_fd);
    if (r == 0) {
        free(*path);
        *path = TAKE_POINTER(other);
    }
    return r;
}

struct holdings *holdings_free(struct holdings *holdings)
{
    if (!holdings)
        return NULL;
    while (holdings->list) {
        struct holding *holding = holdings->list;

        holdings->list = holding->next;
        free(holding->path);
        free(holding);
    }
    pthread_mutex_destroy(&holdings->mutex);
    free(holdings->state_path);
    free(holdings->state_directory);
    free(holdings);
    return NULL;
}

/* Takes path over; NULL when out of memory. With mutex. */
static struct holding *remember(struct holdings *holdings, uint64_t mount, char *path)
{
    struct holding *holding = malloc(sizeof(*holding));

    if (!holding || !path) {
        free(holding);
        free(path);
        return NULL;
    }
    *holding = (struct holding){holdings->list, mount, path};
    holdings->list = holding;
    return holding;
}

static int open_state(struct holdings *holdings)
{
    AUTO_CLOSE int state_fd = -1, fd = -1;
    uint64_t mount;
    int r;

    r = file_open_directory(holdings->state_directory, false, &state_fd);
    if (r < 0)
        return r;
    r = mount_of(state_fd, &mount);
    if (r < 0)
        return r;
    r = make_directory(holdings->state_path, mount, &fd);
    if (r < 0)
        return r;
    return remember(holdings, mount, strdup(holdings->state_path)) ? 0 : -ENOMEM;
}

int holdings_new(const char *state_directory, const char *host, struct holdings **ret_holdings)
{
    struct holdings *holdings = calloc(1, sizeof(*holdings));
    int r;

    if (!holdings)
        return -ENOMEM;
    pthread_mutex_init(&holdings->mutex, NULL);
    holdings->state_directory = strdup(state_directory);
    holdings->state_path = text_format_new("%s/moved", state_directory);
    r = text_format(holdings->name, sizeof(holdings->name), HOLDING_PREFIX "%s", host);
    if (r >= 0)
        r = holdings->state_directory && holdings->state_path ? 0 : -ENOMEM;
    if (r == 0)
        r = open_state(holdings);
    if (r < 0) {
        holdings_free(holdings);
        return r;
    }
    *ret_holdings = holdings;
    return 0;
}

/* ---- mountinfo (proc(5)): id parent major:minor root MOUNT-POINT ... ---- */

/* Octal escapes of blanks and backslashes, in place. */
static void decode_octal(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to++ = (char)(((from[1] - '0') << 6) | ((from[2] - '0') << 3) | (from[3] - '0'));
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* The next blank-separated word of *line. */
static char *next_word(char **line)
{
    char *word = *line, *end;

    if (!word)
        return NULL;
    end = strchr(word, ' ');
    if (end)
        *end++ = '\0';
    *line = end;
    return word;
}

static int each_mount(bool (*visit)(void *user, uint64_t mount, const char *point), void *user)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOUNTS_BYTES);
    char *line, *next;
    int r;

    r = file_read_all("/proc/self/mountinfo", &text);
    if (r < 0)
        return r;
    for (line = text.data; line && *line; line = next) {
        char *id, *point = NULL;
        uint64_t mount;

        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        id = next_word(&line);
        for (int i = 0; i < 4; i++)
            point = next_word(&line);
        if (!point || text_parse_u64(id, &mount) < 0)
            continue;
        decode_octal(point);
        if (visit(user, mount, point))
            return 0;
        if (!next)
            break;
    }
    return 0;
}

struct search {
    uint64_t mount;
    char *point;
};

static bool match_mount(void *user, uint64_t mount, const char *point)
{
    struct search *search = user;

    if (mount != search->mount)
        return false;
    search->point = strdup(point);
    return true;
}

static char *join(const char *directory, const char *name)
{
    return text_format_new("%s%s%s", directory, text_ends_with(directory, "/") ? "" : "/", name);
}

/* The next directory from point down to path: point itself first, then one component more each
 * time. *length is where it ends; false at the end. */
static bool next_ancestor(const char *path, size_t *length)
{
    size_t end = *length;

    while (path[end] == '/')
        end++;
    if (path[end] == '\0')
        return false;
    end += strcspn(path + end, "/");
    *length = end;
    return true;
}

/* Tries the mount's root, then every directory on the way to the file. The first error is the one
 * that says most: a read-only mount stays read-only further down. */
static int make_on_mount(struct holdings *holdings, const char *point, const char *parent_path,
                         uint64_t mount, int *ret_fd, char **ret_path)
{
    size_t length = strlen(point);
    AUTO_FREE char *path = join(point, holdings->name);
    int first, r;

    if (!path)
        return -ENOMEM;
    first = r = make_somewhere(&path, mount, ret_fd);
    if (r < 0 && r != -EROFS && text_starts_with(parent_path, point)) {
        while (r < 0 && next_ancestor(parent_path, &length)) {
            AUTO_FREE char *ancestor = strndup(parent_path, length);

            free(path);
            path = ancestor ? join(ancestor, holdings->name) : NULL;
            if (!path)
                return -ENOMEM;
            r = make_somewhere(&path, mount, ret_fd);
        }
    }
    if (r < 0)
        return first;
    *ret_path = TAKE_POINTER(path);
    return 0;
}

static int find_new(struct holdings *holdings, uint64_t mount, const char *parent_path, int *ret_fd,
                    const char **ret_path)
{
    struct search search = {.mount = mount};
    struct holding *holding;
    AUTO_CLOSE int fd = -1;
    char *path;
    int r;

    r = each_mount(match_mount, &search);
    if (r < 0)
        return r;
    if (!search.point)
        search.point = strdup(parent_path);
    if (!search.point)
        return -ENOMEM;
    r = make_on_mount(holdings, search.point, parent_path, mount, &fd, &path);
    free(search.point);
    if (r < 0)
        return r;
    pthread_mutex_lock(&holdings->mutex);
    holding = remember(holdings, mount, path);
    pthread_mutex_unlock(&holdings->mutex);
    if (!holding)
        return -ENOMEM;
    *ret_fd = TAKE_FD(fd);
    *ret_path = holding->path;
    return 0;
}

int holdings_find(struct holdings *holdings, int parent_fd, const char *parent_path, int *ret_fd,
                  const char **ret_path)
{
    const char *known = NULL;
    AUTO_CLOSE int fd = -1;
    uint64_t mount;
    int r;

    r = mount_of(parent_fd, &mount);
    if (r < 0)
        return r;
    pthread_mutex_lock(&holdings->mutex);
    for (struct holding *holding = holdings->list; holding && !known; holding = holding->next)
        if (holding->mount == mount)
            known = holding->path;
    pthread_mutex_unlock(&holdings->mutex);
    /* Mount ids are used again after an unmount, so what is known must prove itself. */
    if (known && make_directory(known, mount, &fd) == 0) {
        *ret_fd = TAKE_FD(fd);
        *ret_path = known;
        return 0;
    }
    return find_new(holdings, mount, parent_path, ret_fd, ret_path);
}

/* Does a part of path that begins here name a directory of ours? Anybody can make one of that name;
 * only what nobody else can enter is ours. */
static bool is_ours(const struct holdings *holdings, const char *path, const char *part)
{
    const char *end = part + strlen(holdings->name);
    AUTO_FREE char *directory = NULL;
    AUTO_CLOSE int fd = -1;

    if (*end == '-')
        end += 1 + strspn(end + 1, "0123456789abcdef");
    if (*end != '/' || part == path || part[-1] != '/')
        return false;
    directory = strndup(path, (size_t)(end - path));
    return directory && holdings_open(directory, &fd) == 0;
}

bool holdings_contain(const struct holdings *holdings, const char *path)
{
    size_t state_length = strlen(holdings->state_directory);

    if (text_starts_with(path, holdings->state_directory) && path[state_length] == '/')
        return true;
    for (const char *part = strstr(path, holdings->name); part;
         part = strstr(part + 1, holdings->name))
        if (is_ours(holdings, path, part))
            return true;
    return false;
}

struct visit {
    const struct holdings *holdings;
    void (*visit)(void *user, const char *path);
    void *user;
};

static bool visit_place(void *user, uint64_t mount UNUSED, const char *point)
{
    struct visit *visit = user;
    AUTO_FREE char *path = join(point, visit->holdings->name);

    if (path)
        visit->visit(visit->user, path);
    return false;
}

int holdings_each_place(const struct holdings *holdings,
                        void (*visit)(void *user, const char *path), void *user)
{
    struct visit each = {holdings, visit, user};

    visit(user, holdings->state_path);
    return each_mount(visit_place, &each);
}

int holding_take(int parent_fd, const char *name, int holding_fd, const char *id)
{
    if (renameat2(parent_fd, name, holding_fd, id, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* A file system without RENAME_NOREPLACE: nobody else writes into our directory. */
    return renameat(parent_fd, name, holding_fd, id) < 0 ? -errno : 0;
}

/* link + unlink never overwrites either, where renameat2 cannot promise it. */
static int move_without_overwriting(int from_fd, const char *from, int to_fd, const char *to)
{
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    if (linkat(from_fd, from, to_fd, to, 0) < 0)
        return -errno;
    return unlinkat(from_fd, from, 0) < 0 ? -errno : 0;
}

int holding_give_back(int holding_fd, const char *id, int parent_fd, const char *name,
                      char ret_name[static 256])
{
    int r;

    r = move_without_overwriting(holding_fd, id, parent_fd, name);
    if (r != -EEXIST) {
        (void)text_copy(ret_name, 256, name);
        return r;
    }
    /* The name is cut so that the suffix always fits. */
    r = text_format(ret_name, 256, "%.200s" RETURNED_SUFFIX "%.8s", name, id);
    return r < 0 ? r : move_without_overwriting(holding_fd, id, parent_fd, ret_name);
}
