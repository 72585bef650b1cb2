/* Strict reading of jansson's and our own trees, for common/wire and the console's API. Not
 * thread-safe per tree. The first failure is kept in the reader; later calls do nothing and give
 * defaults. */
#ifndef COMMON_WIRE_WIRE_READ_H
#define COMMON_WIRE_WIRE_READ_H

#include "common/json/json_tree.h"
#include "common/wire/wire.h"

struct wire_reader {
    const json_t *object;         /* or */
    const struct json_node *node; /* of a json_tree */
    struct wire_problem *problem;
    int error; /* 0 or -EBADMSG */
};

/* Parses an object (no repeated keys, no NUL, bounded depth). */
int wire_parse(const char *body, size_t length, json_t **ret_root,
               struct wire_problem *ret_problem) MUST_USE;
/* Parses and begins to read. When it is 0, wire_close ends the reading: 0, or the reader's failure,
 * with which root is gone. */
int wire_open(const char *body, size_t length, json_t **ret_root, struct wire_reader *ret_reader,
              struct wire_problem *ret_problem) MUST_USE;
int wire_close(const struct wire_reader *reader, json_t *root) MUST_USE;
struct wire_reader wire_reader_of(const json_t *object, struct wire_problem *problem);
struct wire_reader wire_reader_of_node(const struct json_node *object,
                                       struct wire_problem *problem);
/* A reader of an object inside; missing and optional: its keys are all missing. Its failures are
 * the parent's by wire_leave. */
struct wire_reader wire_enter(struct wire_reader *reader, const char *key, bool optional);
void wire_leave(struct wire_reader *reader, const struct wire_reader *inner);
/* Of a json_tree only: NULL when missing and optional, or wrong. */
const struct json_node *wire_read_node(struct wire_reader *reader, const char *key,
                                       enum json_node_kind kind, bool optional);
/* Sets the problem; format names the key. */
void wire_fail(struct wire_reader *reader, const char *format, ...) PRINTF_LIKE(2, 3);

/* A text of minimum to maximum bytes. Missing: fallback, or a failure when that is NULL. */
const char *wire_read_text(struct wire_reader *reader, const char *key, size_t minimum,
                           size_t maximum, const char *fallback);
/* 0..INT64_MAX. Missing: a failure unless optional, then 0. */
uint64_t wire_read_number(struct wire_reader *reader, const char *key, bool optional);
bool wire_read_bool(struct wire_reader *reader, const char *key, bool fallback);
/* NULL when missing and optional, or wrong. */
json_t *wire_read_object(struct wire_reader *reader, const char *key, bool optional);
json_t *wire_read_array(struct wire_reader *reader, const char *key, size_t maximum, bool optional);
/* Fails when the object holds a key that is not in names (NULL at the end). */
void wire_only(struct wire_reader *reader, const char *const *names);

#endif
