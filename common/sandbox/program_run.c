/* Helper programs. Owns: the child until it has ended. Must not: let it outlive its time. */
#include "common/sandbox/program_run.h"

#include "common/files/file.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

int program_find(const char *directory, const char *name, char ret_path[static PROGRAM_PATH_BYTES])
{
    char own[PATH_MAX];

    if (text_format(ret_path, PROGRAM_PATH_BYTES, "%s/%s", directory, name) > 0 &&
        access(ret_path, X_OK) == 0)
        return 0;
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length <= 0)
        return -ENOENT;
    own[length] = '\0';
    *strrchr(own, '/') = '\0';
    return text_format(ret_path, PROGRAM_PATH_BYTES, "%s/%s", own, name) > 0 &&
                   access(ret_path, X_OK) == 0
               ? 0
               : -ENOENT;
}

/* 0 when it has ended by itself. */
static int wait_for_end(int pidfd, const struct program_run *run)
{
    uint64_t until = clock_monotonic_ns() + run->timeout_ns;
    struct pollfd ends[] = {{.fd = pidfd, .events = POLLIN}, {.fd = run->end_fd, .events = POLLIN}};

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        if (now >= until)
            return -ETIMEDOUT;
        struct timespec left = timespec_from_ns(until - now);
        if (ppoll(ends, ARRAY_LENGTH(ends), &left, NULL) < 0 && errno != EINTR)
            return -errno;
        if (ends[0].revents != 0)
            return 0;
        if (ends[1].revents != 0)
            return -ECANCELED;
    }
}

int program_run(const struct program_run *run)
{
    AUTO_CLOSE int pidfd = -1;
    int status = 0;
    pid_t pid;

    int r = spawn_program_into(run->path, run->argv, run->output_fd, &pid, &pidfd);
    if (r < 0)
        return r;
    r = wait_for_end(pidfd, run);
    if (r < 0)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return r;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void program_show(const char *bytes, size_t length, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t at = 0; at < length;) {
        const char *end = memchr(bytes + at, '\n', length - at);
        size_t line = end != NULL ? (size_t)(end - bytes) - at : length - at;
        int written = text_escape(text + used, size - used, bytes + at, line);
        if (written < 0)
            return;
        used += (size_t)written;
        at += line + 1;
        if (at < length && used + 2 < size) {
            text[used++] = '\n';
            text[used] = '\0';
        }
    }
}

void program_read_end(int fd, char *text, size_t size)
{
    char bytes[2048];
    struct stat status;

    text[0] = '\0';
    if (fstat(fd, &status) < 0)
        return;
    off_t from = status.st_size > (off_t)sizeof bytes ? status.st_size - (off_t)sizeof bytes : 0;
    if (lseek(fd, from, SEEK_SET) < 0)
        return;
    ssize_t length = file_read(fd, bytes, sizeof bytes);
    if (length > 0)
        program_show(bytes, (size_t)length, text, size);
}
