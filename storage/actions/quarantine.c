/* Quarantine and promotion. Owns: what is done about which result, and where things stand in the
 * quarantine bucket. Hands off: moving to relocation. */
#include "storage/actions/quarantine.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/actions/quarantine_record.h"
#include "storage/actions/relocation.h"

#include <errno.h>
#include <string.h>

struct act {
    struct aws_client *client;
    const struct quarantine_policy *policy;
    const struct published_result *result;
    struct quarantine_outcome *outcome;
};

const char *quarantine_action_name(enum quarantine_action action)
{
    static const char *const names[] = {"nothing", "quarantined", "promoted", "allowed",
                                        "gone",    "failed",      "refused"};

    return (size_t)action < ARRAY_LENGTH(names) ? names[action] : "unknown";
}

static enum quarantine_action end_with(struct act *act, enum quarantine_action action,
                                       const char *problem)
{
    (void)text_copy(act->outcome->problem, sizeof act->outcome->problem, problem);
    return act->outcome->action = action;
}

static enum quarantine_action judge_relocation(struct act *act, enum quarantine_action done,
                                               const struct relocation_result *moved)
{
    static const enum quarantine_action actions[] = {
        [RELOCATION_GONE] = QUARANTINE_GONE,
        [RELOCATION_FAILED] = QUARANTINE_FAILED,
        [RELOCATION_REFUSED] = QUARANTINE_REFUSED,
    };

    return end_with(act, moved->end == RELOCATION_DONE ? done : actions[moved->end],
                    moved->problem);
}

static struct s3_object original_of(const struct published_result *result)
{
    return (struct s3_object){.bucket = result->bucket,
                              .region = result->region[0] != '\0' ? result->region : NULL,
                              .key = result->key,
                              .version = result->version[0] != '\0' ? result->version : NULL,
                              .etag = result->etag[0] != '\0' ? result->etag : NULL};
}

int quarantine_id(const struct published_result *result, char ret_id[static QUARANTINE_ID_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    struct sha256 *hash = NULL;
    const char *const parts[] = {result->bucket, result->key, result->version, result->etag};
    int r = sha256_new(&hash);

    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(parts); i++)
        r = sha256_update(hash, parts[i], strlen(parts[i]) + 1);
    if (r == 0)
        r = sha256_finish(hash, digest);
    (void)sha256_free(hash);
    if (r == 0)
        text_hex(ret_id, digest, (QUARANTINE_ID_BYTES - 1) / 2);
    return r;
}

/* ---- content that a person released ---- */

struct allowing {
    struct s3_object original;
    char status[160], detail[160]; /* the tags' names */
    char modified[S3_TIME_BYTES];  /* when the content was written, "" = not known yet */
    struct s3_tags before;
};

static enum quarantine_action end_by(struct act *act, enum quarantine_action ok,
                                     const struct aws_answer *answer)
{
    bool gone = answer->outcome == AWS_NOT_FOUND || answer->outcome == AWS_CHANGED;

    return end_with(act,
                    answer->outcome == AWS_OK ? ok
                    : gone                    ? QUARANTINE_GONE
                                              : QUARANTINE_FAILED,
                    answer->problem);
}

/* Tags have no condition: whether it is still the content that was scanned is asked around them. */
static enum quarantine_action compare_allowed(struct act *act, struct allowing *allowing)
{
    struct s3_facts facts;
    struct aws_answer answer;

    (void)s3_head(act->client, &allowing->original, &facts, &answer);
    enum quarantine_action action = end_by(act, QUARANTINE_ALLOWED, &answer);
    aws_answer_done(&answer);
    if (action != QUARANTINE_ALLOWED)
        return action;
    if (allowing->modified[0] != '\0' && !text_equal(allowing->modified, facts.modified))
        return end_with(act, QUARANTINE_GONE, "it was written over");
    (void)text_copy(allowing->modified, sizeof allowing->modified, facts.modified);
    return action;
}

/* The verdict of the scanner, with its other tags kept, so that readers get it. */
static enum quarantine_action put_allowed(struct act *act, struct allowing *allowing, bool *ret_put)
{
    struct aws_answer answer;

    *ret_put = false;
    enum aws_outcome outcome =
        s3_get_tags(act->client, &allowing->original, &allowing->before, &answer);
    struct s3_tags tags = allowing->before;
    /* Other formats have other names; they are not what the read gate looks at. */
    if (outcome == AWS_OK && s3_tags_find(&tags, allowing->status) != NULL) {
        aws_answer_done(&answer);
        bool has_detail = s3_tags_find(&tags, allowing->detail) != NULL;
        if (s3_tags_set(&tags, allowing->status, "clean") < 0 ||
            (has_detail && s3_tags_set(&tags, allowing->detail, "released by a person") < 0))
            return end_with(act, QUARANTINE_REFUSED, "the tags' names are too long");
        *ret_put = true; /* also when the answer is lost */
        (void)s3_put_tags(act->client, &allowing->original, &tags, &answer);
    }
    enum quarantine_action action = end_by(act, QUARANTINE_ALLOWED, &answer);
    aws_answer_done(&answer);
    return action;
}

/* Our word may stand on a content that nobody released: readers must not get that by it. Gone: the
 * word goes; not known: it becomes what it was, so that the next try finds it. What the scanner
 * said meanwhile is left, unless it says the same. */
static enum quarantine_action take_back_allowed(struct act *act, const struct allowing *allowing,
                                                bool gone)
{
    struct s3_tags tags, kept = {.count = 0};
    struct aws_answer answer;

    enum aws_outcome outcome = s3_get_tags(act->client, &allowing->original, &tags, &answer);
    const char *status = outcome == AWS_OK ? s3_tags_find(&tags, allowing->status) : NULL;
    if (status != NULL && text_equal(status, "clean")) {
        aws_answer_done(&answer);
        for (size_t i = 0; i < tags.count; i++) {
            const char *key = tags.tags[i].key;
            bool own = text_equal(key, allowing->status) || text_equal(key, allowing->detail);
            const char *was = s3_tags_find(&allowing->before, key);
            if (own && (gone || was == NULL))
                continue;
            struct s3_tag *tag = &kept.tags[kept.count++];
            *tag = tags.tags[i];
            if (own)
                (void)text_copy(tag->value, sizeof tag->value, was);
        }
        (void)s3_put_tags(act->client, &allowing->original, &kept, &answer);
    }
    enum quarantine_action action = end_by(act, QUARANTINE_GONE, &answer);
    aws_answer_done(&answer);
    return action;
}

static enum quarantine_action tag_allowed(struct act *act)
{
    struct allowing allowing = {.original = original_of(act->result)};
    bool put;

    (void)text_format(allowing.status, sizeof allowing.status, "%s-scan-status",
                      act->policy->tag_prefix);
    (void)text_format(allowing.detail, sizeof allowing.detail, "%s-scan-detail",
                      act->policy->tag_prefix);
    enum quarantine_action action = compare_allowed(act, &allowing);
    if (action != QUARANTINE_ALLOWED)
        return action;
    action = put_allowed(act, &allowing, &put);
    if (!put)
        return action;
    enum quarantine_action after = compare_allowed(act, &allowing);
    if (after == QUARANTINE_ALLOWED)
        return action;
    action = take_back_allowed(act, &allowing, after == QUARANTINE_GONE);
    return action == QUARANTINE_FAILED ? action : after;
}

/* AWS_NOT_FOUND: nobody did. */
static enum aws_outcome look_for_release(struct act *act, char *problem, size_t size)
{
    char key[QUARANTINE_KEY_BYTES];
    struct s3_facts facts;
    struct aws_answer answer;

    if (act->result->sha256[0] == '\0')
        return AWS_NOT_FOUND;
    (void)text_format(key, sizeof key, "allowed/%s", act->result->sha256);
    const struct s3_object mark = {.bucket = act->policy->bucket, .key = key};
    enum aws_outcome outcome = s3_head(act->client, &mark, &facts, &answer);
    (void)text_copy(problem, size, answer.problem);
    aws_answer_done(&answer);
    return outcome;
}

/* ---- quarantine ---- */

static bool is_ours(const char *prefix, const char *tag)
{
    size_t length = strlen(prefix);

    return (strncmp(tag, prefix, length) == 0 && tag[length] == '-') ||
           text_starts_with(tag, "fss-");
}

static void keep_tags(const struct act *act, const struct s3_tags *found, struct s3_tags *kept)
{
    for (size_t i = 0; i < found->count; i++)
        if (!is_ours(act->policy->tag_prefix, found->tags[i].key))
            kept->tags[kept->count++] = found->tags[i];
}

static void fill_record(struct act *act, struct quarantine_record *record)
{
    const struct published_result *result = act->result;

    *record = (struct quarantine_record){.bucket = ""};
    (void)text_copy(record->bucket, sizeof record->bucket, result->bucket);
    (void)text_copy(record->region, sizeof record->region, result->region);
    (void)text_copy(record->key, sizeof record->key, result->key);
    (void)text_copy(record->version, sizeof record->version, result->version);
    (void)text_copy(record->etag, sizeof record->etag, result->etag);
    (void)text_copy(record->sha256, sizeof record->sha256, result->sha256);
    (void)text_copy(record->malware, sizeof record->malware, result->malware);
    (void)text_copy(record->verdict, sizeof record->verdict,
                    published_verdict_name(result->verdict));
    clock_format(record->time, clock_realtime_ns());
}

static enum quarantine_action put_record(struct act *act, const struct quarantine_record *record)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(QUARANTINE_RECORD_BYTES);
    char key[QUARANTINE_KEY_BYTES];
    struct aws_answer answer;

    if (quarantine_record_write(record, &json) < 0)
        return end_with(act, QUARANTINE_FAILED, "memory is short");
    (void)text_format(key, sizeof key, "records/%s.json", act->outcome->id);
    const struct s3_object place = {.bucket = act->policy->bucket, .key = key};
    const struct s3_put put = {.body = buffer_text(&json),
                               .body_length = json.length,
                               .content_type = "application/json"};
    enum aws_outcome outcome = s3_put(act->client, &place, &put, &answer);
    enum quarantine_action action =
        end_with(act, outcome == AWS_OK ? QUARANTINE_QUARANTINED : QUARANTINE_FAILED,
                 answer.problem);
    aws_answer_done(&answer);
    return action;
}

/* The tags as they are now; an object that is gone has none to keep. */
static enum quarantine_action write_record(struct act *act)
{
    const struct s3_object original = original_of(act->result);
    struct quarantine_record record;
    struct s3_tags tags;
    struct aws_answer answer;

    enum aws_outcome outcome = s3_get_tags(act->client, &original, &tags, &answer);
    enum quarantine_action action = end_with(act,
                                             outcome == AWS_OK          ? QUARANTINE_QUARANTINED
                                             : outcome == AWS_NOT_FOUND ? QUARANTINE_GONE
                                                                        : QUARANTINE_FAILED,
                                             answer.problem);
    aws_answer_done(&answer);
    if (action != QUARANTINE_QUARANTINED)
        return action;
    fill_record(act, &record);
    keep_tags(act, &tags, &record.tags);
    return put_record(act, &record);
}

static enum quarantine_action quarantine(struct act *act)
{
    const struct published_result *result = act->result;
    struct relocation_result moved;
    char key[QUARANTINE_KEY_BYTES];

    if (quarantine_id(result, act->outcome->id) < 0)
        return end_with(act, QUARANTINE_FAILED, "memory is short");
    enum quarantine_action action = write_record(act);
    if (action != QUARANTINE_QUARANTINED)
        return action;
    (void)text_format(key, sizeof key, "quarantine/%s", act->outcome->id);
    const struct relocation relocation = {.bucket = result->bucket,
                                          .region = result->region,
                                          .key = result->key,
                                          .version = result->version,
                                          .etag = result->etag,
                                          .sha256 = result->sha256,
                                          .to_bucket = act->policy->bucket,
                                          .to_key = key,
                                          .kms_key = act->policy->kms_key,
                                          .tags = "yagura-quarantined=yes",
                                          .part_bytes = act->policy->part_bytes};
    (void)relocation_run(act->client, &relocation, &moved);
    return judge_relocation(act, QUARANTINE_QUARANTINED, &moved);
}

static enum quarantine_action act_on_malware(struct act *act)
{
    char problem[512];

    if (act->policy->bucket[0] == '\0')
        return QUARANTINE_NOTHING;
    enum aws_outcome released = look_for_release(act, problem, sizeof problem);
    if (released == AWS_OK)
        return tag_allowed(act);
    /* Without knowing, malware is not left where it is: the other way round a missing permission
     * would switch the quarantine off. */
    if (released != AWS_NOT_FOUND && released != AWS_DENIED)
        return end_with(act, QUARANTINE_FAILED, problem);
    return quarantine(act);
}

/* ---- promotion ---- */

static enum quarantine_action promote(struct act *act)
{
    const struct published_result *result = act->result;
    struct relocation_result moved;

    if (act->policy->promote_bucket[0] == '\0' ||
        text_equal(act->policy->promote_bucket, result->bucket))
        return QUARANTINE_NOTHING;
    const struct relocation relocation = {.bucket = result->bucket,
                                          .region = result->region,
                                          .key = result->key,
                                          .version = result->version,
                                          .etag = result->etag,
                                          .sha256 = result->sha256,
                                          .to_bucket = act->policy->promote_bucket,
                                          .to_key = result->key,
                                          .kms_key = act->policy->promote_kms_key,
                                          .part_bytes = act->policy->part_bytes};
    (void)relocation_run(act->client, &relocation, &moved);
    return judge_relocation(act, QUARANTINE_PROMOTED, &moved);
}

enum quarantine_action quarantine_act(struct aws_client *client,
                                      const struct quarantine_policy *policy,
                                      const struct published_result *result,
                                      struct quarantine_outcome *ret_outcome)
{
    struct act act = {.client = client, .policy = policy, .result = result, .outcome = ret_outcome};
    enum quarantine_action action = QUARANTINE_NOTHING;

    *ret_outcome = (struct quarantine_outcome){.action = QUARANTINE_NOTHING};
    /* What stands in our own buckets was judged before it came there. */
    if (text_equal(result->bucket, policy->bucket))
        return QUARANTINE_NOTHING;
    if (result->verdict == PUBLISHED_INFECTED ||
        (result->verdict == PUBLISHED_INCOMPLETE && policy->incomplete))
        action = act_on_malware(&act);
    else if (result->verdict == PUBLISHED_CLEAN)
        action = promote(&act);
    return ret_outcome->action = action;
}
