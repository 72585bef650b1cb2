/* Folders of loaders below the configured temporary directory. Internal to scanner/client. */
#ifndef SCANNER_CLIENT_TEMPORARY_DIRECTORY_H
#define SCANNER_CLIENT_TEMPORARY_DIRECTORY_H

#include "common/attributes.h"

#include <stddef.h>

#define LIMIT_TEMPORARY_PATH_BYTES 1024

/* A new empty folder, mode 0700, below parent, which is made when it is missing. -errno. */
int temporary_directory_make(const char *parent, char *ret_path, size_t size) MUST_USE;
/* Removes folders whose maker is no longer alive. */
void temporary_directory_clean(const char *parent);

#endif
