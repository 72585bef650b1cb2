/* A guess by magic bytes. A wrong guess costs time, never a verdict: the file is scanned elsewhere,
 * or holds up the reserve worker up to its time limit. */
#include "scanner/container.h"

#include "common/attributes.h"

#include <string.h>

#define LARGE_FILE_BYTES (4ULL << 20) /* at about 12 MB a CPU second: a third of a second */

struct magic {
    size_t offset;
    size_t length;
    const char *bytes;
};

static const struct magic magics[] = {
    {0, 2, "PK"},                 /* zip, Office, jar */
    {0, 6, "7z\xbc\xaf\x27\x1c"}, /* 7-Zip */
    {0, 4, "Rar!"},
    {0, 2, "\x1f\x8b"}, /* gzip */
    {0, 3, "BZh"},      /* bzip2 */
    {0, 6,
     "\xfd"
     "7zXZ"},                   /* xz */
    {0, 4, "\x28\xb5\x2f\xfd"}, /* zstd */
    {0, 2, "\x60\xea"},         /* arj */
    {2, 3, "-lh"},              /* lha */
    {2, 3, "-lz"},
    {257, 5, "ustar"},
    {0, 5, "07070"}, /* cpio */
    {0, 2, "\xc7\x71"},
    {0, 2, "\x71\xc7"},
    {0, 4, "MSCF"},                             /* cabinet */
    {0, 4, "ISc("},                             /* InstallShield */
    {0, 4, "ITSF"},                             /* chm */
    {0, 8, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}, /* OLE2, msi */
    {0, 5, "%PDF-"},
    {0, 4, "xar!"},
    {0, 4, "EGGA"},
    {0, 4, "ALZ\x01"},
    {0, 4, "Cr24"},             /* crx */
    {0, 4, "\x78\x9f\x3e\x22"}, /* tnef */
    {0, 4, "SZDD"},
    {0, 7, "!<arch>"},
};

bool container_likely(const uint8_t *head, size_t length, uint64_t file_size)
{
    if (file_size > LARGE_FILE_BYTES)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(magics); i++) {
        const struct magic *magic = &magics[i];
        if (magic->offset + magic->length <= length &&
            memcmp(head + magic->offset, magic->bytes, magic->length) == 0)
            return true;
    }
    return false;
}
