/* Whether what a function is about to open or start came out of the request in hand. Pure functions
 * over bytes that may change meanwhile: nothing is read beyond what is given. */
#ifndef APPLICATION_PRELOAD_REQUEST_VALUES_H
#define APPLICATION_PRELOAD_REQUEST_VALUES_H

#include <stdbool.h>
#include <stddef.h>

struct request_text {
    const char *data; /* not terminated */
    size_t length;
};

/* The request chose the place: path is the value (an absolute one, or "file:" with one), or has in
 * it what stands behind the value's last "..". */
bool request_value_leads(struct request_text value, const char *path);

/* The value stands in a command of a shell and does something there: it has a sign of the shell's
 * outside of quotes, ends the quotes it stands in, or is the whole command, arguments and all. */
bool request_value_commands(struct request_text value, const char *command);

typedef bool (*request_test)(struct request_text value, const char *text);
/* The first of the records (see runtime_area.h) that the test is true of; false: none. */
bool request_values_find(const char *records, size_t length, request_test test, const char *text,
                         struct request_text *ret_value);

#endif
