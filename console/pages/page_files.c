/* Owns the web page's bytes in memory, plain and compressed, and the headers they go out with. Must
 * not know who asks. */
#include "console/pages/page_files.h"

#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "console/pages/script_comments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, in gzip's format */

/* Everything comes from this origin, nothing becomes HTML, and no other site frames it. */
#define CONTENT_POLICY                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "      \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

static const char *const FOLDERS[] = {"", "app/", "app/pages/", "app/ui/", "i18n/", "vendor/"};

static const struct {
    const char *ending, *type;
} TYPES[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain; charset=utf-8"},
};

struct page_file {
    char path[160]; /* as in the request: "/app/main.js" */
    const char *type;
    char tag[24]; /* quoted, of the content */
    struct buffer plain, packed;
};

struct page_files {
    size_t count;
    struct page_file files[PAGE_FILES];
};

static void cleanup_directory(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static const char *type_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(TYPES); i++)
        if (text_ends_with(name, TYPES[i].ending))
            return TYPES[i].type;
    return NULL;
}

static int pack(const struct buffer *plain, struct buffer *packed)
{
    z_stream stream = {.next_in = (Bytef *)plain->data, .avail_in = (uInt)plain->length};
    char *space = NULL;
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    size_t room = deflateBound(&stream, plain->length);
    int r = buffer_reserve(packed, room, &space);
    if (r == 0) {
        stream.next_out = (Bytef *)space;
        stream.avail_out = (uInt)room;
        r = deflate(&stream, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
        buffer_commit(packed, room - stream.avail_out);
    }
    (void)deflateEnd(&stream);
    return r;
}

static int name_content(struct page_file *file)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    int r = hash_sha256(file->plain.data, file->plain.length, digest);
    if (r < 0)
        return r;
    text_hex(hex, digest, sizeof(digest));
    (void)text_format(file->tag, sizeof(file->tag), "\"%.16s\"", hex);
    return 0;
}

/* vendor/ keeps its comments: they say whose it is. */
static bool is_own_script(const struct page_file *file)
{
    return text_starts_with(file->path, "/app/") && text_ends_with(file->path, ".js");
}

static int read_file(int folder_fd, const char *name, struct page_file *file)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(PAGE_FILE_BYTES);
    AUTO_CLOSE int fd = -1;
    int r = file_open_regular(folder_fd, name, &fd, NULL);
    buffer_init(&file->plain, PAGE_FILE_BYTES);
    buffer_init(&file->packed, PAGE_FILE_BYTES * 2);
    if (r == 0)
        r = file_read_all_fd(fd, &content);
    if (r == 0)
        r = is_own_script(file) ? script_comments_remove(content.data, content.length, &file->plain)
                                : buffer_append(&file->plain, content.data, content.length);
    if (r == 0)
        r = name_content(file);
    return r < 0 ? r : pack(&file->plain, &file->packed);
}

static int add_file(struct page_files *files, int folder_fd, const char *prefix, const char *name)
{
    const char *type = type_of(name);
    if (!type || name[0] == '.')
        return 0;
    if (files->count == PAGE_FILES)
        return -E2BIG;
    struct page_file *file = &files->files[files->count];
    int r = text_format(file->path, sizeof(file->path), "/%s%s", prefix, name);
    if (r < 0)
        return r;
    files->count++;
    file->type = type;
    return read_file(folder_fd, name, file);
}

static int read_folder(struct page_files *files, const char *page_folder, const char *prefix)
{
    char path[4096];
    AUTO_CLOSE int fd = -1;
    if (text_format(path, sizeof(path), "%s/%s", page_folder, prefix) < 0)
        return -ENAMETOOLONG;
    int r = file_open_following(path, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (r < 0)
        return r;
    CLEANUP(cleanup_directory) DIR *directory = fdopendir(fd);
    if (!directory)
        return -errno;
    int folder_fd = TAKE_FD(fd); /* the stream's now */
    for (const struct dirent *entry; r == 0 && (entry = readdir(directory)) != NULL;)
        if (entry->d_type != DT_DIR)
            r = add_file(files, folder_fd, prefix, entry->d_name);
    return r;
}

static const struct page_file *find(const struct page_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (text_equal(files->files[i].path, path))
            return &files->files[i];
    return NULL;
}

int page_files_load(const char *folder, struct page_files **ret_files)
{
    struct page_files *files = calloc(1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(FOLDERS); i++)
        r = read_folder(files, folder, FOLDERS[i]);
    if (r == 0 && !find(files, "/index.html"))
        r = -ENOENT;
    if (r < 0) {
        (void)page_files_free(files);
        return r;
    }
    *ret_files = files;
    return 0;
}

struct page_files *page_files_free(struct page_files *files)
{
    for (size_t i = 0; files && i < files->count; i++) {
        buffer_done(&files->files[i].plain);
        buffer_done(&files->files[i].packed);
    }
    free(files);
    return NULL;
}

static void add_headers(struct http_request *request, const struct page_file *file)
{
    http_response_header(request, "Cache-Control", "no-cache");
    http_response_header(request, "ETag", file->tag);
    http_response_header(request, "Vary", "Accept-Encoding");
    http_response_header(request, "Content-Security-Policy", CONTENT_POLICY);
    http_response_header(request, "Referrer-Policy", "no-referrer");
    http_response_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    http_response_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    http_response_header(request, "Permissions-Policy",
                         "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
}

void page_files_answer(const struct page_files *files, struct http_request *request)
{
    const char *path = http_request_path(request);
    const struct page_file *file =
        files ? find(files, text_equal(path, "/") ? "/index.html" : path) : NULL;
    if (!file) {
        http_respond_problem(request, 404, "not_found",
                             files ? "there is no such page; begin at /"
                                   : "the page's files are not installed; see setting web");
        return;
    }
    add_headers(request, file);
    const char *known = http_request_header(request, "If-None-Match");
    const char *accepted = http_request_header(request, "Accept-Encoding");
    if (known && text_equal(known, file->tag)) {
        http_respond(request, 304, NULL, NULL, 0);
    } else if (accepted && strstr(accepted, "gzip")) {
        http_response_header(request, "Content-Encoding", "gzip");
        http_respond(request, 200, file->type, file->packed.data, file->packed.length);
    } else {
        http_respond(request, 200, file->type, file->plain.data, file->plain.length);
    }
}
