/* User, capabilities and namespaces.
 *
 * Owns: nothing; each call changes the calling process. Must not own: the order of the steps, or
 * what to do when the kernel lacks one: that is the program's. */
#include "common/sandbox/privileges.h"

#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int write_own_map(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t length = strlen(text);
    return write(fd, text, length) == (ssize_t)length ? 0 : -errno;
}

/* In a new user namespace: map only ourselves, to ourselves. */
static int map_ourselves(uid_t uid, gid_t gid)
{
    char text[64];
    int result = write_own_map("/proc/self/setgroups", "deny");
    if (result == 0) {
        (void)text_format(text, sizeof(text), "%u %u 1", gid, gid);
        result = write_own_map("/proc/self/gid_map", text);
    }
    if (result == 0) {
        (void)text_format(text, sizeof(text), "%u %u 1", uid, uid);
        result = write_own_map("/proc/self/uid_map", text);
    }
    return result;
}

int privileges_unshare(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int flags = CLONE_NEWNS | CLONE_NEWNET;
    if (unshare(flags) < 0) {
        if (errno != EPERM || uid == 0)
            return -errno;
        if (unshare(flags | CLONE_NEWUSER) < 0)
            return -errno;
        int result = map_ourselves(uid, gid);
        if (result < 0)
            return result;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

int privileges_mount_private_tmpfs(const char *directory, uint64_t bytes, uint64_t inodes,
                                   uid_t owner)
{
    char options[128];
    (void)text_format(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=0700,uid=%u",
                      (unsigned long long)bytes, (unsigned long long)inodes, owner);
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME;
    return mount("yagura", directory, "tmpfs", flags, options) < 0 ? -errno : 0;
}

static bool has_no_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    if (syscall(SYS_capget, &header, sets) < 0)
        return false;
    return (sets[0].permitted | sets[0].inheritable | sets[1].permitted | sets[1].inheritable) == 0;
}

static int set_capabilities(uint64_t mask)
{
    if (mask == 0 && has_no_capability())
        return 0; /* also where a unit forbids the call to those who need it not */
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {
        {.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
        {.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)}};
    return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

static uint64_t permitted_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    if (syscall(SYS_capget, &header, sets) < 0)
        return 0;
    return sets[0].permitted | (uint64_t)sets[1].permitted << 32;
}

int privileges_drop_capabilities(void)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return set_capabilities(0);
}

/* Without CAP_SETPCAP the bounding set cannot shrink; no_new_privs makes it meaningless then. */
static void drop_bounding_set(void)
{
    for (unsigned long capability = 0; capability < 64; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

static int change_identity(uid_t uid, gid_t gid)
{
    if (geteuid() == uid && getuid() == uid && getegid() == gid && getgid() == gid && uid != 0)
        return 0;
    if (setgroups(0, NULL) < 0 && geteuid() == 0)
        return -errno;
    if (setresgid(gid, gid, gid) < 0)
        return -errno;
    if (setresuid(uid, uid, uid) < 0)
        return -errno;
    return 0;
}

static int drop_to(uid_t uid, gid_t gid, uint64_t kept)
{
    kept &= permitted_capabilities();
    drop_bounding_set();
    if (kept != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return -errno;
    int result = change_identity(uid, gid);
    if (result < 0)
        return result;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    result = set_capabilities(kept);
    if (result < 0)
        return result;
    if (uid != 0 && setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        return -EPERM; /* the way back is open: never go on like that */
    return 0;
}

int privileges_drop_to(uid_t uid, gid_t gid)
{
    return drop_to(uid, gid, 0);
}

int privileges_drop_to_keeping(uid_t uid, gid_t gid, unsigned capability)
{
    return drop_to(uid, gid, 1ULL << capability);
}

int privileges_no_new(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
