/* What AWS's files and services say: the shared files, temporary credentials, errors. */
#include "common/aws/credential_document.h"
#include "common/aws/service_error.h"
#include "common/aws/shared_file.h"
#include "common/text/text.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

/* Read twice, nothing changes: what is there already stands above what comes later. */
static void check_shared_file(const char *text, size_t size, bool in_config)
{
    struct shared_profile first = {.region = ""}, second;

    int r = shared_file_read(text, size, "default", in_config, &first);
    second = first;
    require(shared_file_read(text, size, "default", in_config, &second) == r);
    require(memcmp(&first, &second, sizeof first) == 0);
    require(memchr(first.secret_access_key, '\n', sizeof first.secret_access_key) == NULL);
}

static void check_document(const char *text, size_t size)
{
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s = 0;
    char problem[256] = "";

    int r = credential_document_read(text, size, &keys, &expires_s, problem, sizeof problem);
    require((r == 0) == (keys.access_key_id[0] != '\0' && keys.secret_access_key[0] != '\0'));
    require((r == 0) == (problem[0] == '\0'));
    for (const char *c = problem; *c != '\0'; c++)
        require((unsigned char)*c >= ' ');
}

static void check_error(const char *text, size_t size)
{
    struct aws_answer answer = {.http = {.status = 400,
                                         .body = BUFFER_WITH_MAXIMUM(1 << 20),
                                         .head = BUFFER_WITH_MAXIMUM(1 << 20)}};

    if (buffer_append(&answer.http.body, text, size) == 0 &&
        buffer_append(&answer.http.head, text, size) == 0) {
        service_error_read(&answer);
        require(answer.outcome != AWS_OK);
        (void)service_error_is_clock(&answer);
        for (const char *c = answer.message; *c != '\0'; c++)
            require((unsigned char)*c >= ' ');
    }
    aws_answer_done(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size > 0 ? (const char *)data : "";

    check_shared_file(text, size, false);
    check_shared_file(text, size, true);
    check_document(text, size);
    check_error(text, size);
    return 0;
}
