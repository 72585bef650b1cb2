/* One request to Parameter Store, or one small file. */
#include "application/reporter/sensor_key.h"

#include "common/aws/aws_client.h"
#include "common/files/file.h"
#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int sensor_key_read(const char *json, size_t length, char ret_key[static SENSOR_KEY_BYTES])
{
    struct json_tree *tree = NULL;
    char problem[128];

    ret_key[0] = '\0';
    if (json_tree_parse(json, length, &tree, problem) < 0)
        return -EBADMSG;
    const struct json_node *parameter = json_node_find(json_tree_root(tree), "Parameter");
    const struct json_node *value = parameter != NULL && parameter->kind == JSON_NODE_OBJECT
                                        ? json_node_find(parameter, "Value")
                                        : NULL;
    int r = value != NULL && value->kind == JSON_NODE_STRING && value->length > 0
                ? text_copy(ret_key, SENSOR_KEY_BYTES, value->text)
                : -EBADMSG;
    (void)json_tree_free(tree);
    return r < 0 ? -EBADMSG : 0;
}

static int outcome_to_error(enum aws_outcome outcome)
{
    switch (outcome) {
    case AWS_OK:
        return 0;
    case AWS_UNREACHABLE:
    case AWS_THROTTLED:
    case AWS_UNAVAILABLE:
        return -EAGAIN;
    default:
        return -EACCES;
    }
}

static int ask(struct aws_client *client, const char *name, char ret_key[static SENSOR_KEY_BYTES],
               char ret_problem[static 512])
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(4096);
    struct aws_answer answer;
    struct json_writer writer;

    json_writer_init(&writer, &json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "Name", name);
    json_write_field_bool(&writer, "WithDecryption", true);
    json_write_object_end(&writer);
    if (buffer_failed(&json) < 0)
        return -EINVAL;
    int r = outcome_to_error(
        aws_client_json(client, "ssm", "AmazonSSM.GetParameter", buffer_text(&json), &answer));
    if (r < 0)
        (void)text_format(ret_problem, 512, "parameter %.200s: %.250s", name, answer.problem);
    else
        r = sensor_key_read(buffer_text(&answer.http.body), answer.http.body.length, ret_key);
    if (answer.http.body.data != NULL)
        explicit_bzero(answer.http.body.data, answer.http.body.length);
    aws_answer_done(&answer);
    return r;
}

static int find_parameter(const char *name, uint64_t wait_ns, char ret_key[static SENSOR_KEY_BYTES],
                          char ret_problem[static 512])
{
    struct aws_settings *settings = calloc(1, sizeof *settings);
    struct aws_client *client = NULL;
    const char *variable = NULL;

    if (settings == NULL)
        return -ENOMEM;
    int r = aws_settings_from_environment(settings, &variable);
    if (r < 0)
        (void)text_format(ret_problem, 512, "%s is too long", variable);
    if (r == 0)
        r = aws_client_new(settings, NULL, &client);
    if (r == 0) {
        aws_client_set_patience(client, wait_ns, 2);
        r = ask(client, name, ret_key, ret_problem);
    }
    (void)aws_client_free(client);
    aws_settings_wipe(settings);
    free(settings);
    return r;
}

static int read_key_file(const char *path, char ret_key[static SENSOR_KEY_BYTES],
                         char ret_problem[static 512])
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(SENSOR_KEY_BYTES - 1);

    int r = file_read_all(path, &text);
    if (r < 0) {
        (void)text_format(ret_problem, 512, "the file %.400s cannot be read", path);
        return -EACCES;
    }
    while (text.length > 0 &&
           (text.data[text.length - 1] == '\n' || text.data[text.length - 1] == ' '))
        text.data[--text.length] = '\0';
    r = text_copy(ret_key, SENSOR_KEY_BYTES, buffer_text(&text));
    if (text.data != NULL)
        explicit_bzero(text.data, text.length);
    return r;
}

int sensor_key_find(uint64_t wait_ns, char ret_key[static SENSOR_KEY_BYTES],
                    char ret_problem[static 512])
{
    const char *parameter = getenv("YAGURA_CONSOLE_KEY_PARAMETER");
    const char *path = getenv("YAGURA_CONSOLE_KEY_FILE");

    ret_key[0] = ret_problem[0] = '\0';
    if (parameter != NULL && parameter[0] != '\0')
        return find_parameter(parameter, wait_ns, ret_key, ret_problem);
    if (path != NULL && path[0] != '\0')
        return read_key_file(path, ret_key, ret_problem);
    (void)text_copy(
        ret_problem, 512,
        "no sensor key: set YAGURA_CONSOLE_KEY_PARAMETER to the name of a SecureString");
    return -ENOKEY;
}
