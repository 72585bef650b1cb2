/* The Runtime API. Owns: its paths and headers, a connection for each thread. Must not own: what an
 * event means. */
#include "storage/runtime/lambda_runtime.h"

#include "common/http_client/http_client.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define API_VERSION    "2018-06-01"
#define ANSWER_TIME_NS (30 * NS_PER_SECOND)
#define URL_BYTES      512

struct lambda_thread {
    const struct lambda_function *function;
    const bool *stop;
    struct http_client *http;
    void *context;
    pthread_t thread;
    bool running;
    int result;
};

bool lambda_runtime_is_here(void)
{
    const char *address = getenv("AWS_LAMBDA_RUNTIME_API");

    return address != NULL && address[0] != '\0';
}

static bool is_stopped(void *user)
{
    const struct lambda_thread *thread = user;

    return thread->stop != NULL && __atomic_load_n(thread->stop, __ATOMIC_RELAXED);
}

static int write_url(char url[static URL_BYTES], const char *path)
{
    int r = text_format(url, URL_BYTES, "http://%s/" API_VERSION "/runtime/%s",
                        getenv("AWS_LAMBDA_RUNTIME_API"), path);
    return r < 0 ? r : 0;
}

static int connect_to(struct lambda_thread *thread)
{
    int r = http_client_new(&(struct http_trust){.pin = NULL}, &thread->http);

    if (r < 0)
        return r;
    http_client_allow_plain(thread->http);
    http_client_set_cancel(thread->http, is_stopped, thread);
    return http_client_set_proxy(thread->http, "", "*");
}

/* ---- answers ---- */

static int post(struct http_client *http, const char *url, const struct buffer *body,
                const char *error_type)
{
    const struct http_header header = {"Lambda-Runtime-Function-Error-Type", error_type};
    const struct http_request request = {
        .method = "POST",
        .url = url,
        .headers = &header,
        .header_count = error_type != NULL ? 1 : 0,
        .body = buffer_text(body),
        .body_length = body->length,
        .timeout_ns = ANSWER_TIME_NS,
        .maximum_answer = 65536,
    };
    struct http_answer answer;

    int r = http_client_perform(http, &request, &answer);
    long status = answer.status;
    if (r == 0 && status >= 300)
        log_error("lambda_answer_refused", "status", log_number(status), "said",
                  buffer_text(&answer.body), NULL);
    http_answer_done(&answer);
    if (r < 0)
        return r;
    return status == 413 ? -EMSGSIZE : 0;
}

static void write_failure(const struct lambda_failure *failure, struct buffer *json)
{
    struct json_writer writer;

    buffer_clear(json);
    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "errorMessage", failure->message);
    json_write_field_string(&writer, "errorType", failure->type);
    json_write_key(&writer, "stackTrace");
    json_write_array_begin(&writer);
    json_write_array_end(&writer);
    json_write_object_end(&writer);
}

static int answer_failure(struct lambda_thread *thread, const char *id,
                          const struct lambda_failure *failure)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(65536);
    char url[URL_BYTES], path[256];

    write_failure(failure, &json);
    (void)text_format(path, sizeof path, "invocation/%s/error", id);
    int r = write_url(url, path);
    return r < 0 ? r : post(thread->http, url, &json, failure->type);
}

void lambda_runtime_refuse(const struct lambda_failure *failure)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(65536);
    struct lambda_thread thread = {.stop = NULL};
    char url[URL_BYTES];

    log_error("function_refused", "type", failure->type, "problem", failure->message, NULL);
    write_failure(failure, &json);
    if (lambda_runtime_is_here() && connect_to(&thread) == 0 && write_url(url, "init/error") == 0)
        (void)post(thread.http, url, &json, failure->type);
    (void)http_client_free(thread.http);
}

/* ---- one event ---- */

static uint64_t deadline_of(const struct http_answer *answer)
{
    char text[32];
    uint64_t end_ms, now = clock_monotonic_ns(), real = clock_realtime_ns();

    if (http_answer_header(answer, "Lambda-Runtime-Deadline-Ms", text, sizeof text) < 0 ||
        text_parse_u64(text, &end_ms) < 0 || end_ms * NS_PER_MS < real + LAMBDA_MARGIN_NS)
        return now;
    return now + (end_ms * NS_PER_MS - real - LAMBDA_MARGIN_NS);
}

static void note_trace(const struct http_answer *answer)
{
    char trace[512];

    if (http_answer_header(answer, "Lambda-Runtime-Trace-Id", trace, sizeof trace) == 0)
        log_debug("invocation", "trace", trace, NULL);
}

static int handle(struct lambda_thread *thread, const struct http_answer *given)
{
    AUTO_BUFFER struct buffer response = BUFFER_WITH_MAXIMUM(LAMBDA_MOST_RESPONSE);
    const struct lambda_function *function = thread->function;
    struct lambda_failure failure = {.type = "Storage.Failed"};
    char id[128], arn[512] = "", url[URL_BYTES], path[256];

    if (http_answer_header(given, "Lambda-Runtime-Aws-Request-Id", id, sizeof id) < 0 ||
        id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")] != '\0')
        return -EPROTO;
    if (http_answer_header(given, "Lambda-Runtime-Invoked-Function-Arn", arn, sizeof arn) < 0)
        arn[0] = '\0';
    note_trace(given);
    const struct lambda_event event = {.body = buffer_text(&given->body),
                                       .length = given->body.length,
                                       .request_id = id,
                                       .function_arn = arn,
                                       .deadline_ns = deadline_of(given)};
    int r = function->handle(function->user, thread->context, &event, &response, &failure);
    if (r == 0 && buffer_failed(&response) < 0) {
        r = -EMSGSIZE;
        (void)text_copy(failure.message, sizeof failure.message, "the response is too long");
    }
    if (r < 0) {
        r = answer_failure(thread, id, &failure);
    } else {
        (void)text_format(path, sizeof path, "invocation/%s/response", id);
        r = write_url(url, path);
        if (r == 0)
            r = post(thread->http, url, &response, NULL);
    }
    if (function->after != NULL)
        function->after(function->user, event.deadline_ns);
    return r;
}

static int serve_one(struct lambda_thread *thread)
{
    char url[URL_BYTES];
    const struct http_request request = {.method = "GET",
                                         .url = url,
                                         .maximum_answer = LAMBDA_MOST_EVENT};
    struct http_answer answer;

    int r = write_url(url, "invocation/next");
    if (r < 0)
        return r;
    r = http_client_perform(thread->http, &request, &answer); /* we may be frozen meanwhile */
    if (r == 0 && answer.status != 200)
        r = -EPROTO;
    if (r == 0)
        r = handle(thread, &answer);
    else
        log_error("lambda_next_failed", "status", log_number(answer.status), "problem",
                  answer.problem[0] != '\0' ? answer.problem : log_error_text(r), NULL);
    http_answer_done(&answer);
    return r == -EMSGSIZE ? 0 : r;
}

/* ---- threads ---- */

static void *serve(void *user)
{
    struct lambda_thread *thread = user;
    const struct lambda_function *function = thread->function;

    int r = connect_to(thread);
    if (r == 0 && function->begin != NULL)
        r = function->begin(function->user, &thread->context);
    bool begun = r == 0;
    while (r == 0 && !is_stopped(thread))
        r = serve_one(thread);
    if (begun && function->end != NULL)
        function->end(function->user, thread->context);
    (void)http_client_free(thread->http);
    thread->result = is_stopped(thread) ? 0 : r;
    return NULL;
}

static size_t thread_count(void)
{
    const char *text = getenv("AWS_LAMBDA_MAX_CONCURRENCY");
    uint64_t count;

    if (text == NULL || text_parse_u64(text, &count) < 0 || count == 0)
        return 1;
    return (size_t)MIN(count, (uint64_t)LAMBDA_MOST_THREADS);
}

int lambda_runtime_run(const struct lambda_function *function, const bool *stop)
{
    struct lambda_thread threads[LAMBDA_MOST_THREADS];
    size_t count = thread_count();
    int r = 0;

    for (size_t i = 0; i < count; i++) {
        threads[i] = (struct lambda_thread){.function = function, .stop = stop};
        /* The first one is this thread. */
        threads[i].running =
            i > 0 && pthread_create(&threads[i].thread, NULL, serve, &threads[i]) == 0;
    }
    (void)serve(&threads[0]);
    r = threads[0].result;
    for (size_t i = 1; i < count; i++) {
        if (!threads[i].running)
            continue;
        (void)pthread_join(threads[i].thread, NULL);
        r = r < 0 ? r : threads[i].result;
    }
    return r;
}
