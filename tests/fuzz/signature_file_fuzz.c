/* A mirror's files: no name leads out of its folder, and only bytes of the head are read. */
#include "common/signature_file/signature_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signature_head head;

    if (signature_head_read((const char *)data, size, &head) == 0 &&
        (size < SIGNATURE_HEAD_BYTES || memcmp(data, "ClamAV-VDB:", 11) != 0))
        abort();
    char *name = calloc(1, size + 1);
    if (name == NULL)
        return 0;
    memcpy(name, data, size);
    if (signature_file_kind(name) != SIGNATURE_OTHER &&
        (strchr(name, '/') != NULL || name[0] == '.' || strlen(name) >= SIGNATURE_NAME_BYTES))
        abort();
    free(name);
    return 0;
}
