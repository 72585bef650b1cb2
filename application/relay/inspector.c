/* The inspecting process.
 *
 * Owns: the engine. Must not own: sockets but its one, files once it is ready, time: the parent
 * ends it when it takes too long. Crashing is allowed. */
#include "application/relay/inspector.h"

#include "application/detection/inspection.h"
#include "application/relay/inspector_area.h"
#include "application/relay/inspector_sandbox.h"
#include "application/runtime_area.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Bytes an outsider chose become text that can be shown; what is too long is cut. */
#define SHOW(field, span) ((void)text_escape((field), sizeof(field), (span).data, (span).length))

static void show_request(const struct inspection_result *result, struct ruling_request *request)
{
    SHOW(request->method, result->method);
    SHOW(request->path, result->path);
    SHOW(request->route, result->route);
    SHOW(request->host, result->host);
    SHOW(request->source, result->source);
    SHOW(request->request_id, result->request_id);
    SHOW(request->trace_id, result->trace_id);
}

static void show_finding(const struct inspection_finding *found, struct ruling_finding *finding)
{
    (void)text_copy(finding->protection, sizeof finding->protection,
                    inspection_protection_name(found->protection));
    SHOW(finding->message, found->message);
    SHOW(finding->part, found->matched);
    SHOW(finding->excerpt, found->excerpt);
    finding->rule = found->rule;
    finding->score = found->score;
    finding->action = (uint32_t)found->action;
}

static void show_result(const struct inspection_result *result, struct ruling *ruling)
{
    memset(ruling, 0, sizeof *ruling);
    if (!result->is_http)
        return;
    ruling->is_http = 1;
    ruling->action = (uint32_t)result->action;
    ruling->exhausted = result->budget_exhausted;
    ruling->score = result->score;
    show_request(result, &ruling->request);
    ruling->finding_count = (uint32_t)MIN(result->finding_count, RULING_FINDINGS);
    for (size_t i = 0; i < ruling->finding_count; i++)
        show_finding(&result->findings[i], &ruling->findings[i]);
    if (result->block_answer.length > 0 && result->block_answer.length < RULING_ANSWER) {
        memcpy(ruling->answer, result->block_answer.data, result->block_answer.length);
        ruling->answer_length = (uint32_t)result->block_answer.length;
    }
}

/* Requests at once take the slots in turn; on most functions there is one. */
static void share(struct inspection *inspection, const struct inspection_result *result,
                  struct runtime_area *runtime)
{
    static uint32_t turn;

    if (runtime != NULL)
        inspection_share_values(inspection, result, runtime, turn++ % MAX(runtime->slots, 1U));
}

static int judge(struct inspection *inspection, struct inspector_area *area,
                 struct runtime_area *runtime, const struct inspector_message *question)
{
    struct inspection_result result = {0};
    int r = -EPROTO;

    if (question->job == INSPECTOR_PREPARE)
        return inspection_prepare(inspection) ? 0 : 1;
    if (question->job == INSPECTOR_EVENT && question->length <= RELAY_EVENT_BYTES) {
        r = inspection_judge(inspection, area->event, question->length, question->budget_us,
                             &result);
        share(inspection, &result, runtime);
    } else if (question->job == INSPECTOR_RESPONSE && question->length <= RELAY_ANSWER_BYTES)
        r = inspection_judge_response(inspection, area->response, question->length, &result);
    if (r == 0)
        show_result(&result, &area->ruling);
    return r;
}

static int answer_all(struct inspection *inspection, struct inspector_area *area,
                      struct runtime_area *runtime, int policy)
{
    struct inspector_message message = {.job = INSPECTOR_READY, .result = policy};

    while (send(INSPECTOR_SOCKET_FD, &message, sizeof message, MSG_NOSIGNAL) ==
           (ssize_t)sizeof message) {
        ssize_t n;
        do
            n = recv(INSPECTOR_SOCKET_FD, &message, sizeof message, 0);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof message)
            return n == 0 ? 0 : 1;
        message.result = judge(inspection, area, runtime, &message);
    }
    return 0; /* nobody waits for an answer any more */
}

/* What cannot be used is left out, and that is said: without rules there is still what needs none,
 * without a policy the defaults. ret_policy: 0, or why the policy is not in force. */
static int open_engine(const char *table, const char *policy, struct inspection **ret_inspection,
                       int *ret_policy)
{
    static const struct {
        bool table, policy;
        const char *effect;
    } attempts[] = {{true, true, ""},
                    {false, true, "only the checks that need no rules are made"},
                    {true, false, "the default policy is in force"},
                    {false, false, "the default policy, and the checks that need no rules"}};
    struct inspection_error error = {""}, first = {""};
    int r = -EINVAL, first_error = 0;

    for (size_t i = 0; r < 0 && i < ARRAY_LENGTH(attempts); i++) {
        struct inspection_options options = {.table_fd = -1};
        if (attempts[i].table && table[0] != '\0')
            options.table_path = table;
        if (attempts[i].policy && policy[0] != '\0')
            options.policy = policy;
        r = inspection_open(&options, ret_inspection, &error);
        if (i == 0) {
            first = error;
            first_error = r;
        } else if (r == 0) {
            log_error("rules_or_policy_unusable", "error", log_error_text(first_error), "problem",
                      first.text, "effect", attempts[i].effect, NULL);
            *ret_policy = attempts[i].policy ? 0 : first_error;
        }
    }
    return r;
}

/* The descriptor is shared with those that come after us: its offset is not to be moved. */
static char *read_policy(void)
{
    struct stat status;

    if (fstat(INSPECTOR_POLICY_FD, &status) < 0 || status.st_size > LIMIT_SETTINGS_BYTES)
        return NULL;
    char *text = calloc(1, (size_t)status.st_size + 1);
    if (text != NULL && file_read_at(INSPECTOR_POLICY_FD, text, (size_t)status.st_size, 0) < 0)
        text[0] = '\0';
    return text;
}

/* NULL where functions are not watched. */
static struct runtime_area *map_runtime(void)
{
    struct stat status;

    if (fstat(INSPECTOR_RUNTIME_FD, &status) < 0 ||
        status.st_size != (off_t)sizeof(struct runtime_area))
        return NULL;
    void *area = mmap(NULL, sizeof(struct runtime_area), PROT_READ | PROT_WRITE, MAP_SHARED,
                      INSPECTOR_RUNTIME_FD, 0);
    return area == MAP_FAILED ? NULL : area;
}

int inspector_run(const char *table)
{
    AUTO_FREE char *policy = read_policy();
    struct inspection *inspection = NULL;
    int policy_result = 0;

    struct inspector_area *area =
        mmap(NULL, sizeof *area, PROT_READ | PROT_WRITE, MAP_SHARED, INSPECTOR_AREA_FD, 0);
    int r = area == MAP_FAILED ? -errno : 0;
    if (r == 0)
        r = open_engine(table, policy != NULL ? policy : "", &inspection, &policy_result);
    struct runtime_area *runtime = map_runtime();
    if (r == 0 && runtime != NULL)
        inspection_share_policy(inspection, runtime);
    if (r == 0)
        r = inspector_sandbox_enter();
    if (r < 0) {
        log_error("inspection_does_not_start", "error", log_error_text(r), NULL);
        return 1;
    }
    int status = answer_all(inspection, area, runtime, policy_result);
    (void)inspection_free(inspection);
    return status;
}
