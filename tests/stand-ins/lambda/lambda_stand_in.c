/* In the place of Lambda: the Runtime API, the Extensions API and the sandbox around them. Starts
 * an extension and a runtime as Lambda does, gives them the events of a file, ends everything at an
 * invocation's deadline or when the extension dies, and says in one line of JSON each what became
 * of the events. Sources: AWS, "Using the Lambda runtime API for custom runtimes", "Using the
 * Lambda Extensions API", "Understanding the Lambda execution environment lifecycle". */
#include "tests/stand-ins/lambda/sandbox.h"

#include "common/log/log.h"
#include "common/text/text.h"

#include <stdio.h>

static const char usage[] =
    "Usage: lambda-stand-in [OPTION...] EVENTS RUNTIME [ARGUMENT...]\n"
    "EVENTS: a file, one event a line. RUNTIME: what bootstrap would start.\n"
    "  --extension PROGRAM  started before the runtime\n"
    "  --timeout MS         of an invocation (default 10000)\n"
    "  --concurrency N      invocations at once (default 1)\n"
    "  --chunked            events are sent in chunks\n"
    "  --repeat N           all events N times\n";

static bool take_option(struct sandbox_options *options, const char *name, const char *value)
{
    uint64_t number = 0;

    if (text_equal(name, "--extension")) {
        options->extension = value;
        return true;
    }
    if (text_parse_u64(value, &number) < 0 || number == 0)
        return false;
    if (text_equal(name, "--timeout"))
        options->timeout_ms = number;
    else if (text_equal(name, "--concurrency"))
        options->concurrency = (unsigned)number;
    else if (text_equal(name, "--repeat"))
        options->repeat = (unsigned)number;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct sandbox_options options = {.timeout_ms = 10000, .concurrency = 1, .repeat = 1};
    int i = 1;

    for (; i < argc && text_starts_with(argv[i], "--"); i++) {
        if (text_equal(argv[i], "--chunked"))
            options.chunked = true;
        else if (i + 1 < argc && take_option(&options, argv[i], argv[i + 1]))
            i++;
        else
            return (void)fputs(usage, stderr), 2;
    }
    if (argc - i < 2)
        return (void)fputs(usage, stderr), 2;
    options.events = argv[i];
    options.runtime = argv + i + 1;
    log_open("lambda-stand-in", LOG_LEVEL_INFO);
    return sandbox_run(&options) < 0 ? 1 : 0;
}
