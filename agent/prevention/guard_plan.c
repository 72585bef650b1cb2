/* Owns the copied options. */
#include "agent/prevention/guard_plan.h"

#include "agent/prevention/prevention_private.h"
#include "agent/watch/mounts.h"
#include "common/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

static void free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

static char **copy_list(const char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i] == NULL) {
            free_list(copy);
            return NULL;
        }
    }
    return copy;
}

int guard_plan_new(const struct prevention_options *options, struct prevention_plan **ret_plan)
{
    const struct exclusion_lists lists = {
        .directories = options->exclude_directories,
        .files = options->exclude_files,
        .extensions = options->exclude_extensions,
        .own_directories = options->own_directories,
    };
    struct prevention_plan *plan = calloc(1, sizeof *plan);

    if (plan == NULL)
        return -ENOMEM;
    plan->enabled = options->enabled;
    plan->exec_only = options->exec_only;
    plan->deny_late = options->deny_late;
    plan->deny_crowds = options->deny_crowds;
    plan->deadline_ns = options->deadline_ns;
    plan->guard_program = strdup(options->guard_program);
    plan->paths = copy_list(options->paths);
    plan->own = copy_list(options->own_directories);
    int r = exclusions_new(&lists, &plan->exclusions);
    if (plan->guard_program == NULL || plan->paths == NULL || plan->own == NULL)
        r = -ENOMEM;
    if (r < 0) {
        (void)guard_plan_free(plan);
        return r;
    }
    *ret_plan = plan;
    return 0;
}

struct prevention_plan *guard_plan_free(struct prevention_plan *plan)
{
    if (plan == NULL)
        return NULL;
    free(plan->guard_program);
    free_list(plan->paths);
    free_list(plan->own);
    (void)exclusions_free(plan->exclusions);
    free(plan);
    return NULL;
}

/* ---- paths ---- */

static bool is_in(char *const *tops, const char *path)
{
    for (size_t i = 0; tops[i] != NULL; i++) {
        size_t length = strlen(tops[i]);
        while (length > 0 && tops[i][length - 1] == '/')
            length--;
        if (strncmp(path, tops[i], length) == 0 && (path[length] == '/' || path[length] == '\0'))
            return true;
    }
    return false;
}

bool guard_plan_protects(const struct prevention_plan *plan, const char *path)
{
    return is_in(plan->paths, path) && !is_in(plan->own, path);
}

/* ---- the mounts ---- */

static bool lies_below(const struct mount_entry *mount, const char *top, size_t length)
{
    if (length == 1)
        return true;
    return mount->path_length > length && strncmp(mount->path, top, length) == 0 &&
           mount->path[length] == '/';
}

static int mark_path(const struct mounts *mounts, const char *path,
                     int (*mark)(void *user, const struct mount_entry *mount), void *user)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        length--;
    const struct mount_entry *covering = mounts_covering(mounts, path, length);
    int r = covering != NULL && covering->class == MOUNT_LOCAL ? mark(user, covering) : 0;
    for (size_t i = 0; r == 0 && i < mounts->count; i++) {
        const struct mount_entry *mount = &mounts->entries[i];
        bool is_top =
            i + 1 == mounts->count || strcmp(mounts->entries[i + 1].path, mount->path) != 0;
        if (is_top && mount->class == MOUNT_LOCAL && mount != covering &&
            lies_below(mount, path, length))
            r = mark(user, mount);
    }
    return r;
}

int guard_plan_marks(const struct prevention_plan *plan, const struct mounts *mounts,
                     int (*mark)(void *user, const struct mount_entry *mount), void *user)
{
    int r = 0;

    for (size_t i = 0; r == 0 && plan->paths[i] != NULL; i++)
        r = mark_path(mounts, plan->paths[i], mark, user);
    return r;
}

int guard_plan_mounts(struct mounts **ret_mounts)
{
    AUTO_CLOSE int fd = -1;

    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &fd);
    return r < 0 ? r : mounts_read(fd, ret_mounts);
}

static int add_to_fingerprint(void *user, const struct mount_entry *mount)
{
    uint64_t *print = user;

    for (const char *at = mount->path; *at != '\0'; at++)
        *print = (*print ^ (unsigned char)*at) * 0x100000001b3ULL;
    *print = (*print ^ mount->device) * 0x100000001b3ULL + 1;
    return 0;
}

uint64_t guard_plan_fingerprint(const struct prevention_plan *plan, const struct mounts *mounts)
{
    uint64_t print = 1;

    (void)!guard_plan_marks(plan, mounts, add_to_fingerprint, &print);
    return print;
}

static int add_watch(void *user, const struct mount_entry *mount)
{
    const int *inotify = user;

    (void)inotify_add_watch(*inotify, mount->path, IN_DELETE_SELF); /* IN_UNMOUNT comes anyway */
    return 0;
}

void guard_plan_watch(const struct prevention_plan *plan, const struct mounts *mounts, int inotify)
{
    (void)!guard_plan_marks(plan, mounts, add_watch, &inotify);
}

/* ---- sending ---- */

struct sending {
    int socket;
    struct message_writer *word;
    size_t marks;
};

static int send_path(const struct sending *sending, uint32_t type, const char *path)
{
    sending->word->length = 0;
    sending->word->failed = false;
    message_write_bytes(sending->word, path, strlen(path));
    return message_writer_send(sending->word, sending->socket, type, -1);
}

static int send_mark(void *user, const struct mount_entry *mount)
{
    struct sending *sending = user;

    sending->marks++;
    return send_path(sending, GUARD_MARK, mount->path);
}

static int send_begin(const struct prevention_plan *plan, const struct sending *sending)
{
    uint32_t flags = (plan->deny_late ? GUARD_DENY_LATE : 0) |
                     (plan->exec_only ? GUARD_EXEC_ONLY : 0) |
                     (plan->deny_crowds ? GUARD_DENY_CROWDS : 0);

    sending->word->length = 0;
    sending->word->failed = false;
    message_write_u32(sending->word, flags);
    message_write_u64(sending->word, plan->deadline_ns);
    return message_writer_send(sending->word, sending->socket, GUARD_BEGIN, -1);
}

int guard_plan_send(const struct prevention_plan *plan, const struct mounts *mounts, int socket,
                    struct message_writer *word)
{
    struct sending sending = {.socket = socket, .word = word};
    int r = 0;

    for (size_t i = 0; r == 0 && plan->paths[i] != NULL; i++)
        r = send_path(&sending, GUARD_PROTECT, plan->paths[i]);
    for (size_t i = 0; r == 0 && plan->own[i] != NULL; i++)
        r = send_path(&sending, GUARD_LEAVE, plan->own[i]);
    if (r == 0)
        r = guard_plan_marks(plan, mounts, send_mark, &sending);
    if (r == 0 && sending.marks == 0)
        r = -ENODATA;
    if (r == 0)
        r = send_begin(plan, &sending);
    return r;
}
