/* The files that make up the signatures: which they are, and whether they changed. Nobody here
 * reads their content. Thread-safe: no state. */
#ifndef SCANNER_CLIENT_DATABASE_FILES_H
#define SCANNER_CLIENT_DATABASE_FILES_H

#include "common/attributes.h"
#include "common/files/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database_file {
    char *path;    /* absolute; owned by the list */
    size_t source; /* index of the folder or file it comes from */
    struct file_identity identity;
};

struct database_files {
    struct database_file *files; /* in the order of the sources, then by name */
    size_t count;
};

/* Whether libclamav (1.0 to 1.5) loads a file of this name. */
bool database_name_is_signature(const char *name);
/* A policy's own list of hashes, and the console's lists, stand beside the signatures and never for
 * them: alone they are no engine, and how young they are says nothing. */
#define DATABASE_POLICY_LIST  "yagura-policy.hsb"
#define DATABASE_CONSOLE_LIST "yagura-console-" /* their names begin so */
bool database_path_is_policy_list(const char *path);

/* Lists the signature files in and among paths, which are folders (not their subfolders) and single
 * files; what does not exist is left out, links are followed: an administrator named them.
 * -E2BIG above LIMIT_DATABASE_FILES, -errno of a folder that cannot be read, with ret_failed
 * (may be NULL) set to its path. */
int database_files_list(const char *const *paths, size_t count, struct database_files *ret_files,
                        const char **ret_failed) MUST_USE;
void database_files_done(struct database_files *files);

/* Changes with any file's name, size, inode or change time, and when one comes or goes. */
uint64_t database_files_fingerprint(const struct database_files *files);

#endif
