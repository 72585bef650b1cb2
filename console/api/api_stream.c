/* Owns GET /api/v1/stream: what a client asks for, whether it still may, and the beat that keeps
 * the connection. The messages are console/stream's. */
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/api/api_stream_sources.h"

#include <errno.h>

#define BEAT_NS         (15 * NS_PER_SECOND)
#define PEER_NS         NS_PER_SECOND /* how soon it is noticed that a peer has left */
#define CLIENTS_OF_ONE  16
#define SHARE_OF_STREAM 2 /* every second connection may be a stream */

struct api_stream {
    struct stream_hub *hub;
    struct api_stream_sources sources;
};

int api_stream_start(struct api_service *service, unsigned connections,
                     struct api_stream **ret_stream)
{
    struct api_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    stream->sources.service = service;
    buffer_init(&stream->sources.computers, 0);
    struct stream_hub_options options = {.store = service->store,
                                         .sources = API_STREAM_SOURCES,
                                         .source_count = API_STREAM_SOURCE_COUNT,
                                         .user = &stream->sources,
                                         .clients = connections / SHARE_OF_STREAM,
                                         .clients_of_an_actor = CLIENTS_OF_ONE};
    int r = stream_hub_start(&options, &stream->hub);
    if (r < 0) {
        free(stream);
        return r;
    }
    *ret_stream = stream;
    return 0;
}

void api_stream_close(struct api_stream *stream)
{
    if (stream)
        stream_hub_close(stream->hub);
}

struct api_stream *api_stream_stop(struct api_stream *stream)
{
    if (!stream)
        return NULL;
    stream->hub = stream_hub_stop(stream->hub);
    api_stream_sources_done(&stream->sources);
    free(stream);
    return NULL;
}

struct stream_hub *api_stream_hub(struct api_stream *stream)
{
    return stream->hub;
}

/* --- what is asked for */

/* A list of topics with commas; none given: all. */
static int parse_topics(struct http_request *request, uint32_t *ret_topics)
{
    char text[128];
    int r = http_request_query(request, "topics", text, sizeof(text));
    *ret_topics = 0;
    if (r == 0) {
        *ret_topics = (1U << API_STREAM_SOURCE_COUNT) - 1;
        return 0;
    }
    for (char *at = text, *end; r == 1 && at; at = end) {
        uint32_t topic = 0;
        end = strchr(at, ',');
        if (end)
            *end++ = '\0';
        for (unsigned i = 0; i < API_STREAM_SOURCE_COUNT; i++)
            if (text_equal(API_STREAM_SOURCES[i].topic, at))
                topic = 1U << i;
        if (!topic)
            r = -EINVAL;
        *ret_topics |= topic;
    }
    if (r == 1)
        return 0;
    http_respond_problem(request, 400, "bad_filter",
                         "topics is a list of events, computers, commands, alerts, sensors");
    return -EINVAL;
}

static bool is_known(void *user UNUSED, const char *name)
{
    return text_equal(name, "topics") || text_equal(name, "computer");
}

static int parse_computer(struct http_request *request, char computer[static UUID_TEXT_BYTES])
{
    computer[0] = '\0';
    int r = http_request_query(request, "computer", computer, UUID_TEXT_BYTES);
    if (r == 0 || (r == 1 && wire_is_uuid(computer)))
        return http_request_query_names(request, is_known, NULL) ? 0 : -EINVAL;
    return -EINVAL;
}

/* An id that is not ours means that the client does not know what it has. */
static int64_t parse_last_id(const struct http_request *request)
{
    const char *text = http_request_header(request, "Last-Event-ID");
    uint64_t number;
    if (!text || !text[0])
        return 0;
    return text_parse_u64(text, &number) < 0 || number == 0 || number > INT64_MAX ? -1
                                                                                  : (int64_t)number;
}

/* --- sending */

struct listener {
    struct api_service *service;
    struct stream_client *client;
    const struct http_request *request; /* lives as long as the answer is being sent */
    struct api_credentials credentials;
    uint64_t check_ns; /* when to look at the rights again */
    uint64_t beat_ns;  /* when to say that we are here */
};

static ssize_t say(char *bytes, size_t size, const char *text)
{
    size_t length = MIN(strlen(text), size);
    memcpy(bytes, text, length);
    return (ssize_t)length;
}

static bool still_may(struct listener *listener)
{
    struct api_credentials *credentials = &listener->credentials;
    int r = console_store_read(listener->service->store, api_check_credentials, credentials);
    if (r < 0)
        return true; /* the store is not well: the next look decides */
    if (r == 0 || !(credentials->viewer.permissions & PERMISSION_READ) ||
        credentials->viewer.must_change_password)
        return false;
    stream_client_narrow(listener->client, &credentials->viewer);
    return true;
}

static ssize_t fill(void *user, char *bytes, size_t size)
{
    struct listener *listener = user;
    while (!http_request_peer_left(listener->request)) {
        uint64_t now = clock_monotonic_ns();
        if (now >= listener->check_ns) {
            if (!still_may(listener))
                return 0;
            listener->check_ns = now + BEAT_NS;
        }
        if (now >= listener->beat_ns) {
            listener->beat_ns = now + BEAT_NS;
            return say(bytes, size, ": beat\n\n");
        }
        ssize_t length = stream_client_take(listener->client, bytes, size, PEER_NS);
        if (length == -EAGAIN) {
            listener->check_ns = 0;
        } else if (length != -ETIME) {
            listener->beat_ns = now + BEAT_NS;
            return length;
        }
    }
    return 0;
}

static void release(void *user)
{
    struct listener *listener = user;
    listener->client = stream_client_leave(listener->client);
    explicit_bzero(&listener->credentials, sizeof(listener->credentials));
    free(listener);
}

static void refuse(struct http_request *request, int error)
{
    if (error == -EDQUOT) {
        http_response_header(request, "Retry-After", "30");
        http_respond_problem(request, 429, "too_many_streams",
                             "you have %d streams open already; close one", CLIENTS_OF_ONE);
    } else if (error == -EUSERS) {
        http_response_header(request, "Retry-After", "30");
        http_respond_problem(request, 503, "too_many_streams",
                             "too many listen already; raise people.connections");
    } else {
        api_respond_error(request, error);
    }
}

void api_stream_listen(struct http_request *request, void *user)
{
    struct api_service *service = user;
    char computer[UUID_TEXT_BYTES];
    struct stream_wish wish = {.viewer = api_viewer(request),
                               .computer = computer,
                               .after = parse_last_id(request)};
    if (parse_topics(request, &wish.topics) < 0)
        return;
    if (parse_computer(request, computer) < 0) {
        http_respond_problem(request, 400, "bad_filter",
                             "the stream takes topics, and computer: the id of one");
        return;
    }
    struct listener *listener = calloc(1, sizeof(*listener));
    int r = listener ? 0 : -ENOMEM;
    if (r == 0) {
        listener->service = service;
        listener->credentials = *api_credentials_of(request);
        listener->request = request;
        listener->check_ns = listener->beat_ns = clock_monotonic_ns() + BEAT_NS;
        r = stream_client_join(service->stream->hub, &wish, &listener->client);
    }
    if (r < 0) {
        free(listener);
        refuse(request, r);
        return;
    }
    http_response_header(request, "X-Accel-Buffering", "no"); /* nginx: do not wait for more */
    http_respond_stream(request, "text/event-stream", fill, release, listener);
}

void api_rights_changed(struct api_service *service)
{
    if (service->stream)
        stream_hub_recheck(service->stream->hub);
}
