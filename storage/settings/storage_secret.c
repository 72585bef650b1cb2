/* Secrets of yagura-storage. Owns: where they are read. Must not own: what they are for. */
#include "storage/settings/storage_secret.h"

#include "common/files/file.h"
#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

static int complain(char *problem, size_t size, const char *what, const char *why)
{
    (void)text_format(problem, size, "the secret cannot be read from %s: %s", what, why);
    return -EIO;
}

static int keep(const char *text, size_t length, char *secret)
{
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    while (length > 0 && strchr(" \t\r\n", *text) != NULL) {
        text++;
        length--;
    }
    if (length == 0 || memchr(text, '\0', length) != NULL)
        return -EBADMSG;
    if (length >= STORAGE_SECRET_BYTES)
        return -EMSGSIZE;
    memcpy(secret, text, length);
    secret[length] = '\0';
    return 0;
}

static int read_file(const char *path, char *secret, char *problem, size_t size)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(STORAGE_SECRET_BYTES * 2);

    int r = file_read_all(path, &content);
    if (r == 0)
        r = keep(buffer_text(&content), content.length, secret);
    if (content.data != NULL)
        explicit_bzero(content.data, content.capacity);
    return r < 0 ? complain(problem, size, path, log_error_text(r)) : 0;
}

static int read_answer(const struct buffer *body, char *secret)
{
    struct json_tree *tree = NULL;
    char reason[128];

    int r = json_tree_parse(buffer_text(body), body->length, &tree, reason);
    if (r < 0)
        return r;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *parameter =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "Parameter") : NULL;
    const struct json_node *value = parameter != NULL && parameter->kind == JSON_NODE_OBJECT
                                        ? json_node_find(parameter, "Value")
                                        : NULL;
    r = value != NULL && value->kind == JSON_NODE_STRING ? keep(value->text, value->length, secret)
                                                         : -EBADMSG;
    (void)json_tree_free(tree);
    return r;
}

static int read_parameter(struct aws_client *client, const char *name, char *secret, char *problem,
                          size_t size)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(8192);
    struct json_writer writer;
    struct aws_answer answer;
    int r = 0;

    json_writer_init(&writer, &json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "Name", name);
    json_write_field_bool(&writer, "WithDecryption", true);
    json_write_object_end(&writer);
    if (aws_client_json(client, "ssm", "AmazonSSM.GetParameter", buffer_text(&json), &answer) !=
        AWS_OK)
        r = complain(problem, size, name, answer.problem);
    else if (read_answer(&answer.http.body, secret) < 0)
        r = complain(problem, size, name, "its value is empty or too long");
    if (answer.http.body.data != NULL)
        explicit_bzero(answer.http.body.data, answer.http.body.capacity);
    aws_answer_done(&answer);
    return r;
}

int storage_secret_load(const struct storage_settings *settings, enum storage_setting file,
                        enum storage_setting parameter, struct aws_client *client,
                        char ret_secret[static STORAGE_SECRET_BYTES], char *problem,
                        size_t problem_size)
{
    const char *path = storage_settings_text(settings, file);
    const char *name = storage_settings_text(settings, parameter);

    ret_secret[0] = '\0';
    if (path[0] != '\0')
        return read_file(path, ret_secret, problem, problem_size);
    if (name[0] != '\0')
        return read_parameter(client, name, ret_secret, problem, problem_size);
    return 0;
}
