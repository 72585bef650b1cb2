/* The inotify record parser and the mount table parser. Properties: every record lies within the
 * input, the offset only grows, and every mount that was parsed is found by its path. */
#include <stdint.h>

#include "agent/watch/mounts.h"
#include "agent/watch/watch_source.h"
#include "common/text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_records(const char *bytes, size_t size)
{
    struct watch_record record;
    size_t offset = 0;
    size_t before = 0;

    while (inotify_record_parse(bytes, size, &offset, &record)) {
        if (offset <= before || offset > size || record.name < bytes ||
            record.name + record.name_length > bytes + size ||
            memchr(record.name, '\0', record.name_length) != NULL)
            abort();
        before = offset;
    }
}

static void parse_mounts(const char *bytes, size_t size)
{
    char *text = text_new(bytes, size);
    struct mounts *mounts = NULL;

    if (text == NULL || mounts_parse(text, &mounts) < 0)
        abort();
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount_entry *entry = &mounts->entries[i];

        if (strlen(entry->path) != entry->path_length ||
            mounts_at(mounts, entry->path, entry->path_length) == NULL)
            abort();
    }
    (void)mounts_free(mounts);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_records((const char *)data, size);
    parse_mounts((const char *)data, size);
    return 0;
}
