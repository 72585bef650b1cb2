/* Owns the matching of a sentence with its template. Keeps nothing: a program says few of them. */
#include "common/sentences/sentences.h"

#include "common/buffers/buffer.h"
#include "common/json/json_tree.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

enum {
    MOST_VALUES = 9,
    MOST_BYTES = 4096, /* of a sentence */
    MOST_NAMES = 2,    /* before one */
    DEEPEST = 2,       /* a value may be a sentence, and a value of that */
};

extern const char sentences_ja_begin[], sentences_ja_end[];

struct value {
    const char *text;
    size_t length;
};

const char *sentences_japanese(size_t *ret_length)
{
    *ret_length = (size_t)(sentences_ja_end - sentences_ja_begin);
    return sentences_ja_begin;
}

/* Whether text, of which the end is known, is made by the template; then its values. */
static bool take_values(const char *text, const char *end, const char *template,
                        struct value values[static MOST_VALUES])
{
    for (size_t count = 0;; count++) {
        const char *hole = strstr(template, "{}");
        size_t length = hole != NULL ? (size_t)(hole - template) : strlen(template);
        /* Before the first value, or between two of them, or behind the last one. */
        const char *found = count == 0     ? text
                            : hole != NULL ? memmem(text, (size_t)(end - text), template, length)
                                           : end - length;
        if (found == NULL || found < text || length > (size_t)(end - found) ||
            memcmp(found, template, length) != 0)
            return false;
        if (count > 0)
            values[count - 1] = (struct value){text, (size_t)(found - text)};
        if (hole == NULL)
            return found + length == end;
        if (count == MOST_VALUES)
            return false;
        text = found + length;
        template = hole + 2;
    }
}

/* The template with the most words of its own; NULL when there is none. */
static const struct json_node *find(const struct json_node *catalogue, const char *text,
                                    const char *end, struct value values[static MOST_VALUES])
{
    const struct json_node *best = NULL;
    size_t best_length = 0;

    for (const struct json_node *node = json_node_first(catalogue); node != NULL;
         node = json_node_next(node)) {
        struct value found[MOST_VALUES] = {{NULL, 0}};
        size_t length = strlen(node->key);
        if (length <= best_length || !take_values(text, end, node->key, found))
            continue;
        best = node;
        best_length = length;
        memcpy(values, found, sizeof found);
    }
    return best;
}

static bool append_sentence(const struct json_node *catalogue, const char *text, size_t length,
                            int depth, struct buffer *out);

static void append_value(const struct json_node *catalogue, const struct value *value, int depth,
                         struct buffer *out)
{
    if (value->text == NULL ||
        (depth < DEEPEST && append_sentence(catalogue, value->text, value->length, depth + 1, out)))
        return;
    (void)buffer_append(out, value->text, value->length);
}

/* False: there is none, and nothing was appended. */
static bool append_sentence(const struct json_node *catalogue, const char *text, size_t length,
                            int depth, struct buffer *out)
{
    struct value values[MOST_VALUES] = {{NULL, 0}};

    const struct json_node *node = length > 0 ? find(catalogue, text, text + length, values) : NULL;
    if (node == NULL)
        return false;
    for (const char *at = node->text; *at != '\0'; at++) {
        if (at[0] == '{' && at[1] >= '1' && at[1] <= '9' && at[2] == '}') {
            append_value(catalogue, &values[at[1] - '1'], depth, out);
            at += 2;
        } else {
            (void)buffer_append(out, at, 1);
        }
    }
    return true;
}

/* The text behind a name and ": "; NULL when there is no name. */
static const char *behind_name(const char *text)
{
    size_t length = strcspn(text, " ");

    return length > 1 && text[length] == ' ' && text[length - 1] == ':' ? text + length + 1 : NULL;
}

char *sentence_in_japanese(const char *english)
{
    AUTO_BUFFER struct buffer out = BUFFER_WITH_MAXIMUM(8 * MOST_BYTES);
    char problem[128];
    struct json_tree *tree = NULL;
    size_t length;
    bool known = false;

    const char *catalogue = sentences_japanese(&length);
    if (strlen(english) > MOST_BYTES || json_tree_parse(catalogue, length, &tree, problem) < 0)
        return NULL;
    const char *text = english;
    for (int names = 0; !known && text != NULL && names <= MOST_NAMES; names++) {
        buffer_clear(&out);
        (void)buffer_append(&out, english, (size_t)(text - english));
        known = append_sentence(json_tree_root(tree), text, strlen(text), 0, &out);
        text = behind_name(text);
    }
    (void)json_tree_free(tree);
    return known && buffer_failed(&out) == 0 ? strdup(buffer_text(&out)) : NULL;
}
