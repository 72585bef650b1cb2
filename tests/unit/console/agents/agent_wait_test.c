/* What a request to wait costs the console before it may wait: HTTP and store are stand-ins. */
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHARE 10 /* a second */

static unsigned status, reads;
static const char *code;
static long retry_after_s;
static void *context;

bool __wrap_agent_certificate(struct http_request *request, char ret_digest[static 65]);
bool __wrap_agent_certificate(struct http_request *request UNUSED, char ret_digest[static 65])
{
    (void)text_copy(ret_digest, 65,
                    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    return true;
}

int __wrap_http_request_query(const struct http_request *request, const char *name, char *buffer,
                              size_t size);
int __wrap_http_request_query(const struct http_request *request UNUSED, const char *name UNUSED,
                              char *buffer UNUSED, size_t size UNUSED)
{
    return 0;
}

void __wrap_http_request_set_context(struct http_request *request, void *new_context,
                                     void (*release)(void *));
void __wrap_http_request_set_context(struct http_request *request UNUSED, void *new_context,
                                     void (*release)(void *) UNUSED)
{
    context = new_context;
}

void __wrap_http_response_header(struct http_request *request, const char *name, const char *value);
void __wrap_http_response_header(struct http_request *request UNUSED, const char *name,
                                 const char *value)
{
    if (text_equal(name, "Retry-After"))
        retry_after_s = strtol(value, NULL, 10);
}

void __wrap_http_respond_problem(struct http_request *request, unsigned new_status,
                                 const char *new_code, const char *format, ...);
void __wrap_http_respond_problem(struct http_request *request UNUSED, unsigned new_status,
                                 const char *new_code, const char *format UNUSED, ...)
{
    status = new_status;
    code = new_code;
}

/* All readers are busy. */
int __wrap_console_store_read_now(struct console_store *store, console_store_work *work,
                                  void *user);
int __wrap_console_store_read_now(struct console_store *store UNUSED,
                                  console_store_work *work UNUSED, void *user UNUSED)
{
    reads++;
    return -EBUSY;
}

uint64_t __wrap_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void)
{
    return 1;
}

static void ask(struct agent_service *service)
{
    status = 0;
    retry_after_s = 0;
    agent_wait(NULL, service);
    free(context);
    context = NULL;
}

static void test_an_agent_waits_for_no_reader(void **state)
{
    (void)state;
    static struct agent_service service;
    service.waiting = (void *)&service; /* there is one: nothing comes as far as to it */
    rate_shares_init(&service.wait_shares, SHARE);
    for (unsigned i = 1; i <= SHARE; i++) {
        ask(&service);
        assert_int_equal(status, 503);
        assert_string_equal(code, "busy");
        assert_in_range(retry_after_s, 5, 10);
        assert_int_equal(reads, i);
    }
    ask(&service);
    assert_int_equal(status, 429);
    assert_string_equal(code, "busy");
    assert_int_equal(retry_after_s, 1);
    assert_int_equal(reads, SHARE); /* one that asks too often costs no read */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_an_agent_waits_for_no_reader)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
