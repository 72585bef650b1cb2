/* Facts about the host, from files only root writes. Owns no state. */
#include "agent/delivery/host_facts.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <string.h>

#define MOST_BYTES 16384

/* The first line of a file, escaped; "-" when there is none. */
static void read_line(const char *path, char *field, size_t size)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    (void)text_copy(field, size, "-");
    if (file_read_all(path, &content) < 0 || content.length == 0)
        return;
    size_t length = strcspn(buffer_text(&content), "\n");
    if (length > 0)
        (void)text_escape(field, size, buffer_text(&content), length);
}

/* machine-id(5) may be missing, empty or "uninitialized" in images and containers; the firmware
 * tells hosts apart, too. */
static void read_machine_id(char *field, size_t size)
{
    static const char *const paths[] = {"/etc/machine-id", "/var/lib/dbus/machine-id",
                                        "/sys/class/dmi/id/product_uuid"};

    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        read_line(paths[i], field, size);
        if (!text_equal(field, "-") && !text_equal(field, "uninitialized"))
            return;
    }
    (void)text_copy(field, size, "-");
}

/* PRETTY_NAME of os-release(5), without its quotes. */
static void read_os(char *field, size_t size)
{
    static const char key[] = "PRETTY_NAME=";
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    (void)text_copy(field, size, "Linux");
    if (file_read_all("/etc/os-release", &content) < 0)
        return;
    const char *line = buffer_text(&content);
    while (line != NULL && !text_starts_with(line, key)) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line == NULL)
        return;
    const char *value = line + strlen(key);
    if (*value == '"' || *value == '\'')
        value++;
    (void)text_escape(field, size, value, strcspn(value, "\"'\n"));
}

/* Instances of the Nitro system have their name in the firmware; on others it is known from the
 * instance's metadata, and stays what it is. */
static void read_instance_id(char *field, size_t size)
{
    char vendor[64], tag[64];

    read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
    read_line("/sys/class/dmi/id/board_asset_tag", tag, sizeof tag);
    if (text_equal(vendor, "Amazon EC2") && text_starts_with(tag, "i-"))
        (void)text_copy(field, size, tag);
}

void host_facts_board(char board[static 64])
{
    read_line("/sys/class/dmi/id/product_uuid", board, 64);
    if (text_equal(board, "-"))
        board[0] = '\0';
}

bool host_facts_is_instance(void)
{
    char vendor[64], hypervisor[64];

    read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
    read_line("/sys/hypervisor/uuid", hypervisor, sizeof hypervisor);
    return text_equal(vendor, "Amazon EC2") || text_starts_with(hypervisor, "ec2");
}

void host_facts_fill(struct link_settings *settings)
{
    char name[256] = "";

    (void)gethostname(name, sizeof name - 1);
    (void)text_escape(settings->hostname, sizeof settings->hostname, name[0] != '\0' ? name : "-",
                      name[0] != '\0' ? strlen(name) : 1);
    read_machine_id(settings->machine_id, sizeof settings->machine_id);
    read_line("/proc/sys/kernel/random/boot_id", settings->boot_id, sizeof settings->boot_id);
    read_os(settings->os, sizeof settings->os);
    read_instance_id(settings->instance_id, sizeof settings->instance_id);
}
