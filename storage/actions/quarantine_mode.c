/* The mode "quarantine": a person looks at what was quarantined, and decides. */
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "storage/actions/release.h"
#include "storage/program/storage_client.h"
#include "storage/program/storage_mode.h"
#include "storage/report/console_report.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct quarantine_words {
    struct console_report *report; /* NULL = no console, or it cannot be told */
    const char *to;
    bool overwrite, json;
    char **arguments;
    int count;
};

static int tell(int r, const char *problem)
{
    if (r < 0)
        (void)fprintf(stderr, "yagura-storage: %s\n", problem);
    return r < 0 ? 1 : 0;
}

/* ---- list ---- */

static void print_escaped(const char *text)
{
    AUTO_FREE char *shown = text_escape_new(text, strlen(text));

    (void)fputs(shown != NULL ? shown : "?", stdout);
}

static int print_json(const char *id, const struct quarantine_record *record)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(QUARANTINE_RECORD_BYTES);
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(QUARANTINE_RECORD_BYTES);
    struct json_writer writer;

    if (quarantine_record_write(record, &json) < 0)
        return -ENOMEM;
    json_writer_init(&writer, &line);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "id", id);
    json_write_key(&writer, "record");
    json_write_raw(&writer, buffer_text(&json));
    json_write_object_end(&writer);
    return buffer_failed(&line) < 0 || puts(buffer_text(&line)) < 0 ? -EIO : 0;
}

static int print_record(void *user, const char *id, const struct quarantine_record *record,
                        const char *problem)
{
    const struct quarantine_words *words = user;

    if (record == NULL) {
        (void)fprintf(stderr, "yagura-storage: %s: %s\n", id, problem);
        return 0;
    }
    if (words->json)
        return print_json(id, record);
    (void)printf("%s  %s  %-10s  ", id, record->time, record->verdict);
    print_escaped(record->malware[0] != '\0' ? record->malware : "-");
    (void)printf("  s3://%s/", record->bucket);
    print_escaped(record->key);
    return puts("") < 0 ? -EIO : 0;
}

static int list(struct aws_client *client, const char *bucket, const struct quarantine_words *words)
{
    char problem[512] = "standard output cannot be written";

    return tell(release_list(client, bucket, print_record, (void *)words, problem, sizeof problem),
                problem);
}

/* ---- the others ---- */

/* "s3://BUCKET/KEY" into both; to is changed. */
static int divide_place(char *to, struct release *release)
{
    if (!text_starts_with(to, "s3://"))
        return -EINVAL;
    char *slash = strchr(to + 5, '/');
    if (slash == NULL || slash == to + 5 || slash[1] == '\0')
        return -EINVAL;
    *slash = '\0';
    release->to_bucket = to + 5;
    release->to_key = slash + 1;
    return 0;
}

/* What a person did, told where the rest is seen. */
static void report_restore(const struct quarantine_words *words, const struct release *release,
                           const struct quarantine_record *record, const char *problem)
{
    bool failed = problem[0] != '\0';

    console_report_action(words->report,
                          &(struct console_action){
                              .kind = failed ? "object_action_failed" : "object_restored",
                              .severity = failed ? 3 : 1,
                              .bucket = release->to_bucket ? release->to_bucket : record->bucket,
                              .key = release->to_key ? release->to_key : record->key,
                              .version = record->version,
                              .sha256 = record->sha256,
                              .verdict = record->verdict,
                              .signature = record->malware,
                              .action = failed ? "restore-failed" : "restored",
                              .id = release->id,
                              .problem = problem,
                              .failed = failed,
                          });
}

static int restore(struct aws_client *client, const char *bucket,
                   const struct quarantine_words *words)
{
    struct release release = {.bucket = bucket,
                              .id = words->arguments[0],
                              .overwrite = words->overwrite};
    struct quarantine_record record = {.bucket = ""};
    char problem[512] = "";
    AUTO_FREE char *to = words->to != NULL ? text_format_new("%s", words->to) : NULL;

    if (words->to != NULL && (to == NULL || divide_place(to, &release) < 0))
        return tell(-EINVAL, "--to wants s3://BUCKET/KEY");
    int r = release_restore(client, &release, &record, problem, sizeof problem);
    if (r == 0 || record.bucket[0] != '\0')
        report_restore(words, &release, &record, r < 0 ? problem : "");
    if (r < 0)
        return tell(r, problem);
    (void)printf("restored s3://%s/",
                 release.to_bucket != NULL ? release.to_bucket : record.bucket);
    print_escaped(release.to_key != NULL ? release.to_key : record.key);
    (void)printf("\nIts content is released: it is not moved again. Take that back with\n"
                 "    yagura-storage quarantine forbid %s\n",
                 record.sha256);
    return 0;
}

static int delete_one(struct aws_client *client, const char *bucket,
                      const struct quarantine_words *words)
{
    char problem[512];

    return tell(release_delete(client, bucket, words->arguments[0], problem, sizeof problem),
                problem);
}

static int forbid(struct aws_client *client, const char *bucket,
                  const struct quarantine_words *words)
{
    char problem[512];

    return tell(release_forbid(client, bucket, words->arguments[0], problem, sizeof problem),
                problem);
}

static const struct {
    const char *name;
    int arguments;
    int (*run)(struct aws_client *client, const char *bucket, const struct quarantine_words *words);
} VERBS[] = {
    {"list", 0, list}, {"restore", 1, restore}, {"delete", 1, delete_one}, {"forbid", 1, forbid}};

/* A console that cannot be told keeps nobody from acting; that is logged. */
static int run_reported(const struct storage_settings *settings, struct aws_client *client,
                        size_t verb, struct quarantine_words *words)
{
    struct scan_resources resources = {.settings = settings};
    bool started = scan_resources_start(settings, false, &resources) == 0;

    if (started && console_report_start(&resources, "quarantine", &words->report) < 0)
        words->report = NULL;
    int code = VERBS[verb].run(client, storage_settings_text(settings, STORAGE_QUARANTINE), words);
    (void)console_report_stop(words->report);
    if (started)
        scan_resources_stop(&resources);
    return code;
}

static int read_words(int argc, char **argv, struct quarantine_words *words)
{
    static const struct option options[] = {{"to", required_argument, NULL, 't'},
                                            {"overwrite", no_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    int option;

    optind = 0; /* begin anew, with another argv */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return -EINVAL;
        words->to = option == 't' ? optarg : words->to;
        words->overwrite |= option == 'o';
        words->json |= option == 'j';
    }
    words->arguments = argv + optind + 1;
    words->count = argc - optind - 1;
    return optind < argc ? 0 : -EINVAL;
}

int storage_run_quarantine(const struct storage_settings *settings, int argc, char **argv)
{
    const char *bucket = storage_settings_text(settings, STORAGE_QUARANTINE);
    struct quarantine_words words = {.to = NULL};
    struct aws_client *client = NULL;
    char problem[512] = "memory is short";
    size_t verb = 0;

    if (read_words(argc, argv, &words) < 0)
        return -1;
    while (verb < ARRAY_LENGTH(VERBS) && !text_equal(VERBS[verb].name, argv[optind]))
        verb++;
    if (verb == ARRAY_LENGTH(VERBS) || words.count != VERBS[verb].arguments)
        return -1;
    if (bucket[0] == '\0')
        return tell(-EINVAL, "quarantine.bucket is not set: set YAGURA_QUARANTINE_BUCKET");
    if (storage_client_open(&client, problem, sizeof problem) < 0)
        return tell(-EINVAL, problem);
    int code = run_reported(settings, client, verb, &words);
    (void)aws_client_free(client);
    return code;
}
