/* For tests of a health that has one folder to look after. */
#ifndef TESTS_UNIT_AGENT_HEALTH_WATCHED_FOLDER_H
#define TESTS_UNIT_AGENT_HEALTH_WATCHED_FOLDER_H

#include "agent/watch/watch.h"

/* That watches the folder and leaves nothing in it out. paths: it and NULL, not copied. */
struct watch_options watched_folder(const char *const paths[static 2]);

#endif
