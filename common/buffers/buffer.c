/* A growable byte buffer with a maximum. Owns its memory until buffer_take. */
#include "common/buffers/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER_FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer, size_t maximum)
{
    *buffer = BUFFER_WITH_MAXIMUM(maximum);
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer, buffer->maximum);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->error = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

static int buffer_fail(struct buffer *buffer, int error)
{
    buffer_done(buffer);
    buffer->error = error;
    return error;
}

int buffer_reserve(struct buffer *buffer, size_t length, char **ret_space)
{
    if (buffer->error < 0)
        return buffer->error;
    if (length > buffer->maximum || buffer->length > buffer->maximum - length)
        return buffer_fail(buffer, -EMSGSIZE);

    size_t needed;
    if (__builtin_add_overflow(buffer->length + length, 1U, &needed))
        return buffer_fail(buffer, -EMSGSIZE);
    if (needed > buffer->capacity) {
        /* Doubled, but never beyond what the maximum lets it use. */
        size_t capacity = MAX(buffer->capacity * 2, (size_t)BUFFER_FIRST_CAPACITY);
        if (capacity > buffer->maximum)
            capacity = buffer->maximum + 1;
        capacity = MAX(capacity, needed);
        char *data = realloc(buffer->data, capacity);
        if (data == NULL)
            return buffer_fail(buffer, -ENOMEM);
        buffer->data = data;
        buffer->capacity = capacity;
        buffer->data[buffer->length] = '\0';
    }
    *ret_space = buffer->data + buffer->length;
    return 0;
}

void buffer_commit(struct buffer *buffer, size_t length)
{
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    char *space;

    int r = buffer_reserve(buffer, length, &space);
    if (r < 0)
        return r;
    if (length > 0)
        memcpy(space, bytes, length);
    buffer_commit(buffer, length);
    return 0;
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    char *space;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return buffer_fail(buffer, -EINVAL);
    int r = buffer_reserve(buffer, (size_t)length, &space);
    if (r < 0)
        return r;
    va_start(arguments, format);
    (void)vsnprintf(space, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer_commit(buffer, (size_t)length);
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    length = MIN(length, buffer->length);
    if (length == 0)
        return;
    memmove(buffer->data, buffer->data + length, buffer->length - length + 1);
    buffer->length -= length;
}

int buffer_failed(const struct buffer *buffer)
{
    return buffer->error;
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data != NULL ? buffer->data : "";
}

char *buffer_take(struct buffer *buffer)
{
    if (buffer->error < 0)
        return NULL;
    char *data = buffer->data != NULL ? buffer->data : calloc(1, 1);
    buffer_init(buffer, buffer->maximum);
    return data;
}
