/* hot_paths NAME: walks one hot path of the product a fixed number of times with fixed input.
 * callgrind counts only what happens inside hot_path_NAME(); see instructions.py.
 * Without a name: lists them. */
#include "agent/scan/backlog.h"
#include "agent/scan/verdict_cache.h"
#include "common/json/json_tree.h"
#include "common/wire/wire.h"
#include "console/http/request_guard.h"
#include "scanner/client/scanner_message.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 1000
#define HOT    __attribute__((noinline))

static void must(int result, const char *what)
{
    if (result < 0)
        errx(1, "%s: %s", what, strerror(-result));
}

/* --- a written file: told, taken, scanned, committed */

static struct backlog *backlog;

static void prepare_backlog(void)
{
    const struct backlog_limits limits = {
        .files = 10000, .bytes = 1 << 22, .folds = 100, .fold_bytes = 1 << 16};
    must(backlog_new(&limits, &backlog), "backlog");
}

HOT static void hot_path_backlog(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct backlog_item item;
        char path[64];
        int length = snprintf(path, sizeof(path), "/srv/uploads/%u/file-%u.bin", i % 50, i);
        backlog_tell(backlog, BACKLOG_WRITTEN, path, (size_t)length, 1);
        backlog_tell(backlog, BACKLOG_WRITTEN, path, (size_t)length, 2);
        must(backlog_take(backlog, BACKLOG_WRITTEN, &item), "backlog_take");
        backlog_scanned(backlog, &item);
        backlog_release(backlog, item.mark);
        free(item.path);
    }
}

static void done_backlog(void)
{
    backlog = backlog_free(backlog);
}

/* --- an unchanged file: the verdict cache knows it */

static struct verdict_cache *cache;

static struct file_identity identity_of(uint64_t number)
{
    return (struct file_identity){
        .device = 1, .inode = number, .size = number * 10, .mtime_ns = number, .ctime_ns = number};
}

static void prepare_cache(void)
{
    must(verdict_cache_open(NULL, 100000, &cache), "verdict_cache");
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        struct file_identity identity = identity_of(i);
        verdict_cache_remember_clean(cache, &identity, 1);
    }
}

HOT static void hot_path_cache(void)
{
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        struct file_identity identity = identity_of(i);
        if (verdict_cache_lookup(cache, &identity, 1) != VERDICT_CACHE_HIT)
            errx(1, "verdict_cache: missed %llu", (unsigned long long)i);
    }
}

static void done_cache(void)
{
    cache = verdict_cache_close(cache);
}

/* --- a verdict comes back from a worker */

static struct scanner_verdict verdict = {.job = 7, .scan_ns = 1000, .verdict = SCAN_INFECTED};

static void prepare_verdict(void)
{
    static const char name[] = "Eicar-Test-Signature";
    verdict.signature_length = sizeof(name) - 1;
    memcpy(verdict.signature, name, sizeof(name) - 1);
}

HOT static void hot_path_verdict(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct message message = {.type = SCANNER_RESULT,
                                        .payload = (const uint8_t *)&verdict,
                                        .length = scanner_verdict_length(&verdict)};
        struct scanner_verdict read;
        must(scanner_verdict_read(&message, &read), "scanner_verdict_read");
    }
}

/* --- a heartbeat with one event: written by the agent, read by the console */

static struct buffer body = {.maximum = 1 << 20};

static void write_heartbeat(struct buffer *into)
{
    struct wire_event event = {
        .number = 4711,
        .time_ms = 1700000000000,
        .severity = 4,
        .id = "01890a5d-ac96-774b-bcce-b302099a8057",
        .module = "malware",
        .kind = "malware_detected",
        .subject = "/srv/uploads/a folder/invoice.pdf.exe",
        .detail =
            "{\"signature\":\"Eicar-Test-Signature\",\"action\":\"quarantined\",\"size\":68}"};
    const struct wire_heartbeat heartbeat = {
        .host = {.hostname = "web-1",
                 .machine_id = "0123456789abcdef0123456789abcdef",
                 .boot_id = "01890a5d-ac96-774b-bcce-b302099a8057",
                 .os = "Debian GNU/Linux 12",
                 .agent_version = "0.1.0",
                 .instance_id = "i-0123456789abcdef0",
                 .display_name = ""},
        .session = "01890a5d-ac96-774b-bcce-b302099a8058",
        .policy_digest = "",
        .policy_problem = "",
        .epoch = "01890a5d-ac96-774b-bcce-b302099a8059",
        .acknowledged = 1234,
        .facts = "{\"modules\":{\"malware\":{\"state\":\"on\"}},\"watch\":{\"directories\":1200}}",
        .events = &event,
        .event_count = 1};
    must(wire_heartbeat_encode(&heartbeat, into), "wire_heartbeat_encode");
}

HOT static void hot_path_heartbeat_write(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        buffer_clear(&body);
        write_heartbeat(&body);
    }
}

static void prepare_heartbeat(void)
{
    write_heartbeat(&body);
}

HOT static void hot_path_heartbeat_read(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct wire_heartbeat heartbeat;
        struct wire_problem problem;
        int result = wire_heartbeat_decode(body.data, body.length, &heartbeat, &problem);
        if (result < 0)
            errx(1, "wire_heartbeat_decode: %s", problem.text);
        wire_heartbeat_done(&heartbeat);
    }
}

static void done_heartbeat(void)
{
    buffer_done(&body);
}

/* --- a request's head before the console looks at it */

HOT static void hot_path_guard(void)
{
    static const struct http_header headers[] = {
        {"Host", "console.example:4119", 4, 20},
        {"User-Agent", "curl/7.88.1", 10, 11},
        {"Accept", "application/json", 6, 16},
        {"Authorization", "Bearer 0123456789abcdef0123456789abcdef", 13, 39},
        {"Content-Length", "0", 14, 1}};
    static const char *const hosts[] = {"console.example", NULL};
    const struct request_head head = {.method = "GET",
                                      .target = "/api/v1/events?kind=malware&limit=100",
                                      .version = "HTTP/1.1",
                                      .headers = headers,
                                      .header_count = sizeof(headers) / sizeof(headers[0])};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct request_guard_result result;
        must(request_guard_check(&head, hosts, &result), "request_guard_check");
    }
}

/* --- JSON from strangers */

HOT static void hot_path_json(void)
{
    static const char text[] =
        "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":{\"name\":\"b\"},"
        "\"object\":{\"key\":\"a%20folder/file.bin\",\"size\":1024,\"versionId\":\"v1\"}}}]}";
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct json_tree *tree;
        char problem[128];
        must(json_tree_parse(text, sizeof(text) - 1, &tree, problem), "json_tree_parse");
        tree = json_tree_free(tree);
    }
}

static const struct hot_path {
    const char *name;
    void (*prepare)(void), (*walk)(void), (*done)(void);
} hot_paths[] = {
    {"backlog", prepare_backlog, hot_path_backlog, done_backlog},
    {"cache", prepare_cache, hot_path_cache, done_cache},
    {"verdict", prepare_verdict, hot_path_verdict, NULL},
    {"heartbeat_write", prepare_heartbeat, hot_path_heartbeat_write, done_heartbeat},
    {"heartbeat_read", prepare_heartbeat, hot_path_heartbeat_read, done_heartbeat},
    {"guard", NULL, hot_path_guard, NULL},
    {"json", NULL, hot_path_json, NULL},
};

static void walk(const struct hot_path *path)
{
    if (path->prepare)
        path->prepare();
    path->walk();
    if (path->done)
        path->done();
}

int main(int count, char **arguments)
{
    for (size_t i = 0; i < sizeof(hot_paths) / sizeof(hot_paths[0]); i++) {
        if (count == 1) {
            (void)printf("%s\n", hot_paths[i].name);
        } else if (strcmp(arguments[1], hot_paths[i].name) == 0) {
            walk(&hot_paths[i]);
            return 0;
        }
    }
    return count == 1 ? 0 : 2;
}
