/* Every message a client, a loader or a worker may receive, decoded from anything. What is believed
 * must then hold what the header promises. */
#include "scanner/client/scanner_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void fuzz_configuration(const struct message *message)
{
    static struct scanner_configuration configuration;
    if (scanner_configuration_read(message, &configuration) < 0)
        return;
    check(configuration.slots > 0 && configuration.database_count <= LIMIT_DATABASE_PATHS);
    for (size_t i = 0; i < configuration.database_count; i++)
        check(strlen(configuration.databases[i]) < LIMIT_MESSAGE_BYTES);
    static struct message_writer writer;
    memset(&writer, 0, sizeof(writer));
    scanner_configuration_write(&configuration, &writer);
    check(writer.length == message->length &&
          memcmp(writer.data, message->payload, writer.length) == 0);
}

static void fuzz_verdict(const struct message *message)
{
    struct scanner_verdict verdict;
    if (scanner_verdict_read(message, &verdict) < 0)
        return;
    check(strlen(verdict.signature) == verdict.signature_length);
    check((verdict.verdict == SCAN_INFECTED) == (verdict.signature_length > 0));
    check(verdict.verdict != SCAN_CLEAN || verdict.reason == SCAN_REASON_NONE);
    check(scanner_verdict_length(&verdict) == message->length);
}

static void fuzz_texts(const struct message *message)
{
    struct scanner_loaded loaded;
    struct scanner_refused refused;
    char sandbox[128];
    if (scanner_loaded_read(message, &loaded) == 0) {
        check(strlen(loaded.problem) < sizeof(loaded.problem));
        scanner_sandbox_describe(loaded.sandbox, sandbox, sizeof(sandbox));
    }
    if (scanner_refused_read(message, &refused) == 0)
        check(refused.refusal <= SCANNER_REFUSAL_INTERNAL);
}

static void fuzz_notes(const struct message *message)
{
    struct scanner_worker_note worker;
    struct scanner_job_note job;
    struct scanner_ready_note ready;
    if (scanner_worker_note_read(message, &worker) == 0)
        check(worker.reserve <= 1);
    (void)!scanner_job_note_read(message, &job);
    if (scanner_ready_note_read(message, &ready) == 0)
        check((ready.sandbox & ~(uint32_t)SCANNER_SANDBOX_ALL_BITS) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message = {.payload = data, .length = size, .fds = {-1, -1}};
    if (size > LIMIT_MESSAGE_BYTES)
        return 0;
    fuzz_configuration(&message);
    fuzz_verdict(&message);
    fuzz_texts(&message);
    fuzz_notes(&message);
    return 0;
}
