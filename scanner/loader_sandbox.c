/* The loader's confinement, on one screen.
 *
 * Owns: the order of the steps; the temporary directories. Must not own: the techniques
 * (common/sandbox), or what only a worker gives up (worker_sandbox.c). */
#include "scanner/loader_sandbox.h"

#include "common/files/file.h"
#include "common/sandbox/privileges.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_INODES 16384
#define FALLBACK_USER    "nobody"

struct identity {
    uid_t uid;
    gid_t gid;
};

static int choose_identity(const char *user, struct loader_sandbox *sandbox,
                           struct identity *ret_identity)
{
    *ret_identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (user[0] == '\0' || geteuid() != 0)
        return 0;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL)
        entry = getpwnam(FALLBACK_USER);
    if (entry == NULL || entry->pw_uid == 0)
        return -ENOENT;
    *ret_identity = (struct identity){.uid = entry->pw_uid, .gid = entry->pw_gid};
    return text_copy(sandbox->user, sizeof(sandbox->user), entry->pw_name);
}

/* In namespaces of our own only: elsewhere it would stand on the host, and stay there. */
static int mount_tmpfs(const struct loader_sandbox *sandbox, const char *path, uint64_t bytes,
                       const struct identity *identity)
{
    if ((sandbox->reached & SCANNER_SANDBOX_NAMESPACES) == 0)
        return -EOPNOTSUPP;
    return privileges_mount_private_tmpfs(path, bytes, TEMPORARY_INODES, identity->uid);
}

/* Who stays who he is may lack the call: the console's unit forbids it. */
static int hand_over(const char *path, const struct identity *identity)
{
    if (identity->uid == geteuid() && identity->gid == getegid())
        return 0;
    return chown(path, identity->uid, identity->gid) < 0 ? -errno : 0;
}

static int make_slots(const struct scanner_configuration *configuration,
                      const struct identity *identity, struct loader_sandbox *sandbox)
{
    bool mounted = true;
    for (uint32_t i = 0; i < configuration->slots; i++) {
        char path[LIMIT_MESSAGE_BYTES];
        if (text_format(path, sizeof(path), "%s/%u", configuration->directory, i) < 0)
            return -ENAMETOOLONG;
        if (mkdir(path, 0700) < 0)
            return -errno;
        int result = hand_over(path, identity);
        if (result < 0)
            return result;
        if (mount_tmpfs(sandbox, path, configuration->temporary_bytes, identity) < 0)
            mounted = false;
        result = file_open_directory(path, true, &sandbox->slot_fds[i]);
        if (result < 0)
            return result;
    }
    if (mounted)
        sandbox->reached |= SCANNER_SANDBOX_TMPFS;
    return 0;
}

/* One tmpfs for the directory itself, so that nothing of ours ever reaches a disk. */
static int make_directory(const struct scanner_configuration *configuration,
                          const struct identity *identity, struct loader_sandbox *sandbox)
{
    const char *path = configuration->directory;
    int result = 0;
    if (mount_tmpfs(sandbox, path, 1U << 20, identity) < 0)
        result = hand_over(path, identity);
    if (result == 0)
        result = file_open_directory(path, true, &sandbox->directory_fd);
    return result < 0 ? result : make_slots(configuration, identity, sandbox);
}

static int drop_identity(const struct identity *identity, struct loader_sandbox *sandbox)
{
    bool was_root = geteuid() == 0;
    int result = privileges_drop_to_keeping(identity->uid, identity->gid, CAP_DAC_READ_SEARCH);
    if (result < 0)
        return result;
    if (was_root && identity->uid != 0)
        sandbox->reached |= SCANNER_SANDBOX_USER;
    /* Changing the user cleared it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return privileges_no_new();
}

static void confine_paths(const struct scanner_configuration *configuration,
                          struct loader_sandbox *sandbox)
{
    struct privileges_path paths[LIMIT_DATABASE_PATHS + 2] = {
        {.path = ".", .writable = true},
        /* The workers' own limits, their score for the out-of-memory choice and memory in use. */
        {.path = "/proc", .writable = true},
    };
    size_t count = 2;
    for (size_t i = 0; i < configuration->database_count; i++)
        paths[count++] = (struct privileges_path){.path = configuration->databases[i]};
    if (privileges_landlock(paths, count) == 0)
        sandbox->reached |= SCANNER_SANDBOX_LANDLOCK;
}

static int fail(struct loader_sandbox *sandbox, const char *step, int error)
{
    (void)text_copy(sandbox->problem, sizeof(sandbox->problem), step);
    return error;
}

int loader_sandbox_enter(const struct scanner_configuration *configuration,
                         struct loader_sandbox *ret_sandbox)
{
    struct loader_sandbox *sandbox = ret_sandbox;
    struct identity identity;
    sandbox->pid = getpid();
    int result = choose_identity(configuration->user, sandbox, &identity);
    if (result < 0)
        return fail(sandbox, "no such user for the scanner, and no nobody", result);
    if (privileges_unshare() == 0)
        sandbox->reached |= SCANNER_SANDBOX_NAMESPACES;
    result = make_directory(configuration, &identity, sandbox);
    if (result < 0)
        return fail(sandbox, "cannot make temporary directories", result);
    result = drop_identity(&identity, sandbox);
    if (result < 0)
        return fail(sandbox, "cannot change to the scanner's user", result);
    if (fchdir(sandbox->directory_fd) < 0)
        return fail(sandbox, "cannot enter the temporary directory", -errno);
    confine_paths(configuration, sandbox);
    return 0;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

void loader_sandbox_clear_slot(const struct loader_sandbox *sandbox, size_t slot)
{
    int slot_fd = sandbox->slot_fds[slot];
    AUTO_CLOSE int own_fd = -1;
    if (file_open_at(slot_fd, ".", O_RDONLY | O_DIRECTORY, 0, &own_fd) < 0)
        return;
    CLEANUP(close_directory) DIR *directory = fdopendir(own_fd);
    if (directory == NULL)
        return;
    own_fd = -1; /* the stream's now */
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
            (void)!file_remove_tree(slot_fd, entry->d_name);
    }
}

void loader_sandbox_prefer_for_oom(void)
{
    AUTO_CLOSE int fd = -1;
    if (file_open_following("/proc/self/oom_score_adj", O_WRONLY, 0, &fd) == 0)
        (void)!write(fd, "500", 3);
}
