/* yagura-storage: scans objects of S3. This file reads the settings and chooses the mode. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "storage/program/storage_mode.h"
#include "storage/runtime/lambda_runtime.h"

#include <getopt.h>
#include <signal.h>

#define DEFAULT_SETTINGS YAGURA_STORAGE_SETTINGS

static const struct {
    const char *name;
    storage_mode_run *run;
    const char *usage;
} MODES[] = {
    {"poller", storage_serve_poller,
     "poller                          scan what a queue tells of (the default)"},
    {"lambda", storage_serve_lambda,
     "lambda                          the same as a function (the default on AWS Lambda)"},
    {"dead-letter", storage_serve_dead_letter,
     "dead-letter                     tell of objects that were given up"},
    {"action", storage_run_action,
     "action                          quarantine, promote and tell of what results are published"},
    {"gate", storage_serve_gate,
     "gate                            give out what is clean when it is read; scan what is not known"},
    {"gate-link", storage_make_gate_link,
     "gate-link s3://BUCKET/KEY [--version V] [--for 1h]   a link to the gate"},
    {"object-lambda", storage_serve_object_lambda,
     "object-lambda                   the same as a function of S3 Object Lambda"},
    {"quarantine", storage_run_quarantine,
     "quarantine list [--json]        what was quarantined\n"
     "  quarantine restore ID [--to s3://BUCKET/KEY] [--overwrite]\n"
     "  quarantine delete ID | forbid SHA256"},
    {"scan-bucket", storage_scan_bucket,
     "scan-bucket [--here] [--prefix TEXT] [--region NAME] [--place FILE [--restart]]\n"
     "              [--inventory s3://BUCKET/.../manifest.json] [--page N] BUCKET\n"
     "                                  scan what is there already: by the queue's pollers, or here"},
    {"settings", storage_show_settings,
     "settings                        print what is set, and by which variables it can be"},
};

int storage_show_settings(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    char variable[128];

    if (argc != 1)
        return -1;
    for (size_t i = 0; i < STORAGE_SETTING_COUNT; i++) {
        const struct settings_rule *rule = storage_settings_rule((enum storage_setting)i);
        AUTO_FREE char *shown = settings_value_show(rule, &settings->values[i]);
        storage_settings_variable((enum storage_setting)i, variable, sizeof variable);
        (void)printf("%s = %s\n    %s (%s)\n", rule->key, shown != NULL ? shown : "", rule->meaning,
                     variable);
    }
    return 0;
}

static int print_usage(FILE *stream, int code)
{
    (void)fprintf(stream, "usage: yagura-storage [--config FILE] [MODE]\n\n");
    for (size_t i = 0; i < ARRAY_LENGTH(MODES); i++)
        (void)fprintf(stream, "  %s\n", MODES[i].usage);
    (void)fprintf(stream, "\nWithout --config, %s is read when it is there.\n", DEFAULT_SETTINGS);
    return code;
}

static void set_log_level(const struct storage_settings *settings)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};

    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++)
        if (text_equal(levels[i], storage_settings_text(settings, STORAGE_LOG_LEVEL)))
            log_set_level((enum log_level)i);
}

static int run_mode(const struct storage_settings *settings, const char *name, int argc,
                    char **argv)
{
    for (size_t i = 0; i < ARRAY_LENGTH(MODES); i++)
        if (text_equal(MODES[i].name, name))
            return MODES[i].run(settings, argc, argv);
    return -1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    struct storage_settings settings;
    struct settings_error error;
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'h')
            return print_usage(stdout, 0);
        if (option == 'v')
            return printf("yagura-storage %s\n", YAGURA_VERSION) < 0;
        if (option != 'c')
            return print_usage(stderr, 2);
        path = optarg;
    }
    if (path == NULL && access(DEFAULT_SETTINGS, F_OK) == 0)
        path = DEFAULT_SETTINGS;
    log_open("yagura-storage", LOG_LEVEL_INFO);
    if (storage_settings_load(path, NULL, NULL, &settings, &error) < 0) {
        log_error("settings_refused", "problem", error.text, NULL);
        return 1;
    }
    set_log_level(&settings);
    const char *name = optind < argc              ? argv[optind]
                       : lambda_runtime_is_here() ? "lambda"
                                                  : "poller";
    int code = run_mode(&settings, name, MAX(argc - optind, 1), argv + optind);
    storage_settings_done(&settings);
    return code < 0 ? print_usage(stderr, 2) : code;
}
