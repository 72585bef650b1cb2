/* Reads events. Owns: which envelope is which, and where a key is encoded. Must not own: what is
 * done about an object. */
#include "storage/events/storage_event.h"

#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

struct reading {
    struct storage_event *event;
    size_t capacity;
    char *problem;
};

static int read_text(struct reading *reading, const char *text, size_t length, unsigned nesting);

const char *storage_trigger_name(enum storage_trigger trigger)
{
    static const char *const names[] = {"object-created", "full-scan", "object-read"};

    return (size_t)trigger < ARRAY_LENGTH(names) ? names[trigger] : "unknown";
}

static int fail(struct reading *reading, const char *problem)
{
    (void)text_copy(reading->problem, 128, problem);
    return -EBADMSG;
}

/* ---- nodes ---- */

static const struct json_node *find(const struct json_node *object, const char *key)
{
    return object != NULL && object->kind == JSON_NODE_OBJECT ? json_node_find(object, key) : NULL;
}

static const char *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node = find(object, key);

    return node != NULL && node->kind == JSON_NODE_STRING && strlen(node->text) == node->length
               ? node->text
               : NULL;
}

static bool is(const struct json_node *object, const char *key, const char *value)
{
    const char *text = text_of(object, key);

    return text != NULL && text_equal(text, value);
}

/* False when there is one that is too long. */
static bool take(const struct json_node *object, const char *key, char *text, size_t size)
{
    const char *value = text_of(object, key);

    return text_copy(text, size, value != NULL ? value : "") >= 0;
}

static void take_size(const struct json_node *object, struct storage_object *taken)
{
    const struct json_node *size = find(object, "size");

    taken->size_known = size != NULL && size->kind == JSON_NODE_INTEGER && size->integer >= 0;
    taken->size = taken->size_known ? (uint64_t)size->integer : 0;
}

/* ---- objects ---- */

static int add(struct reading *reading, const struct storage_object *object)
{
    struct storage_event *event = reading->event;

    if (object->bucket[0] == '\0' || object->key[0] == '\0')
        return fail(reading, "an object has no bucket or no key");
    if (event->count == STORAGE_EVENT_OBJECTS)
        return -E2BIG;
    if (event->count == reading->capacity) {
        size_t capacity = reading->capacity == 0 ? 1 : reading->capacity * 4;
        struct storage_object *more = reallocarray(event->objects, capacity, sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        event->objects = more;
        reading->capacity = capacity;
    }
    event->objects[event->count++] = *object;
    return 0;
}

/* S3's own notification: the only one whose key is form-encoded. */
static int read_s3(struct reading *reading, const struct json_node *record)
{
    const char *name = text_of(record, "eventName");
    const struct json_node *s3 = find(record, "s3"), *inner = find(s3, "object");
    const char *key = text_of(inner, "key");
    struct storage_object object = {.trigger = STORAGE_TRIGGER_CREATED};

    if (name == NULL)
        return fail(reading, "an entry has no eventName");
    if (text_starts_with(name, "s3:"))
        name += strlen("s3:");
    if (!text_starts_with(name, "ObjectCreated:")) {
        reading->event->ignored++;
        return 0;
    }
    if (key == NULL || s3_decode_key(key, true, object.key, sizeof object.key) < 0)
        return fail(reading, "a key is missing, too long or not encoded");
    if (!take(find(s3, "bucket"), "name", object.bucket, sizeof object.bucket) ||
        !take(inner, "versionId", object.version, sizeof object.version) ||
        !take(inner, "eTag", object.etag, sizeof object.etag) ||
        !take(inner, "sequencer", object.sequencer, sizeof object.sequencer) ||
        !take(record, "awsRegion", object.region, sizeof object.region))
        return fail(reading, "a field is too long");
    (void)take(find(record, "responseElements"), "x-amz-request-id", object.request_id,
               sizeof object.request_id);
    take_size(inner, &object);
    return add(reading, &object);
}

static int read_event_bridge(struct reading *reading, const struct json_node *root)
{
    const struct json_node *detail = find(root, "detail"), *inner = find(detail, "object");
    struct storage_object object = {.trigger = STORAGE_TRIGGER_CREATED};

    if (!is(root, "source", "aws.s3") || !is(root, "detail-type", "Object Created")) {
        reading->event->ignored++;
        return 0;
    }
    bool fits = take(find(detail, "bucket"), "name", object.bucket, sizeof object.bucket) &&
                take(inner, "key", object.key, sizeof object.key) &&
                take(inner, "version-id", object.version, sizeof object.version) &&
                take(inner, "etag", object.etag, sizeof object.etag) &&
                take(inner, "sequencer", object.sequencer, sizeof object.sequencer) &&
                take(root, "region", object.region, sizeof object.region);
    if (fits && object.etag[0] == '\0')
        fits = take(inner, "eTag", object.etag, sizeof object.etag);
    if (!fits)
        return fail(reading, "a field is too long");
    (void)take(detail, "request-id", object.request_id, sizeof object.request_id);
    take_size(inner, &object);
    return add(reading, &object);
}

static int read_job_object(struct reading *reading, const struct json_node *node)
{
    struct storage_object object = {.trigger = STORAGE_TRIGGER_FULL_SCAN};

    if (is(node, "trigger", storage_trigger_name(STORAGE_TRIGGER_READ)))
        object.trigger = STORAGE_TRIGGER_READ;
    if (!take(node, "bucket", object.bucket, sizeof object.bucket) ||
        !take(node, "key", object.key, sizeof object.key) ||
        !take(node, "version", object.version, sizeof object.version) ||
        !take(node, "etag", object.etag, sizeof object.etag) ||
        !take(node, "region", object.region, sizeof object.region))
        return fail(reading, "a field is too long");
    take_size(node, &object);
    return add(reading, &object);
}

/* ---- envelopes ---- */

static int read_sns(struct reading *reading, const struct json_node *envelope, unsigned nesting)
{
    const struct json_node *message = find(envelope, "Message");

    if (message == NULL || message->kind != JSON_NODE_STRING)
        return fail(reading, "a notification has no Message");
    return read_text(reading, message->text, message->length, nesting + 1);
}

static int read_records(struct reading *reading, const struct json_node *records, unsigned nesting)
{
    int r = 0;

    if (records->kind != JSON_NODE_ARRAY)
        return fail(reading, "Records is no list");
    for (const struct json_node *record = json_node_first(records); r == 0 && record != NULL;
         record = json_node_next(record)) {
        if (is(record, "eventSource", "aws:s3"))
            r = read_s3(reading, record);
        else if (is(record, "EventSource", "aws:sns"))
            r = read_sns(reading, find(record, "Sns"), nesting);
        else
            r = fail(reading, "a record is of another service");
    }
    return r;
}

static int read_job(struct reading *reading, const struct json_node *root)
{
    const struct json_node *objects = find(root, "objects");
    int r = 0;

    if (objects == NULL || objects->kind != JSON_NODE_ARRAY)
        return fail(reading, "a job has no objects");
    for (const struct json_node *node = json_node_first(objects); r == 0 && node != NULL;
         node = json_node_next(node))
        r = read_job_object(reading, node);
    return r;
}

static int read_root(struct reading *reading, const struct json_node *root, unsigned nesting)
{
    const struct json_node *records = find(root, "Records");

    if (records != NULL)
        return read_records(reading, records, nesting);
    if (is(root, "Type", "Notification"))
        return read_sns(reading, root, nesting);
    if (is(root, "schema", STORAGE_JOB_SCHEMA))
        return read_job(reading, root);
    if (find(root, "detail-type") != NULL)
        return read_event_bridge(reading, root);
    if (is(root, "Event", "s3:TestEvent") && is(root, "Service", "Amazon S3")) {
        reading->event->test = true;
        return 0;
    }
    return fail(reading, "this is no event that is known");
}

static int read_text(struct reading *reading, const char *text, size_t length, unsigned nesting)
{
    struct json_tree *tree;

    if (nesting > STORAGE_EVENT_NESTING)
        return fail(reading, "too many envelopes around one another");
    int r = json_tree_parse(text, length, &tree, reading->problem);
    if (r < 0)
        return r;
    r = read_root(reading, json_tree_root(tree), nesting);
    (void)json_tree_free(tree);
    return r;
}

int storage_event_read(const char *text, size_t length, struct storage_event *ret_event,
                       char ret_problem[static 128])
{
    struct storage_event event = {.objects = NULL};
    struct reading reading = {.event = &event, .problem = ret_problem};

    ret_problem[0] = '\0';
    int r = read_text(&reading, text, length, 0);
    if (r == -E2BIG)
        (void)text_copy(ret_problem, 128, "it holds more objects than are taken at once");
    if (r < 0) {
        storage_event_done(&event);
        return r;
    }
    *ret_event = event;
    return 0;
}

void storage_event_done(struct storage_event *event)
{
    free(event->objects);
    *event = (struct storage_event){.objects = NULL};
}

/* ---- our jobs ---- */

static void write_optional(struct json_writer *writer, const char *key, const char *text)
{
    if (text[0] != '\0')
        json_write_field_string(writer, key, text);
}

int storage_event_write_job(const struct storage_object *objects, size_t count, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "schema", STORAGE_JOB_SCHEMA);
    json_write_key(&writer, "objects");
    json_write_array_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        json_write_object_begin(&writer);
        json_write_field_string(&writer, "bucket", objects[i].bucket);
        json_write_field_string(&writer, "key", objects[i].key);
        write_optional(&writer, "version", objects[i].version);
        write_optional(&writer, "etag", objects[i].etag);
        write_optional(&writer, "region", objects[i].region);
        if (objects[i].trigger == STORAGE_TRIGGER_READ)
            json_write_field_string(&writer, "trigger", storage_trigger_name(objects[i].trigger));
        if (objects[i].size_known)
            json_write_field_unsigned(&writer, "size", objects[i].size);
        json_write_object_end(&writer);
    }
    json_write_array_end(&writer);
    json_write_object_end(&writer);
    return buffer_failed(json);
}
