/* Events of objects. What is read is whole: bucket and key are there, texts end, and a job written
 * of the objects reads back as the same ones. */
#include "storage/events/storage_event.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void compare(const struct storage_event *event)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(16 << 20);
    struct storage_event again;
    char problem[128];

    /* Only valid UTF-8 survives: JSON's texts are, but a key was decoded from bytes. */
    must(storage_event_write_job(event->objects, event->count, &json) == 0);
    must(storage_event_read(buffer_text(&json), json.length, &again, problem) == 0);
    must(again.count == event->count);
    for (size_t i = 0; i < again.count; i++) {
        must(strcmp(again.objects[i].bucket, event->objects[i].bucket) == 0);
        must(strcmp(again.objects[i].etag, event->objects[i].etag) == 0);
        must(again.objects[i].size == event->objects[i].size);
    }
    storage_event_done(&again);
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct storage_event event;
    char problem[128];
    bool plain = true;

    if (storage_event_read((const char *)data, size, &event, problem) < 0)
        return 0;
    must(event.count <= STORAGE_EVENT_OBJECTS);
    for (size_t i = 0; i < event.count; i++) {
        const struct storage_object *object = &event.objects[i];
        must(object->bucket[0] != '\0' && object->key[0] != '\0');
        must(strlen(object->key) < sizeof object->key);
        must(object->size_known || object->size == 0);
        plain &= is_ascii(object->key);
    }
    if (plain && event.count > 0)
        compare(&event);
    storage_event_done(&event);
    return 0;
}
