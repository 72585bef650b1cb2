/* A growable byte buffer with a maximum. A failed append frees the content, so the caller may make
 * many appends and ask once, at the end, with buffer_failed(). Not thread-safe. */
#ifndef COMMON_BUFFERS_BUFFER_H
#define COMMON_BUFFERS_BUFFER_H

#include "common/attributes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data;      /* terminated with a NUL that length does not count; NULL when empty */
    size_t length;   /* bytes used */
    size_t capacity; /* bytes allocated */
    size_t maximum;  /* most bytes it may ever hold */
    int error;       /* 0, -ENOMEM or -EMSGSIZE; once set, appends do nothing */
};

#define BUFFER_WITH_MAXIMUM(bytes) ((struct buffer){.maximum = (bytes)})

void buffer_init(struct buffer *buffer, size_t maximum);
/* Frees the memory; the buffer may be used again. */
void buffer_done(struct buffer *buffer);
#define AUTO_BUFFER CLEANUP(buffer_done)
/* Forgets the content (and error), keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* 0, -EMSGSIZE above the maximum, -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
int buffer_append_text(struct buffer *buffer, const char *text);
int buffer_append_format(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for length more bytes at ret_space; call buffer_commit() with what was written. */
int buffer_reserve(struct buffer *buffer, size_t length, char **ret_space) MUST_USE;
void buffer_commit(struct buffer *buffer, size_t length);
/* Drops length bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t length);

/* 0, or the first error. */
int buffer_failed(const struct buffer *buffer);
/* The content as a string ("" when empty), valid until the next change. */
const char *buffer_text(const struct buffer *buffer);
/* Hands the memory to the caller (free()) and empties the buffer; NULL when it failed. */
char *buffer_take(struct buffer *buffer);

#endif
