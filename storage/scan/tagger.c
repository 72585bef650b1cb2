/* Tags. Owns: their names and values. Must not own: reading or writing them. */
#include "storage/scan/tagger.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define NAME_BYTES  129
#define VALUE_BYTES 257

int tag_format_read(const char *word, enum tag_format *ret_format)
{
    static const char *const words[] = {"separated", "merged", "fss", "none"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (text_equal(word, words[i])) {
            *ret_format = (enum tag_format)i;
            return 0;
        }
    return -EINVAL;
}

/* Letters, digits and "+-=._:/@ " are allowed in every place a tag is read. */
static void sanitize(char *value)
{
    for (; *value != '\0'; value++) {
        bool plain = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z') ||
                     (*value >= '0' && *value <= '9') || strchr(" +-=._:/@", *value) != NULL;
        if (!plain)
            *value = '_';
    }
}

/* "PREFIX-scan", "PREFIX-scan-..."; "fss-...". */
static bool is_ours(const struct tagger *tagger, const char *key)
{
    char name[NAME_BYTES];

    if (tagger->format == TAG_FSS)
        return text_starts_with(key, "fss-");
    (void)text_format(name, sizeof name, "%s-scan", tagger->prefix);
    size_t length = strlen(name);
    return text_starts_with(key, name) && (key[length] == '\0' || key[length] == '-');
}

void tagger_clear(const struct tagger *tagger, struct s3_tags *tags)
{
    size_t kept = 0;

    for (size_t i = 0; i < tags->count; i++)
        if (!is_ours(tagger, tags->tags[i].key)) {
            if (kept != i)
                tags->tags[kept] = tags->tags[i];
            kept++;
        }
    tags->count = kept;
}

static int set(struct s3_tags *tags, const char *prefix, const char *name, const char *value)
{
    char key[NAME_BYTES], text[VALUE_BYTES];

    (void)text_format(key, sizeof key, "%s%s", prefix, name);
    (void)text_format(text, sizeof text, "%s", value);
    sanitize(text);
    return s3_tags_set(tags, key, text);
}

static void detail_of(const struct storage_result *result, char detail[static VALUE_BYTES])
{
    if (result->verdict == STORAGE_INFECTED)
        (void)text_format(detail, VALUE_BYTES, "%s", result->signature);
    else if (result->code != 0)
        (void)text_format(detail, VALUE_BYTES, "%u %s", result->code, result->reason);
    else
        (void)text_format(detail, VALUE_BYTES, "%s", result->reason);
}

static int merge_own(const struct tagger *tagger, const struct storage_result *result,
                     struct s3_tags *tags)
{
    char date[CLOCK_TEXT_BYTES], detail[VALUE_BYTES], all[VALUE_BYTES];

    clock_format(date, clock_realtime_ns());
    detail_of(result, detail);
    int r = set(tags, tagger->prefix, "-scan-status", storage_verdict_name(result->verdict));
    if (r < 0)
        return r;
    if (tagger->format == TAG_MERGED) {
        (void)text_format(all, sizeof all, "date=%s signatures=%s detail=%s", date,
                          result->signatures, detail);
        (void)set(tags, tagger->prefix, "-scan", all);
        return 0;
    }
    /* In the order of their worth: the last ones are those that find no room. */
    (void)set(tags, tagger->prefix, "-scan-signatures", result->signatures);
    if (detail[0] != '\0')
        (void)set(tags, tagger->prefix, "-scan-detail", detail);
    (void)set(tags, tagger->prefix, "-scan-date", date);
    return 0;
}

static int merge_fss(const struct storage_result *result, struct s3_tags *tags)
{
    char date[CLOCK_TEXT_BYTES], code[16];
    const char *word = result->verdict == STORAGE_CLEAN      ? "no issues found"
                       : result->verdict == STORAGE_INFECTED ? "malicious"
                                                             : "failure";

    clock_format(date, clock_realtime_ns()); /* 2026-11-29T10:20:30.123Z */
    date[4] = date[7] = '/';
    date[10] = ' ';
    date[19] = '\0';
    (void)text_format(code, sizeof code, "%u", result->code);
    int r = set(tags, "fss", "-scan-result", word);
    if (r < 0)
        return r;
    (void)set(tags, "fss", "-scanned", "true");
    (void)set(tags, "fss", "-scan-date", date);
    (void)set(tags, "fss", "-scan-detail-code", code);
    if (result->code != 0)
        (void)set(tags, "fss", "-scan-detail-message", storage_code_message(result->code));
    else if (result->problem[0] != '\0')
        (void)set(tags, "fss", "-error-message", result->problem);
    (void)set(tags, "fss", "-scan-type",
              result->object.trigger == STORAGE_TRIGGER_CREATED ? "object created" : "manual");
    return 0;
}

int tagger_merge(const struct tagger *tagger, const struct storage_result *result,
                 struct s3_tags *tags)
{
    if (tagger->format == TAG_NONE)
        return 0;
    tagger_clear(tagger, tags);
    return tagger->format == TAG_FSS ? merge_fss(result, tags) : merge_own(tagger, result, tags);
}

bool tagger_is_current(const struct tagger *tagger, const struct s3_tags *tags,
                       const char *signatures)
{
    char name[NAME_BYTES], wanted[VALUE_BYTES];

    if (signatures[0] == '\0' || tagger->format == TAG_FSS || tagger->format == TAG_NONE)
        return false;
    (void)text_format(name, sizeof name, "%s-scan-status", tagger->prefix);
    const char *status = s3_tags_find(tags, name);
    if (status == NULL || !text_equal(status, storage_verdict_name(STORAGE_CLEAN)))
        return false;
    (void)text_format(name, sizeof name, "%s-scan%s", tagger->prefix,
                      tagger->format == TAG_MERGED ? "" : "-signatures");
    const char *said = s3_tags_find(tags, name);
    if (said == NULL || tagger->format == TAG_SEPARATED)
        return said != NULL && text_equal(said, signatures);
    (void)text_format(wanted, sizeof wanted, " signatures=%s ", signatures);
    return strstr(said, wanted) != NULL;
}
