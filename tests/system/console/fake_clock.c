/* For LD_PRELOAD: the wall clock and the boot clock are ahead by what two 64-bit numbers of ns in
 * the file YAGURA_TEST_CLOCK say, and follow when they change. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offsets;

__attribute__((constructor)) static void open_offsets(void)
{
    const char *path = getenv("YAGURA_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        (void)close(fd);
    if (mapped == MAP_FAILED)
        abort();
    offsets = mapped;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    long r = syscall(SYS_clock_gettime, id, now);
    int64_t offset = !offsets               ? 0
                     : id == CLOCK_REALTIME ? offsets[0]
                     : id == CLOCK_BOOTTIME ? offsets[1]
                                            : 0;
    int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + offset;
    now->tv_sec = (time_t)(ns / 1000000000);
    now->tv_nsec = (long)(ns % 1000000000);
    return (int)r;
}

time_t time(time_t *ret_seconds)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret_seconds)
        *ret_seconds = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
