/* Strict reading of JSON (RFC 8259) from strangers, for what is read often: one pass, two
 * allocations, whatever is inside. Refuses repeated keys, invalid UTF-8, NUL, lone surrogates,
 * integers beyond 64 bits, more than JSON_TREE_DEPTH levels, and anything after the value. Objects
 * and arrays only at the top. Not thread-safe per tree. */
#ifndef COMMON_JSON_JSON_TREE_H
#define COMMON_JSON_JSON_TREE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_TREE_DEPTH 64

struct json_tree;

enum json_node_kind {
    JSON_NODE_OBJECT,
    JSON_NODE_ARRAY,
    JSON_NODE_STRING,
    JSON_NODE_INTEGER,
    JSON_NODE_REAL,
    JSON_NODE_TRUE,
    JSON_NODE_FALSE,
    JSON_NODE_NULL,
};

struct json_node {
    enum json_node_kind kind;
    uint32_t length;      /* of a string in bytes; children of an object or array */
    uint32_t next;        /* distance to the next sibling, 0: none */
    const char *key;      /* in an object: without NUL inside, as all texts; else NULL */
    const char *text;     /* of a string, decoded */
    int64_t integer;      /* of an integer */
    uint32_t begin, size; /* where json_tree_text finds it */
};

/* -EBADMSG with a problem that names the place, 128 bytes; -ENOMEM. text may go afterwards. */
int json_tree_parse(const char *text, size_t length, struct json_tree **ret_tree,
                    char ret_problem[static 128]) MUST_USE;
struct json_tree *json_tree_free(struct json_tree *tree);
/* Texts live on; the nodes, which take most of the memory, are freed. */
void json_tree_forget_nodes(struct json_tree *tree);
const struct json_node *json_tree_root(const struct json_tree *tree);

/* NULL when there is none. */
const struct json_node *json_node_first(const struct json_node *node);
const struct json_node *json_node_next(const struct json_node *node);
const struct json_node *json_node_find(const struct json_node *object, const char *key);
/* The node's JSON without insignificant space; lives in the tree. Not for a node inside one that
 * was asked for before, nor around it: the text is cut out in place. */
const char *json_tree_text(struct json_tree *tree, const struct json_node *node);

#endif
