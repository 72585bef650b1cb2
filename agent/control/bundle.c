/* A tar file of redacted texts. Owns its format. */
#include "agent/control/bundle.h"

#include "agent/control/redact.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define BLOCK          512
#define REDACTED_BYTES ((size_t)16 * 1024 * 1024)

/* POSIX.1-2017, pax, "ustar Interchange Format". */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

void bundle_begin(struct bundle *bundle, const char *folder)
{
    *bundle = (struct bundle){.tar = BUFFER_WITH_MAXIMUM(LIMIT_BUNDLE_BYTES)};
    (void)text_copy(bundle->folder, sizeof bundle->folder, folder);
}

static int write_header(struct header *header, const char *folder, const char *name, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;

    memset(header, 0, sizeof *header);
    if (text_format(header->name, sizeof header->name, "%s/%s", folder, name) < 0)
        return -ENAMETOOLONG;
    (void)text_format(header->mode, sizeof header->mode, "%07o", 0600U);
    (void)text_format(header->uid, sizeof header->uid, "%07o", 0U);
    (void)text_format(header->gid, sizeof header->gid, "%07o", 0U);
    (void)text_format(header->size, sizeof header->size, "%011zo", length);
    (void)text_format(header->mtime, sizeof header->mtime, "%011llo",
                      (unsigned long long)(clock_realtime_ns() / NS_PER_SECOND));
    memset(header->checksum, ' ', sizeof header->checksum);
    header->type = '0';
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    for (size_t i = 0; i < sizeof *header; i++)
        sum += bytes[i];
    (void)text_format(header->checksum, sizeof header->checksum, "%06o", sum);
    header->checksum[7] = ' ';
    return 0;
}

/* Whether a text of so many bytes, and the two blocks of zeros at the end, have room. */
static bool has_room(const struct bundle *bundle, size_t length)
{
    size_t blocks = 1 + (length + BLOCK - 1) / BLOCK + 2;

    return bundle->tar.length + blocks * BLOCK <= LIMIT_BUNDLE_BYTES;
}

int bundle_add(struct bundle *bundle, const char *name, const char *text, size_t length)
{
    static const char zeros[BLOCK];
    AUTO_BUFFER struct buffer redacted = BUFFER_WITH_MAXIMUM(REDACTED_BYTES);
    struct header header;

    /* Before it is cut: half a key is not known as one. */
    int r = redact(text, length, &redacted);
    if (r < 0)
        return r;
    if (redacted.length > BUNDLE_TEXT_BYTES)
        buffer_consume(&redacted, redacted.length - BUNDLE_TEXT_BYTES);
    if (!has_room(bundle, redacted.length))
        return -EMSGSIZE;
    r = write_header(&header, bundle->folder, name, redacted.length);
    if (r < 0)
        return r;
    (void)buffer_append(&bundle->tar, &header, sizeof header);
    (void)buffer_append(&bundle->tar, buffer_text(&redacted), redacted.length);
    if (redacted.length % BLOCK != 0)
        (void)buffer_append(&bundle->tar, zeros, BLOCK - redacted.length % BLOCK);
    return buffer_failed(&bundle->tar);
}

int bundle_end(struct bundle *bundle)
{
    static const char zeros[2 * BLOCK];

    (void)buffer_append(&bundle->tar, zeros, sizeof zeros);
    return buffer_failed(&bundle->tar);
}

void bundle_done(struct bundle *bundle)
{
    buffer_done(&bundle->tar);
}
