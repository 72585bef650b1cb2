/* Modes that serve until they are ended: poller, lambda, dead-letter. Owns: the signals. */
#include "common/log/log.h"
#include "storage/program/storage_mode.h"
#include "storage/runtime/function.h"
#include "storage/runtime/poller.h"

#include <signal.h>

static bool stop;

static void on_signal(int number UNUSED)
{
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
}

static void take_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};

    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

const bool *storage_stop_flag(void)
{
    take_signals();
    return &stop;
}

static int run(struct scan_resources *resources, message_handler *handler,
               struct console_report *report)
{
    if (lambda_runtime_is_here())
        return function_run(resources, handler, report, &stop);
    int r = console_report_run(report);
    if (r < 0) {
        log_error("console_thread_not_started", "problem", log_error_text(r), NULL);
        return 1;
    }
    return poller_run(resources, handler, &stop);
}

static int serve(const struct storage_settings *settings, bool scans, message_handler *handler)
{
    struct console_report *report;
    struct scan_resources resources;
    int code = 1;

    take_signals();
    if (scan_resources_start(settings, scans, &resources) < 0)
        return 1;
    if (console_report_start(&resources, lambda_runtime_is_here() ? "lambda" : "poller", &report) ==
        0)
        code = run(&resources, handler, report);
    (void)console_report_stop(report);
    scan_resources_stop(&resources);
    return code;
}

int storage_serve_lambda(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    if (argc != 1)
        return -1;
    if (!lambda_runtime_is_here()) {
        log_error("no_runtime", "cure",
                  "this mode runs on AWS Lambda (AWS_LAMBDA_RUNTIME_API); elsewhere use poller",
                  NULL);
        return 1;
    }
    return serve(settings, true, message_scan);
}

int storage_serve_poller(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    return argc == 1 ? serve(settings, true, message_scan) : -1;
}

int storage_serve_dead_letter(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    return argc == 1 ? serve(settings, false, message_report_dead) : -1;
}
