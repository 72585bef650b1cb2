/* Denied hashes as an .hsb file: "hash:*:name:73", where * stands for any size and 73 is the oldest
 * level of libclamav that knows it (ClamAV's signature documentation, "hash-based signatures"). */
#include "agent/supervisor/policy_hashes.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "scanner/client/database_files.h"

#include <errno.h>
#include <string.h>

#define LINE_BYTES 128
#define SIGNATURE  "Policy.Denied.Hash"

static bool is_same(const char *path, const struct buffer *list)
{
    AUTO_BUFFER struct buffer there = BUFFER_WITH_MAXIMUM(list->maximum);

    return file_read_all(path, &there) == 0 && there.length == list->length &&
           memcmp(buffer_text(&there), buffer_text(list), list->length) == 0;
}

int policy_hashes_write(const char *state_directory, const char *const *hashes)
{
    AUTO_BUFFER struct buffer list = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_LIST * LINE_BYTES);
    AUTO_FREE char *folder = text_format_new("%s/" POLICY_HASHES_FOLDER, state_directory);
    AUTO_FREE char *path =
        folder != NULL ? text_format_new("%s/" DATABASE_POLICY_LIST, folder) : NULL;

    if (path == NULL)
        return -ENOMEM;
    for (size_t i = 0; hashes[i] != NULL; i++)
        (void)buffer_append_format(&list, "%s:*:" SIGNATURE ":73\n", hashes[i]);
    int r = buffer_failed(&list);
    if (r == 0)
        r = file_make_directories(folder, 0700);
    if (r < 0)
        return r;
    if (list.length == 0 && access(path, F_OK) < 0 && errno == ENOENT)
        return 0; /* unlink would ask for the right to write first */
    if (list.length == 0)
        return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
    return is_same(path, &list) ? 0 : file_replace(path, buffer_text(&list), list.length, 0600);
}
