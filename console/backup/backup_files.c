/* Owns copying and hashing whole files. */
#include "console/backup/backup_files.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>

#define PIECE_BYTES 65536
#define MOST_BYTES  (1ULL << 50)

int backup_path(const char *folder, const char *name, char path[static BACKUP_PATH_BYTES])
{
    int r = text_format(path, BACKUP_PATH_BYTES, "%s/%s", folder, name);
    return r < 0 ? r : 0;
}

int backup_copy_file(const char *source, const char *target)
{
    AUTO_CLOSE int from = -1;
    AUTO_CLOSE int to = -1;
    char bytes[PIECE_BYTES];
    ssize_t length;
    int r = file_open_following(source, O_RDONLY, 0, &from);
    if (r == 0)
        r = file_open_following(target, O_WRONLY | O_CREAT | O_EXCL, 0600, &to);
    while (r == 0 && (length = file_read(from, bytes, sizeof(bytes))) != 0)
        r = length < 0 ? (int)length : file_write(to, bytes, (size_t)length);
    if (r == 0 && fsync(to) < 0)
        r = -errno;
    explicit_bzero(bytes, sizeof(bytes)); /* keys go this way */
    return r;
}

int backup_hash_file(const char *path, char ret_hex[static SHA256_HEX_BYTES])
{
    AUTO_CLOSE int fd = -1;
    uint8_t digest[SHA256_BYTES];
    int r = file_open_following(path, O_RDONLY, 0, &fd);
    if (r == 0)
        r = hash_sha256_fd(fd, MOST_BYTES, digest);
    if (r == 0)
        text_hex(ret_hex, digest, sizeof(digest));
    return r;
}

int backup_fail(char ret_problem[static 512], int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(ret_problem, 512, format, arguments);
    va_end(arguments);
    return error;
}
