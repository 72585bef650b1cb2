/* Which files are the agent's own. Found anew each time: who overrides a unit adds a file. */
#ifndef AGENT_TAMPER_OWN_FILES_H
#define AGENT_TAMPER_OWN_FILES_H

#include "agent/tamper/tamper.h"
#include "common/attributes.h"

#include <limits.h>
#include <stddef.h>

enum own_kind {
    OWN_PROGRAM,
    OWN_UNIT,     /* as a package brings it, and what changes the units of all */
    OWN_OVERRIDE, /* of a unit, by the host's administrator: another unit, a drop-in, a mask */
    OWN_CONFIGURATION,
    OWN_PRELOAD, /* /etc/ld.so.preload: code for every program that starts */
    OWN_DATABASE,
};
/* A stable word. */
const char *own_kind_name(enum own_kind kind);

#define OWN_FILES_MAXIMUM 128

typedef int own_files_visit(void *user, const char *path, enum own_kind kind);
/* Calls visit for each name of an own file that may be there, at most OWN_FILES_MAXIMUM, those
 * whose names are fixed first; a name may be of nothing. What visit answers ends it when it is not
 * 0. ret_left_out: the first there was no room for; "": none. -errno. */
int own_files_list(const struct tamper_options *options, own_files_visit *visit, void *user,
                   char ret_left_out[static PATH_MAX]) MUST_USE;

#endif
