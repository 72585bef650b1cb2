/* Runs a fuzz target over the files of its corpus while memory runs out: of each input's
 * allocations one after the other fails, alone. The target must not crash, and under
 * AddressSanitizer not leak. That it does not do all its work then is no fault: a property which it
 * checks (abort) may fail for want of memory, and is counted.
 *
 * Usage: TARGET_starved [--every] FOLDER: every allocation, not at most MOST_FAILURES of an input.
 *
 * Children do the work, so that the next begins where one ended. */
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

enum { MOST_FAILURES = 60, LEAKED = 4, GIVEN_UP = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __real_abort(void) __attribute__((noreturn));
void __wrap_abort(void) __attribute__((noreturn));

/* Shared with the child. */
static struct progress {
    size_t allocations; /* of an undisturbed run */
    size_t failing;     /* the one that fails now; 0: none */
} * progress;

static bool every;
static unsigned inputs, failures, given_up, faults;

static bool is_leaking(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __lsan_do_recoverable_leak_check() != 0;
#else
    return false;
#endif
}

/* A property did not hold. */
void __wrap_abort(void)
{
    if (progress == NULL || progress->failing == 0 || failing_allocator_disarm() == 0)
        __real_abort();
    _exit(GIVEN_UP);
}

static size_t step_of(size_t allocations)
{
    return every || allocations <= MOST_FAILURES ? 1 : allocations / MOST_FAILURES;
}

/* From the failure number first on. */
static void starve_in_child(const uint8_t *data, size_t size, size_t first)
{
    progress->failing = 0;
    (void)LLVMFuzzerTestOneInput(data, size); /* what is made once is made */
    failing_allocator_arm(0, false);
    (void)LLVMFuzzerTestOneInput(data, size);
    progress->allocations = failing_allocator_count();
    for (size_t number = first; number <= progress->allocations;
         number += step_of(progress->allocations)) {
        progress->failing = number;
        failing_allocator_arm(number, false);
        (void)LLVMFuzzerTestOneInput(data, size);
        (void)failing_allocator_disarm();
    }
    _exit(is_leaking() ? LEAKED : 0);
}

static int wait_for(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            exit(EXIT_FAILURE);
    return status;
}

static void starve(const char *path, const uint8_t *data, size_t size)
{
    size_t next = 1;

    do {
        pid_t child = fork();
        if (child < 0)
            exit(EXIT_FAILURE);
        if (child == 0)
            starve_in_child(data, size, next);
        int status = wait_for(child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            break;
        if (WIFEXITED(status) && WEXITSTATUS(status) == GIVEN_UP) {
            given_up++;
        } else {
            faults++;
            printf("%s: allocation %zu of %zu failed: %s\n", path, progress->failing,
                   progress->allocations,
                   WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "a sanitizer's report");
            if (WIFEXITED(status) && WEXITSTATUS(status) == LEAKED)
                break; /* it was done */
        }
        next = progress->failing + step_of(progress->allocations);
    } while (next <= progress->allocations);
    inputs++;
    failures += (unsigned)(progress->allocations / step_of(progress->allocations));
}

static int starve_file(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)place;
    if (kind != FTW_F)
        return 0;
    size_t size = (size_t)status->st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    FILE *file = fopen(path, "rbe");
    if (!data || !file || fread(data, 1, size, file) != size) {
        fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    (void)fclose(file);
    starve(path, data, size);
    free(data);
    return 0;
}

int main(int count, char **arguments)
{
    every = count > 1 && strcmp(arguments[1], "--every") == 0;
    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return EXIT_FAILURE;
    for (int i = every ? 2 : 1; i < count; i++)
        if (nftw(arguments[i], starve_file, 16, FTW_PHYS) != 0) {
            fprintf(stderr, "cannot walk %s: %s\n", arguments[i], strerror(errno));
            return EXIT_FAILURE;
        }
    printf("%u inputs, %u failed allocations, %u given up for want of memory\n", inputs, failures,
           given_up);
    printf("%u passed, %u failed, 0 skipped\n", faults == 0 ? 1 : 0, faults);
    return faults == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
