/* Processes, deadlines and results of the stand-in for Lambda. */
#include "tests/stand-ins/lambda/sandbox.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define MOST_EVENTS_BYTES (256U << 20)
#define INIT_NS           (10 * NS_PER_SECOND)
#define SHUTDOWN_NS       (2 * NS_PER_SECOND)
#define TURN_NS           (5 * NS_PER_MS)

static int start(char *const *argv, pid_t *ret_pid)
{
    posix_spawnattr_t attributes;

    /* A group of its own, so that all of it can be ended. */
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int r = posix_spawnp(ret_pid, argv[0], NULL, &attributes, argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    if (r != 0)
        *ret_pid = 0;
    return -r;
}

static void end(pid_t *pid)
{
    if (*pid <= 0)
        return;
    (void)kill(-*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
}

static bool has_ended(pid_t *pid)
{
    if (*pid <= 0 || waitpid(*pid, NULL, WNOHANG) != *pid)
        return false;
    (void)kill(-*pid, SIGKILL); /* what it left in its group */
    *pid = 0;
    return true;
}

/* With lock: waits a turn, or less when something changes. */
static void wait_turn(struct sandbox *sandbox)
{
    struct timespec until = clock_deadline(TURN_NS);

    (void)pthread_cond_clockwait(&sandbox->changed, &sandbox->lock, CLOCK_MONOTONIC, &until);
}

static int initialise(struct sandbox *sandbox)
{
    char *extension[] = {(char *)(uintptr_t)sandbox->options.extension, NULL};
    uint64_t until = clock_monotonic_ns() + INIT_NS;
    int r = 0;

    sandbox->generation++;
    sandbox->registered = sandbox->extension_ready = sandbox->options.extension == NULL;
    sandbox->announced = sandbox->next;
    sandbox->asked = false;
    if (setenv("AWS_LAMBDA_RUNTIME_API", sandbox->address, 1) < 0)
        return -errno;
    if (sandbox->options.extension != NULL)
        r = start(extension, &sandbox->extension);
    while (r == 0 && !sandbox->registered) {
        wait_turn(sandbox);
        if (has_ended(&sandbox->extension) || clock_monotonic_ns() > until)
            r = -ETIME;
    }
    return r < 0 ? r : start(sandbox->options.runtime, &sandbox->runtime);
}

/* With lock: what runs has come to an end it did not choose. */
static void break_off(struct sandbox *sandbox, enum sandbox_outcome outcome)
{
    for (size_t i = 0; i < sandbox->next; i++) {
        if (sandbox->events[i].outcome != OUTCOME_RUNNING)
            continue;
        sandbox->events[i].outcome = outcome;
        sandbox->events[i].ended_ns = clock_monotonic_ns();
        sandbox->ended++;
    }
    sandbox->running = 0;
    end(&sandbox->runtime);
    end(&sandbox->extension);
}

static bool is_late(const struct sandbox *sandbox)
{
    uint64_t now = clock_monotonic_ns();

    for (size_t i = 0; i < sandbox->next; i++)
        if (sandbox->events[i].outcome == OUTCOME_RUNNING &&
            now > sandbox->events[i].began_ns + sandbox->options.timeout_ms * NS_PER_MS)
            return true;
    return false;
}

/* With lock: one sandbox, until it breaks or all is done. */
static void supervise(struct sandbox *sandbox)
{
    while (sandbox->ended < sandbox->count) {
        wait_turn(sandbox);
        if (sandbox->ended == sandbox->count)
            return;
        if (is_late(sandbox))
            return break_off(sandbox, OUTCOME_TIMEOUT);
        if (has_ended(&sandbox->extension)) {
            (void)fputs("Extension.Crash\n", stderr);
            return break_off(sandbox, OUTCOME_EXTENSION_EXIT);
        }
        if (has_ended(&sandbox->runtime)) {
            /* It does not even start: the next event takes the blame, so that there is an end. */
            if (!sandbox->asked)
                sandbox->events[sandbox->next++].outcome = OUTCOME_RUNNING;
            return break_off(sandbox, OUTCOME_RUNTIME_EXIT);
        }
    }
}

static void shut_down(struct sandbox *sandbox)
{
    uint64_t until = clock_monotonic_ns() + SHUTDOWN_NS;

    end(&sandbox->runtime);
    sandbox->shutdown = true;
    (void)pthread_cond_broadcast(&sandbox->changed);
    while (sandbox->extension > 0 && clock_monotonic_ns() < until) {
        wait_turn(sandbox);
        if (has_ended(&sandbox->extension))
            return;
    }
    if (sandbox->extension > 0)
        (void)fputs("the extension did not end at SHUTDOWN\n", stderr);
    end(&sandbox->extension);
}

static int print(const struct sandbox_event *event, size_t number)
{
    static const char *const names[] = {"waiting", "running",      "response",      "error",
                                        "timeout", "runtime_exit", "extension_exit"};
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(64U << 20);
    struct json_writer writer;

    json_writer_init(&writer, &line);
    json_write_object_begin(&writer);
    json_write_field_unsigned(&writer, "event", number);
    json_write_field_string(&writer, "request_id", event->request_id);
    json_write_field_string(&writer, "outcome", names[event->outcome]);
    json_write_field_unsigned(&writer, "us", (event->ended_ns - event->began_ns) / NS_PER_US);
    json_write_key(&writer, "answer");
    json_write_string_length(&writer, event->answer != NULL ? event->answer : "",
                             event->answer_length);
    json_write_field_string(&writer, "head", event->head != NULL ? event->head : "");
    json_write_field_string(&writer, "trailers", event->trailers != NULL ? event->trailers : "");
    json_write_object_end(&writer);
    return buffer_failed(&line) < 0 || puts(buffer_text(&line)) < 0 ? -EIO : 0;
}

/* Points into text. */
static int split_events(struct sandbox *sandbox, const struct buffer *text)
{
    sandbox->events = calloc(SANDBOX_EVENTS, sizeof *sandbox->events);
    if (sandbox->events == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < sandbox->options.repeat; i++) {
        const char *line = buffer_text(text), *end_of_text = line + text->length;
        while (line < end_of_text && sandbox->count < SANDBOX_EVENTS) {
            const char *end_of_line = memchr(line, '\n', (size_t)(end_of_text - line));
            if (end_of_line == NULL)
                end_of_line = end_of_text;
            struct sandbox_event *event = &sandbox->events[sandbox->count];
            event->text = line;
            event->length = (size_t)(end_of_line - line);
            (void)text_format(event->request_id, sizeof event->request_id,
                              "00000000-0000-4000-8000-%012zx", sandbox->count);
            if (event->length > 0)
                sandbox->count++;
            line = end_of_line + 1;
        }
    }
    return 0;
}

static int run(struct sandbox *sandbox)
{
    int r = sandbox_serve(sandbox);

    (void)pthread_mutex_lock(&sandbox->lock);
    while (r == 0 && sandbox->ended < sandbox->count) {
        r = initialise(sandbox);
        if (r == 0)
            supervise(sandbox);
    }
    if (r < 0)
        log_error("initialisation_failed", "error", log_error_text(r), NULL);
    shut_down(sandbox);
    for (size_t i = 0; i < sandbox->count && r == 0; i++)
        r = print(&sandbox->events[i], i);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return r < 0 || fflush(stdout) < 0 ? -EIO : 0;
}

int sandbox_run(const struct sandbox_options *options)
{
    /* Static: its threads may outlive us by a moment. */
    static struct sandbox sandbox = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                     .changed = PTHREAD_COND_INITIALIZER};
    static struct buffer text = {.maximum = MOST_EVENTS_BYTES};

    sandbox.options = *options;
    int r = file_read_all(options->events, &text);
    if (r == 0)
        r = split_events(&sandbox, &text);
    if (r < 0) {
        log_error("events_unreadable", "path", options->events, "error", log_error_text(r), NULL);
        return r;
    }
    return run(&sandbox);
}
