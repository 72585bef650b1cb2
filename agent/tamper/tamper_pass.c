/* Owns: what one look finds, and what becomes of it. Must not own: which files are ours
 * (own_files.c), when it looks (tamper.c).
 *
 * A program or unit that differs may be a package's upgrade under way, of which the database of
 * packages does not know yet: its change waits for some passes before it is told as tampering. */
#include "agent/respond/package_owner.h"
#include "agent/store/store.h"
#include "agent/tamper/tamper_private.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define MOST_HASHED_BYTES  (256ULL * 1024 * 1024)
#define MOST_POSTPONEMENTS 10

static const char *const package_words[] = {"none", "unchanged", "changed", "unknown"};

struct pass {
    struct tamper *tamper;
    struct package_owner *packages; /* its child lives as long as the pass */
    uint64_t files;
    unsigned updated;                 /* files that packages replaced */
    char package[PACKAGE_NAME_BYTES]; /* the last that did */
    bool dirty;                       /* the snapshot is to be written */
};

/* ---- events ---- */

static void record(struct pass *pass, const char *kind, enum event_severity severity,
                   const char *path, const struct buffer *detail)
{
    AUTO_FREE char *shown = text_escape_new(path, strlen(path));
    const struct event_draft draft = {.module = "tamper",
                                      .kind = kind,
                                      .severity = severity,
                                      .subject = shown,
                                      .detail = buffer_text(detail)};

    int r = store_append(pass->tamper->store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "error", log_error_text(r), NULL);
    log_event(severity > EVENT_INFO ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, kind, "path", shown,
              NULL);
    (void)pthread_mutex_lock(&pass->tamper->lock);
    pass->tamper->status.changed++;
    (void)pthread_mutex_unlock(&pass->tamper->lock);
}

static enum event_severity severity_of(enum own_kind kind)
{
    return kind == OWN_PRELOAD         ? EVENT_CRITICAL
           : kind == OWN_CONFIGURATION ? EVENT_MEDIUM
                                       : EVENT_HIGH;
}

/* before or after NULL: it was, or is, not there. */
static void tell_change(struct pass *pass, const struct own_file *file,
                        const struct file_facts *before, const struct file_facts *after,
                        enum package_answer package)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "what", own_kind_name(file->kind));
    json_write_field_bool(&json, "while_away", pass->tamper->first_pass);
    if (before != NULL && after != NULL) {
        json_write_key(&json, "changed");
        file_facts_write_difference(&json, file_facts_compare(before, after, CARE_CONTENT));
    }
    if (before != NULL) {
        json_write_key(&json, "before");
        file_facts_write(&json, before);
    }
    if (after != NULL) {
        json_write_key(&json, "after");
        file_facts_write(&json, after);
    }
    if (file->kind == OWN_PROGRAM || file->kind == OWN_UNIT)
        json_write_field_string(&json, "package", package_words[package]);
    json_write_object_end(&json);
    record(pass, "own_file_changed", severity_of(file->kind), file->path, &detail);
}

static void tell_altered(struct pass *pass, const struct own_file *file)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "what", own_kind_name(file->kind));
    json_write_key(&json, "after");
    file_facts_write(&json, &file->facts);
    json_write_field_string(&json, "package", package_words[PACKAGE_CHANGED]);
    json_write_object_end(&json);
    record(pass, "own_file_altered", EVENT_HIGH, file->path, &detail);
}

static void tell_updates(struct pass *pass)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer json;

    if (pass->updated == 0)
        return;
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "files", pass->updated);
    json_write_object_end(&json);
    record(pass, "own_files_updated", EVENT_INFO, pass->package, &detail);
}

/* So many may hide one. Once, until there is room again. */
static void tell_left_out(struct pass *pass, const char *path)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(4096);
    bool had_room = !pass->tamper->left_out;
    struct json_writer json;

    pass->tamper->left_out = path[0] != '\0';
    if (path[0] == '\0' || !had_room)
        return;
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "most", OWN_FILES_MAXIMUM);
    json_write_object_end(&json);
    record(pass, "own_files_left_out", EVENT_HIGH, path, &detail);
}

/* ---- packages ---- */

/* Where packages put things; others need not be asked for. */
static bool may_be_packaged(const struct pass *pass, const struct own_file *file)
{
    size_t prefix = strlen(pass->tamper->options.root);
    const char *path = strlen(file->path) > prefix ? file->path + prefix : "";

    return (file->kind == OWN_PROGRAM || file->kind == OWN_UNIT) && file->there &&
           S_ISREG(file->facts.state.mode) &&
           (text_starts_with(path, "/usr/") || text_starts_with(path, "/opt/"));
}

static enum package_answer ask_package(struct pass *pass, struct own_file *file)
{
    AUTO_CLOSE int fd = -1;

    if (!may_be_packaged(pass, file))
        return PACKAGE_NONE;
    file->asked = true;
    if (file_open_regular(AT_FDCWD, file->path, &fd, NULL) < 0)
        return PACKAGE_UNKNOWN;
    return package_owner_ask(pass->packages, file->path, fd, pass->package);
}

static bool is_locked(const char *path)
{
    AUTO_CLOSE int fd = -1;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return file_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, &fd) == 0 &&
           fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool package_manager_works(const struct pass *pass)
{
    static const char *const locks[] = {"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock",
                                        "/var/lib/rpm/.rpm.lock",
                                        "/usr/lib/sysimage/rpm/.rpm.lock"};
    char path[PATH_MAX];

    for (size_t i = 0; i < ARRAY_LENGTH(locks); i++)
        if (text_format(path, sizeof path, "%s%s", pass->tamper->options.root, locks[i]) > 0 &&
            is_locked(path))
            return true;
    return false;
}

/* ---- one file ---- */

/* 0 with what is there now; -ENOENT. */
static int look(const struct own_file *file, struct file_facts *ret_facts)
{
    const char *slash = strrchr(file->path, '/');
    AUTO_FREE char *directory = strndup(file->path, (size_t)MAX(slash - file->path, 1));
    AUTO_CLOSE int fd = -1;

    if (directory == NULL)
        return -ENOMEM;
    int r = file_open_following(directory, O_PATH | O_DIRECTORY, 0, &fd);
    if (r == 0)
        r = file_facts_collect(fd, slash + 1,
                               file->kind == OWN_DATABASE ? CARE_ATTRIBUTES : CARE_CONTENT,
                               MOST_HASHED_BYTES, NULL, ret_facts, NULL);
    return r == -ELOOP || r == -ENOTDIR ? -ENOENT : r;
}

/* By what stat says: the usual case. */
static bool is_as_it_was(const struct own_file *file)
{
    struct stat status;

    if (fstatat(AT_FDCWD, file->path, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT && !file->there;
    return file->there && facts_state_holds(&file->facts.state, &status);
}

/* An open database never gets another file: its name does, when somebody puts one there. */
static void look_at_database(struct pass *pass, struct own_file *file, struct file_facts *now,
                             bool there)
{
    bool replaced = !pass->tamper->first_pass && file->there &&
                    (!there || now->state.inode != file->facts.state.inode);

    if (!replaced) {
        file_facts_done(&file->facts);
        file->facts = *now;
        *now = (struct file_facts){.target = NULL};
        file->there = there;
        return;
    }
    (void)pthread_mutex_lock(&pass->tamper->lock);
    bool told = pass->tamper->status.database_replaced;
    pass->tamper->status.database_replaced = true;
    (void)pthread_mutex_unlock(&pass->tamper->lock);
    if (!told)
        tell_change(pass, file, &file->facts, there ? now : NULL, PACKAGE_NONE);
}

/* Whether what differs is to be left for the next pass. */
static bool is_postponed(const struct pass *pass, struct own_file *file,
                         enum package_answer package)
{
    if (file->kind != OWN_PROGRAM && file->kind != OWN_UNIT)
        return false;
    if (package != PACKAGE_UNKNOWN && !package_manager_works(pass))
        return false;
    return ++file->postponed < MOST_POSTPONEMENTS;
}

/* What stands there when nobody has looked before is the beginning; but for what no package puts
 * there, and what is not as its package brought it. */
static void tell_beginning(struct pass *pass, const struct own_file *file)
{
    if (file->kind == OWN_OVERRIDE || file->kind == OWN_PRELOAD)
        tell_change(pass, file, NULL, &file->facts, PACKAGE_NONE);
    else if (file->altered)
        tell_altered(pass, file);
}

static void tell_difference(struct pass *pass, const struct own_file *before,
                            const struct own_file *after, enum package_answer package)
{
    /* What the next version of a package has no more goes with it. */
    bool left_out = !after->there && pass->updated > 0 && may_be_packaged(pass, before);

    if (!before->there && pass->tamper->snapshot.is_new)
        tell_beginning(pass, after);
    else if (left_out || package == PACKAGE_UNCHANGED)
        pass->updated++;
    else
        tell_change(pass, after, before->there ? &before->facts : NULL,
                    after->there ? &after->facts : NULL, package);
}

/* Something differs: now is what is there, before what was. */
static void take_change(struct pass *pass, struct own_file *file, struct file_facts *now,
                        bool there)
{
    struct own_file after = *file;
    bool beginning = !file->there && pass->tamper->snapshot.is_new;

    after.facts = *now;
    after.there = there;
    enum package_answer package = ask_package(pass, &after);
    if (package != PACKAGE_UNCHANGED && !beginning && is_postponed(pass, file, package))
        return;
    after.altered = package == PACKAGE_CHANGED;
    after.postponed = 0;
    tell_difference(pass, file, &after, package);
    file_facts_done(&file->facts);
    *file = after;
    *now = (struct file_facts){.target = NULL};
    pass->dirty = true;
}

/* Once in a run of the agent: what an upgrade of the package, or its repair, made of it. */
static void ask_once(struct pass *pass, struct own_file *file)
{
    if (file->asked || !may_be_packaged(pass, file))
        return;
    enum package_answer package = ask_package(pass, file);
    bool altered = package == PACKAGE_UNKNOWN ? file->altered : package == PACKAGE_CHANGED;
    if (altered && !file->altered)
        tell_altered(pass, file);
    pass->dirty = pass->dirty || altered != file->altered;
    file->altered = altered;
}

static int visit(void *user, const char *path, enum own_kind kind)
{
    struct pass *pass = user;
    AUTO_FACTS struct file_facts now = {.target = NULL};
    struct own_file *file = snapshot_find(&pass->tamper->snapshot, path);

    if (tamper_is_stopping(pass->tamper))
        return -ECANCELED;
    if (file == NULL)
        file = snapshot_add(&pass->tamper->snapshot, path, kind);
    if (file == NULL)
        return -ENOMEM;
    file->visited = true;
    if (is_as_it_was(file)) {
        file->postponed = 0;
        ask_once(pass, file);
        return 0;
    }
    int r = look(file, &now);
    if (r < 0 && r != -ENOENT)
        return 0; /* it moves: the next pass sees where it ended */
    if (kind == OWN_DATABASE)
        look_at_database(pass, file, &now, r == 0);
    else if (r == 0 && file->there && file_facts_compare(&file->facts, &now, CARE_CONTENT) == 0) {
        file->facts.state = now.state; /* the same, at another time */
        file->postponed = 0;
        pass->dirty = true;
        ask_once(pass, file);
    } else if (r == 0 || file->there)
        take_change(pass, file, &now, r == 0);
    return 0;
}

/* ---- all of them ---- */

/* A name that is on no list any more, as of a drop-in that is gone. */
static void look_for_gone(struct pass *pass)
{
    for (struct own_file *file = pass->tamper->snapshot.first; file != NULL; file = file->next) {
        struct stat status;
        if (file->visited || !file->there || file->kind == OWN_DATABASE)
            continue;
        if (fstatat(AT_FDCWD, file->path, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            file->there = false; /* it is not ours any more */
            pass->dirty = true;
        } else if (errno == ENOENT || errno == ENOTDIR) {
            struct file_facts nothing = {.target = NULL};
            take_change(pass, file, &nothing, false);
        }
    }
    snapshot_forget_gone(&pass->tamper->snapshot);
}

static void note_status(struct pass *pass, int problem)
{
    struct tamper_status *status = &pass->tamper->status;
    const struct own_file *file = pass->tamper->snapshot.first;

    (void)pthread_mutex_lock(&pass->tamper->lock);
    status->passes++;
    status->problem = problem;
    status->files = status->altered = 0;
    status->first_altered[0] = '\0';
    for (; file != NULL; file = file->next) {
        status->files += file->there;
        if (file->altered && status->altered++ == 0)
            (void)text_escape(status->first_altered, sizeof status->first_altered, file->path,
                              strlen(file->path));
    }
    (void)pthread_mutex_unlock(&pass->tamper->lock);
}

void tamper_pass(struct tamper *tamper)
{
    struct pass pass = {.tamper = tamper};
    char left_out[PATH_MAX];
    int problem = 0;

    if (package_owner_new(tamper->options.inspector_program, &pass.packages) < 0)
        return;
    for (struct own_file *file = tamper->snapshot.first; file != NULL; file = file->next)
        file->visited = false;
    int r = own_files_list(&tamper->options, visit, &pass, left_out);
    if (r == 0) {
        look_for_gone(&pass);
        tell_updates(&pass);
        tell_left_out(&pass, left_out);
    }
    (void)package_owner_free(pass.packages);
    if (r == -ECANCELED)
        return;
    if (pass.dirty || tamper->snapshot.is_new || tamper->status.problem < 0)
        problem = snapshot_write(tamper->options.snapshot_path, &tamper->snapshot);
    tamper->snapshot.is_new = tamper->first_pass = false;
    note_status(&pass, problem);
}
