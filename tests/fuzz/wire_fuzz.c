/* What an agent or a console may send: every body is refused with a reason, or read whole; a
 * heartbeat that was read and is written again reads the same. */
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void write_again(struct wire_heartbeat *first)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(64 * 1024 * 1024);
    if (!first->facts)
        first->facts = "{}";
    require(wire_heartbeat_encode(first, &body) == 0);
    struct wire_heartbeat second;
    struct wire_problem problem;
    require(wire_heartbeat_decode(buffer_text(&body), body.length, &second, &problem) == 0);
    require(second.event_count == first->event_count && second.dropped == first->dropped);
    for (size_t i = 0; i < first->event_count; i++) {
        require(second.events[i].number == first->events[i].number);
        require(second.events[i].severity == first->events[i].severity);
        require(text_equal(second.events[i].subject, first->events[i].subject));
        require(text_equal(second.events[i].detail, first->events[i].detail));
    }
    wire_heartbeat_done(&second);
}

static void read_heartbeat(const char *text, size_t size)
{
    struct wire_heartbeat heartbeat;
    struct wire_problem problem = {""};
    if (wire_heartbeat_decode(text, size, &heartbeat, &problem) < 0) {
        require(problem.text[0]);
        return;
    }
    require(heartbeat.event_count <= LIMIT_HEARTBEAT_EVENTS);
    write_again(&heartbeat);
    wire_heartbeat_done(&heartbeat);
}

static void read_others(const char *text, size_t size)
{
    struct wire_problem problem = {""};
    struct wire_activation_request request;
    struct wire_activation_reply activation;
    struct wire_heartbeat_reply reply;
    struct wire_command command;
    struct wire_policy policy;
    if (wire_activation_request_decode(text, size, &request, &problem) == 0)
        wire_activation_request_done(&request);
    if (wire_activation_reply_decode(text, size, &activation, &problem) == 0)
        wire_activation_reply_done(&activation);
    if (wire_heartbeat_reply_decode(text, size, &reply, &problem) == 0)
        wire_heartbeat_reply_done(&reply);
    AUTO_FREE char *document = text_new(text, size);
    require(document != NULL);
    if (wire_command_decode(document, &command, &problem) == 0)
        wire_command_done(&command);
    if (wire_policy_decode(document, &policy, &problem) == 0)
        wire_policy_done(&policy);
    AUTO_KEY EVP_PKEY *key = NULL;
    if (csr_read_key(text, size, &key) == 0)
        require(key_is_p256(key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = malloc(size + 1);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    read_heartbeat(text, size);
    read_others(text, size);
    return 0;
}
