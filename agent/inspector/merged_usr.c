/* Owns: the list of directories that a merged system has below /usr. */
#include "agent/inspector/merged_usr.h"

#include "common/attributes.h"
#include "common/text/text.h"

const char *merged_usr_prefix(const char *path)
{
    static const char *const merged[] = {"/bin/",   "/sbin/",  "/lib/",
                                         "/lib32/", "/lib64/", "/libx32/"};

    for (size_t i = 0; i < ARRAY_LENGTH(merged); i++)
        if (text_starts_with(path, merged[i]))
            return "/usr";
    return "";
}
