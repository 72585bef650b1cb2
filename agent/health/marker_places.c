#include "agent/health/marker_places.h"

#include "agent/watch/exclusions.h"
#include "agent/watch/mounts.h"
#include "agent/watch/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where files come and go anyway: preferred to the top of their mount. */
static const char *const usual[] = {"/var/tmp", "/tmp"};

static bool is_fit(const struct scope *scope, const struct mounts *mounts,
                   const struct mount_entry *mount, const char *path)
{
    size_t length = strlen(path);

    return mounts_covering(mounts, path, length) == mount && scope_contains(scope, path, length) &&
           !exclusions_cover_directory(scope->exclusions, path, length);
}

static const char *place_on(const struct scope *scope, const struct mounts *mounts,
                            const struct mount_entry *mount)
{
    for (size_t i = 0; i < ARRAY_LENGTH(usual); i++) {
        if (is_fit(scope, mounts, mount, usual[i]))
            return usual[i];
    }
    if (is_fit(scope, mounts, mount, mount->path))
        return mount->path;
    for (size_t i = 0; i < scope->path_count; i++) {
        if (is_fit(scope, mounts, mount, scope->paths[i].text))
            return scope->paths[i].text;
    }
    return NULL;
}

int marker_places_of(const struct scope *scope, const struct mounts *mounts, char ***ret_places,
                     size_t *ret_count)
{
    char **places = calloc(mounts->count + 1, sizeof *places);
    size_t count = 0;

    if (places == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount_entry *mount = &mounts->entries[i];
        const char *place = mount->class == MOUNT_LOCAL ? place_on(scope, mounts, mount) : NULL;
        if (place == NULL)
            continue;
        places[count] = strdup(place);
        if (places[count] == NULL) {
            (void)marker_places_free(places, count);
            return -ENOMEM;
        }
        count++;
    }
    *ret_places = places;
    *ret_count = count;
    return 0;
}

char **marker_places_free(char **places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(places[i]);
    free(places);
    return NULL;
}
