/* Documents whose content is encrypted although their container is not, and which libclamav
 * therefore calls clean without having seen any of it: Office's packages with a password to open,
 * older Word, Excel and PowerPoint files with one, and OpenDocument. A pure function of the bytes.
 * Sources: [MS-OFFCRYPTO] 2.3, [MS-CFB] 2.6.1, [MS-DOC] 2.5.2, [MS-XLS] 2.4.117, OpenDocument 1.2
 * part 3, 4.8. */
#ifndef SCANNER_ENCRYPTED_DOCUMENT_H
#define SCANNER_ENCRYPTED_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

/* type: libclamav's name of the part's type; name: of the part in its archive, NULL = none;
 * content: all of the part, NULL = not at hand. */
bool encrypted_document_is(const char *type, const char *name, const void *content, size_t size);

#endif
