/* Owns the file: a line "KIND ALTERED FACTS PATH\n" each, facts in hexadecimal, "-" for none, the
 * path escaped. Whoever can write it is root, and can do more; what a package brought is compared
 * with the package's word all the same. */
#include "agent/tamper/snapshot.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define MOST_BYTES (1024 * 1024)
#define MOST_FACTS 65536

static void free_file(struct own_file *file)
{
    file_facts_done(&file->facts);
    free(file->path);
    free(file);
}

void snapshot_done(struct snapshot *snapshot)
{
    while (snapshot->first != NULL) {
        struct own_file *next = snapshot->first->next;
        free_file(snapshot->first);
        snapshot->first = next;
    }
}

struct own_file *snapshot_find(struct snapshot *snapshot, const char *path)
{
    struct own_file *file = snapshot->first;

    while (file != NULL && !text_equal(file->path, path))
        file = file->next;
    return file;
}

struct own_file *snapshot_add(struct snapshot *snapshot, const char *path, enum own_kind kind)
{
    struct own_file *file = calloc(1, sizeof *file);

    if (file == NULL)
        return NULL;
    file->path = strdup(path);
    if (file->path == NULL) {
        free(file);
        return NULL;
    }
    file->kind = kind;
    file->next = snapshot->first;
    snapshot->first = file;
    return file;
}

void snapshot_forget_gone(struct snapshot *snapshot)
{
    for (struct own_file **at = &snapshot->first; *at != NULL;) {
        struct own_file *file = *at;
        if (file->visited || file->there) {
            at = &file->next;
            continue;
        }
        *at = file->next;
        free_file(file);
    }
}

/* ---- the file ---- */

static int write_file(struct buffer *text, const struct own_file *file)
{
    AUTO_BUFFER struct buffer bytes = BUFFER_WITH_MAXIMUM(MOST_FACTS);
    AUTO_FREE char *path = text_escape_new(file->path, strlen(file->path));

    file_facts_encode(&file->facts, &bytes);
    AUTO_FREE char *hex = malloc(2 * bytes.length + 1);
    if (path == NULL || hex == NULL || buffer_failed(&bytes) < 0)
        return -ENOMEM;
    text_hex(hex, (const uint8_t *)buffer_text(&bytes), bytes.length);
    return buffer_append_format(text, "%u %u %s %s\n", (unsigned)file->kind, file->altered, hex,
                                path);
}

int snapshot_write(const char *path, const struct snapshot *snapshot)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    int r = 0;

    for (const struct own_file *file = snapshot->first; r == 0 && file != NULL; file = file->next)
        if (file->there)
            r = write_file(&text, file);
    return r < 0 ? r : file_replace(path, buffer_text(&text), text.length, 0600);
}

static int read_facts(const char *hex, struct file_facts *ret_facts)
{
    size_t length = strlen(hex) / 2;
    AUTO_FREE uint8_t *bytes = malloc(length + 1);

    if (bytes == NULL)
        return -ENOMEM;
    int r = text_parse_hex(hex, bytes, length);
    return r < 0 ? -EBADMSG : file_facts_decode(bytes, length, ret_facts);
}

/* "KIND ALTERED FACTS PATH". */
static int read_line(struct snapshot *snapshot, char *line)
{
    char *words[4], path[PATH_MAX];
    uint64_t kind, altered;
    size_t length;

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        words[i] = i + 1 < ARRAY_LENGTH(words) ? strsep(&line, " ") : line;
        if (words[i] == NULL)
            return -EBADMSG;
    }
    if (text_parse_u64(words[0], &kind) < 0 || kind > OWN_DATABASE ||
        text_parse_u64(words[1], &altered) < 0 || strlen(words[3]) >= sizeof path ||
        text_unescape(path, sizeof path, words[3], &length) < 0)
        return -EBADMSG;
    struct own_file *file = snapshot_add(snapshot, path, (enum own_kind)kind);
    if (file == NULL)
        return -ENOMEM;
    file->altered = altered != 0;
    int r = read_facts(words[2], &file->facts);
    file->there = r == 0;
    return r;
}

int snapshot_read(const char *path, struct snapshot *snapshot)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    int r = file_read_all(path, &text);
    char *rest = text.data;
    for (char *line; r == 0 && rest != NULL && (line = strsep(&rest, "\n")) != NULL;)
        r = line[0] != '\0' ? read_line(snapshot, line) : 0;
    if (r < 0)
        snapshot_done(snapshot);
    snapshot->is_new = r < 0;
    return r;
}
