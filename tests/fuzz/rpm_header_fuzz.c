/* An rpm header: nothing outside its bytes is read, a found file's texts lie within it, and what is
 * called a digest is one. */
#include "agent/inspector/rpm_header.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void require_within(const uint8_t *data, size_t size, const char *text)
{
    const uint8_t *start = (const uint8_t *)text;

    require(start >= data && start < data + size);
    require(memchr(start, '\0', size - (size_t)(start - data)) != NULL);
}

static void check(const uint8_t *data, size_t size, const char *path)
{
    struct rpm_header_file file;
    int r = rpm_header_find(data, size, path, &file);

    require(r == 0 || r == -ENOENT || r == -EBADMSG);
    if (r < 0)
        return;
    require_within(data, size, file.package);
    if (file.kind == RPM_DIGEST_NONE)
        return;
    require_within(data, size, file.digest);
    require(strlen(file.digest) == (file.kind == RPM_DIGEST_MD5 ? 32 : 64));
    require(strspn(file.digest, "0123456789abcdef") == strlen(file.digest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size, "/usr/bin/tool");
    check(data, size, "/etc/tool.conf");
    check(data, size, "/x");
    return 0;
}
