/* Owns the folders mirror/ and spool/, and placed.json, which says what stands in the former. */
#include "agent/signatures/mirror_files.h"

#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/signature_file/signature_file.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SPOOL_FOLDER "signatures/spool"
#define PLACED_NAME  "signatures/placed.json"
#define RECORD_BYTES 65536
#define FILE_MODE    0600
#define FOLDER_MODE  0700

struct placed {
    char name[SIGNATURE_NAME_BYTES], sha256[65];
    uint64_t version;
};

/* In the spool, whole, durable, and of its digest; as long as it is this very file. */
struct checked {
    char sha256[65];
    struct file_identity identity;
};

struct mirror_files {
    int mirror_fd, spool_fd;
    char *record; /* path of placed.json */
    struct placed placed[LIMIT_MIRROR_FILES];
    size_t placed_count;
    struct checked checked[LIMIT_MIRROR_FILES]; /* in this run */
    size_t checked_count;
};

/* --- the record */

static void take_record(struct mirror_files *files, json_t *root)
{
    const json_t *list = json_object_get(root, "files"), *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
        json_int_t version = json_integer_value(json_object_get(entry, "version"));
        struct placed *placed = &files->placed[files->placed_count];
        if (files->placed_count == LIMIT_MIRROR_FILES || name == NULL || sha256 == NULL ||
            version < 0 || text_copy(placed->name, sizeof placed->name, name) < 0 ||
            text_copy(placed->sha256, sizeof placed->sha256, sha256) < 0 ||
            faccessat(files->mirror_fd, placed->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        placed->version = (uint64_t)version;
        files->placed_count++;
    }
}

/* One that cannot be read costs no more than another fetch. */
static void read_record(struct mirror_files *files)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(RECORD_BYTES);

    if (file_read_all(files->record, &text) < 0)
        return;
    json_t *root = json_loadb(buffer_text(&text), text.length, JSON_REJECT_DUPLICATES, NULL);
    take_record(files, root);
    json_decref(root);
}

static int write_record(const struct mirror_files *files)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(RECORD_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_key(&json, "files");
    json_write_array_begin(&json);
    for (size_t i = 0; i < files->placed_count; i++) {
        json_write_object_begin(&json);
        json_write_field_string(&json, "name", files->placed[i].name);
        json_write_field_string(&json, "sha256", files->placed[i].sha256);
        json_write_field_unsigned(&json, "version", files->placed[i].version);
        json_write_object_end(&json);
    }
    json_write_array_end(&json);
    json_write_object_end(&json);
    int r = buffer_failed(&text);
    return r < 0 ? r : file_replace(files->record, buffer_text(&text), text.length, FILE_MODE);
}

/* --- life */

static int open_folder(const char *state_directory, const char *name, int *ret_fd)
{
    AUTO_FREE char *path = text_format_new("%s/%s", state_directory, name);

    if (path == NULL)
        return -ENOMEM;
    int r = file_make_directories(path, FOLDER_MODE);
    return r < 0 ? r : file_open_directory(path, true, ret_fd);
}

int mirror_files_open(const char *state_directory, struct mirror_files **ret_files)
{
    struct mirror_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return -ENOMEM;
    files->mirror_fd = files->spool_fd = -1;
    files->record = text_format_new("%s/" PLACED_NAME, state_directory);
    int r = files->record != NULL ? 0 : -ENOMEM;
    if (r == 0)
        r = open_folder(state_directory, MIRROR_FILES_FOLDER, &files->mirror_fd);
    if (r == 0)
        r = open_folder(state_directory, SPOOL_FOLDER, &files->spool_fd);
    if (r < 0) {
        (void)mirror_files_close(files);
        return r;
    }
    read_record(files);
    *ret_files = files;
    return 0;
}

struct mirror_files *mirror_files_close(struct mirror_files *files)
{
    if (files == NULL)
        return NULL;
    if (files->mirror_fd >= 0)
        (void)close(files->mirror_fd);
    if (files->spool_fd >= 0)
        (void)close(files->spool_fd);
    free(files->record);
    free(files);
    return NULL;
}

/* --- what is there */

static const struct placed *find_placed(const struct mirror_files *files, const char *name)
{
    for (size_t i = 0; i < files->placed_count; i++)
        if (text_equal(files->placed[i].name, name))
            return &files->placed[i];
    return NULL;
}

static bool is_placed(const struct mirror_files *files, const struct wire_mirror_file *file)
{
    const struct placed *placed = find_placed(files, file->name);

    return placed != NULL && text_equal(placed->sha256, file->sha256);
}

/* "daily.cvd" and "daily.cld" are one database. */
static bool is_same_database(const char *left, const char *right)
{
    size_t length = strlen(left);

    if (text_equal(left, right))
        return true;
    return length == strlen(right) && length > 4 && strncmp(left, right, length - 4) == 0 &&
           (text_ends_with(left, ".cvd") || text_ends_with(left, ".cld")) &&
           (text_ends_with(right, ".cvd") || text_ends_with(right, ".cld"));
}

size_t mirror_files_count(const struct mirror_files *files)
{
    return files->placed_count;
}

bool mirror_files_have(const struct mirror_files *files, const struct wire_signatures *set)
{
    for (size_t i = 0; i < set->file_count; i++)
        if (!is_placed(files, &set->files[i]))
            return false;
    return set->file_count == 0 || set->file_count == files->placed_count;
}

/* Bytes of a file in the spool; 0 without. */
static uint64_t spooled(const struct mirror_files *files, const struct wire_mirror_file *file)
{
    struct stat status;

    if (fstatat(files->spool_fd, file->sha256, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(status.st_mode))
        return 0;
    return (uint64_t)status.st_size;
}

const struct wire_mirror_file *mirror_files_missing(const struct mirror_files *files,
                                                    const struct wire_signatures *set,
                                                    uint64_t *ret_offset)
{
    for (size_t i = 0; i < set->file_count; i++) {
        const struct wire_mirror_file *file = &set->files[i];
        if (is_placed(files, file))
            continue;
        *ret_offset = spooled(files, file);
        if (*ret_offset < file->size)
            return file;
    }
    return NULL;
}

const struct wire_mirror_file *mirror_files_older(const struct mirror_files *files,
                                                  const struct wire_signatures *set)
{
    for (size_t i = 0; i < set->file_count; i++)
        for (size_t j = 0; j < files->placed_count; j++)
            if (is_same_database(set->files[i].name, files->placed[j].name) &&
                set->files[i].version < files->placed[j].version)
                return &set->files[i];
    return NULL;
}

/* --- growing */

static bool is_checked(const struct mirror_files *files, const struct wire_mirror_file *file,
                       const struct stat *status)
{
    const struct file_identity identity = file_identity_of(status);

    for (size_t i = 0; i < files->checked_count; i++)
        if (text_equal(files->checked[i].sha256, file->sha256) &&
            file_identity_equal(&files->checked[i].identity, &identity))
            return true;
    return false;
}

static void note_checked(struct mirror_files *files, const struct wire_mirror_file *file,
                         const struct stat *status)
{
    if (files->checked_count == LIMIT_MIRROR_FILES)
        files->checked_count = 0; /* of other sets: these are checked once more */
    struct checked *checked = &files->checked[files->checked_count++];
    (void)text_copy(checked->sha256, sizeof checked->sha256, file->sha256);
    checked->identity = file_identity_of(status);
}

/* Once: a large file takes seconds, and whoever calls has others to answer. */
static int check_whole(struct mirror_files *files, const struct wire_mirror_file *file, int fd)
{
    uint8_t digest[SHA256_BYTES];
    struct stat status;
    char hex[65];

    if (fstat(fd, &status) < 0)
        return -errno;
    if (is_checked(files, file, &status))
        return 0;
    int r = fsync(fd) < 0 ? -errno : hash_sha256_fd(fd, file->size, digest);
    if (r < 0)
        return r;
    text_hex(hex, digest, sizeof digest);
    if (text_equal(hex, file->sha256)) {
        note_checked(files, file, &status);
        return 0;
    }
    (void)unlinkat(files->spool_fd, file->sha256, 0);
    return -EBADMSG;
}

int mirror_files_append(struct mirror_files *files, const struct wire_mirror_file *file,
                        uint64_t offset, const void *bytes, size_t length)
{
    AUTO_CLOSE int fd = -1;

    if (length == 0 || offset != spooled(files, file) || offset > file->size ||
        length > file->size - offset)
        return -EPROTO;
    int r =
        file_open_at(files->spool_fd, file->sha256, O_RDWR | O_CREAT | O_APPEND, FILE_MODE, &fd);
    if (r == 0)
        r = file_write(fd, bytes, length);
    if (r < 0 || offset + length < file->size)
        return r;
    return check_whole(files, file, fd);
}

/* --- in their place */

/* Whole, and of its digest also after a crash in between. */
static int check_spooled(struct mirror_files *files, const struct wire_mirror_file *file)
{
    AUTO_CLOSE int fd = -1;

    /* Of an empty file no piece ever comes. */
    int r = file->size == 0
                ? file_open_at(files->spool_fd, file->sha256, O_RDWR | O_CREAT, FILE_MODE, &fd)
                : file_open_regular(files->spool_fd, file->sha256, &fd, NULL);
    return r < 0 ? r : check_whole(files, file, fd);
}

static bool is_in_set(const struct wire_signatures *set, const char *name, bool by_digest)
{
    for (size_t i = 0; i < set->file_count; i++)
        if (text_equal(by_digest ? set->files[i].sha256 : set->files[i].name, name))
            return true;
    return false;
}

static void remove_others(int folder_fd, const struct wire_signatures *set, bool by_digest)
{
    int fd = -1;

    if (file_open_at(folder_fd, ".", O_RDONLY | O_DIRECTORY, 0, &fd) < 0)
        return;
    DIR *listing = fdopendir(fd);
    if (listing == NULL) {
        (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.' && !is_in_set(set, entry->d_name, by_digest))
            (void)unlinkat(folder_fd, entry->d_name, 0);
    (void)closedir(listing);
}

/* What a crash leaves out of the record is fetched again. */
static int place_one(struct mirror_files *files, const struct wire_mirror_file *file)
{
    struct placed *placed = (struct placed *)(uintptr_t)find_placed(files, file->name);

    if (placed == NULL && files->placed_count == LIMIT_MIRROR_FILES)
        return -E2BIG;
    if (renameat(files->spool_fd, file->sha256, files->mirror_fd, file->name) < 0)
        return -errno;
    if (placed == NULL)
        placed = &files->placed[files->placed_count++];
    (void)text_copy(placed->name, sizeof placed->name, file->name);
    (void)text_copy(placed->sha256, sizeof placed->sha256, file->sha256);
    placed->version = file->version;
    return 0;
}

static void forget_others(struct mirror_files *files, const struct wire_signatures *set)
{
    for (size_t i = files->placed_count; i > 0; i--)
        if (!is_in_set(set, files->placed[i - 1].name, false))
            files->placed[i - 1] = files->placed[--files->placed_count];
}

int mirror_files_place(struct mirror_files *files, const struct wire_signatures *set)
{
    int r = 0;

    if (set->file_count == 0)
        return 0;
    for (size_t i = 0; r == 0 && i < set->file_count; i++)
        if (!is_placed(files, &set->files[i]))
            r = check_spooled(files, &set->files[i]);
    if (r == 0) /* first: a set of the most files has room only without the others */
        forget_others(files, set);
    for (size_t i = 0; r == 0 && i < set->file_count; i++)
        if (!is_placed(files, &set->files[i]))
            r = place_one(files, &set->files[i]);
    if (r < 0)
        return r;
    files->checked_count = 0;
    remove_others(files->mirror_fd, set, false);
    remove_others(files->spool_fd, set, true);
    r = file_sync_directory(files->mirror_fd);
    return r < 0 ? r : write_record(files);
}
