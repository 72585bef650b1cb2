/* Owns the descriptor and the format of the cache file; never decides what is worth remembering.
 * A torn or damaged block ends the reading: all behind it is cut off and scanned again. */
#include "agent/scan/verdict_cache_file.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct file_header {
    char magic[8];
    uint32_t version;
    uint32_t record_bytes;
};

struct block_header {
    uint32_t magic;
    uint32_t count;
    uint64_t checksum;
};

struct verdict_cache_file {
    char *path, *fresh_path;
    int fd;
    uint64_t length;  /* bytes that are whole blocks */
    uint64_t records; /* in them */
    int old_fd;       /* while a fresh file is written; -1 otherwise */
    uint64_t old_length, old_records;
    struct {
        struct block_header header;
        struct verdict_record records[VERDICT_BLOCK_RECORDS];
    } block;
};

static const struct file_header expected_header = {
    .magic = "YAGURAVC",
    .version = 1,
    .record_bytes = sizeof(struct verdict_record),
};

enum { BLOCK_MAGIC = 0x56424c4b };

_Static_assert(sizeof(struct verdict_record) == 48, "a record is 48 bytes, without holes");

static uint64_t checksum_of(const struct verdict_record *records, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)records;
    uint64_t sum = count + 1;

    for (size_t at = 0; at < count * sizeof *records; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
        sum ^= sum >> 32;
    }
    return sum;
}

static bool read_block(struct verdict_cache_file *file)
{
    struct block_header *header = &file->block.header;

    if (file_read(file->fd, header, sizeof *header) != (ssize_t)sizeof *header)
        return false;
    if (header->magic != BLOCK_MAGIC || header->count == 0 || header->count > VERDICT_BLOCK_RECORDS)
        return false;
    size_t bytes = header->count * sizeof(struct verdict_record);
    if (file_read(file->fd, file->block.records, bytes) != (ssize_t)bytes)
        return false;
    return checksum_of(file->block.records, header->count) == header->checksum;
}

static int write_header(struct verdict_cache_file *file)
{
    int r = ftruncate(file->fd, 0) < 0 ? -errno : 0;
    if (r == 0 && lseek(file->fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r == 0)
        r = file_write(file->fd, &expected_header, sizeof expected_header);
    file->length = r == 0 ? sizeof expected_header : 0;
    file->records = 0;
    return r;
}

static int read_blocks(struct verdict_cache_file *file, verdict_record_visitor *visit, void *user)
{
    struct file_header header = {0};

    if (file_read(file->fd, &header, sizeof header) != (ssize_t)sizeof header ||
        memcmp(&header, &expected_header, sizeof header) != 0)
        return write_header(file);
    file->length = sizeof header;
    while (read_block(file)) {
        for (size_t i = 0; i < file->block.header.count; i++)
            visit(user, &file->block.records[i]);
        file->records += file->block.header.count;
        file->length +=
            sizeof file->block.header + file->block.header.count * sizeof(struct verdict_record);
    }
    if (ftruncate(file->fd, (off_t)file->length) < 0 ||
        lseek(file->fd, (off_t)file->length, SEEK_SET) < 0)
        return -errno;
    return 0;
}

int verdict_cache_file_open(const char *path, verdict_record_visitor *visit, void *user,
                            struct verdict_cache_file **ret_file)
{
    struct verdict_cache_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return -ENOMEM;
    file->fd = file->old_fd = -1;
    file->path = strdup(path);
    file->fresh_path = text_format_new("%s.new", path);
    int r = file->path != NULL && file->fresh_path != NULL ? 0 : -ENOMEM;
    if (r == 0)
        r = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, &file->fd);
    if (r == 0)
        r = read_blocks(file, visit, user);
    if (r < 0) {
        verdict_cache_file_close(file);
        return r;
    }
    *ret_file = file;
    return 0;
}

struct verdict_cache_file *verdict_cache_file_close(struct verdict_cache_file *file)
{
    if (file == NULL)
        return NULL;
    verdict_cache_file_rewrite_abandon(file);
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file->path);
    free(file->fresh_path);
    free(file);
    return NULL;
}

int verdict_cache_file_append(struct verdict_cache_file *file, const struct verdict_record *records,
                              size_t count)
{
    size_t bytes = count * sizeof *records;

    file->block.header = (struct block_header){
        .magic = BLOCK_MAGIC,
        .count = (uint32_t)count,
        .checksum = checksum_of(records, count),
    };
    memcpy(file->block.records, records, bytes);
    int r = file_write(file->fd, &file->block, sizeof file->block.header + bytes);
    if (r < 0) {
        (void)!ftruncate(file->fd, (off_t)file->length);
        (void)lseek(file->fd, (off_t)file->length, SEEK_SET);
        return r;
    }
    file->length += sizeof file->block.header + bytes;
    file->records += count;
    return 0;
}

uint64_t verdict_cache_file_records(const struct verdict_cache_file *file)
{
    return file->records;
}

int verdict_cache_file_rewrite_begin(struct verdict_cache_file *file)
{
    int fd;
    int r = file_open_at(AT_FDCWD, file->fresh_path, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd);
    if (r < 0)
        return r;
    file->old_fd = file->fd;
    file->old_length = file->length;
    file->old_records = file->records;
    file->fd = fd;
    r = write_header(file);
    if (r < 0)
        verdict_cache_file_rewrite_abandon(file);
    return r;
}

int verdict_cache_file_rewrite_commit(struct verdict_cache_file *file)
{
    if (rename(file->fresh_path, file->path) < 0) {
        int error = -errno;
        verdict_cache_file_rewrite_abandon(file);
        return error;
    }
    (void)close(file->old_fd);
    file->old_fd = -1;
    return 0;
}

void verdict_cache_file_rewrite_abandon(struct verdict_cache_file *file)
{
    if (file->old_fd < 0)
        return;
    (void)close(file->fd);
    (void)unlink(file->fresh_path);
    file->fd = file->old_fd;
    file->length = file->old_length;
    file->records = file->old_records;
    file->old_fd = -1;
}
