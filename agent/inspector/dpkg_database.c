/* Owns: an index from paths (their hashes) to packages, and the parsing of dpkg's text files.
 * Must not own: digests of files, the sandbox. The index may name a wrong package when two paths
 * have one hash: the package's own list of digests decides. */
#include "agent/inspector/dpkg_database.h"

#include "agent/inspector/merged_usr.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define MD5_HEX_BYTES 33

struct owned {
    uint64_t path; /* hash of the canonical path */
    uint32_t package;
};

struct conffile {
    uint64_t path;
    char md5[MD5_HEX_BYTES];
};

struct diversion {
    char *from, *to, *package; /* canonical paths; package ":" = the administrator */
};

struct dpkg_database {
    char *info, *status, *diversions_path;
    struct timespec info_time, status_time;
    struct owned *files; /* sorted by path */
    size_t file_count, file_capacity;
    char **packages; /* names of list files without ".list": "bash", "libc6:amd64" */
    size_t package_count, package_capacity;
    struct conffile *conffiles; /* sorted by path */
    size_t conffile_count, conffile_capacity;
    struct diversion *diversions;
    size_t diversion_count, diversion_capacity;
};

/* ---- growing arrays ---- */

static int grow(void **array, size_t count, size_t *capacity, size_t size)
{
    size_t wanted = *capacity ? *capacity * 2 : 64;
    void *bigger;

    if (count < *capacity)
        return 0;
    bigger = reallocarray(*array, wanted, size);
    if (!bigger)
        return -ENOMEM;
    *array = bigger;
    *capacity = wanted;
    return 0;
}
#define GROW(array, count, capacity) grow((void **)&(array), count, &(capacity), sizeof(*(array)))

/* ---- paths ---- */

/* Hash and comparison of a path are of its place on a merged system. */
static uint64_t hash_more(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
    return hash;
}

static uint64_t hash_path(const char *path)
{
    return hash_more(hash_more(0xcbf29ce484222325ULL, merged_usr_prefix(path)), path);
}

static char *canonical_new(const char *path)
{
    return text_format_new("%s%s", merged_usr_prefix(path), path);
}

static bool same_path(const char *canonical, const char *path)
{
    const char *usr = merged_usr_prefix(path);

    return text_starts_with(canonical, usr) && text_equal(canonical + strlen(usr), path);
}

/* ---- lines ---- */

/* The next line of *text, cut in place; NULL at the end. */
static char *next_line(char **text)
{
    return !*text || **text == '\0' ? NULL : strsep(text, "\n");
}

static int read_text(const char *path, struct buffer *content)
{
    buffer_init(content, LIMIT_PACKAGE_LIST_BYTES);
    return file_read_all(path, content);
}

/* ---- loading ---- */

static void forget(struct dpkg_database *database)
{
    for (size_t i = 0; i < database->package_count; i++)
        free(database->packages[i]);
    for (size_t i = 0; i < database->diversion_count; i++) {
        free(database->diversions[i].from);
        free(database->diversions[i].to);
        free(database->diversions[i].package);
    }
    database->file_count = database->package_count = 0;
    database->conffile_count = database->diversion_count = 0;
}

static int add_file(struct dpkg_database *database, const char *path)
{
    int r;

    if (database->file_count >= LIMIT_PACKAGE_FILES)
        return -EFBIG;
    r = GROW(database->files, database->file_count, database->file_capacity);
    if (r < 0)
        return r;
    database->files[database->file_count++] =
        (struct owned){hash_path(path), (uint32_t)database->package_count};
    return 0;
}

static int load_list(struct dpkg_database *database, const char *name)
{
    AUTO_FREE char *path = text_format_new("%s/%s", database->info, name);
    AUTO_FREE char *package = strndup(name, strlen(name) - strlen(".list"));
    AUTO_BUFFER struct buffer content = {0};
    char *text, *line;
    int r;

    if (!path || !package)
        return -ENOMEM;
    r = GROW(database->packages, database->package_count, database->package_capacity);
    if (r < 0)
        return r;
    r = read_text(path, &content);
    if (r == -ENOENT)
        return 0; /* dpkg is at work; its folder's time changes again */
    if (r < 0)
        return r;
    text = content.data;
    while ((line = next_line(&text)))
        if (line[0] == '/') {
            r = add_file(database, line);
            if (r < 0)
                return r;
        }
    database->packages[database->package_count++] = TAKE_POINTER(package);
    return 0;
}

static int load_lists(struct dpkg_database *database)
{
    struct dirent *entry;
    DIR *directory;
    int fd, r;

    r = file_open_following(database->info, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (r < 0)
        return r;
    directory = fdopendir(fd);
    if (!directory) {
        (void)close(fd);
        return -ENOMEM;
    }
    while (r == 0 && (entry = readdir(directory)))
        if (text_ends_with(entry->d_name, ".list"))
            r = load_list(database, entry->d_name);
    (void)closedir(directory);
    return r;
}

/* " /etc/foo 0123... [obsolete]" */
static int add_conffile(struct dpkg_database *database, char *line)
{
    char *end = strchr(line + 1, ' ');
    struct conffile *conffile;
    int r;

    if (!end || strlen(end + 1) < MD5_HEX_BYTES - 1)
        return 0;
    *end = '\0';
    r = GROW(database->conffiles, database->conffile_count, database->conffile_capacity);
    if (r < 0)
        return r;
    conffile = &database->conffiles[database->conffile_count++];
    conffile->path = hash_path(line + 1);
    (void)text_copy(conffile->md5, sizeof(conffile->md5), end + 1);
    return 0;
}

static int load_conffiles(struct dpkg_database *database)
{
    AUTO_BUFFER struct buffer content = {0};
    bool inside = false;
    char *text, *line;
    int r;

    r = read_text(database->status, &content);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    text = content.data;
    while (r == 0 && (line = next_line(&text))) {
        if (line[0] != ' ')
            inside = text_starts_with(line, "Conffiles:");
        else if (inside && line[1] == '/')
            r = add_conffile(database, line);
    }
    return r;
}

static int add_diversion(struct dpkg_database *database, const char *from, const char *to,
                         const char *package)
{
    struct diversion diversion;
    int r;

    r = GROW(database->diversions, database->diversion_count, database->diversion_capacity);
    if (r < 0)
        return r;
    diversion = (struct diversion){canonical_new(from), canonical_new(to), strdup(package)};
    if (!diversion.from || !diversion.to || !diversion.package) {
        free(diversion.from);
        free(diversion.to);
        free(diversion.package);
        return -ENOMEM;
    }
    database->diversions[database->diversion_count++] = diversion;
    return 0;
}

static int load_diversions(struct dpkg_database *database)
{
    AUTO_BUFFER struct buffer content = {0};
    char *text;
    int r;

    r = read_text(database->diversions_path, &content);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    text = content.data;
    while (r == 0) {
        const char *from = next_line(&text), *to = next_line(&text), *package = next_line(&text);

        if (!from || !to || !package)
            break;
        r = add_diversion(database, from, to, package);
    }
    return r;
}

static int order_owned(const void *a, const void *b)
{
    const struct owned *left = a, *right = b;

    return left->path < right->path ? -1 : left->path > right->path;
}

static int order_conffiles(const void *a, const void *b)
{
    const struct conffile *left = a, *right = b;

    return left->path < right->path ? -1 : left->path > right->path;
}

static int load(struct dpkg_database *database)
{
    int r;

    forget(database);
    r = load_lists(database);
    if (r == 0)
        r = load_conffiles(database);
    if (r == 0)
        r = load_diversions(database);
    if (r < 0) {
        forget(database);
        return r;
    }
    if (database->file_count > 0)
        qsort(database->files, database->file_count, sizeof(*database->files), order_owned);
    if (database->conffile_count > 0)
        qsort(database->conffiles, database->conffile_count, sizeof(*database->conffiles),
              order_conffiles);
    return 0;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* dpkg replaces status and adds to info whenever it does something. */
static int refresh(struct dpkg_database *database)
{
    struct stat info, status = {0};
    int r;

    if (stat(database->info, &info) < 0)
        return -errno;
    (void)stat(database->status, &status);
    if (same_time(info.st_mtim, database->info_time) &&
        same_time(status.st_mtim, database->status_time))
        return 0;
    r = load(database);
    if (r < 0)
        return r;
    database->info_time = info.st_mtim;
    database->status_time = status.st_mtim;
    return 0;
}

/* ---- asking ---- */

static size_t first_owner(const struct dpkg_database *database, uint64_t path)
{
    size_t low = 0, high = database->file_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (database->files[middle].path < path)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *conffile_digest(const struct dpkg_database *database, const char *path)
{
    struct conffile key = {.path = hash_path(path)};
    const struct conffile *found = NULL;

    if (database->conffile_count > 0)
        found = bsearch(&key, database->conffiles, database->conffile_count,
                        sizeof(*database->conffiles), order_conffiles);
    return found ? found->md5 : NULL;
}

/* Lines of .md5sums: "<md5>  usr/bin/foo". */
static int package_digest(const struct dpkg_database *database, const char *package,
                          const char *canonical, char ret_md5[static MD5_HEX_BYTES])
{
    AUTO_FREE char *path = text_format_new("%s/%s.md5sums", database->info, package);
    AUTO_BUFFER struct buffer content = {0};
    char *text, *line;
    int r;

    if (!path)
        return -ENOMEM;
    r = read_text(path, &content);
    if (r < 0)
        return r;
    text = content.data;
    while ((line = next_line(&text))) {
        if (strlen(line) < MD5_HEX_BYTES + 2 || line[MD5_HEX_BYTES - 1] != ' ')
            continue;
        line[MD5_HEX_BYTES] = '/'; /* the second blank before the relative path */
        if (!same_path(canonical, line + MD5_HEX_BYTES))
            continue;
        line[MD5_HEX_BYTES - 1] = '\0';
        (void)text_copy(ret_md5, MD5_HEX_BYTES, line);
        return 0;
    }
    return -ENOENT;
}

/* "libc6:amd64" is of the package "libc6". */
static bool is_package(const char *name, const char *package)
{
    size_t length = strlen(package);

    return strncmp(name, package, length) == 0 && (name[length] == '\0' || name[length] == ':');
}

struct question {
    char *canonical;     /* where the packages say it is */
    const char *only;    /* only this package can have put it there; NULL = any */
    const char *without; /* this one cannot; NULL */
};

/* A diverted file stands under another name than its package says; at the original name stands the
 * diverting package's. */
static void follow_diversion(const struct dpkg_database *database, struct question *question)
{
    for (size_t i = 0; i < database->diversion_count; i++) {
        const struct diversion *diversion = &database->diversions[i];

        if (text_equal(question->canonical, diversion->to)) {
            char *from = strdup(diversion->from);

            if (!from)
                return;
            free(question->canonical);
            question->canonical = from;
            question->without = diversion->package;
            return;
        }
        if (text_equal(question->canonical, diversion->from)) {
            question->only = diversion->package;
            return;
        }
    }
}

static enum inspector_answer ask_package(const struct dpkg_database *database,
                                         const struct question *question, const char *package,
                                         struct package_content *content)
{
    const char *expected = NULL, *md5;
    char digest[MD5_HEX_BYTES];

    if ((question->only && !is_package(package, question->only)) ||
        (question->without && is_package(package, question->without)))
        return INSPECTOR_NONE;
    if (package_digest(database, package, question->canonical, digest) == 0)
        expected = digest;
    else
        expected = conffile_digest(database, question->canonical);
    if (!expected)
        return INSPECTOR_NONE;
    md5 = package_content_md5(content);
    if (!md5)
        return INSPECTOR_FAILED;
    return text_equal(md5, expected) ? INSPECTOR_UNCHANGED : INSPECTOR_CHANGED;
}

static enum inspector_answer ask_owners(const struct dpkg_database *database,
                                        const struct question *question,
                                        struct package_content *content,
                                        char ret_package[static PACKAGE_TEXT_BYTES])
{
    uint64_t hash = hash_path(question->canonical);
    enum inspector_answer answer = INSPECTOR_NONE;

    for (size_t i = first_owner(database, hash);
         i < database->file_count && database->files[i].path == hash; i++) {
        const char *package = database->packages[database->files[i].package];
        enum inspector_answer one = ask_package(database, question, package, content);

        if (one == INSPECTOR_NONE)
            continue;
        answer = one;
        (void)text_copy(ret_package, PACKAGE_TEXT_BYTES, package);
        if (one == INSPECTOR_UNCHANGED)
            break;
    }
    return answer;
}

enum inspector_answer dpkg_database_check(struct dpkg_database *database, const char *path,
                                          struct package_content *content,
                                          char ret_package[static PACKAGE_TEXT_BYTES])
{
    struct question question = {0};
    enum inspector_answer answer;
    int r;

    ret_package[0] = '\0';
    r = refresh(database);
    if (r < 0)
        return r == -ENOENT ? INSPECTOR_NONE : INSPECTOR_FAILED;
    question.canonical = canonical_new(path);
    if (!question.canonical)
        return INSPECTOR_FAILED;
    follow_diversion(database, &question);
    answer = ask_owners(database, &question, content, ret_package);
    free(question.canonical);
    return answer;
}

/* ---- life ---- */

int dpkg_database_new(const char *directory, struct dpkg_database **ret_database)
{
    struct dpkg_database *database = calloc(1, sizeof(*database));

    if (!database)
        return -ENOMEM;
    database->info = text_format_new("%s/info", directory);
    database->status = text_format_new("%s/status", directory);
    database->diversions_path = text_format_new("%s/diversions", directory);
    if (!database->info || !database->status || !database->diversions_path) {
        dpkg_database_free(database);
        return -ENOMEM;
    }
    *ret_database = database;
    return 0;
}

struct dpkg_database *dpkg_database_free(struct dpkg_database *database)
{
    if (!database)
        return NULL;
    forget(database);
    free(database->files);
    free(database->packages);
    free(database->conffiles);
    free(database->diversions);
    free(database->info);
    free(database->status);
    free(database->diversions_path);
    free(database);
    return NULL;
}
