/* rpm's SQLite file, whose pages, schema and headers are an outsider's: the input is the file. */
#include "agent/inspector/rpm_database.h"
#include "tests/fuzz/fuzz_folder.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool ask(const char *folder, const char *path)
{
    struct package_content content = {
        .fd = -1,
        .md5 = "0123456789abcdef0123456789abcdef",
        .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    char package[PACKAGE_TEXT_BYTES];
    enum inspector_answer answer = rpm_database_check(folder, path, &content, package);
    bool known = answer == INSPECTOR_UNCHANGED || answer == INSPECTOR_CHANGED;
    return memchr(package, '\0', sizeof package) != NULL && (known || package[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_folder folder;
    if (!fuzz_folder_make(&folder, NULL))
        return 0;
    fuzz_folder_write(&folder, "rpmdb.sqlite", data, size);
    bool good = ask(folder.path, "/usr/bin/tool") && ask(folder.path, "/bin/tool") &&
                ask(folder.path, "/etc/tool.conf") && !rpm_database_is_foreign(folder.path);
    fuzz_folder_remove(&folder);
    if (!good)
        abort();
    return 0;
}
