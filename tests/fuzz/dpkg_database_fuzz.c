/* dpkg's files: package lists, conffiles, diversions and digests, which packages bring and whoever
 * is root there may write. The input is these four texts, each ended by a NUL byte, in a folder as
 * dpkg keeps them. A package is named exactly when one knows the file. */
#include "agent/inspector/dpkg_database.h"
#include "tests/fuzz/fuzz_folder.h"

#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether the answer is one that may be given. */
static bool ask(struct dpkg_database *database, const char *path)
{
    struct package_content content = {.fd = -1, .md5 = "0123456789abcdef0123456789abcdef"};
    char package[PACKAGE_TEXT_BYTES];
    enum inspector_answer answer = dpkg_database_check(database, path, &content, package);
    bool known = answer == INSPECTOR_UNCHANGED || answer == INSPECTOR_CHANGED;
    return memchr(package, '\0', sizeof package) != NULL && known == (package[0] != '\0');
}

static bool ask_all(const char *folder)
{
    static const char *const paths[] = {"/usr/bin/tool", "/bin/tool", "/etc/tool.conf",
                                        "/usr/bin/tool.distrib"};
    struct dpkg_database *database = NULL;
    bool good = true;
    if (dpkg_database_new(folder, &database) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        good = ask(database, paths[i]) && good;
    (void)dpkg_database_free(database);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"info/tool.list", "status", "diversions",
                                        "info/tool.md5sums"};
    struct fuzz_folder folder;
    if (!fuzz_folder_make(&folder, "info"))
        return 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;
        fuzz_folder_write(&folder, names[i], data, length);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    bool good = ask_all(folder.path);
    fuzz_folder_remove(&folder);
    if (!good)
        abort();
    return 0;
}
