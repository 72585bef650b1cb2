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
    char *left_out;
};

static int add(struct listing *listing, const char *path, enum own_kind kind)
{
    if (path == NULL || path[0] == '\0')
        return 0;
    if (listing->count == OWN_FILES_MAXIMUM) {
        if (listing->left_out[0] == '\0')
            (void)text_copy(listing->left_out, PATH_MAX, path);
        return 0;
    }
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
static const struct {
    const char *directory;
    enum own_kind unit;
} unit_places[] = {
    {"/etc/systemd/system.control", OWN_OVERRIDE},   {"/run/systemd/system.control", OWN_OVERRIDE},
    {"/etc/systemd/system", OWN_OVERRIDE},           {"/run/systemd/system", OWN_OVERRIDE},
    {"/usr/local/lib/systemd/system", OWN_OVERRIDE}, {"/usr/lib/systemd/system", OWN_UNIT},
};

static int add_units(struct listing *listing)
{
    static const char *const units[] = {"yagura-agent.service", "yagura.slice"};
    char directory[PATH_MAX];
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(unit_places); i++) {
        if (text_format(directory, sizeof directory, "%s%s", listing->options->root,
                        unit_places[i].directory) < 0)
            continue;
        for (size_t k = 0; r == 0 && k < ARRAY_LENGTH(units); k++)
            r = add_below(listing, directory, units[k], unit_places[i].unit);
    }
    return r;
}

/* A unit's own, those of all names that begin alike, those of all units of its type. Of the last
 * two, distributions bring some for all services: these are their packages', as units are. */
static int add_drop_ins(struct listing *listing)
{
    static const struct {
        const char *name;
        bool of_others; /* too */
    } folders[] = {
        {"yagura-agent.service.d", false},
        {"yagura.slice.d", false},
        {"yagura-.service.d", true},
        {"service.d", true},
        {"slice.d", true},
    };
    char directory[PATH_MAX];
    int r = 0;

    for (size_t k = 0; r == 0 && k < ARRAY_LENGTH(folders); k++)
        for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(unit_places); i++)
            if (text_format(directory, sizeof directory, "%s%s/%s", listing->options->root,
                            unit_places[i].directory, folders[k].name) > 0)
                r = add_all(listing, directory,
                            folders[k].of_others ? unit_places[i].unit : OWN_OVERRIDE);
    return r;
}

static int add_program(struct listing *listing)
{
    const char *program = listing->options->program;
    char own[PATH_MAX] = "";

    if (program == NULL) {
        ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
        own[length > 0 ? length : 0] = '\0';
        char *gone = strstr(own, " (deleted)"); /* replaced while it runs */
        if (gone != NULL)
            *gone = '\0';
    }
    return add(listing, program != NULL ? program : own, OWN_PROGRAM);
}

/* Those whose names are fixed: no number of others crowds them out. */
static int add_fixed(struct listing *listing)
{
    const struct tamper_options *options = listing->options;
    char preload[PATH_MAX];

    int r = add_program(listing);
    if (r == 0)
        r = add_units(listing);
    if (r == 0)
        r = add(listing, options->configuration, OWN_CONFIGURATION);
    if (r == 0)
        r = add(listing, options->policy, OWN_CONFIGURATION);
    if (r == 0 && text_format(preload, sizeof preload, "%s/etc/ld.so.preload", options->root) > 0)
        r = add(listing, preload, OWN_PRELOAD);
    return r == 0 ? add(listing, options->database, OWN_DATABASE) : r;
}

int own_files_list(const struct tamper_options *options, own_files_visit *visit, void *user,
                   char ret_left_out[static PATH_MAX])
{
    struct listing listing = {
        .options = options, .visit = visit, .user = user, .left_out = ret_left_out};

    ret_left_out[0] = '\0';
    int r = add_fixed(&listing);
    if (r == 0 && options->program_directory != NULL)
        r = add_all(&listing, options->program_directory, OWN_PROGRAM);
    return r == 0 ? add_drop_ins(&listing) : r;
}
