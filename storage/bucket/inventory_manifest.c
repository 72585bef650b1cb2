/* Owns: the manifest's form. */
#include "storage/bucket/inventory_manifest.h"

#include "common/json/json_tree.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int complain(char problem[static 128], const char *text)
{
    (void)text_copy(problem, 128, text);
    return -EBADMSG;
}

static const char *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == JSON_NODE_STRING ? node->text : "";
}

/* ---- columns ---- */

static enum inventory_column column_of(const char *name, size_t length)
{
    static const char *const names[] = {
        [INVENTORY_BUCKET] = "Bucket",
        [INVENTORY_KEY] = "Key",
        [INVENTORY_VERSION] = "VersionId",
        [INVENTORY_IS_LATEST] = "IsLatest",
        [INVENTORY_IS_DELETE_MARKER] = "IsDeleteMarker",
        [INVENTORY_SIZE] = "Size",
        [INVENTORY_ETAG] = "ETag",
        [INVENTORY_STORAGE_CLASS] = "StorageClass",
    };

    for (size_t i = 1; i < ARRAY_LENGTH(names); i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return (enum inventory_column)i;
    return INVENTORY_OTHER;
}

/* "Bucket, Key, VersionId": each known one once, and a key. */
static int read_columns(const char *schema, struct inventory_manifest *manifest,
                        char problem[static 128])
{
    bool seen[INVENTORY_COLUMNS] = {false};

    for (const char *at = schema; *at != '\0';) {
        at += strspn(at, " ");
        size_t length = strcspn(at, ",");
        enum inventory_column column = column_of(at, length);
        if (manifest->column_count == INVENTORY_MOST_COLUMNS)
            return complain(problem, "its files have too many columns");
        if (column != INVENTORY_OTHER && seen[column])
            return complain(problem, "a column of its files is named twice");
        seen[column] = true;
        manifest->columns[manifest->column_count++] = column;
        at += length + (at[length] == ',');
    }
    return seen[INVENTORY_KEY] ? 0 : complain(problem, "its files have no column \"Key\"");
}

/* ---- files ---- */

static int add_file(const struct json_node *node, struct inventory_manifest *manifest,
                    char problem[static 128])
{
    if (node->kind != JSON_NODE_OBJECT)
        return complain(problem, "a file in it is none");
    const char *key = text_of(node, "key");
    const struct json_node *size = json_node_find(node, "size");
    if (key[0] == '\0' || strlen(key) >= S3_KEY_BYTES || size == NULL ||
        size->kind != JSON_NODE_INTEGER || size->integer < 0)
        return complain(problem, "a file in it has no key, or no size");
    struct inventory_file *file = &manifest->files[manifest->file_count];
    file->key = strdup(key);
    file->size = (uint64_t)size->integer;
    manifest->file_count += file->key != NULL;
    return file->key != NULL ? 0 : -ENOMEM;
}

static int read_files(const struct json_node *list, struct inventory_manifest *manifest,
                      char problem[static 128])
{
    int r = 0;

    if (list == NULL || list->kind != JSON_NODE_ARRAY)
        return complain(problem, "it has no list of files");
    if (list->length > INVENTORY_MOST_FILES)
        return complain(problem, "it has too many files");
    manifest->files = calloc((size_t)list->length + 1, sizeof *manifest->files);
    if (manifest->files == NULL)
        return -ENOMEM;
    for (const struct json_node *node = json_node_first(list); r == 0 && node != NULL;
         node = json_node_next(node))
        r = add_file(node, manifest, problem);
    return r;
}

/* ---- all ---- */

static int read_root(const struct json_node *root, struct inventory_manifest *manifest,
                     char problem[static 128])
{
    if (root->kind != JSON_NODE_OBJECT)
        return complain(problem, "it is no manifest of S3 Inventory");
    if (!text_equal(text_of(root, "fileFormat"), "CSV"))
        return complain(problem, "its files are not CSV: make an inventory in that format");
    if (text_copy(manifest->bucket, sizeof manifest->bucket, text_of(root, "sourceBucket")) < 0 ||
        manifest->bucket[0] == '\0')
        return complain(problem, "it names no bucket");
    int r = read_columns(text_of(root, "fileSchema"), manifest, problem);
    return r == 0 ? read_files(json_node_find(root, "files"), manifest, problem) : r;
}

int inventory_manifest_read(const char *json, size_t length,
                            struct inventory_manifest *ret_manifest, char ret_problem[static 128])
{
    struct inventory_manifest manifest = {.bucket = ""};
    struct json_tree *tree;

    ret_problem[0] = '\0';
    int r = json_tree_parse(json, length, &tree, ret_problem);
    if (r < 0)
        return r;
    r = read_root(json_tree_root(tree), &manifest, ret_problem);
    (void)json_tree_free(tree);
    if (r < 0)
        inventory_manifest_done(&manifest);
    else
        *ret_manifest = manifest;
    return r;
}

void inventory_manifest_done(struct inventory_manifest *manifest)
{
    for (size_t i = 0; i < manifest->file_count; i++)
        free(manifest->files[i].key);
    free(manifest->files);
    manifest->files = NULL;
    manifest->file_count = 0;
}
