/* Owns nothing. */
#include "tests/unit/agent/health/watched_folder.h"

struct watch_options watched_folder(const char *const paths[static 2])
{
    static const char *const none[] = {NULL};

    return (struct watch_options){.paths = paths,
                                  .exclude_directories = none,
                                  .exclude_files = none,
                                  .exclude_extensions = none,
                                  .own_directories = none};
}
