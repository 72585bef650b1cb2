/* Owns: comparing everything that the rules cover: a walk of their roots, then what the baseline
 * knows and the walk did not meet. */
#include "agent/integrity/integrity_private.h"

#include "agent/scan/tree_walk.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { EXAMINE_EVERY = 64 }; /* entries between two looks at what is pending */

/* Directories that were met, by hash. */
struct visited {
    uint64_t *hashes; /* 0: free */
    size_t count, capacity;
};

struct walking {
    struct integrity *integrity;
    struct compare_options options;
    struct baseline_page page;
    bool has_page;
    enum integrity_care care; /* of the page's directory: hint for its files */
    struct visited visited;
};

/* ---- the set of directories ---- */

static uint64_t hash_path(const char *path, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325U;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3U;
    hash ^= hash >> 29;
    return hash != 0 ? hash : 1;
}

static bool visited_insert(uint64_t *hashes, size_t capacity, uint64_t hash)
{
    size_t at = hash & (capacity - 1);

    while (hashes[at] != 0 && hashes[at] != hash)
        at = (at + 1) & (capacity - 1);
    bool is_new = hashes[at] == 0;
    hashes[at] = hash;
    return is_new;
}

static int visited_add(struct visited *visited, const char *path, size_t length)
{
    if (2 * (visited->count + 1) > visited->capacity) {
        size_t capacity = MAX(visited->capacity * 2, (size_t)1024);
        uint64_t *hashes = calloc(capacity, sizeof *hashes);
        if (hashes == NULL)
            return -ENOMEM;
        for (size_t i = 0; i < visited->capacity; i++)
            if (visited->hashes[i] != 0)
                (void)visited_insert(hashes, capacity, visited->hashes[i]);
        free(visited->hashes);
        visited->hashes = hashes;
        visited->capacity = capacity;
    }
    visited->count += visited_insert(visited->hashes, visited->capacity, hash_path(path, length));
    return 0;
}

static bool visited_has(const struct visited *visited, const char *path, size_t length)
{
    uint64_t hash = hash_path(path, length);

    for (size_t at = hash & (visited->capacity - 1); visited->capacity > 0;
         at = (at + 1) & (visited->capacity - 1)) {
        if (visited->hashes[at] == hash)
            return true;
        if (visited->hashes[at] == 0)
            break;
    }
    return false;
}

/* ---- pages ---- */

/* A row that the walk did not meet: looked at by itself before it counts as gone. */
static int compare_unseen(struct walking *walking, struct baseline_row *row, int directory_fd)
{
    struct integrity *integrity = walking->integrity;
    const struct baseline_page *page = &walking->page;
    const char *slash = page->directory_length == 1 ? "" : "/";
    AUTO_FREE char *name = text_new(row->name, row->name_length);
    AUTO_FREE char *path =
        name != NULL ? text_format_new("%s%s%s", page->directory, slash, name) : NULL;

    if (path == NULL)
        return -ENOMEM;
    struct entry_place place = {
        .page = &walking->page,
        .directory_fd = directory_fd,
        .name = name,
        .path = path,
        .path_length = strlen(path),
        .care = integrity_rules_care(integrity->now->rules, path, strlen(path)),
    };
    row->seen = true;
    if (place.care == CARE_NONE || directory_fd < 0)
        return compare_gone(integrity, &place, row, walking->options.mode);
    return compare_entry(integrity, &place, &walking->options);
}

static int finish_page(struct walking *walking)
{
    AUTO_CLOSE int fd = -1;
    bool opened = false;
    int r = 0;

    if (!TAKE_FLAG(walking->has_page))
        return 0;
    for (size_t i = 0; i < walking->page.count && r == 0; i++) {
        struct baseline_row *row = &walking->page.rows[i];
        if (row->seen)
            continue;
        if (!opened) {
            r = file_open_directory(
                walking->page.directory[0] != '\0' ? walking->page.directory : "/", false, &fd);
            opened = true;
            /* A directory that cannot be looked at says nothing about what is in it. */
            if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP)
                return 0;
            r = 0;
        }
        r = compare_unseen(walking, row, fd);
    }
    return r;
}

static int turn_to_page(struct walking *walking, const char *directory, size_t length)
{
    struct integrity *integrity = walking->integrity;
    bool broken = false;

    if (walking->has_page && walking->page.directory_length == length &&
        memcmp(walking->page.directory, directory, length) == 0)
        return 0;
    int r = finish_page(walking);
    if (r == 0 && changes_are_many(&integrity->changes))
        r = report_changes(integrity);
    if (r == 0)
        r = visited_add(&walking->visited, directory, length);
    if (r == 0)
        r = compare_load_page(integrity, directory, length, &walking->page, &broken);
    if (r < 0)
        return r;
    walking->has_page = true;
    walking->options.distrust = broken && walking->options.mode == WALK_APPROVE;
    return 0;
}

/* ---- the walk ---- */

static int meet(void *user, const struct tree_walk_file *file)
{
    struct walking *walking = user;
    struct integrity *integrity = walking->integrity;
    size_t name_length = strlen(file->name);
    size_t directory_length = MAX(file->path_length - name_length - 1, (size_t)1);
    enum integrity_care care =
        integrity_rules_care_here(integrity->now->rules, file->path, file->path_length);

    if (care == CARE_NONE ||
        (S_ISDIR(file->status->st_mode) &&
         integrity_rules_exclude_directory(integrity->now->rules, file->path, file->path_length)))
        return 0;
    int r = turn_to_page(walking, file->path, directory_length);
    if (r < 0)
        return r;
    const struct entry_place place = {
        .page = &walking->page,
        .directory_fd = file->directory_fd,
        .name = file->name,
        .path = file->path,
        .path_length = file->path_length,
        .care = care,
        .status = file->status,
    };
    r = compare_entry(integrity, &place, &walking->options);
    if (r == 0 && changes_are_many(&integrity->changes))
        r = report_changes(integrity);
    return r;
}

static bool enters(void *user, const char *path, size_t length)
{
    const struct walking *walking = user;

    return !integrity_rules_exclude_directory(walking->integrity->now->rules, path, length);
}

/* What happens meanwhile does not wait for the end of the walk. The page is finished first, because
 * its rows may be other ones afterwards. */
static int between_directories(void *user)
{
    struct walking *walking = user;
    struct integrity *integrity = walking->integrity;

    if (integrity_is_called_off(integrity))
        return -ECANCELED;
    (void)pthread_mutex_lock(&integrity->lock);
    integrity->status.files_checked = integrity->totals.files;
    bool due =
        walking->options.mode != WALK_APPROVE &&
        (integrity->drains != NULL || pending_due_ns(integrity->pending) <= clock_monotonic_ns());
    (void)pthread_mutex_unlock(&integrity->lock);
    if (!due)
        return 0;
    int r = finish_page(walking);
    if (r == 0)
        r = report_changes(integrity);
    return r < 0 ? r : examine_pending(integrity, false);
}

static void problem(void *user UNUSED, const char *path UNUSED, size_t length UNUSED,
                    int error UNUSED)
{
}

static void skipped(void *user UNUSED, const char *path UNUSED, enum mount_class kind UNUSED) {}

/* The root itself stands in its parent's page. */
static int meet_root(struct walking *walking, const char *root)
{
    AUTO_CLOSE int fd = -1;
    const char *slash = strrchr(root, '/');
    AUTO_FREE char *parent = slash == root ? strdup("/") : text_new(root, (size_t)(slash - root));

    if (parent == NULL)
        return -ENOMEM;
    if (slash[1] == '\0')
        return 0; /* "/" has no parent, and nobody renames it */
    int r = file_open_directory(parent, false, &fd);
    if (r < 0)
        return 0;
    r = turn_to_page(walking, parent, strlen(parent));
    const struct entry_place place = {
        .page = &walking->page,
        .directory_fd = fd,
        .name = slash + 1,
        .path = root,
        .path_length = strlen(root),
        .care = integrity_rules_care(walking->integrity->now->rules, root, strlen(root)),
    };
    struct stat status;
    bool is_file =
        fstatat(fd, place.name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    /* A root that is a file is met by the walk. */
    return r < 0 || is_file || place.care == CARE_NONE
               ? r
               : compare_entry(walking->integrity, &place, &walking->options);
}

static int walk_roots(struct walking *walking)
{
    static const struct tree_walk_visitor visitor = {
        .enters = enters,
        .file = meet,
        .other = meet,
        .problem = problem,
        .skipped = skipped,
        .checks = between_directories,
    };
    const char *const *roots = integrity_rules_roots(walking->integrity->now->rules);

    for (size_t i = 0; roots[i] != NULL; i++) {
        int r = meet_root(walking, roots[i]);
        if (r == 0)
            r = tree_walk(roots[i], true, walking->integrity->mounts, &visitor, walking);
        if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP)
            return r;
    }
    return finish_page(walking);
}

/* ---- what the walk did not meet ---- */

struct unmet {
    const struct visited *visited;
    char **directories;
    size_t count, capacity;
};

static int note_unmet(void *user, const char *directory, size_t length)
{
    struct unmet *unmet = user;

    if (visited_has(unmet->visited, directory, length))
        return 0;
    if (unmet->count == unmet->capacity) {
        size_t capacity = MAX(unmet->capacity * 2, (size_t)64);
        char **directories = reallocarray(unmet->directories, capacity, sizeof(char *));
        if (directories == NULL)
            return -ENOMEM;
        unmet->directories = directories;
        unmet->capacity = capacity;
    }
    unmet->directories[unmet->count] = text_new(directory, length);
    return unmet->directories[unmet->count++] != NULL ? 0 : -ENOMEM;
}

static int compare_unmet(struct walking *walking)
{
    struct unmet unmet = {.visited = &walking->visited};
    int r = baseline_each_directory(walking->integrity->baseline, note_unmet, &unmet);

    for (size_t i = 0; i < unmet.count && r == 0; i++)
        r = turn_to_page(walking, unmet.directories[i], strlen(unmet.directories[i]));
    if (r == 0)
        r = finish_page(walking);
    for (size_t i = 0; i < unmet.count; i++)
        free(unmet.directories[i]);
    free(unmet.directories);
    return r;
}

int walk_everything(struct integrity *integrity, const struct compare_options *options)
{
    struct walking walking = {.integrity = integrity, .options = *options};

    int r = walk_roots(&walking);
    if (r == 0)
        r = compare_unmet(&walking);
    if (r == 0 || r == -ECANCELED) {
        int told = report_changes(integrity);
        r = told < 0 ? told : r;
    }
    baseline_page_done(&walking.page);
    free(walking.visited.hashes);
    return r;
}
