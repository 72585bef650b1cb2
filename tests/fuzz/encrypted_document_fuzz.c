/* Encrypted documents: whatever the bytes, only they are read, and the answer is theirs alone. */
#include "scanner/encrypted_document.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool first = encrypted_document_is("CL_TYPE_MSOLE2", NULL, data, size);

    if (first != encrypted_document_is("CL_TYPE_MSOLE2", "other/name", data, size))
        abort();
    (void)encrypted_document_is("CL_TYPE_TEXT_ASCII", "manifest.xml", data, size);
    return 0;
}
