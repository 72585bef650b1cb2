/* Owns: the list of places. Must not: open any of the files. */
#include "agent/tamper/own_files.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"program",       "unit",    "override",
                                    "configuration", "preload", "database"};

const char *own_kind_name(enum own_kind kind)
{
    return names[kind];
}

struct listing {
    const struct tamper_options *options;
    own_files_visit *visit;
    void *user;
    size_t count;
};

static int add(struct listing *listing, const char *path, enum own_kind kind)
{
    if (path == NULL || path[0] == '\0' || listing->count == OWN_FILES_MAXIMUM)
        return 0;
    listing->count++;
    return listing->visit(listing->user, path, kind);
}

static int add_below(struct listing *listing, const char *directory, const char *name,
                     enum own_kind kind)
{
    char path[PATH_MAX];

    return text_format(path, sizeof path, "%s/%s", directory, name) < 0 ? 0
                                                                        : add(listing, path, kind);
}

/* Names in a directory, which may be missing. */
static int add_all(struct listing *listing, const char *directory, enum own_kind kind)
{
    int fd = -1;

    if (file_open_directory(directory, true, &fd) < 0)
        return 0;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    int r = 0;
    for (const struct dirent *entry; r == 0 && (entry = readdir(stream)) != NULL;)
        if (entry->d_type != DT_DIR)
            r = add_below(listing, directory, entry->d_name, kind);
    (void)closedir(stream);
    return r;
}

/* systemd's places, the strongest first (systemd.unit(5)). A file below /etc or /run wins over the
 * package's, and a drop-in anywhere changes it. */
static int add_units(struct listing *listing)
{
    static const struct {
        const char *directory;
        enum own_kind kind;
    } places[] = {
        {"/etc/systemd/system.control", OWN_OVERRIDE},
        {"/run/systemd/system.control", OWN_OVERRIDE},
        {"/etc/systemd/system", OWN_OVERRIDE},
        {"/run/systemd/system", OWN_OVERRIDE},
        {"/usr/local/lib/systemd/system", OWN_OVERRIDE},
        {"/usr/lib/systemd/system", OWN_UNIT},
    };
    static const char *const units[] = {"yagura-agent.service", "yagura.slice"};
    char directory[PATH_MAX], drop_ins[PATH_MAX];
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(places); i++) {
        if (text_format(directory, sizeof directory, "%s%s", listing->options->root,
                        places[i].directory) < 0)
            continue;
        for (size_t k = 0; r == 0 && k < ARRAY_LENGTH(units); k++) {
            r = add_below(listing, directory, units[k], places[i].kind);
            if (r == 0 &&
                text_format(drop_ins, sizeof drop_ins, "%s/%s.d", directory, units[k]) > 0)
                r = add_all(listing, drop_ins, OWN_OVERRIDE);
        }
    }
    return r;
}

static int add_programs(struct listing *listing)
{
    const struct tamper_options *options = listing->options;
    char own[PATH_MAX] = "";

    if (options->program == NULL) {
        ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
        own[length > 0 ? length : 0] = '\0';
        char *gone = strstr(own, " (deleted)"); /* replaced while it runs */
        if (gone != NULL)
            *gone = '\0';
    }
    int r = add(listing, options->program != NULL ? options->program : own, OWN_PROGRAM);
    return r == 0 && options->program_directory != NULL
               ? add_all(listing, options->program_directory, OWN_PROGRAM)
               : r;
}

int own_files_list(const struct tamper_options *options, own_files_visit *visit, void *user)
{
    struct listing listing = {.options = options, .visit = visit, .user = user};
    char preload[PATH_MAX];

    int r = add_programs(&listing);
    if (r == 0)
        r = add_units(&listing);
    if (r == 0)
        r = add(&listing, options->configuration, OWN_CONFIGURATION);
    if (r == 0)
        r = add(&listing, options->policy, OWN_CONFIGURATION);
    if (r == 0 && text_format(preload, sizeof preload, "%s/etc/ld.so.preload", options->root) > 0)
        r = add(&listing, preload, OWN_PRELOAD);
    return r == 0 ? add(&listing, options->database, OWN_DATABASE) : r;
}
