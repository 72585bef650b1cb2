/* Encoding and decoding of the link's part about AWS. Owns no state. */
#include "agent/messenger/link_cloud.h"

#include "common/messages/message.h"
#include "common/text/text.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Every text of struct aws_settings, in the order in which it travels. */
struct field {
    size_t offset, size;
};
#define FIELD(name)                                                                   \
    {                                                                                 \
        offsetof(struct aws_settings, name), sizeof(((struct aws_settings *)0)->name) \
    }

static const struct field fields[] = {
    FIELD(region),
    FIELD(profile),
    FIELD(keys.access_key_id),
    FIELD(keys.secret_access_key),
    FIELD(keys.session_token),
    FIELD(credentials_file),
    FIELD(config_file),
    FIELD(container_relative_uri),
    FIELD(container_full_uri),
    FIELD(container_token),
    FIELD(container_token_file),
    FIELD(metadata_endpoint),
    FIELD(endpoint),
    FIELD(service_endpoints[0]), /* ssm: no other service is called */
    FIELD(authority_file),
    FIELD(proxy),
    FIELD(no_proxy),
};

/* Flags as bits of one number. */
static uint32_t flags_of(const struct link_cloud *cloud)
{
    return (uint32_t)cloud->parameters | (uint32_t)cloud->instance << 1 |
           (uint32_t)cloud->aws.metadata_disabled << 2 | (uint32_t)cloud->aws.fips << 3 |
           (uint32_t)cloud->aws.dual_stack << 4 | (uint32_t)cloud->aws.web_identity << 5;
}

static bool take_flags(struct link_cloud *cloud, uint32_t flags)
{
    cloud->parameters = (flags & 1U) != 0;
    cloud->instance = (flags & 2U) != 0;
    cloud->aws.metadata_disabled = (flags & 4U) != 0;
    cloud->aws.fips = (flags & 8U) != 0;
    cloud->aws.dual_stack = (flags & 16U) != 0;
    cloud->aws.web_identity = (flags & 32U) != 0;
    return flags < 64U;
}

int link_send_cloud(int socket, const struct link_cloud *cloud)
{
    struct message_writer writer = {.length = 0};

    message_write_u32(&writer, flags_of(cloud));
    message_write_text(&writer, cloud->prefix);
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        message_write_text(&writer, (const char *)&cloud->aws + fields[i].offset);
    int r = message_writer_send(&writer, socket, LINK_CLOUD, -1);
    explicit_bzero(&writer, sizeof writer);
    return r;
}

int link_read_cloud(const struct message *message, struct link_cloud *ret_cloud)
{
    struct message_reader reader = message_reader_of(message);

    *ret_cloud = (struct link_cloud){.prefix = ""};
    if (!take_flags(ret_cloud, message_read_u32(&reader)))
        return -EBADMSG;
    message_read_text(&reader, ret_cloud->prefix, sizeof ret_cloud->prefix);
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        message_read_text(&reader, (char *)&ret_cloud->aws + fields[i].offset, fields[i].size);
    return message_reader_end(&reader);
}

int link_send_file(int socket, enum aws_file file, int fd)
{
    struct message_writer writer = {.length = 0};

    message_write_u32(&writer, file);
    return message_writer_send(&writer, socket, LINK_FILE, fd);
}

int link_read_file(const struct message *message, enum aws_file *ret_file)
{
    struct message_reader reader = message_reader_of(message);
    uint32_t file = message_read_u32(&reader);

    if (file >= AWS_FILES)
        return -EBADMSG;
    *ret_file = (enum aws_file)file;
    return message_reader_end(&reader);
}

int link_send_files_done(int socket, const struct link_files *files)
{
    struct message_writer writer = {.length = 0};

    for (size_t i = 0; i < AWS_FILES; i++)
        message_write_u32(&writer, (uint32_t)-files->error[i]);
    return message_writer_send(&writer, socket, LINK_FILES_DONE, -1);
}

int link_read_files_done(const struct message *message, struct link_files *ret_files)
{
    enum { MOST_ERRNO = 4095 };
    struct message_reader reader = message_reader_of(message);

    for (size_t i = 0; i < AWS_FILES; i++) {
        uint32_t error = message_read_u32(&reader);
        if (error > MOST_ERRNO)
            return -EBADMSG;
        ret_files->error[i] = -(int)error;
    }
    return message_reader_end(&reader);
}

int link_send_console(int socket, const struct link_settings *settings)
{
    struct message_writer writer = {.length = 0};

    message_write_text(&writer, settings->url);
    message_write_text(&writer, settings->pin);
    message_write_text(&writer, settings->tenant_id);
    message_write_text(&writer, settings->policy);
    message_write_text(&writer, settings->group);
    message_write_text(&writer, settings->instance_id);
    return message_writer_send(&writer, socket, LINK_CONSOLE, -1);
}

#define READ_TEXT(reader, field) message_read_text(reader, field, sizeof(field))

int link_read_console(const struct message *message, struct link_settings *settings)
{
    struct message_reader reader = message_reader_of(message);

    READ_TEXT(&reader, settings->url);
    READ_TEXT(&reader, settings->pin);
    READ_TEXT(&reader, settings->tenant_id);
    READ_TEXT(&reader, settings->policy);
    READ_TEXT(&reader, settings->group);
    READ_TEXT(&reader, settings->instance_id);
    return message_reader_end(&reader);
}

int link_cloud_read_prefix(const char *text, char *prefix, size_t size)
{
    enum { MOST = 400 };
    size_t length = strlen(text);

    if (length == 0 || length > MOST || text[0] != '/' || strstr(text, "//") != NULL)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("/._-", text[i]) == NULL)
            return -EINVAL;
    int r = text_format(prefix, size, "%s%s", text, text[length - 1] == '/' ? "" : "/");
    return r < 0 ? -EINVAL : 0;
}
