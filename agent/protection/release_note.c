/* Owns the file of a release: "UNTIL_MS DETAIL\n". */
#include "agent/protection/release_note.h"

#include "agent/protection/protection.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MOST_BYTES (LIMIT_EVENT_DETAIL_BYTES + 32)

int release_note_write(const char *path, uint64_t duration_ns, const char *detail)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    uint64_t until_ms = (clock_realtime_ns() + duration_ns) / NS_PER_MS;

    int r = buffer_append_format(&text, "%llu %s\n", (unsigned long long)until_ms, detail);
    return r < 0 ? r : file_replace(path, buffer_text(&text), text.length, 0600);
}

static int parse(char *text, uint64_t *ret_left_ns, char **ret_detail)
{
    uint64_t until_ms, now_ms = clock_realtime_ns() / NS_PER_MS;
    char *detail = strchr(text, ' ');

    if (detail == NULL)
        return -EBADMSG;
    *detail++ = '\0';
    detail[strcspn(detail, "\n")] = '\0';
    int r = text_parse_u64(text, &until_ms);
    if (r < 0)
        return r;
    *ret_detail = strdup(detail);
    *ret_left_ns = until_ms > now_ms
                       ? MIN((until_ms - now_ms), PROTECTION_RELEASE_NS / NS_PER_MS) * NS_PER_MS
                       : 0;
    return *ret_detail != NULL ? 0 : -ENOMEM;
}

int release_note_take(const char *path, uint64_t *ret_left_ns, char **ret_detail)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    int r = file_read_all(path, &text);
    if (r < 0)
        return r;
    r = text.length > 0 ? parse(text.data, ret_left_ns, ret_detail) : -EBADMSG;
    return unlink(path) < 0 && r == 0 ? -errno : r;
}

int protection_release_stopped(const char *state_directory, uint64_t duration_ns,
                               const char *detail)
{
    AUTO_FREE char *path = text_format_new("%s/" PROTECTION_FILE, state_directory);
    AUTO_FREE char *note = text_format_new("%s/" PROTECTION_RELEASE_FILE, state_directory);

    if (path == NULL || note == NULL)
        return -ENOMEM;
    int r = release_note_write(note, duration_ns, detail);
    if (r < 0)
        return r;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}
