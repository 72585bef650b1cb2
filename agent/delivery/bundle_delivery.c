/* Bundles of diagnostics on their way to the console, one at a time.
 *
 * Owns: bundle-ID.tar in the console's folder, from the moment it is whole until the console has it
 * or has refused it. Its command has no result before. */
#include "agent/delivery/delivery_internal.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static const char prefix[] = "bundle-", suffix[] = ".tar";

/* Any of those that wait: its command's id. */
static bool find_waiting(const char *directory, char id[static 40])
{
    bool found = false;
    int fd = -1;

    if (file_open_directory(directory, true, &fd) < 0)
        return false;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        (void)close(fd);
        return false;
    }
    for (const struct dirent *entry; !found && (entry = readdir(stream)) != NULL;) {
        if (!text_starts_with(entry->d_name, prefix) || !text_ends_with(entry->d_name, suffix))
            continue;
        size_t length = strlen(entry->d_name) - strlen(prefix) - strlen(suffix);
        found = length < 40 &&
                text_format(id, 40, "%.*s", (int)length, entry->d_name + strlen(prefix)) > 0 &&
                wire_is_uuid(id);
    }
    (void)closedir(stream);
    return found;
}

static void end_bundle(struct delivery *delivery, const char *id, bool good, const char *output)
{
    char path[LINK_TEXT_BYTES];

    if (command_results_end(delivery->results, id, good, output) < 0)
        log_warning("result_not_kept", "command", id, NULL);
    delivery_record(delivery, good ? "command_done" : "command_failed",
                    good ? EVENT_INFO : EVENT_MEDIUM, id, output);
    if (command_bundle_path(console_files_directory(delivery->files), id, path, sizeof path) == 0)
        (void)unlink(path);
    messenger_process_hurry(delivery);
}

void bundle_delivery_send(void *user)
{
    struct delivery *delivery = user;
    const char *directory = console_files_directory(delivery->files);
    AUTO_BUFFER struct buffer bundle = BUFFER_WITH_MAXIMUM(LIMIT_BUNDLE_BYTES);
    char id[40], path[LINK_TEXT_BYTES];

    if (delivery->socket < 0 || !delivery->activated || delivery->bundle_id[0] != '\0' ||
        !find_waiting(directory, id) || command_bundle_path(directory, id, path, sizeof path) < 0)
        return;
    int r = file_read_all(path, &bundle);
    if (r < 0) {
        end_bundle(delivery, id, false,
                   r == -EFBIG ? "the bundle is too large" : log_error_text(r));
        return;
    }
    if (link_send_bundle(delivery->socket, id, buffer_text(&bundle), bundle.length) == 0)
        (void)text_copy(delivery->bundle_id, sizeof delivery->bundle_id, id);
}

/* Refused: an older console, or one that has forgotten the command. The bundle stays on the host.
 */
static void keep_bundle(struct delivery *delivery, const struct link_bundle_done *done)
{
    char from[LINK_TEXT_BYTES], kept[LINK_TEXT_BYTES], output[LINK_TEXT_BYTES * 3];

    if (command_bundle_path(console_files_directory(delivery->files), done->id, from, sizeof from) <
            0 ||
        text_format(kept, sizeof kept, "%s/diagnostics.tar", delivery->options.state_directory) <
            0 ||
        rename(from, kept) < 0)
        (void)text_copy(kept, sizeof kept, "nowhere");
    (void)text_format(output, sizeof output, "%s; the bundle stands on the host: %s", done->problem,
                      kept);
    end_bundle(delivery, done->id, false, output);
}

int bundle_delivery_take_done(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_bundle_done done;
    struct stat status;
    char path[LINK_TEXT_BYTES], output[128];

    int r = link_read_bundle_done(message, &done);
    if (r < 0)
        return r;
    if (!text_equal(done.id, delivery->bundle_id) || done.id[0] == '\0')
        return -EPROTO;
    delivery->bundle_id[0] = '\0';
    if (done.outcome == LINK_BUNDLE_REFUSED) {
        keep_bundle(delivery, &done);
    } else if (done.outcome == LINK_BUNDLE_DELIVERED) {
        r = command_bundle_path(console_files_directory(delivery->files), done.id, path,
                                sizeof path);
        (void)text_format(output, sizeof output, "{\"bundle_bytes\":%lld}",
                          r == 0 && stat(path, &status) == 0 ? (long long)status.st_size : 0LL);
        end_bundle(delivery, done.id, true, output);
    }
    return 0; /* otherwise: again after the next heartbeat */
}
