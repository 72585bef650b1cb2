/* A small state machine over bodies in chunks; one byte a step, content in runs. */
#include "application/relay/chunked_body.h"

#include "application/relay/relay_limits.h"

#include <errno.h>
#include <string.h>

#define MOST_SIZE_DIGITS 15

static int digit_of(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static int take_size(struct chunked_body *body, char byte)
{
    int digit = digit_of(byte);

    if (digit >= 0) {
        if (++body->digits > MOST_SIZE_DIGITS)
            return -EBADMSG;
        body->left = body->left * 16 + (uint64_t)digit;
        return 0;
    }
    if (body->digits == 0)
        return -EBADMSG;
    if (byte == '\r')
        body->step = CHUNKED_SIZE_END;
    else if (byte == ';' || byte == ' ' || byte == '\t')
        body->step = CHUNKED_SIZE_REST;
    else
        return -EBADMSG;
    return 0;
}

/* Bytes that are neither size nor content: extensions and trailers. */
static int take_aside(struct chunked_body *body, char byte, enum chunked_step after_cr)
{
    if (byte == '\n' || byte == '\0' || ++body->aside > RELAY_HEAD_BYTES)
        return -EBADMSG;
    if (byte == '\r')
        body->step = after_cr;
    return 0;
}

static int expect(struct chunked_body *body, char byte, char wanted, enum chunked_step next)
{
    body->step = next;
    return byte == wanted ? 0 : -EBADMSG;
}

/* Everything but content, a byte at a time. */
static int take(struct chunked_body *body, char byte)
{
    switch (body->step) {
    case CHUNKED_SIZE:
        return take_size(body, byte);
    case CHUNKED_SIZE_REST:
        return take_aside(body, byte, CHUNKED_SIZE_END);
    case CHUNKED_SIZE_END:
        body->digits = 0;
        return expect(body, byte, '\n', body->left > 0 ? CHUNKED_DATA : CHUNKED_LINE);
    case CHUNKED_DATA_CR:
        return expect(body, byte, '\r', CHUNKED_DATA_LF);
    case CHUNKED_DATA_LF:
        return expect(body, byte, '\n', CHUNKED_SIZE);
    case CHUNKED_LINE:
        if (byte == '\r') {
            body->step = CHUNKED_LAST_LF;
            return 0;
        }
        body->step = CHUNKED_LINE_REST;
        return take_aside(body, byte, CHUNKED_LINE_LF);
    case CHUNKED_LINE_REST:
        return take_aside(body, byte, CHUNKED_LINE_LF);
    case CHUNKED_LINE_LF:
        return expect(body, byte, '\n', CHUNKED_LINE);
    case CHUNKED_LAST_LF:
        return expect(body, byte, '\n', CHUNKED_DONE);
    case CHUNKED_DATA:
    case CHUNKED_DONE:
        break;
    }
    return -EBADMSG;
}

static size_t take_data(struct chunked_body *body, size_t available)
{
    size_t run = body->left < available ? (size_t)body->left : available;

    body->left -= run;
    if (body->left == 0)
        body->step = CHUNKED_DATA_CR;
    return run;
}

int chunked_body_scan(struct chunked_body *body, const char *bytes, size_t length, size_t *ret_used)
{
    size_t used = 0;

    *ret_used = 0;
    while (used < length && body->step != CHUNKED_DONE) {
        if (body->step == CHUNKED_DATA) {
            used += take_data(body, length - used);
            continue;
        }
        int r = take(body, bytes[used++]);
        if (r < 0)
            return r;
    }
    *ret_used = used;
    return body->step == CHUNKED_DONE ? 1 : 0;
}

int chunked_body_decode(const char *bytes, size_t length, char *content, size_t *ret_length)
{
    struct chunked_body body = {0};
    size_t used = 0, written = 0;

    *ret_length = 0;
    while (used < length && body.step != CHUNKED_DONE) {
        if (body.step == CHUNKED_DATA) {
            size_t run = take_data(&body, length - used);
            memmove(content + written, bytes + used, run);
            written += run;
            used += run;
            continue;
        }
        int r = take(&body, bytes[used++]);
        if (r < 0)
            return r;
    }
    if (body.step != CHUNKED_DONE || used != length)
        return -EBADMSG;
    *ret_length = written;
    return 0;
}
