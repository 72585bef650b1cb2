/* Makes allocations of the code under test fail, one after the other. Link
 * yagura_failing_allocator; it wraps malloc, calloc, realloc, strdup, strndup, asprintf and
 * vasprintf of everything that is linked statically. Shared libraries have their own hooks: give
 * them the functions below, as in json_set_alloc_funcs(failing_allocator_malloc, free).
 *
 *     static int attempt(void *user)
 *     {
 *         AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(100);
 *         return buffer_append_text(&buffer, "text");
 *     }
 *     ...
 *     assert_int_equal(failing_allocator_each(attempt, NULL), 1);
 *
 * Leaks on the way back are for AddressSanitizer (asan-ubsan preset) to find. Counts the
 * allocations of all threads. */
#ifndef TESTS_UNIT_SUPPORT_FAILING_ALLOCATOR_H
#define TESTS_UNIT_SUPPORT_FAILING_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

/* Does the work once. 0, or negative when an allocation failed; must free what it got either way.
 */
typedef int failing_attempt(void *user);

/* Calls attempt with no failure armed, then with the 1st, the 2nd, ... allocation failing, first
 * that one alone, then with all that follow it, until an attempt allocates less often. Fails the
 * test when an attempt says 0 although an allocation failed, or fails although none did. Returns
 * the number of allocations of an undisturbed attempt. */
size_t failing_allocator_each(failing_attempt *attempt, void *user);

/* By hand: the number-th allocation from now on fails (1 is the next), and all that follow when
 * and_all_after says so. */
void failing_allocator_arm(size_t number, bool and_all_after);
/* Nothing fails any more. Returns how many allocations failed since failing_allocator_arm. */
size_t failing_allocator_disarm(void);

/* Allocations since failing_allocator_arm, also with nothing armed (0). */
size_t failing_allocator_count(void);

void *failing_allocator_malloc(size_t size);
void *failing_allocator_realloc(void *memory, size_t size);

#endif
