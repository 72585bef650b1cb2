/* The pipeline's options, copied once and shared by reference with the threads that use them: a new
 * policy makes a new one. Immutable; references are thread-safe. */
#ifndef AGENT_SCAN_SCAN_SETTINGS_H
#define AGENT_SCAN_SCAN_SETTINGS_H

#include "agent/scan/scan_pipeline.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct scan_settings;

/* -ENOMEM; -EINVAL: an exclusion that cannot be understood. */
int scan_settings_new(const struct scan_pipeline_options *options,
                      struct scan_settings **ret_settings) MUST_USE;
struct scan_settings *scan_settings_ref(struct scan_settings *settings);
struct scan_settings *scan_settings_unref(struct scan_settings *settings); /* NULL is legal */

/* All strings belong to the settings. */
const struct scan_pipeline_options *scan_settings_options(const struct scan_settings *settings);

/* Whether a path that somebody names lies in our own directories. What policy excludes may be named
 * all the same: whoever asks for it wants it scanned. */
bool scan_settings_cover_root(const struct scan_settings *settings, const char *path);
/* What a walk meets below. Absolute paths without a slash at the end; every level is asked for. */
bool scan_settings_exclude_directory(const struct scan_settings *settings, const char *path,
                                     size_t length);
bool scan_settings_exclude_file(const struct scan_settings *settings, const char *path,
                                size_t length);

#endif
