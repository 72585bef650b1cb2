/* Owns files named yagura-console-* and set.json in the signatures' folder. Must not own: the
 * policy's list beside them. */
#include "agent/signatures/console_lists.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define SET_NAME  "set.json" /* no signature's name */
#define FILE_MODE 0600

/* The ends that a list of the console's may have; what else libclamav loads, a console has no
 * business with. */
static bool has_known_end(const char *name)
{
    static const char *const ends[] = {".hdb", ".hsb", ".ndb",  ".ldb",
                                       ".fp",  ".sfp", ".ign2", ".yara"};

    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
        if (text_ends_with(name, ends[i]))
            return true;
    return false;
}

static bool is_list(const char *name)
{
    return text_starts_with(name, WIRE_CONSOLE_LIST) && wire_is_signature_name(name) &&
           has_known_end(name);
}

static bool is_in(const struct wire_signatures *signatures, const char *name)
{
    for (size_t i = 0; signatures != NULL && i < signatures->list_count; i++)
        if (text_equal(signatures->lists[i].name, name))
            return true;
    return false;
}

static void remove_others(const char *folder, const struct wire_signatures *signatures)
{
    int fd = -1;

    if (file_open_directory(folder, true, &fd) < 0)
        return;
    DIR *listing = fdopendir(fd);
    if (listing == NULL) {
        (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (text_starts_with(entry->d_name, WIRE_CONSOLE_LIST) && !is_in(signatures, entry->d_name))
            (void)unlinkat(fd, entry->d_name, 0);
    (void)closedir(listing);
}

/* An unchanged file keeps its times: the scanner need not load anew for it. */
static int write_list(const char *folder, const struct wire_signature_list *list)
{
    AUTO_BUFFER struct buffer there = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_SET_BYTES);
    AUTO_FREE char *path = text_format_new("%s/%s", folder, list->name);
    size_t length = strlen(list->text);

    if (path == NULL)
        return -ENOMEM;
    if (file_read_all(path, &there) == 0 && there.length == length &&
        memcmp(buffer_text(&there), list->text, length) == 0)
        return 0;
    return file_replace(path, list->text, length, FILE_MODE);
}

int console_lists_put(const char *state_directory, const struct wire_signatures *signatures,
                      const char *document)
{
    AUTO_FREE char *folder = text_format_new("%s/" SIGNATURES_FOLDER, state_directory);
    AUTO_FREE char *set = text_format_new("%s/" SIGNATURES_FOLDER "/" SET_NAME, state_directory);

    if (folder == NULL || set == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < signatures->list_count; i++)
        if (!is_list(signatures->lists[i].name))
            return -EINVAL;
    int r = file_make_directories(folder, 0700);
    for (size_t i = 0; r == 0 && i < signatures->list_count; i++)
        r = write_list(folder, &signatures->lists[i]);
    if (r == 0)
        r = file_replace(set, document, strlen(document), FILE_MODE);
    if (r == 0)
        remove_others(folder, signatures);
    return r;
}

int console_lists_read(const char *state_directory, struct wire_signatures *ret_signatures)
{
    AUTO_FREE char *set = text_format_new("%s/" SIGNATURES_FOLDER "/" SET_NAME, state_directory);
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    struct wire_problem problem;

    if (set == NULL)
        return -ENOMEM;
    int r = file_read_all(set, &text);
    return r < 0 ? r : wire_signatures_decode(buffer_text(&text), ret_signatures, &problem);
}

void console_lists_remove(const char *state_directory)
{
    AUTO_FREE char *folder = text_format_new("%s/" SIGNATURES_FOLDER, state_directory);
    AUTO_FREE char *set = text_format_new("%s/" SIGNATURES_FOLDER "/" SET_NAME, state_directory);

    if (folder == NULL || set == NULL)
        return;
    (void)unlink(set);
    remove_others(folder, NULL);
}
