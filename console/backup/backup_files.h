/* Files of a backup. Shared by the files of console/backup only. */
#ifndef CONSOLE_BACKUP_BACKUP_FILES_H
#define CONSOLE_BACKUP_BACKUP_FILES_H

#include "common/attributes.h"
#include "common/crypto/hash.h"

#define BACKUP_PATH_BYTES 4096

int backup_path(const char *folder, const char *name, char path[static BACKUP_PATH_BYTES]) MUST_USE;
/* Durable, mode 0600; target must not exist. -ENOENT when source does not. */
int backup_copy_file(const char *source, const char *target) MUST_USE;
int backup_hash_file(const char *path, char ret_hex[static SHA256_HEX_BYTES]) MUST_USE;
/* Says it, and gives error back. */
int backup_fail(char ret_problem[static 512], int error, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
