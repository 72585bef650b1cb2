/* Owns copies of the options. Hands out nothing but const. */
#include "agent/scan/scan_settings.h"

#include "agent/watch/exclusions.h"

#include <errno.h>
#include <stdatomic.h>

struct scan_settings {
    atomic_uint references;
    struct scan_pipeline_options options; /* all strings are ours */
    struct exclusions *exclusions;        /* all of them */
    struct exclusions *own;               /* only our own directories */
};

static void free_list(const char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free((char *)list[i]);
    free((void *)list);
}

static int copy_list(const char *const *list, const char *const **ret_copy)
{
    size_t count = 0;

    *ret_copy = NULL;
    while (list != NULL && list[count] != NULL)
        count++;
    if (list == NULL)
        return 0;
    char **copy = calloc(count + 1, sizeof *copy);
    *ret_copy = (const char *const *)copy;
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i] == NULL)
            return -ENOMEM;
    }
    return copy != NULL ? 0 : -ENOMEM;
}

static int copy_text(const char *text, const char **ret_copy)
{
    *ret_copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *ret_copy != NULL ? 0 : -ENOMEM;
}

/* Every pointer is set, to a copy or NULL, before the first failure is told. */
static int copy_options(const struct scan_pipeline_options *from, struct scan_pipeline_options *to)
{
    int r = 0;

    *to = *from;
    r |= copy_text(from->scanner.program, &to->scanner.program);
    r |= copy_text(from->scanner.user, &to->scanner.user);
    r |= copy_text(from->scanner.temporary_directory, &to->scanner.temporary_directory);
    r |= copy_list(from->scanner.databases, &to->scanner.databases);
    r |= copy_text(from->cache_path, &to->cache_path);
    r |= copy_text(from->load_path, &to->load_path);
    r |= copy_list(from->exclude_directories, &to->exclude_directories);
    r |= copy_list(from->exclude_files, &to->exclude_files);
    r |= copy_list(from->exclude_extensions, &to->exclude_extensions);
    r |= copy_list(from->own_directories, &to->own_directories);
    r |= copy_list(from->rescan_paths, &to->rescan_paths);
    return r != 0 ? -ENOMEM : 0;
}

static void free_settings(struct scan_settings *settings)
{
    struct scan_pipeline_options *options = &settings->options;

    free((char *)options->scanner.program);
    free((char *)options->scanner.user);
    free((char *)options->scanner.temporary_directory);
    free_list(options->scanner.databases);
    free((char *)options->cache_path);
    free((char *)options->load_path);
    free_list(options->exclude_directories);
    free_list(options->exclude_files);
    free_list(options->exclude_extensions);
    free_list(options->own_directories);
    free_list(options->rescan_paths);
    exclusions_free(settings->exclusions);
    exclusions_free(settings->own);
    free(settings);
}

static int make_exclusions(struct scan_settings *settings)
{
    struct exclusion_lists lists = {
        .directories = settings->options.exclude_directories,
        .files = settings->options.exclude_files,
        .extensions = settings->options.exclude_extensions,
        .own_directories = settings->options.own_directories,
    };
    struct exclusion_lists own = {.own_directories = settings->options.own_directories};

    int r = exclusions_new(&lists, &settings->exclusions);
    return r < 0 ? r : exclusions_new(&own, &settings->own);
}

int scan_settings_new(const struct scan_pipeline_options *options,
                      struct scan_settings **ret_settings)
{
    struct scan_settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL)
        return -ENOMEM;
    atomic_init(&settings->references, 1);
    int r = copy_options(options, &settings->options);
    if (r == 0)
        r = make_exclusions(settings);
    if (r < 0) {
        free_settings(settings);
        return r;
    }
    *ret_settings = settings;
    return 0;
}

struct scan_settings *scan_settings_ref(struct scan_settings *settings)
{
    atomic_fetch_add(&settings->references, 1);
    return settings;
}

struct scan_settings *scan_settings_unref(struct scan_settings *settings)
{
    if (settings != NULL && atomic_fetch_sub(&settings->references, 1) == 1)
        free_settings(settings);
    return NULL;
}

const struct scan_pipeline_options *scan_settings_options(const struct scan_settings *settings)
{
    return &settings->options;
}

static size_t name_length_of(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);

    return slash == NULL ? length : length - (size_t)(slash + 1 - path);
}

bool scan_settings_exclude_directory(const struct scan_settings *settings, const char *path,
                                     size_t length)
{
    return exclusions_match_directory(settings->exclusions, path, length,
                                      name_length_of(path, length));
}

bool scan_settings_cover_root(const struct scan_settings *settings, const char *path)
{
    return exclusions_cover_directory(settings->own, path, strlen(path));
}

bool scan_settings_exclude_file(const struct scan_settings *settings, const char *path,
                                size_t length)
{
    return exclusions_match_file(settings->exclusions, path, length, name_length_of(path, length));
}
