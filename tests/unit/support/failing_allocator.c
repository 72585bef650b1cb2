/* Allocation failures on demand. Owns the countdown; the memory is the real allocator's. */
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static atomic_size_t allocations; /* since arming */
static atomic_size_t failures;
static atomic_size_t fail_at; /* 0: never */
static atomic_bool fail_after;

static bool must_fail(void)
{
    size_t number = atomic_fetch_add(&allocations, 1) + 1;
    size_t at = atomic_load(&fail_at);

    if (at == 0 || number < at || (number > at && !atomic_load(&fail_after)))
        return false;
    atomic_fetch_add(&failures, 1);
    errno = ENOMEM;
    return true;
}

void failing_allocator_arm(size_t number, bool and_all_after)
{
    atomic_store(&allocations, 0);
    atomic_store(&failures, 0);
    atomic_store(&fail_after, and_all_after);
    atomic_store(&fail_at, number);
}

size_t failing_allocator_disarm(void)
{
    atomic_store(&fail_at, 0);
    return atomic_load(&failures);
}

size_t failing_allocator_count(void)
{
    return atomic_load(&allocations);
}

/* How many allocations failed. */
static size_t attempt_once(failing_attempt *attempt, void *user, size_t number, bool and_all_after)
{
    failing_allocator_arm(number, and_all_after);
    int r = attempt(user);
    size_t failed = failing_allocator_disarm();

    if (failed > 0 && r >= 0)
        fail_msg("allocation %zu failed, and the attempt returned %d", number, r);
    if (failed == 0 && r < 0)
        fail_msg("the attempt failed (%d) although no allocation did", r);
    return failed;
}

size_t failing_allocator_each(failing_attempt *attempt, void *user)
{
    (void)attempt_once(attempt, user, 0, false);
    size_t undisturbed = atomic_load(&allocations);

    for (size_t number = 1; attempt_once(attempt, user, number, false) > 0; number++)
        (void)attempt_once(attempt, user, number, true);
    return undisturbed;
}

#define WRAPPED(type, name, parameters, ...) \
    type __real_##name parameters;           \
    type __wrap_##name parameters;           \
    type __wrap_##name parameters            \
    {                                        \
        if (must_fail())                     \
            return NULL;                     \
        return __real_##name(__VA_ARGS__);   \
    }

WRAPPED(void *, malloc, (size_t size), size)
WRAPPED(void *, calloc, (size_t count, size_t size), count, size)
WRAPPED(void *, realloc, (void *memory, size_t size), memory, size)
WRAPPED(char *, strdup, (const char *text), text)
WRAPPED(char *, strndup, (const char *text, size_t length), text, length)

void *failing_allocator_malloc(size_t size)
{
    return __wrap_malloc(size);
}

void *failing_allocator_realloc(void *memory, size_t size)
{
    return __wrap_realloc(memory, size);
}

/* _FORTIFY_SOURCE gives the printing ones other names. */
int __real_vasprintf(char **ret_text, const char *format, va_list arguments);
int __wrap_vasprintf(char **ret_text, const char *format, va_list arguments);
int __wrap___vasprintf_chk(char **ret_text, int flag, const char *format, va_list arguments);
int __wrap_asprintf(char **ret_text, const char *format, ...);
int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...);

__attribute__((format(printf, 2, 0))) int __wrap_vasprintf(char **ret_text, const char *format,
                                                           va_list arguments)
{
    if (must_fail()) {
        *ret_text = (char *)(uintptr_t)1; /* "undefined" after a failure: nobody may free it */
        return -1;
    }
    return __real_vasprintf(ret_text, format, arguments);
}

__attribute__((format(printf, 3, 0))) int __wrap___vasprintf_chk(char **ret_text, int flag,
                                                                 const char *format,
                                                                 va_list arguments)
{
    (void)flag;
    return __wrap_vasprintf(ret_text, format, arguments);
}

__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = __wrap_vasprintf(ret_text, format, arguments);
    va_end(arguments);
    return length;
}

__attribute__((format(printf, 3, 4))) int __wrap___asprintf_chk(char **ret_text, int flag,
                                                                const char *format, ...)
{
    va_list arguments;

    (void)flag;
    va_start(arguments, format);
    int length = __wrap_vasprintf(ret_text, format, arguments);
    va_end(arguments);
    return length;
}
