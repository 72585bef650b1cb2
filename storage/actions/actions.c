/* Actions. Owns: their order, and which failure brings the message back. */
#include "storage/actions/actions.h"

#include "common/log/log.h"
#include "common/text/text.h"
#include "storage/actions/published_result.h"
#include "storage/actions/quarantine.h"
#include "storage/actions/security_hub.h"
#include "storage/actions/webhook.h"
#include "storage/settings/storage_secret.h"

#include <errno.h>
#include <string.h>

struct actions {
    const struct storage_settings *settings;
    struct aws_client *client;
    struct quarantine_policy policy;
    struct console_report *report; /* NULL = none */
    struct webhook *webhook;       /* NULL = none */
    const char *account;           /* NULL = no Security Hub */
    bool report_key;
};

static int complain(char *problem, size_t size, const char *text)
{
    (void)text_copy(problem, size, text);
    return -EINVAL;
}

/* ---- settings ---- */

static void read_policy(struct actions *actions)
{
    const struct storage_settings *settings = actions->settings;

    actions->policy = (struct quarantine_policy){
        .bucket = storage_settings_text(settings, STORAGE_QUARANTINE),
        .kms_key = storage_settings_text(settings, STORAGE_QUARANTINE_KEY),
        .promote_bucket = storage_settings_text(settings, STORAGE_PROMOTE),
        .promote_kms_key = storage_settings_text(settings, STORAGE_PROMOTE_KEY),
        .incomplete = text_equal(storage_settings_text(settings, STORAGE_QUARANTINE_INCOMPLETE),
                                 "quarantine"),
        .tag_prefix = storage_settings_text(settings, STORAGE_TAG_PREFIX),
        .part_bytes = storage_settings_number(settings, STORAGE_PART),
    };
    actions->report_key = storage_settings_number(settings, STORAGE_REPORT_KEY) != 0;
}

static int open_webhook(struct actions *actions, char *problem, size_t size)
{
    const char *url = storage_settings_text(actions->settings, STORAGE_WEBHOOK);
    char secret[STORAGE_SECRET_BYTES];

    if (url[0] == '\0')
        return 0;
    int r = storage_secret_load(actions->settings, STORAGE_WEBHOOK_SECRET,
                                STORAGE_WEBHOOK_PARAMETER, actions->client, secret, problem, size);
    if (r == 0)
        r = webhook_new(url, storage_settings_text(actions->settings, STORAGE_WEBHOOK_PIN), secret,
                        &actions->webhook);
    explicit_bzero(secret, sizeof secret);
    if (r == -EINVAL)
        return complain(problem, size,
                        "webhook.url must be https://, and webhook.secret_file or "
                        "webhook.secret_parameter must name a secret");
    return r == -EBADMSG ? complain(problem, size, "webhook.pin is none") : r;
}

static int read_hub(struct actions *actions, char *problem, size_t size)
{
    const char *account = storage_settings_text(actions->settings, STORAGE_ACCOUNT);

    if (storage_settings_number(actions->settings, STORAGE_SECURITY_HUB) == 0)
        return 0;
    if (strlen(account) != 12 || account[strspn(account, "0123456789")] != '\0')
        return complain(problem, size, "with security_hub, account must be its twelve digits");
    actions->account = account;
    return 0;
}

static bool moves(const struct actions *actions)
{
    return actions->policy.bucket[0] != '\0' || actions->policy.promote_bucket[0] != '\0';
}

/* Whoever can write to the topic names buckets. Of the quarantine nothing is done, see there. */
static bool is_ours(const struct actions *actions, const char *bucket)
{
    char *const *list = storage_settings_list(actions->settings, STORAGE_BUCKETS);
    bool is_all = list[0] == NULL;

    for (; *list != NULL; list++)
        if (text_equal(*list, bucket))
            return true;
    return is_all || text_equal(bucket, actions->policy.bucket);
}

struct actions *actions_free(struct actions *actions)
{
    if (actions == NULL)
        return NULL;
    (void)webhook_free(actions->webhook);
    free(actions);
    return NULL;
}

int actions_new(const struct storage_settings *settings, struct aws_client *client,
                struct actions **ret_actions, char *problem, size_t problem_size)
{
    struct actions *actions = calloc(1, sizeof *actions);

    if (actions == NULL)
        return -ENOMEM;
    actions->settings = settings;
    actions->client = client;
    read_policy(actions);
    int r = open_webhook(actions, problem, problem_size);
    if (r == 0)
        r = read_hub(actions, problem, problem_size);
    if (r == 0 && !moves(actions) && actions->webhook == NULL && actions->account == NULL)
        r = complain(problem, problem_size,
                     "no action is set: give quarantine.bucket, promote.bucket, webhook.url or "
                     "security_hub");
    if (r == 0 && moves(actions) && storage_settings_list(settings, STORAGE_BUCKETS)[0] == NULL)
        r = complain(problem, problem_size,
                     "buckets is not set: objects are moved only in those that it names");
    if (r < 0)
        return (void)actions_free(actions), r;
    *ret_actions = actions;
    return 0;
}

void actions_set_report(struct actions *actions, struct console_report *report)
{
    actions->report = report;
}

/* ---- a message ---- */

/* Promotion is what happens to every clean object: a number, no news. */
static void report(const struct actions *actions, const struct published_result *result,
                   const struct quarantine_outcome *outcome)
{
    static const struct {
        const char *kind;
        unsigned severity;
        bool failed;
    } events[] = {
        [QUARANTINE_QUARANTINED] = {"object_quarantined", 2, false},
        [QUARANTINE_ALLOWED] = {"object_released", 1, false},
        [QUARANTINE_FAILED] = {"object_action_failed", 3, true},
        [QUARANTINE_REFUSED] = {"object_action_failed", 3, true},
    };
    size_t action = (size_t)outcome->action;

    if (action >= ARRAY_LENGTH(events) || events[action].kind == NULL)
        return;
    console_report_action(actions->report, &(struct console_action){
                                               .kind = events[action].kind,
                                               .severity = events[action].severity,
                                               .bucket = result->bucket,
                                               .key = result->key,
                                               .version = result->version,
                                               .sha256 = result->sha256,
                                               .verdict = published_verdict_name(result->verdict),
                                               .signature = result->malware,
                                               .action = quarantine_action_name(outcome->action),
                                               .id = outcome->id,
                                               .problem = outcome->problem,
                                               .failed = events[action].failed,
                                           });
}

static int move(struct actions *actions, const struct published_result *result, bool again)
{
    struct quarantine_outcome outcome;

    enum quarantine_action action =
        quarantine_act(actions->client, &actions->policy, result, &outcome);
    bool failed = action == QUARANTINE_FAILED || action == QUARANTINE_REFUSED;
    if (action != QUARANTINE_NOTHING)
        log_event(failed ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "object_action", "bucket",
                  result->bucket, "key", actions->report_key ? result->key : "", "version",
                  result->version, "verdict", published_verdict_name(result->verdict), "malware",
                  result->malware, "action", quarantine_action_name(action), "id", outcome.id,
                  "problem", failed ? outcome.problem : "", NULL);
    if (!failed || !again) /* a message that comes again fails again: that is one event */
        report(actions, result, &outcome);
    return failed ? -EAGAIN : 0;
}

/* What the receiver never takes is logged and forgotten: it was told, and the object is dealt with.
 */
static int judge_notice(const char *receiver, int r, const char *problem)
{
    if (r < 0)
        log_error("notice_failed", "receiver", receiver, "problem", problem, "now",
                  r == -EAGAIN ? "tried again" : "given up", NULL);
    return r == -EAGAIN ? r : 0;
}

static int tell(struct actions *actions, const struct published_result *result, const char *text,
                size_t length)
{
    char problem[512] = "";
    int first = 0, second = 0;

    if (result->verdict != PUBLISHED_INFECTED)
        return 0;
    if (actions->webhook != NULL)
        first = judge_notice("webhook",
                             webhook_send(actions->webhook, text, length, problem, sizeof problem),
                             problem);
    if (actions->account != NULL)
        second = judge_notice("security-hub",
                              security_hub_import(actions->client, actions->account, result,
                                                  problem, sizeof problem),
                              problem);
    return first < 0 ? first : second;
}

int actions_handle(struct actions *actions, const char *text, size_t length, bool again)
{
    struct published_result result;
    char problem[128];

    int r = published_result_read(text, length, &result, problem);
    if (r == -ENOMSG)
        return 0;
    if (r < 0) {
        log_error("result_refused", "problem", r == -ENOMEM ? "memory is short" : problem, NULL);
        return -EAGAIN; /* to the dead letters, where somebody looks */
    }
    if (!is_ours(actions, result.bucket)) {
        log_error("result_refused", "bucket", result.bucket, "problem",
                  "the setting buckets does not name its bucket: nothing is done", NULL);
        return -EAGAIN;
    }
    int moved = move(actions, &result, again);
    int told = tell(actions, &result, text, length);
    return moved < 0 ? moved : told;
}
