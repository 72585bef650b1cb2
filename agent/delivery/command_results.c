/* Results of commands until the console has them. Owns results.json. Must not know any command. */
#include "agent/delivery/command_results.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>

#define PATH_BYTES 1024
/* JSON may write a byte as six. */
#define FILE_BYTES ((size_t)COMMAND_RESULTS_MAXIMUM * (LIMIT_COMMAND_OUTPUT_BYTES * 6 + 256))

struct command_results {
    char path[PATH_BYTES];
    pthread_mutex_t lock; /* of all below */
    size_t count;
    struct command_result entries[COMMAND_RESULTS_MAXIMUM];
};

/* ---- the file ---- */

static void read_entry(struct command_results *results, const json_t *object)
{
    const char *id = json_string_value(json_object_get(object, "id"));
    const char *output = json_string_value(json_object_get(object, "output"));
    struct command_result *entry = &results->entries[results->count];

    *entry = (struct command_result){
        .running = json_is_true(json_object_get(object, "running")),
        .good = json_is_true(json_object_get(object, "good")),
    };
    if (id == NULL || text_copy(entry->id, sizeof entry->id, id) < 0)
        return;
    (void)text_copy(entry->output, sizeof entry->output, output != NULL ? output : "");
    results->count++;
}

static void read_file(struct command_results *results)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_BYTES);
    const json_t *object;
    size_t index;

    if (file_read_all(results->path, &text) < 0)
        return;
    json_t *list = json_loadb(buffer_text(&text), text.length, JSON_REJECT_DUPLICATES, NULL);
    json_array_foreach(list, index, object)
    {
        if (results->count < COMMAND_RESULTS_MAXIMUM)
            read_entry(results, object);
    }
    json_decref(list);
}

static int write_file(const struct command_results *results)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_BYTES);
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_array_begin(&json);
    for (size_t i = 0; i < results->count; i++) {
        const struct command_result *entry = &results->entries[i];
        json_write_object_begin(&json);
        json_write_field_string(&json, "id", entry->id);
        json_write_field_bool(&json, "running", entry->running);
        json_write_field_bool(&json, "good", entry->good);
        json_write_field_string(&json, "output", entry->output);
        json_write_object_end(&json);
    }
    json_write_array_end(&json);
    int r = buffer_failed(&text);
    return r < 0 ? r : file_replace(results->path, buffer_text(&text), text.length, 0600);
}

int command_results_open(const char *directory, struct command_results **ret_results)
{
    struct command_results *results = calloc(1, sizeof *results);
    if (results == NULL)
        return -ENOMEM;
    int r = text_format(results->path, sizeof results->path, "%s/results.json", directory);
    if (r < 0) {
        free(results);
        return r;
    }
    (void)pthread_mutex_init(&results->lock, NULL);
    read_file(results);
    *ret_results = results;
    return 0;
}

struct command_results *command_results_close(struct command_results *results)
{
    if (results == NULL)
        return NULL;
    (void)pthread_mutex_destroy(&results->lock);
    free(results);
    return NULL;
}

/* ---- one command ---- */

static struct command_result *find(struct command_results *results, const char *id)
{
    for (size_t i = 0; i < results->count; i++)
        if (text_equal(results->entries[i].id, id))
            return &results->entries[i];
    return NULL;
}

static struct command_result *add(struct command_results *results, const char *id)
{
    if (results->count == COMMAND_RESULTS_MAXIMUM)
        return NULL;
    struct command_result *entry = &results->entries[results->count++];
    *entry = (struct command_result){.running = true, .told = true};
    (void)text_copy(entry->id, sizeof entry->id, id);
    return entry;
}

int command_results_begin(struct command_results *results, const char *id)
{
    int r = 0;

    (void)pthread_mutex_lock(&results->lock);
    if (find(results, id) == NULL) {
        r = add(results, id) != NULL ? write_file(results) : -ENOBUFS;
        if (r < 0 && r != -ENOBUFS)
            results->count--;
    }
    (void)pthread_mutex_unlock(&results->lock);
    return r;
}

bool command_results_advance(struct command_results *results, const char *id, const char *output)
{
    bool news = false;

    (void)pthread_mutex_lock(&results->lock);
    struct command_result *entry = find(results, id);
    if (entry != NULL && entry->running && !text_equal(entry->output, output)) {
        (void)text_copy(entry->output, sizeof entry->output, output);
        entry->told = entry->sent = false;
        news = true;
    }
    (void)pthread_mutex_unlock(&results->lock);
    return news;
}

int command_results_end(struct command_results *results, const char *id, bool good,
                        const char *output)
{
    int r = -ENOBUFS;

    (void)pthread_mutex_lock(&results->lock);
    struct command_result *entry = find(results, id);
    if (entry == NULL)
        entry = add(results, id);
    if (entry != NULL) {
        entry->running = entry->sent = entry->told = false;
        entry->good = good;
        (void)text_copy(entry->output, sizeof entry->output, output);
        r = write_file(results);
    }
    (void)pthread_mutex_unlock(&results->lock);
    return r;
}

bool command_results_know(struct command_results *results, const char *id)
{
    (void)pthread_mutex_lock(&results->lock);
    bool known = find(results, id) != NULL;
    (void)pthread_mutex_unlock(&results->lock);
    return known;
}

size_t command_results_running(struct command_results *results,
                               char ret_ids[static COMMAND_RESULTS_MAXIMUM][40])
{
    size_t count = 0;

    (void)pthread_mutex_lock(&results->lock);
    for (size_t i = 0; i < results->count; i++)
        if (results->entries[i].running)
            (void)text_copy(ret_ids[count++], 40, results->entries[i].id);
    (void)pthread_mutex_unlock(&results->lock);
    return count;
}

/* ---- heartbeats ---- */

static size_t take(struct command_results *results, bool running, size_t count,
                   struct command_result *taken)
{
    for (size_t i = 0; i < results->count && count < LIMIT_HEARTBEAT_COMMANDS; i++) {
        struct command_result *entry = &results->entries[i];
        if (entry->running != running || entry->told)
            continue;
        entry->sent = true;
        taken[count++] = *entry;
    }
    return count;
}

size_t command_results_take(struct command_results *results,
                            struct command_result ret_taken[static LIMIT_HEARTBEAT_COMMANDS])
{
    (void)pthread_mutex_lock(&results->lock);
    size_t count = take(results, false, 0, ret_taken);
    count = take(results, true, count, ret_taken);
    (void)pthread_mutex_unlock(&results->lock);
    return count;
}

size_t command_results_settle(struct command_results *results, bool delivered)
{
    size_t kept = 0, left = 0;

    (void)pthread_mutex_lock(&results->lock);
    size_t before = results->count;
    for (size_t i = 0; i < before; i++) {
        struct command_result *entry = &results->entries[i];
        if (delivered && entry->sent && !entry->running)
            continue;
        entry->told = entry->running && (entry->told || (delivered && entry->sent));
        entry->sent = false;
        left += !entry->running;
        if (kept != i)
            results->entries[kept] = *entry;
        kept++;
    }
    results->count = kept;
    if (kept < before)
        (void)!write_file(results); /* one that stays there is sent once more, and ignored */
    (void)pthread_mutex_unlock(&results->lock);
    return left;
}
