/* Functions. Owns: the form of batches, and how the loading of signatures is spread over the
 * function's start and its first event. */
#include "storage/runtime/function.h"

#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define REPORT_TIME_NS (3 * NS_PER_SECOND)

static const char *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node =
        object->kind == JSON_NODE_OBJECT ? json_node_find(object, key) : NULL;

    return node != NULL && node->kind == JSON_NODE_STRING ? node->text : NULL;
}

/* NULL when these are no messages of a queue. */
static const struct json_node *messages_of(const struct json_node *root)
{
    const struct json_node *records =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "Records") : NULL;
    const struct json_node *first =
        records != NULL && records->kind == JSON_NODE_ARRAY ? json_node_first(records) : NULL;
    const char *source = first != NULL ? text_of(first, "eventSource") : NULL;

    return source != NULL && text_equal(source, "aws:sqs") ? records : NULL;
}

static int handle_record(struct object_scanner *scanner, message_handler *handler,
                         const struct json_node *record, uint64_t deadline_ns)
{
    const char *id = text_of(record, "messageId"), *body = text_of(record, "body");

    if (id == NULL || body == NULL)
        return -EBADMSG;
    /* Not begun rather than ended by the platform in the middle. */
    if (clock_monotonic_ns() >= deadline_ns)
        return -EAGAIN;
    const struct json_node *attributes = json_node_find(record, "attributes");
    const char *count = attributes != NULL ? text_of(attributes, "ApproximateReceiveCount") : NULL;
    const struct message message = {.body = body,
                                    .length = strlen(body),
                                    .id = id,
                                    .deadline_ns = deadline_ns,
                                    .again = count == NULL || !text_equal(count, "1")};
    return handler(scanner, &message);
}

/* A message without an id cannot be named: then all of the batch comes again. */
static int handle_batch(struct object_scanner *scanner, message_handler *handler,
                        const struct json_node *records, uint64_t deadline_ns,
                        struct buffer *response)
{
    struct json_writer writer;
    int r = 0;

    json_writer_init(&writer, response);
    json_write_object_begin(&writer);
    json_write_key(&writer, "batchItemFailures");
    json_write_array_begin(&writer);
    for (const struct json_node *record = json_node_first(records); record != NULL;
         record = json_node_next(record)) {
        if (handle_record(scanner, handler, record, deadline_ns) == 0)
            continue;
        const char *id = text_of(record, "messageId");
        if (id == NULL)
            r = -EBADMSG;
        json_write_object_begin(&writer);
        json_write_field_string(&writer, "itemIdentifier", id != NULL ? id : "");
        json_write_object_end(&writer);
    }
    json_write_array_end(&writer);
    json_write_object_end(&writer);
    return r;
}

static void describe(int error, struct lambda_failure *failure)
{
    (void)text_copy(failure->type, sizeof failure->type,
                    error == -EBADMSG ? "Storage.NotUnderstood" : "Storage.Later");
    (void)text_copy(failure->message, sizeof failure->message,
                    error == -EBADMSG ? "the event is none that tells of objects"
                                      : "an object could not be scanned now; the log says why");
}

int function_handle(struct object_scanner *scanner, message_handler *handler,
                    const struct lambda_event *event, struct buffer *response,
                    struct lambda_failure *ret_failure)
{
    struct json_tree *tree;
    char problem[128];

    int r = json_tree_parse(event->body, event->length, &tree, problem);
    if (r < 0) {
        describe(-EBADMSG, ret_failure);
        return r;
    }
    const struct json_node *records = messages_of(json_tree_root(tree));
    if (records != NULL) {
        r = handle_batch(scanner, handler, records, event->deadline_ns, response);
    } else {
        const struct message message = {.body = event->body,
                                        .length = event->length,
                                        .id = event->request_id,
                                        .deadline_ns = event->deadline_ns,
                                        .again = true}; /* nobody says */
        r = handler(scanner, &message);
        if (r == 0)
            r = buffer_append_text(response, "{}");
    }
    (void)json_tree_free(tree);
    if (r < 0)
        describe(r, ret_failure);
    return r;
}

/* ---- serving ---- */

struct function {
    struct scan_resources *resources;
    message_handler *handler;
    struct console_report *report;
};

static int begin(void *user, void **ret_context)
{
    struct function *function = user;
    struct object_scanner *scanner;

    int r = object_scanner_new(function->resources, &scanner);
    if (r == 0)
        *ret_context = scanner;
    return r;
}

static void end(void *user UNUSED, void *context)
{
    (void)object_scanner_free(context);
}

static int handle(void *user, void *context, const struct lambda_event *event,
                  struct buffer *response, struct lambda_failure *ret_failure)
{
    const struct function *function = user;

    return function_handle(context, function->handler, event, response, ret_failure);
}

static void after(void *user, uint64_t deadline_ns)
{
    const struct function *function = user;

    console_report_flush(function->report, MIN(deadline_ns, clock_monotonic_ns() + REPORT_TIME_NS));
}

/* False when there will never be an engine. */
static bool load_for_a_while(struct scan_resources *resources)
{
    struct lambda_failure failure = {.type = "Storage.NoEngine"};
    struct scanner_status status;

    if (resources->service == NULL)
        return true;
    int r = scan_resources_wait(resources);
    if (r == 0 || r == -ETIMEDOUT)
        return true;
    scan_service_status(resources->service, &status);
    (void)text_format(failure.message, sizeof failure.message, "%s",
                      status.problem[0] != '\0' ? status.problem : "there are no signatures");
    lambda_runtime_refuse(&failure);
    return false;
}

int function_run(struct scan_resources *resources, message_handler *handler,
                 struct console_report *report, const bool *stop)
{
    struct function function = {resources, handler, report};
    const struct lambda_function lambda = {
        .begin = begin, .end = end, .handle = handle, .after = after, .user = &function};

    if (!load_for_a_while(resources))
        return 1;
    return lambda_runtime_run(&lambda, stop) < 0 ? 1 : 0;
}
