/* Huge pages for the engine.
 *
 * Owns: nothing; the kernel's list of our mappings is read from a descriptor of the caller's.
 * Must not: fail the start. An engine in small pages works as well, only slower.
 *
 * MADV_COLLAPSE, not MADV_HUGEPAGE: it acts now and leaves no mark on the mapping, so khugepaged
 * does not later give each worker a huge copy of what it wrote a few pages of. After a fork, a
 * worker that writes splits the mapping and copies 4 KB, as without huge pages. */
#include "scanner/huge_pages.h"

#include "common/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE_PAGE    ((uintptr_t)2 << 20)
#define FAILURES_MAX 64   /* in a row: this mapping is empty, or no huge page is free */
#define FAILED_MAX   4096 /* in all mappings */

struct mapping {
    uintptr_t start, end;
};

int huge_pages_open(int *ret_maps_fd)
{
    return file_open_following("/proc/self/maps", O_RDONLY, 0, ret_maps_fd);
}

/* The hexadecimal number at text; *ret_end stands after it. */
static uintptr_t read_address(const char *text, const char **ret_end)
{
    static const char digits[] = "0123456789abcdef";
    uintptr_t value = 0;
    const char *digit;
    for (; *text != '\0' && (digit = strchr(digits, *text)) != NULL; text++)
        value = value << 4 | (uintptr_t)(digit - digits);
    *ret_end = text;
    return value;
}

/* "START-END rw-p OFFSET DEVICE INODE [NAME]": an anonymous, private, writable mapping that is not
 * the stack. */
static bool read_mapping(const char *line, struct mapping *ret_mapping)
{
    const char *next;
    uintptr_t start = read_address(line, &next);
    if (*next != '-')
        return false;
    uintptr_t end = read_address(next + 1, &next);
    if (strncmp(next, " rw-p 00000000 00:00 0", 22) != 0 || strstr(next, "[stack") != NULL)
        return false;
    ret_mapping->start = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    ret_mapping->end = end & ~(HUGE_PAGE - 1);
    return ret_mapping->start < ret_mapping->end;
}

/* Leaves a mapping after FAILURES_MAX failures in a row: what was reserved and never written (a
 * sanitizer's shadow is terabytes of it) must not end the work on the mappings behind it. */
static void collapse_mapping(const struct mapping *mapping, size_t *collapsed, size_t *failed)
{
    size_t failures = 0;
    for (uintptr_t page = mapping->start; page < mapping->end && failures < FAILURES_MAX;
         page += HUGE_PAGE) {
        if (madvise((void *)page, HUGE_PAGE, MADV_COLLAPSE) == 0) {
            (*collapsed)++;
            failures = 0;
        } else {
            failures++;
            (*failed)++;
        }
    }
}

size_t huge_pages_collapse(int maps_fd)
{
    AUTO_FREE char *line = NULL;
    size_t room = 0, collapsed = 0, failed = 0;
    struct mapping mapping;
    int fd = fcntl(maps_fd, F_DUPFD_CLOEXEC, 0);
    FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
    if (maps == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    while (failed < FAILED_MAX && getline(&line, &room, maps) > 0) {
        if (read_mapping(line, &mapping))
            collapse_mapping(&mapping, &collapsed, &failed);
    }
    (void)fclose(maps);
    return collapsed;
}
