/* huge_pages.c: memory keeps its content and really moves; a kernel that cannot is no failure. */
#include "scanner/huge_pages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ROOM      ((size_t)16 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define ATTEMPTS 50 /* a page that another CPU holds just now cannot move: EAGAIN */

/* Whether this kernel can, asked beside the code under test. */
static bool kernel_collapses(unsigned char *memory)
{
    uintptr_t first = ((uintptr_t)memory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    return madvise((void *)first, HUGE_PAGE, MADV_COLLAPSE) == 0;
}

/* Of the mapping that holds memory. */
static uint64_t huge_kilobytes(const unsigned char *memory)
{
    char line[512];
    unsigned long long value = 0, start, end;
    bool ours = false;
    FILE *facts = fopen("/proc/self/smaps", "re");
    assert_non_null(facts);
    while (fgets(line, sizeof(line), facts) != NULL) {
        char *next;
        start = strtoull(line, &next, 16);
        if (next != line && *next == '-') {
            end = strtoull(next + 1, NULL, 16);
            ours = start <= (uintptr_t)memory && (uintptr_t)memory < end;
        } else if (ours && strncmp(line, "AnonHugePages:", 14) == 0) {
            value = strtoull(line + 14, NULL, 10);
        }
    }
    (void)fclose(facts);
    return value;
}

static void test_memory_moves_and_keeps_its_content(void **state)
{
    (void)state;
    int fd = -1;
    unsigned char *memory =
        mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    (void)madvise(memory, ROOM, MADV_NOHUGEPAGE); /* small pages to begin with */
    for (size_t i = 0; i < ROOM; i++)
        memory[i] = (unsigned char)(i * 31 >> 3);
    assert_int_equal(huge_kilobytes(memory), 0);

    (void)madvise(memory, ROOM, MADV_HUGEPAGE); /* takes MADV_NOHUGEPAGE back */
    for (int attempt = 0; attempt < ATTEMPTS && huge_kilobytes(memory) == 0; attempt++) {
        assert_int_equal(huge_pages_open(&fd), 0);
        (void)huge_pages_collapse(fd);
        (void)close(fd);
    }

    for (size_t i = 0; i < ROOM; i++)
        assert_int_equal(memory[i], (unsigned char)(i * 31 >> 3));
    if (huge_kilobytes(memory) == 0 && kernel_collapses(memory))
        fail_msg("the kernel can, and nothing moved");
    (void)munmap(memory, ROOM);
}

static void test_a_bad_descriptor_is_no_failure(void **state)
{
    (void)state;
    assert_int_equal(huge_pages_collapse(-1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_moves_and_keeps_its_content),
        cmocka_unit_test(test_a_bad_descriptor_is_no_failure),
    };
    return cmocka_run_group_tests_name("huge_pages", tests, NULL, NULL);
}
