/* Compiler attributes and scope-bound cleanup. Everything in the tree may use this header. */
#ifndef COMMON_ATTRIBUTES_H
#define COMMON_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LENGTH(array)      (sizeof(array) / sizeof((array)[0]))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define MUST_USE                 __attribute__((warn_unused_result))
#define UNUSED                   __attribute__((unused))
#define CLEANUP(function)        __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* AUTO_FREE char *text = NULL;  freed when it leaves scope. */
#define AUTO_FREE CLEANUP(cleanup_free)
/* AUTO_CLOSE int fd = -1;  closed when it leaves scope. */
#define AUTO_CLOSE CLEANUP(cleanup_close)

/* Reads a flag and clears it. */
#define TAKE_FLAG(flag)       \
    ({                        \
        bool taken_ = (flag); \
        (flag) = false;       \
        taken_;               \
    })
/* Hands the value out and disarms the cleanup: return TAKE_FD(fd), return TAKE_POINTER(text). */
#define TAKE_FD(fd)        \
    ({                     \
        int taken_ = (fd); \
        (fd) = -1;         \
        taken_;            \
    })
#define TAKE_POINTER(pointer)                   \
    ({                                          \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

/* The smaller and the larger; an argument may be evaluated twice, so no calls with effects. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
