/* Files of the console's mirror on this host. Each grows in the spool, piece by piece, and goes on
 * where it was after a crash; all of a set move to their folder together, so that the scanner never
 * loads a mixture for long. Not thread-safe: its caller is one thread. */
#ifndef AGENT_SIGNATURES_MIRROR_FILES_H
#define AGENT_SIGNATURES_MIRROR_FILES_H

#include "common/attributes.h"
#include "common/wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* Below the state directory; one of the scanner's folders of signatures where policy says so. */
#define MIRROR_FILES_FOLDER "signatures/mirror"

struct mirror_files;

int mirror_files_open(const char *state_directory, struct mirror_files **ret_files) MUST_USE;
struct mirror_files *mirror_files_close(struct mirror_files *files);

/* How many files are in their place. */
size_t mirror_files_count(const struct mirror_files *files);
/* Whether every file of the set is in its place, and no other is. */
bool mirror_files_have(const struct mirror_files *files, const struct wire_signatures *set);
/* The first file of the set that is neither in its place nor whole in the spool, and how much of it
 * is there; NULL: none is missing. */
const struct wire_mirror_file *mirror_files_missing(const struct mirror_files *files,
                                                    const struct wire_signatures *set,
                                                    uint64_t *ret_offset);
/* A file that would take the place of a newer one; NULL: there is none. */
const struct wire_mirror_file *mirror_files_older(const struct mirror_files *files,
                                                  const struct wire_signatures *set);
/* Appends a piece at offset, the length that is there. When the file is whole by it, its digest is
 * checked: -EBADMSG, and it is gone, to begin anew. -EPROTO: the piece does not follow, or is too
 * long; -errno (-ENOSPC). */
int mirror_files_append(struct mirror_files *files, const struct wire_mirror_file *file,
                        uint64_t offset, const void *bytes, size_t length) MUST_USE;
/* Moves what is in the spool to its place, and removes what the set has no more. A set without
 * files changes nothing: signatures never become none by accident. -errno. */
int mirror_files_place(struct mirror_files *files, const struct wire_signatures *set) MUST_USE;

#endif
