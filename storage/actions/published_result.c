/* Reading published results. Owns: which words of a message decide. */
#include "storage/actions/published_result.h"

#include "common/json/json_tree.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

#define MOST_ENVELOPES 2

const char *published_verdict_name(enum published_verdict verdict)
{
    static const char *const names[] = {"other", "clean", "infected", "incomplete"};

    return (size_t)verdict < ARRAY_LENGTH(names) ? names[verdict] : "other";
}

static int complain(char *problem, const char *text)
{
    (void)text_copy(problem, 128, text);
    return -EBADMSG;
}

static const char *text_at(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == JSON_NODE_STRING ? node->text : "";
}

static const struct json_node *inside(const struct json_node *object, const char *key,
                                      enum json_node_kind kind)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == kind ? node : NULL;
}

/* ---- the verdict ---- */

/* The verdict that Findings, Codes and Error stand for, as File Storage Security means them. */
static enum published_verdict judge_findings(const struct json_node *scanning)
{
    const struct json_node *findings = inside(scanning, "Findings", JSON_NODE_ARRAY);
    const struct json_node *codes = inside(scanning, "Codes", JSON_NODE_ARRAY);

    if (findings != NULL && json_node_first(findings) != NULL)
        return PUBLISHED_INFECTED;
    if (codes != NULL && json_node_first(codes) != NULL)
        return PUBLISHED_INCOMPLETE;
    return text_at(scanning, "Error")[0] != '\0' ? PUBLISHED_OTHER : PUBLISHED_CLEAN;
}

static enum published_verdict judge_word(const char *word)
{
    for (unsigned verdict = PUBLISHED_CLEAN; verdict <= PUBLISHED_INCOMPLETE; verdict++)
        if (text_equal(word, published_verdict_name((enum published_verdict)verdict)))
            return (enum published_verdict)verdict;
    return PUBLISHED_OTHER;
}

static enum published_verdict judge(const struct json_node *root)
{
    const struct json_node *status = inside(root, "scanner_status", JSON_NODE_INTEGER);
    const struct json_node *scanning = inside(root, "scanning_result", JSON_NODE_OBJECT);
    const char *word = text_at(root, "verdict");

    if (scanning == NULL)
        return PUBLISHED_OTHER;
    enum published_verdict found = judge_findings(scanning);
    bool is_whole = status != NULL && status->integer == 0;
    if (found == PUBLISHED_INFECTED)
        return found;
    /* File Storage Security has no word; with one, clean is what both call so. */
    if (word[0] == '\0' || judge_word(word) == PUBLISHED_CLEAN)
        return is_whole ? found : PUBLISHED_OTHER;
    return judge_word(word);
}

/* ---- the rest ---- */

static int take(const struct json_node *object, const char *key, char *text, size_t size)
{
    return text_copy(text, size, text_at(object, key)) < 0 ? -EBADMSG : 0;
}

static void read_malware(const struct json_node *root, struct published_result *result)
{
    const struct json_node *scanning = inside(root, "scanning_result", JSON_NODE_OBJECT);
    const struct json_node *findings =
        scanning != NULL ? inside(scanning, "Findings", JSON_NODE_ARRAY) : NULL;
    const struct json_node *first = findings != NULL ? json_node_first(findings) : NULL;

    if (first != NULL && first->kind == JSON_NODE_OBJECT)
        (void)text_copy(result->malware, sizeof result->malware, text_at(first, "malware"));
}

static uint64_t read_time_ms(const struct json_node *root)
{
    const struct json_node *time = json_node_find(root, "timestamp");

    if (time != NULL && time->kind == JSON_NODE_INTEGER && time->integer > 0 &&
        time->integer < INT64_MAX / 1000)
        return (uint64_t)time->integer * 1000;
    return 0;
}

static bool is_digest(const char *text)
{
    uint8_t digest[SHA256_BYTES];

    return text[0] == '\0' || text_parse_hex(text, digest, sizeof digest) == 0;
}

static int read_object(const struct json_node *root, struct published_result *result, char *problem)
{
    const struct json_node *attributes = inside(root, "file_attributes", JSON_NODE_OBJECT);

    int r = take(root, "bucket", result->bucket, sizeof result->bucket);
    if (r == 0)
        r = take(root, "file_name", result->key, sizeof result->key);
    if (r == 0)
        r = take(root, "version_id", result->version, sizeof result->version);
    if (r == 0)
        r = take(root, "sha256", result->sha256, sizeof result->sha256);
    if (r == 0 && attributes != NULL)
        r = take(attributes, "etag", result->etag, sizeof result->etag);
    if (r == 0)
        (void)take(root, "bucket_region", result->region, sizeof result->region);
    if (r < 0 || result->bucket[0] == '\0' || result->key[0] == '\0')
        return complain(problem, "the result names no object");
    if (!is_digest(result->sha256))
        return complain(problem, "sha256 is no digest");
    if (result->region[0] != '\0' && !aws_region_is_valid(result->region))
        return complain(problem, "bucket_region is no region");
    return 0;
}

static int read_result(const struct json_node *root, struct published_result *result, char *problem)
{
    *result = (struct published_result){.verdict = judge(root)};
    int r = read_object(root, result, problem);
    if (r < 0)
        return r;
    read_malware(root, result);
    result->time_ms = read_time_ms(root);
    return 0;
}

static int read_in(const char *text, size_t length, unsigned envelopes,
                   struct published_result *result, char problem[static 128])
{
    struct json_tree *tree = NULL;

    if (length > PUBLISHED_RESULT_BYTES * MOST_ENVELOPES)
        return complain(problem, "longer than any message");
    int r = json_tree_parse(text, length, &tree, problem);
    if (r < 0)
        return r;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *message =
        root->kind == JSON_NODE_OBJECT ? inside(root, "Message", JSON_NODE_STRING) : NULL;
    if (root->kind != JSON_NODE_OBJECT)
        r = complain(problem, "no object");
    else if (message != NULL && envelopes > 0 && text_equal(text_at(root, "Type"), "Notification"))
        r = read_in(message->text, message->length, envelopes - 1, result, problem);
    else if (!text_equal(text_at(root, "type"), "scan-result"))
        r = -ENOMSG;
    else
        r = read_result(root, result, problem);
    (void)json_tree_free(tree);
    return r;
}

int published_result_read(const char *text, size_t length, struct published_result *ret_result,
                          char ret_problem[static 128])
{
    *ret_result = (struct published_result){.verdict = PUBLISHED_OTHER};
    ret_problem[0] = '\0';
    return read_in(text, length, MOST_ENVELOPES, ret_result, ret_problem);
}
