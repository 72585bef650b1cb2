/* crs_oracle: what libmodsecurity says about the same requests, as the judge of --crs-exact.
 * crs_oracle [--paranoia N] [--cpu] RULES-FILE... <EVENTS; a line of JSON for each HTTP event, and
 * with --cpu the microseconds of CPU that libmodsecurity took for it. */
#include "application/events/event_line.h"
#include "application/events/request.h"
#include "application/limits.h"
#include "common/text/text.h"

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include <stdio.h>
#include <time.h>

/* What Debian's crs-setup.conf leaves to modsecurity.conf, and the rule set's users have there. */
static const char settings[] =
    "SecRuleEngine On\n"
    "SecRequestBodyAccess On\n"
    "SecRule REQUEST_HEADERS:Content-Type \"^(?:application(?:/soap\\+|/)|text/)xml\" "
    "\"id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML\"\n"
    "SecRule REQUEST_HEADERS:Content-Type \"^application/json\" "
    "\"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON\"\n";

struct oracle {
    ModSecurity *engine;
    RulesSet *rules;
    struct arena arena;
    bool cpu;
    char found[16384]; /* "942100,949110" */
    size_t found_length;
};

static struct oracle oracle;

/* Called for each rule that logs: its text has [id "942100"] in it. */
static void note_rule(void *data, const void *message)
{
    (void)data;
    const char *id = strstr(message, "[id \"");
    if (id == NULL || oracle.found_length > sizeof(oracle.found) - 32)
        return;
    size_t length = strspn(id + 5, "0123456789");
    if (oracle.found_length > 0)
        oracle.found[oracle.found_length++] = ',';
    memcpy(oracle.found + oracle.found_length, id + 5, length);
    oracle.found_length += length;
    oracle.found[oracle.found_length] = '\0';
}

static char *terminated(struct span text)
{
    char *copy = arena_take(&oracle.arena, text.length + 1);
    if (copy == NULL)
        abort();
    if (text.length > 0)
        memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}

static uint64_t cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool judge(const struct request *request)
{
    const struct request_values *headers = &request->lists[REQUEST_HEADERS];
    ModSecurityIntervention intervention = {.status = 200};
    Transaction *transaction = msc_new_transaction(oracle.engine, oracle.rules, NULL);
    (void)msc_process_connection(transaction, terminated(request->view->source), 40000,
                                 "192.0.2.80", 443);
    (void)msc_process_uri(transaction, terminated(request->lists[REQUEST_URI_RAW].values[0].text),
                          terminated(request->view->method),
                          terminated(span_from(request->view->protocol, strlen("HTTP/"))));
    for (size_t i = 0; i < headers->count; i++) {
        struct span name = headers->values[i].name;
        struct span value = headers->values[i].text;
        (void)msc_add_n_request_header(transaction, (const unsigned char *)terminated(name),
                                       name.length, (const unsigned char *)terminated(value),
                                       value.length);
    }
    (void)msc_process_request_headers(transaction);
    if (request->body.length > 0)
        (void)msc_append_request_body(transaction, (const unsigned char *)request->body.data,
                                      request->body.length);
    (void)msc_process_request_body(transaction);
    bool denied = msc_intervention(transaction, &intervention) != 0 && intervention.disruptive;
    free(intervention.log);
    free(intervention.url);
    msc_transaction_cleanup(transaction);
    return denied;
}

static void judge_line(struct span line)
{
    const struct request_options options = {.length = true};
    struct event_view view;
    struct request request;
    struct span id;
    struct span event = event_line_read(line, &id);
    arena_reset(&oracle.arena);
    event_view_read(event, &oracle.arena, &view);
    if (view.kind == EVENT_OTHER) {
        (void)printf("{\"id\":\"%.*s\",\"http\":false}\n", (int)id.length, id.data);
        return;
    }
    request_read(&view, &options, &oracle.arena, &request);
    oracle.found_length = 0;
    oracle.found[0] = '\0';
    uint64_t before = cpu_us();
    bool denied = judge(&request);
    uint64_t taken = cpu_us() - before;
    (void)printf("{\"id\":\"%.*s\",\"http\":true,\"denied\":%s,\"rules\":[%s]", (int)id.length,
                 id.data, denied ? "true" : "false", oracle.found);
    if (oracle.cpu)
        (void)printf(",\"us\":%llu", (unsigned long long)taken);
    (void)puts("}");
}

static int load(int count, char **paths, const char *paranoia)
{
    const char *error = NULL;
    char level[160];
    oracle.engine = msc_init();
    oracle.rules = msc_create_rules_set();
    msc_set_log_cb(oracle.engine, note_rule);
    (void)text_format(level, sizeof(level),
                      "SecAction \"id:900000,phase:1,nolog,pass,t:none,"
                      "setvar:tx.paranoia_level=%s,setvar:tx.crs_setup_version=334\"\n",
                      paranoia);
    if (msc_rules_add(oracle.rules, settings, &error) < 0 ||
        msc_rules_add(oracle.rules, level, &error) < 0) {
        (void)fprintf(stderr, "crs_oracle: %s\n", error);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (msc_rules_add_file(oracle.rules, paths[i], &error) < 0) {
            (void)fprintf(stderr, "crs_oracle: %s: %s\n", paths[i], error);
            return -1;
        }
    }
    return arena_init(&oracle.arena, APPLICATION_LIMIT_ARENA);
}

int main(int count, char **arguments)
{
    const char *paranoia = "1";
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int first = 1;
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (text_equal(arguments[first], "--cpu"))
            oracle.cpu = true;
        else if (text_equal(arguments[first], "--paranoia") && first + 1 < count)
            paranoia = arguments[++first];
    }
    if (load(count - first, arguments + first, paranoia) < 0)
        return 1;
    while ((length = getline(&line, &capacity, stdin)) > 0)
        judge_line((struct span){line, (size_t)length});
    free(line);
    arena_done(&oracle.arena);
    msc_rules_cleanup(oracle.rules);
    msc_cleanup(oracle.engine);
    return 0;
}
