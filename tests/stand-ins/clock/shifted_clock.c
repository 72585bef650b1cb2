/* Preloaded (LD_PRELOAD) into one program of a test, makes its wall clock SHIFTED_CLOCK seconds
 * ahead of the machine's; a negative number: behind. The monotonic clocks stay. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int clock_function(clockid_t clock, struct timespec *ret_time);

static clock_function *real_clock;
static time_t ahead_s;

__attribute__((constructor)) static void find(void)
{
    const char *text = getenv("SHIFTED_CLOCK");

    real_clock = (clock_function *)dlsym(RTLD_NEXT, "clock_gettime");
    ahead_s = text != NULL ? (time_t)strtol(text, NULL, 10) : 0;
    if (real_clock == NULL)
        abort();
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    if (real_clock == NULL) /* a constructor before ours */
        find();
    int r = real_clock(clock, ret_time);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret_time->tv_sec += ahead_s;
    return r;
}

time_t time(time_t *ret_time)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return (time_t)-1;
    if (ret_time != NULL)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}
