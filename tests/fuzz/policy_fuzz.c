/* Policies as an outsider might write them: refused with a reason that a terminal can show, or read
 * whole; what was read, written out again, is the same policy. */
#include "agent/policy/policy.h"
#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig's own scanner forgets an unfinished string when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

static void require(bool held)
{
    if (!held)
        abort();
}

/* Closes what is open of group beyond the part that key shares, and opens what it lacks. */
static void enter_group(struct buffer *text, char group[static 64], const char *key)
{
    size_t length = (size_t)(strrchr(key, '.') - key), shared = 0;
    for (size_t i = 0;; i++) {
        bool group_ends = group[i] == '\0' || group[i] == '.';
        if (group_ends && (i == length || key[i] == '.'))
            shared = i;
        if (group[i] == '\0' || i == length || group[i] != key[i])
            break;
    }
    for (size_t i = shared; group[i] != '\0'; i++)
        if (i == shared || group[i] == '.')
            (void)buffer_append_text(text, "};\n");
    for (size_t at = shared; at < length;) {
        at += key[at] == '.';
        size_t end = at + strcspn(key + at, ".");
        (void)buffer_append_format(text, "%.*s = {\n", (int)(end - at), key + at);
        at = end;
    }
    require(text_format(group, 64, "%.*s", (int)length, key) >= 0);
}

/* "scan.workers" and 4 become  scan = { workers = 4; };  and so on, group by group. */
static void write_policy(const struct policy *policy, struct buffer *text)
{
    char group[64] = "";
    for (int i = 0; i < POLICY_KEY_COUNT; i++) {
        const struct settings_rule *rule = policy_key_rule((enum policy_key)i);
        AUTO_FREE char *value = policy_value_text(policy, (enum policy_key)i);
        bool quoted = rule->type == SETTINGS_SIZE || rule->type == SETTINGS_DURATION;
        require(value != NULL && strchr(rule->key, '.') != NULL);
        enter_group(text, group, rule->key);
        (void)buffer_append_format(text, "%s = %s%s%s;\n", strrchr(rule->key, '.') + 1,
                                   quoted ? "\"" : "", value, quoted ? "\"" : "");
    }
    for (const char *at = group; at; at = strchr(at + 1, '.'))
        (void)buffer_append_text(text, "};\n");
}

static void check_same_again(const struct policy *policy)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct policy *again = NULL;
    struct settings_error error;
    char first[65], second[65];
    write_policy(policy, &text);
    if (buffer_failed(&text) < 0)
        return; /* escapes made it longer than a policy may be */
    require(policy_parse("again", buffer_text(&text), NULL, &again, &error) == 0);
    policy_digest(policy, first);
    policy_digest(again, second);
    require(text_equal(first, second));
    policy_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = malloc(size + 1);
    struct policy *policy = NULL;
    struct settings_error error;
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    int r = policy_parse("fuzz", text, NULL, &policy, &error);
    if (r < 0) {
        require(policy == NULL && error.text[0] != '\0');
        for (const char *at = error.text; *at != '\0'; at++)
            require((unsigned char)*at >= 0x20 && *at != 0x7f);
        return 0;
    }
    check_same_again(policy);
    policy_unref(policy);
    return 0;
}
