/* events: {"after","since_ns","until_ns","severity","module","kind","text","limit","follow"}
 *   <- {"event":{"number","id","time","time_ns","committed_ns","module","severity","kind",
 *                "subject","detail":{}}}
 * Oldest first; limit keeps the newest that many. With follow it goes on until the client goes.
 *
 * Runs in a thread of its own and reads page by page, so that a slow client holds neither a
 * transaction nor much memory. */
#include "agent/control/handlers_private.h"

#include "agent/store/store.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/time/clock.h"

#include <errno.h>

#define PAGE_EVENTS 256
#define PAGE_BYTES  (512 * 1024)
#define LINE_BYTES  (LIMIT_EVENT_SUBJECT_BYTES * 6 + LIMIT_EVENT_DETAIL_BYTES + 4096)
#define FOLLOW_NS   (500 * NS_PER_MS) /* how long a client that went is not noticed */
#define CLIENT_NS   (60 * NS_PER_SECOND)

struct page {
    struct buffer lines; /* each ends with a newline */
    uint64_t last;       /* number of its last event */
    size_t count;
};

static void write_event(struct buffer *lines, const struct event_record *event)
{
    char time[CLOCK_TEXT_BYTES];
    struct json_writer json;
    clock_format(time, event->time_ns);
    json_writer_init(&json, lines);
    json_write_object_begin(&json);
    json_write_key(&json, "event");
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "number", event->number);
    json_write_field_string(&json, "id", event->id);
    json_write_field_string(&json, "time", time);
    json_write_field_unsigned(&json, "time_ns", event->time_ns);
    json_write_field_unsigned(&json, "committed_ns", event->committed_ns);
    json_write_field_string(&json, "module", event->module);
    json_write_field_string(&json, "severity", event_severity_name(event->severity));
    json_write_field_string(&json, "kind", event->kind);
    json_write_field_string(&json, "subject", event->subject);
    json_write_key(&json, "detail");
    json_write_raw(&json, event->detail);
    json_write_object_end(&json);
    json_write_object_end(&json);
    (void)buffer_append(lines, "\n", 1);
}

static int collect_event(void *user, const struct event_record *event)
{
    struct page *page = user;
    write_event(&page->lines, event);
    page->last = event->number;
    page->count++;
    return page->lines.length >= PAGE_BYTES;
}

/* Waits for a slow client, outside of any transaction. */
static int send_line(struct control_request *request, const char *line)
{
    int r;
    while ((r = control_request_send(request, line)) == -EAGAIN) {
        r = control_request_wait(request, CLIENT_NS);
        if (r < 0)
            return r;
    }
    return r;
}

static int send_page(struct control_request *request, struct page *page)
{
    char *line = page->lines.data, *end;
    for (size_t i = 0; i < page->count; i++, line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        int r = send_line(request, line);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sends everything that is there now; filter->after_number moves on. */
static int send_all(struct control_handlers *handlers, struct control_request *request,
                    struct event_filter *filter)
{
    struct page page = {.lines = BUFFER_WITH_MAXIMUM(PAGE_BYTES + LINE_BYTES)};
    int r;
    do {
        buffer_clear(&page.lines);
        page.count = 0;
        filter->limit = PAGE_EVENTS;
        r = store_read_events(handlers->context.store, filter, collect_event, &page);
        if (r >= 0)
            r = buffer_failed(&page.lines);
        if (r >= 0)
            r = send_page(request, &page);
        if (page.count > 0)
            filter->after_number = page.last;
    } while (r >= 0 && page.count > 0);
    buffer_done(&page.lines);
    return r < 0 ? r : 0;
}

static int note_number(void *user, const struct event_record *event)
{
    *(uint64_t *)user = event->number;
    return 0;
}

/* Moves the beginning so that only the newest `limit` that match are left. */
static int skip_to_newest(struct control_handlers *handlers, struct event_filter *filter,
                          uint64_t limit)
{
    struct event_filter newest = *filter;
    uint64_t number = 0;
    newest.newest_first = true;
    newest.limit = (uint32_t)limit;
    int r = store_read_events(handlers->context.store, &newest, note_number, &number);
    if (r >= 0 && number > 0)
        filter->after_number = number - 1;
    return r < 0 ? r : 0;
}

/* What is wrong with the request, or NULL. Texts live as long as arguments. */
static const char *read_filter(const json_t *arguments, struct event_filter *filter,
                               uint64_t *ret_limit, bool *ret_follow)
{
    const char *severity = argument_text(arguments, "severity");
    if (argument_unsigned(arguments, "after", &filter->after_number) == -EINVAL ||
        argument_unsigned(arguments, "since_ns", &filter->since_ns) == -EINVAL ||
        argument_unsigned(arguments, "until_ns", &filter->until_ns) == -EINVAL ||
        argument_unsigned(arguments, "limit", ret_limit) == -EINVAL ||
        argument_bool(arguments, "follow", ret_follow) == -EINVAL || *ret_limit > UINT32_MAX)
        return "a filter has a wrong type";
    if (severity != NULL && event_severity_parse(severity, &filter->lowest) < 0)
        return "severity must be info, low, medium, high or critical";
    filter->module = argument_text(arguments, "module");
    filter->kind = argument_text(arguments, "kind");
    filter->text = argument_text(arguments, "text");
    return NULL;
}

static int follow(struct control_handlers *handlers, struct control_request *request,
                  struct event_filter *filter)
{
    struct store_status status;
    int r = 0;
    while (r == 0 && !control_request_gone(request)) {
        store_status(handlers->context.store, &status);
        /* Events that do not match move the mark as well, or every commit would read them again. */
        uint64_t seen = status.last_number;
        r = send_all(handlers, request, filter);
        filter->after_number = MAX(filter->after_number, seen);
        if (r == 0)
            (void)!store_wait_beyond(handlers->context.store, filter->after_number, FOLLOW_NS);
        store_status(handlers->context.store, &status);
        if (status.last_number < filter->after_number)
            filter->after_number = 0; /* the store was rebuilt: a new epoch */
    }
    return r;
}

static void work_events(struct control_handlers *handlers, struct control_request *request,
                        const json_t *arguments)
{
    struct event_filter filter = {0};
    uint64_t limit = 0;
    bool follows = false;
    const char *problem = read_filter(arguments, &filter, &limit, &follows);
    if (problem != NULL) {
        control_request_fail(request, 2, "%s", problem);
        return;
    }
    int r = limit > 0 ? skip_to_newest(handlers, &filter, limit) : 0;
    if (r == 0)
        r = follows ? follow(handlers, request, &filter) : send_all(handlers, request, &filter);
    if (r < 0)
        control_request_fail(request, 2, "events cannot be read: %s", log_error_text(r));
    else
        control_request_done(request, 0);
}

void handle_events(void *user, struct control_request *request, const json_t *arguments)
{
    control_run_task(user, request, arguments, work_events);
}
