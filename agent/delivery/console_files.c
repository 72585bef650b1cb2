/* The agent's files about its console. Owns their format: one JSON object each, of texts and
 * numbers. */
#include "agent/delivery/console_files.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <string.h>

#define MOST_BYTES (256 * 1024)

struct console_files {
    char directory[LINK_TEXT_BYTES];
};

int console_files_open(const char *state_directory, struct console_files **ret_files)
{
    struct console_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return -ENOMEM;
    int r = text_format(files->directory, sizeof files->directory, "%s/console", state_directory);
    if (r >= 0)
        r = file_make_directories(files->directory, 0700);
    if (r < 0) {
        free(files);
        return r;
    }
    *ret_files = files;
    return 0;
}

struct console_files *console_files_close(struct console_files *files)
{
    free(files);
    return NULL;
}

const char *console_files_directory(const struct console_files *files)
{
    return files->directory;
}

/* ---- one file ---- */

static int path_of(const struct console_files *files, const char *name,
                   char path[static LINK_TEXT_BYTES])
{
    int r = text_format(path, LINK_TEXT_BYTES, "%s/%s", files->directory, name);

    return r < 0 ? r : 0;
}

static void wipe(struct buffer *buffer)
{
    if (buffer->data != NULL)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_done(buffer);
}

static int read_object(const struct console_files *files, const char *name, json_t **ret_object)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    char path[LINK_TEXT_BYTES];

    int r = path_of(files, name, path);
    if (r == 0)
        r = file_read_all(path, &text);
    if (r == 0) {
        *ret_object = json_loadb(buffer_text(&text), text.length, JSON_REJECT_DUPLICATES, NULL);
        r = json_is_object(*ret_object) ? 0 : -EBADMSG;
    }
    wipe(&text);
    return r;
}

static int write_text(const struct console_files *files, const char *name, struct buffer *text)
{
    char path[LINK_TEXT_BYTES];

    int r = buffer_failed(text);
    if (r == 0)
        r = path_of(files, name, path);
    if (r == 0)
        r = file_replace(path, buffer_text(text), text->length, 0600);
    wipe(text);
    return r;
}

static void remove_file(const struct console_files *files, const char *name)
{
    char path[LINK_TEXT_BYTES];

    if (path_of(files, name, path) == 0)
        (void)unlink(path);
}

/* A text of an object that fits; an absent one is "". */
static int take_text(const json_t *object, const char *key, char *field, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text_copy(field, size, text != NULL ? text : "") < 0 ? -EBADMSG : 0;
}
#define TAKE(object, key, field) take_text(object, key, field, sizeof(field))

/* ---- each of them ---- */

int console_files_read_console(struct console_files *files, struct link_settings *settings)
{
    json_t *object = NULL;

    int r = read_object(files, "console.json", &object);
    if (r == 0 &&
        (TAKE(object, "url", settings->url) < 0 || TAKE(object, "ca_pin", settings->pin) < 0 ||
         TAKE(object, "proxy", settings->proxy) < 0 ||
         TAKE(object, "tenant_id", settings->tenant_id) < 0 ||
         TAKE(object, "policy", settings->policy) < 0 ||
         TAKE(object, "group", settings->group) < 0 ||
         TAKE(object, "display_name", settings->display_name) < 0 ||
         TAKE(object, "instance_id", settings->instance_id) < 0))
        r = -EBADMSG;
    json_decref(object);
    return r;
}

int console_files_write_console(struct console_files *files, const struct link_settings *settings)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_string(&json, "url", settings->url);
    json_write_field_string(&json, "proxy", settings->proxy);
    json_write_field_string(&json, "ca_pin", settings->pin);
    json_write_field_string(&json, "tenant_id", settings->tenant_id);
    json_write_field_string(&json, "policy", settings->policy);
    json_write_field_string(&json, "group", settings->group);
    json_write_field_string(&json, "display_name", settings->display_name);
    json_write_field_string(&json, "instance_id", settings->instance_id);
    json_write_object_end(&json);
    return write_text(files, "console.json", &text);
}

int console_files_read_token(struct console_files *files, struct link_token *ret_token)
{
    json_t *object = NULL;

    int r = read_object(files, "token.json", &object);
    if (r == 0)
        r = TAKE(object, "token", ret_token->text);
    json_decref(object);
    return r;
}

int console_files_write_token(struct console_files *files, const struct link_token *token)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_string(&json, "token", token->text);
    json_write_object_end(&json);
    return write_text(files, "token.json", &text);
}

int console_files_read_identity(struct console_files *files, struct link_identity *ret_identity)
{
    json_t *object = NULL;

    int r = read_object(files, "identity.json", &object);
    if (r == 0 && (TAKE(object, "agent_id", ret_identity->agent_id) < 0 ||
                   TAKE(object, "certificate", ret_identity->certificate) < 0 ||
                   TAKE(object, "key", ret_identity->key) < 0 ||
                   TAKE(object, "authority", ret_identity->authority) < 0 ||
                   TAKE(object, "signing_key", ret_identity->signing_key) < 0))
        r = -EBADMSG;
    ret_identity->heartbeat_seconds =
        (uint32_t)json_integer_value(json_object_get(object, "heartbeat_seconds"));
    json_decref(object);
    return r;
}

int console_files_write_identity(struct console_files *files, const struct link_identity *identity)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_string(&json, "agent_id", identity->agent_id);
    json_write_field_string(&json, "certificate", identity->certificate);
    json_write_field_string(&json, "key", identity->key);
    json_write_field_string(&json, "authority", identity->authority);
    json_write_field_string(&json, "signing_key", identity->signing_key);
    json_write_field_unsigned(&json, "heartbeat_seconds", identity->heartbeat_seconds);
    json_write_object_end(&json);
    return write_text(files, "identity.json", &text);
}

int console_files_read_orders(struct console_files *files, struct console_orders *ret_orders)
{
    json_t *object = NULL, *command;
    size_t index;

    memset(ret_orders, 0, sizeof *ret_orders);
    int r = read_object(files, "orders.json", &object);
    if (r == 0 && (TAKE(object, "agent_id", ret_orders->agent_id) < 0 ||
                   TAKE(object, "policy_digest", ret_orders->policy_digest) < 0 ||
                   TAKE(object, "policy_path", ret_orders->policy_path) < 0))
        r = -EBADMSG;
    if (r == 0 && TAKE(object, "previous_key", ret_orders->previous_key) < 0)
        r = -EBADMSG;
    ret_orders->previous_key_until_ms =
        (uint64_t)json_integer_value(json_object_get(object, "previous_key_until_ms"));
    ret_orders->policy_revision =
        (uint64_t)json_integer_value(json_object_get(object, "policy_revision"));
    if (r == 0 && (TAKE(object, "group_id", ret_orders->group_id) < 0 ||
                   TAKE(object, "board", ret_orders->board) < 0))
        r = -EBADMSG;
    ret_orders->board_counts = json_is_true(json_object_get(object, "board_counts"));
    ret_orders->group_issued_ms =
        (uint64_t)json_integer_value(json_object_get(object, "group_issued_ms"));
    ret_orders->begun_ms = (uint64_t)json_integer_value(json_object_get(object, "begun_ms"));
    json_array_foreach(json_object_get(object, "commands"), index, command)
    {
        if (ret_orders->seen_count == CONSOLE_SEEN_COMMANDS)
            break;
        size_t i = ret_orders->seen_count++;
        (void)TAKE(command, "id", ret_orders->seen[i].id);
        ret_orders->seen[i].expires_ms =
            (uint64_t)json_integer_value(json_object_get(command, "expires_ms"));
    }
    json_decref(object);
    return r;
}

int console_files_write_orders(struct console_files *files, const struct console_orders *orders)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_string(&json, "agent_id", orders->agent_id);
    json_write_field_string(&json, "previous_key", orders->previous_key);
    json_write_field_unsigned(&json, "previous_key_until_ms", orders->previous_key_until_ms);
    json_write_field_unsigned(&json, "policy_revision", orders->policy_revision);
    json_write_field_string(&json, "policy_digest", orders->policy_digest);
    json_write_field_string(&json, "policy_path", orders->policy_path);
    json_write_field_unsigned(&json, "begun_ms", orders->begun_ms);
    json_write_field_string(&json, "board", orders->board);
    json_write_field_bool(&json, "board_counts", orders->board_counts);
    json_write_field_string(&json, "group_id", orders->group_id);
    json_write_field_unsigned(&json, "group_issued_ms", orders->group_issued_ms);
    json_write_key(&json, "commands");
    json_write_array_begin(&json);
    for (size_t i = 0; i < orders->seen_count; i++) {
        json_write_object_begin(&json);
        json_write_field_string(&json, "id", orders->seen[i].id);
        json_write_field_unsigned(&json, "expires_ms", orders->seen[i].expires_ms);
        json_write_object_end(&json);
    }
    json_write_array_end(&json);
    json_write_object_end(&json);
    return write_text(files, "orders.json", &text);
}

int console_files_read_cloud(struct console_files *files, struct console_cloud *ret_cloud)
{
    struct aws_settings *aws = &ret_cloud->cloud.aws;
    json_t *object = NULL;

    *ret_cloud = (struct console_cloud){.left = false};
    int r = read_object(files, "cloud.json", &object);
    if (r == 0 &&
        (TAKE(object, "prefix", ret_cloud->cloud.prefix) < 0 ||
         TAKE(object, "region", aws->region) < 0 || TAKE(object, "profile", aws->profile) < 0 ||
         TAKE(object, "credentials_file", aws->credentials_file) < 0 ||
         TAKE(object, "config_file", aws->config_file) < 0 ||
         TAKE(object, "endpoint", aws->service_endpoints[0]) < 0))
        r = -EBADMSG;
    ret_cloud->left = json_is_true(json_object_get(object, "left"));
    ret_cloud->cloud.parameters = json_is_true(json_object_get(object, "parameters"));
    json_decref(object);
    return r;
}

int console_files_write_cloud(struct console_files *files, const struct console_cloud *cloud)
{
    const struct aws_settings *aws = &cloud->cloud.aws;
    struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_bool(&json, "left", cloud->left);
    json_write_field_bool(&json, "parameters", cloud->cloud.parameters);
    json_write_field_string(&json, "prefix", cloud->cloud.prefix);
    json_write_field_string(&json, "region", aws->region);
    json_write_field_string(&json, "profile", aws->profile);
    json_write_field_string(&json, "credentials_file", aws->credentials_file);
    json_write_field_string(&json, "config_file", aws->config_file);
    json_write_field_string(&json, "endpoint", aws->service_endpoints[0]);
    json_write_object_end(&json);
    return write_text(files, "cloud.json", &text);
}

void console_files_remove_token(struct console_files *files)
{
    remove_file(files, "token.json");
}

void console_files_remove_identity(struct console_files *files)
{
    remove_file(files, "identity.json");
}
