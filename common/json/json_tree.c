/* Owns the strict reading of JSON into a flat array of nodes. Must not know what is wanted of it.
 */
#include "common/json/json_tree.h"

#include "common/buffers/spare.h"
#include "common/text/text.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUADRATIC_MOST 16 /* keys compared one with another; more are sorted first */
#define LENGTH_MAXIMUM (1U << 30)

struct json_tree {
    struct json_node *nodes;
    size_t count, capacity, bytes;
    bool spaced;   /* there is space between values */
    char memory[]; /* the text as it came and its NUL, then the decoded strings */
};

struct parser {
    const char *begin, *at, *end;
    char *strings; /* next free byte */
    struct json_tree *tree;
    uint32_t open[JSON_TREE_DEPTH]; /* containers around the place */
    uint32_t last[JSON_TREE_DEPTH]; /* their last child */
    uint64_t keys[JSON_TREE_DEPTH]; /* a bit for each key of them, not one of its own */
    bool alike[JSON_TREE_DEPTH];    /* two have the same bit */
    size_t depth;
    const char *key; /* of the value that follows */
    const char *problem;
};

struct json_tree *json_tree_free(struct json_tree *tree)
{
    if (!tree)
        return NULL;
    json_tree_forget_nodes(tree);
    spare_give(tree, tree->bytes);
    return NULL;
}

static int fail(struct parser *parser, const char *problem)
{
    parser->problem = problem;
    return -EBADMSG;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline void skip_space(struct parser *parser)
{
    if (parser->at < parser->end && (unsigned char)*parser->at > ' ')
        return;
    while (parser->at < parser->end && is_space(*parser->at)) {
        parser->tree->spaced = true;
        parser->at++;
    }
}

static int peek(const struct parser *parser)
{
    return parser->at < parser->end ? (unsigned char)*parser->at : -1;
}

/* --- nodes */

static int add_node(struct parser *parser, enum json_node_kind kind, struct json_node **ret_node)
{
    struct json_tree *tree = parser->tree;
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity * 2;
        struct json_node *nodes = spare_take(capacity * sizeof(*nodes));
        if (!nodes)
            return -ENOMEM;
        memcpy(nodes, tree->nodes, tree->count * sizeof(*nodes));
        spare_give(tree->nodes, tree->capacity * sizeof(*nodes));
        tree->nodes = nodes;
        tree->capacity = capacity;
    }
    uint32_t index = (uint32_t)tree->count++;
    if (parser->depth > 0) {
        struct json_node *container = &tree->nodes[parser->open[parser->depth - 1]];
        uint32_t *last = &parser->last[parser->depth - 1];
        if (container->length++ > 0)
            tree->nodes[*last].next = index - *last;
        *last = index;
    }
    tree->nodes[index] = (struct json_node){.kind = kind,
                                            .key = parser->key,
                                            .begin = (uint32_t)(parser->at - parser->begin)};
    parser->key = NULL;
    *ret_node = &tree->nodes[index];
    return 0;
}

static void end_node(const struct parser *parser, struct json_node *node)
{
    node->size = (uint32_t)(parser->at - parser->begin) - node->begin;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int sort_and_compare(struct parser *parser, const struct json_node *object)
{
    AUTO_FREE const char **keys = calloc(object->length, sizeof(const char *));
    size_t count = 0;
    if (!keys)
        return -ENOMEM;
    for (const struct json_node *at = json_node_first(object); at; at = json_node_next(at))
        keys[count++] = at->key;
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < count; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            return fail(parser, "a key is repeated");
    return 0;
}

/* Most differ in their first letter. */
static bool is_same_key(const char *one, const char *other)
{
    return one[0] == other[0] && strcmp(one, other) == 0;
}

/* Most objects have few keys, of different lengths or first letters. */
static void note_key(struct parser *parser, uint32_t length)
{
    uint64_t bit = 1ULL << (((unsigned char)parser->key[0] * 7U + length) & 63U);
    size_t inside = parser->depth - 1;
    parser->alike[inside] |= (parser->keys[inside] & bit) != 0;
    parser->keys[inside] |= bit;
}

static int check_keys(struct parser *parser, const struct json_node *object)
{
    if (!parser->alike[parser->depth])
        return 0;
    if (object->length > QUADRATIC_MOST)
        return sort_and_compare(parser, object);
    for (const struct json_node *one = json_node_first(object); one; one = json_node_next(one))
        for (const struct json_node *at = json_node_next(one); at; at = json_node_next(at))
            if (is_same_key(one->key, at->key))
                return fail(parser, "a key is repeated");
    return 0;
}

/* --- strings */

/* The length of the UTF-8 character at `at`, 0 when it is none (RFC 3629's table). */
static size_t character_length(const char *text, const char *end)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t length = at[0] >= 0xc2 && at[0] <= 0xdf   ? 2
                    : at[0] >= 0xe0 && at[0] <= 0xef ? 3
                    : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                     : 0;
    if (length == 0 || (size_t)(end - text) < length)
        return 0;
    unsigned char least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static int read_hex(struct parser *parser, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (parser->end - parser->at < 4)
        return fail(parser, "a \\u escape is cut off");
    for (int i = 0; i < 4; i++) {
        char c = *parser->at++;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return fail(parser, "a \\u escape is wrong");
        value = value << 4 | digit;
    }
    *ret_value = value;
    return 0;
}

static void put_character(struct parser *parser, uint32_t c)
{
    char *to = parser->strings;
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    parser->strings = to;
}

static int read_unicode(struct parser *parser)
{
    uint32_t c, low;
    int r = read_hex(parser, &c);
    if (r < 0)
        return r;
    if (c == 0)
        return fail(parser, "\\u0000 is not allowed");
    if (c >= 0xdc00 && c <= 0xdfff)
        return fail(parser, "a surrogate stands alone");
    if (c >= 0xd800 && c <= 0xdbff) {
        if (parser->end - parser->at < 2 || parser->at[0] != '\\' || parser->at[1] != 'u')
            return fail(parser, "a surrogate stands alone");
        parser->at += 2;
        r = read_hex(parser, &low);
        if (r < 0)
            return r;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(parser, "a surrogate stands alone");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    put_character(parser, c);
    return 0;
}

static int read_escape(struct parser *parser)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (parser->at == parser->end)
        return fail(parser, "a string does not end");
    char c = *parser->at++;
    if (c == 'u')
        return read_unicode(parser);
    const char *name = memchr(names, c, sizeof(names) - 1);
    if (!name)
        return fail(parser, "an escape is wrong");
    *parser->strings++ = values[name - names];
    return 0;
}

#define EACH_BYTE(byte) (0x0101010101010101ULL * (byte))

/* The highest bit of the first byte that ends a run: a control character, a quote, a backslash, or
 * not ASCII; bits behind it may be wrong. 0: none of the eight. */
static uint64_t find_end(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    return (((word - EACH_BYTE(0x20)) & ~word) | ((quote - EACH_BYTE(1)) & ~quote) |
            ((backslash - EACH_BYTE(1)) & ~backslash) | word) &
           EACH_BYTE(0x80);
}

/* Eight at a time; what is written too much is overwritten, and what was decoded is never longer
 * than what it was read from. */
static void read_plain(struct parser *parser)
{
    uint64_t word, end = 0;
    while (parser->end - parser->at >= (ptrdiff_t)sizeof(word) && end == 0) {
        memcpy(&word, parser->at, sizeof(word));
        memcpy(parser->strings, &word, sizeof(word));
        end = find_end(le64toh(word));
        size_t length = end ? (size_t)__builtin_ctzll(end) / 8 : sizeof(word);
        parser->at += length;
        parser->strings += length;
    }
    while (end == 0 && parser->at < parser->end && (unsigned char)*parser->at >= 0x20 &&
           (unsigned char)*parser->at < 0x80 && *parser->at != '"' && *parser->at != '\\')
        *parser->strings++ = *parser->at++;
}

static int read_character(struct parser *parser)
{
    size_t length = character_length(parser->at, parser->end);
    if (length == 0)
        return fail(parser, "not UTF-8");
    memcpy(parser->strings, parser->at, length);
    parser->strings += length;
    parser->at += length;
    return 0;
}

/* After the opening quote; the decoded text ends with NUL. */
static int read_string(struct parser *parser, const char **ret_text, uint32_t *ret_length)
{
    const char *decoded = parser->strings;
    for (;;) {
        read_plain(parser);
        if (parser->at == parser->end)
            return fail(parser, "a string does not end");
        unsigned char c = (unsigned char)*parser->at;
        if (c < 0x20)
            return fail(parser, "a control character is not escaped");
        if (c == '"')
            break;
        parser->at += c == '\\';
        int r = c == '\\' ? read_escape(parser) : read_character(parser);
        if (r < 0)
            return r;
    }
    parser->at++;
    *ret_text = decoded;
    *ret_length = (uint32_t)(parser->strings - decoded);
    *parser->strings++ = '\0';
    return 0;
}

static int read_key(struct parser *parser)
{
    uint32_t length;
    skip_space(parser);
    if (peek(parser) != '"')
        return fail(parser, "a key is missing");
    parser->at++;
    int r = read_string(parser, &parser->key, &length);
    if (r < 0)
        return r;
    note_key(parser, length);
    skip_space(parser);
    if (peek(parser) != ':')
        return fail(parser, "a colon is missing");
    parser->at++;
    return 0;
}

/* --- numbers and words */

static size_t skip_digits(struct parser *parser)
{
    const char *begin = parser->at;
    while (parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9')
        parser->at++;
    return (size_t)(parser->at - begin);
}

static int read_integer(struct parser *parser, const char *begin, int64_t *ret_integer)
{
    bool negative = *begin == '-';
    uint64_t value = 0;
    for (const char *at = begin + negative; at < parser->at; at++)
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return fail(parser, "a number is too large");
    if (value > (uint64_t)INT64_MAX + negative)
        return fail(parser, "a number is too large");
    *ret_integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

/* The text is followed by a byte of the document, or by its end. */
static int check_real(struct parser *parser, const char *begin)
{
    char text[320];
    size_t length = (size_t)(parser->at - begin);
    if (length >= sizeof(text))
        return fail(parser, "a number is too long");
    memcpy(text, begin, length);
    text[length] = '\0';
    return isfinite(strtod(text, NULL)) ? 0 : fail(parser, "a number is too large");
}

static int read_number(struct parser *parser)
{
    struct json_node *node;
    const char *begin = parser->at;
    bool real = false;
    int r = add_node(parser, JSON_NODE_INTEGER, &node);
    if (r < 0)
        return r;
    if (peek(parser) == '-')
        parser->at++;
    const char *digits = parser->at;
    if (skip_digits(parser) == 0)
        return fail(parser, "a value is missing");
    if (*digits == '0' && parser->at - digits > 1)
        return fail(parser, "a number begins with 0");
    if (peek(parser) == '.') {
        real = true;
        parser->at++;
        if (skip_digits(parser) == 0)
            return fail(parser, "a number is not whole");
    }
    if (peek(parser) == 'e' || peek(parser) == 'E') {
        real = true;
        parser->at++;
        if (peek(parser) == '+' || peek(parser) == '-')
            parser->at++;
        if (skip_digits(parser) == 0)
            return fail(parser, "a number is not whole");
    }
    if (real)
        node->kind = JSON_NODE_REAL;
    r = real ? check_real(parser, begin) : read_integer(parser, begin, &node->integer);
    if (r < 0)
        return r;
    end_node(parser, node);
    return 0;
}

static int read_word(struct parser *parser)
{
    static const struct {
        const char *word;
        enum json_node_kind kind;
    } words[] = {{"true", JSON_NODE_TRUE}, {"false", JSON_NODE_FALSE}, {"null", JSON_NODE_NULL}};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        size_t length = strlen(words[i].word);
        if ((size_t)(parser->end - parser->at) < length ||
            memcmp(parser->at, words[i].word, length) != 0)
            continue;
        struct json_node *node;
        int r = add_node(parser, words[i].kind, &node);
        if (r < 0)
            return r;
        parser->at += length;
        end_node(parser, node);
        return 0;
    }
    return read_number(parser);
}

/* --- values */

static int open_container(struct parser *parser, char c)
{
    struct json_node *node;
    if (parser->depth == JSON_TREE_DEPTH)
        return fail(parser, "too many levels");
    int r = add_node(parser, c == '{' ? JSON_NODE_OBJECT : JSON_NODE_ARRAY, &node);
    if (r < 0)
        return r;
    parser->keys[parser->depth] = 0;
    parser->alike[parser->depth] = false;
    parser->open[parser->depth++] = (uint32_t)(node - parser->tree->nodes);
    parser->at++;
    return 0;
}

static int close_container(struct parser *parser)
{
    struct json_node *node = &parser->tree->nodes[parser->open[--parser->depth]];
    bool object = node->kind == JSON_NODE_OBJECT;
    parser->at++;
    end_node(parser, node);
    return object ? check_keys(parser, node) : 0;
}

static int read_scalar(struct parser *parser)
{
    struct json_node *node;
    if (peek(parser) != '"')
        return read_word(parser);
    int r = add_node(parser, JSON_NODE_STRING, &node);
    if (r < 0)
        return r;
    parser->at++;
    r = read_string(parser, &node->text, &node->length);
    if (r < 0)
        return r;
    end_node(parser, node);
    return 0;
}

/* What stands after a value: 1 when another follows, 0 at the end. */
static int read_after_value(struct parser *parser)
{
    while (parser->depth > 0) {
        bool object = parser->tree->nodes[parser->open[parser->depth - 1]].kind == JSON_NODE_OBJECT;
        skip_space(parser);
        int c = peek(parser);
        if (c == ',') {
            parser->at++;
            int r = object ? read_key(parser) : 0;
            return r < 0 ? r : 1;
        }
        if (c != (object ? '}' : ']'))
            return fail(parser, "a comma or the end of an object or array is missing");
        int r = close_container(parser);
        if (r < 0)
            return r;
    }
    skip_space(parser);
    return parser->at == parser->end ? 0 : fail(parser, "something follows the end");
}

/* A scalar, an empty container, or the way into one: 1 when a value must follow at once. */
static int read_value(struct parser *parser)
{
    skip_space(parser);
    int c = peek(parser);
    if (c != '{' && c != '[')
        return parser->depth > 0 ? read_scalar(parser) : fail(parser, "send an object");
    int r = open_container(parser, (char)c);
    if (r < 0)
        return r;
    skip_space(parser);
    if (peek(parser) == (c == '{' ? '}' : ']'))
        return close_container(parser);
    r = c == '{' ? read_key(parser) : 0;
    return r < 0 ? r : 1;
}

static int read_document(struct parser *parser)
{
    int r = 1;
    while (r == 1) {
        r = read_value(parser);
        if (r == 0)
            r = read_after_value(parser);
    }
    return r;
}

int json_tree_parse(const char *text, size_t length, struct json_tree **ret_tree,
                    char ret_problem[static 128])
{
    enum { USUAL_BYTES = 16 }; /* of the text a node */
    ret_problem[0] = '\0';
    if (length > LENGTH_MAXIMUM)
        return -EBADMSG;
    /* A decoded string and its NUL fit between its quotes. */
    size_t bytes = sizeof(struct json_tree) + 2 * length + 2;
    struct json_tree *tree = spare_take(bytes);
    if (!tree)
        return -ENOMEM;
    tree->bytes = bytes;
    tree->count = 0;
    tree->spaced = false;
    if (length > 0)
        memcpy(tree->memory, text, length);
    tree->capacity = length / USUAL_BYTES + USUAL_BYTES;
    tree->nodes = spare_take(tree->capacity * sizeof(*tree->nodes));
    struct parser parser; /* what belongs to a level is set when it begins */
    parser.begin = parser.at = text;
    parser.end = text + length;
    parser.strings = tree->memory + length + 1;
    parser.tree = tree;
    parser.depth = 0;
    parser.key = parser.problem = NULL;
    int r = tree->nodes ? read_document(&parser) : -ENOMEM;
    if (r < 0) {
        if (parser.problem)
            (void)text_format(ret_problem, 128, "%s at byte %zu", parser.problem,
                              (size_t)(parser.at - parser.begin));
        (void)json_tree_free(tree);
        return r;
    }
    *ret_tree = tree;
    return 0;
}

void json_tree_forget_nodes(struct json_tree *tree)
{
    spare_give(tree->nodes, tree->capacity * sizeof(*tree->nodes));
    tree->nodes = NULL;
}

/* --- asking */

const struct json_node *json_tree_root(const struct json_tree *tree)
{
    return tree->nodes;
}

const struct json_node *json_node_first(const struct json_node *node)
{
    bool container = node->kind == JSON_NODE_OBJECT || node->kind == JSON_NODE_ARRAY;
    return container && node->length > 0 ? node + 1 : NULL;
}

const struct json_node *json_node_next(const struct json_node *node)
{
    return node->next ? node + node->next : NULL;
}

const struct json_node *json_node_find(const struct json_node *object, const char *key)
{
    if (object->kind != JSON_NODE_OBJECT)
        return NULL;
    const struct json_node *at = json_node_first(object);
    while (at && !is_same_key(at->key, key))
        at = json_node_next(at);
    return at;
}

/* Takes the space between values out of it, in place; its new end. */
static char *compact(char *text, const char *end)
{
    char *to = text;
    bool inside = false; /* a string */
    for (const char *at = text; at < end; at++) {
        if (!inside && is_space(*at))
            continue;
        if (inside && *at == '\\')
            *to++ = *at++;
        else if (*at == '"')
            inside = !inside;
        *to++ = *at;
    }
    return to;
}

const char *json_tree_text(struct json_tree *tree, const struct json_node *node)
{
    char *text = tree->memory + node->begin, *end = text + node->size;
    if (tree->spaced)
        end = compact(text, end);
    *end = '\0';
    return text;
}
