/* The place file. Owns: its form. */
#include "storage/bucket/scan_place.h"

#include "common/files/file.h"
#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>

#define SCHEMA     "yagura-bucket-scan/1"
#define MOST_BYTES (64 * 1024)

const char *scan_count_name(enum scan_count count)
{
    static const char *const names[] = {"listed", "left_out", "archived", "queued",
                                        "clean",  "current",  "infected", "incomplete",
                                        "error",  "gone",     "failed"};

    return names[count];
}

static const char *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == JSON_NODE_STRING ? node->text : "";
}

static uint64_t number_of(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == JSON_NODE_INTEGER && node->integer > 0
               ? (uint64_t)node->integer
               : 0;
}

static int take(const struct json_node *root, struct scan_place *place)
{
    struct scan_place loaded = *place;
    const struct json_node *finished =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "finished") : NULL;

    if (finished == NULL || !text_equal(text_of(root, "schema"), SCHEMA) ||
        !text_equal(text_of(root, "bucket"), place->bucket) ||
        !text_equal(text_of(root, "prefix"), place->prefix) ||
        !text_equal(text_of(root, "inventory"), place->inventory) ||
        text_copy(loaded.after, sizeof loaded.after, text_of(root, "after")) < 0)
        return -EBADMSG;
    loaded.finished = finished->kind == JSON_NODE_TRUE;
    loaded.bytes = number_of(root, "bytes");
    loaded.file = number_of(root, "file");
    loaded.row = number_of(root, "row");
    for (size_t i = 0; i < SCAN_COUNTS; i++)
        loaded.counts[i] = number_of(root, scan_count_name((enum scan_count)i));
    *place = loaded;
    return 0;
}

int scan_place_load(const char *path, struct scan_place *place)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct json_tree *tree = NULL;
    char problem[128];

    int r = file_read_all(path, &text);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = json_tree_parse(buffer_text(&text), text.length, &tree, problem);
    if (r < 0)
        return r;
    r = take(json_tree_root(tree), place);
    (void)json_tree_free(tree);
    return r;
}

int scan_place_write(const struct scan_place *place, const char *event, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "schema", SCHEMA);
    json_write_field_string(&writer, "event", event);
    json_write_field_string(&writer, "bucket", place->bucket);
    json_write_field_string(&writer, "prefix", place->prefix);
    json_write_field_string(&writer, "after", place->after);
    if (place->inventory[0] != '\0') {
        json_write_field_string(&writer, "inventory", place->inventory);
        json_write_field_unsigned(&writer, "file", place->file);
        json_write_field_unsigned(&writer, "row", place->row);
    }
    json_write_field_bool(&writer, "finished", place->finished);
    json_write_field_unsigned(&writer, "bytes", place->bytes);
    for (size_t i = 0; i < SCAN_COUNTS; i++)
        json_write_field_unsigned(&writer, scan_count_name((enum scan_count)i), place->counts[i]);
    json_write_object_end(&writer);
    return buffer_append_text(json, "\n");
}

int scan_place_save(const char *path, const struct scan_place *place)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    int r = scan_place_write(place, place->finished ? "done" : "progress", &json);
    return r < 0 ? r : file_replace(path, buffer_text(&json), json.length, 0600);
}
