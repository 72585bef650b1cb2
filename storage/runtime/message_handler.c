/* Messages. Owns: that a message is done with only when all its objects are, and that one of them
 * does not stand in the others' way. */
#include "storage/runtime/message_handler.h"

#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

static int read_event(const struct message *message, struct storage_event *event)
{
    char problem[128];

    int r = storage_event_read(message->body, message->length, event, problem);
    if (r < 0)
        log_error("message_not_understood", "message", message->id, "problem",
                  problem[0] != '\0' ? problem : log_error_text(r), NULL);
    if (r == 0 && event->test)
        log_info("notification_tested", "message", message->id, NULL);
    return r == -ENOMEM ? -EAGAIN : r < 0 ? -EBADMSG : 0;
}

int message_scan(struct object_scanner *scanner, const struct message *message)
{
    const struct scan_order order = {.message_id = message->id,
                                     .deadline_ns = message->deadline_ns,
                                     .again = message->again};
    struct storage_event event;
    struct storage_result result;

    int first = read_event(message, &event);
    if (first < 0)
        return first;
    for (size_t i = 0; i < event.count; i++) {
        if (!object_scanner_wants(scanner, &event.objects[i]))
            continue;
        int r = object_scanner_run(scanner, &event.objects[i], &order, &result);
        first = first < 0 ? first : r;
    }
    storage_event_done(&event);
    return first;
}

static int report(struct object_scanner *scanner, const struct storage_object *object,
                  const struct message *message)
{
    struct storage_result result = {.object = *object,
                                    .verdict = STORAGE_ERROR,
                                    .status = STORAGE_STATUS_UNCALLED,
                                    .reason = "given-up",
                                    .begin_ns = clock_realtime_ns()};

    (void)text_copy(result.problem, sizeof result.problem,
                    "it was not scanned: all tries failed or took too long");
    log_error("object_given_up", "bucket", object->bucket, "message", message->id, NULL);
    return object_scanner_tell(scanner, &result, message->id);
}

int message_report_dead(struct object_scanner *scanner, const struct message *message)
{
    struct storage_event event;

    int first = read_event(message, &event);
    if (first < 0)
        return first == -EBADMSG ? 0 : first;
    for (size_t i = 0; i < event.count; i++) {
        if (!object_scanner_wants(scanner, &event.objects[i]))
            continue;
        int r = report(scanner, &event.objects[i], message);
        first = first < 0 ? first : r;
    }
    storage_event_done(&event);
    return first;
}
