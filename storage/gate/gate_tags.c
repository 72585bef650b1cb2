/* Verdicts in tags. Owns: how old they may be. */
#include "storage/gate/gate_tags.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define NAME_BYTES 160

static int digits(const char *text, size_t count, int *ret_value)
{
    *ret_value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        *ret_value = *ret_value * 10 + (text[i] - '0');
    }
    return 0;
}

int gate_parse_time(const char *text, uint64_t *ret_ns)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    struct tm time = {.tm_isdst = 0};
    int year = 0, month = 0;

    if (strnlen(text, sizeof form) < sizeof form - 1)
        return -EINVAL;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] != 'd' && text[i] != form[i])
            return -EINVAL;
    if (digits(text, 4, &year) < 0 || digits(text + 5, 2, &month) < 0 ||
        digits(text + 8, 2, &time.tm_mday) < 0 || digits(text + 11, 2, &time.tm_hour) < 0 ||
        digits(text + 14, 2, &time.tm_min) < 0 || digits(text + 17, 2, &time.tm_sec) < 0)
        return -EINVAL;
    if (year < 1970 || year > 9998 || month < 1 || month > 12 || time.tm_mday < 1 ||
        time.tm_mday > 31 || time.tm_hour > 23 || time.tm_min > 59 || time.tm_sec > 60 ||
        strchr(text, 'Z') == NULL)
        return -EINVAL;
    time.tm_year = year - 1900;
    time.tm_mon = month - 1;
    time_t seconds = timegm(&time);
    if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / NS_PER_SECOND)
        return -EINVAL;
    *ret_ns = (uint64_t)seconds * NS_PER_SECOND;
    return 0;
}

static const char *find(const struct tagger *tagger, const struct s3_tags *tags, const char *name)
{
    char key[NAME_BYTES];

    (void)text_format(key, sizeof key, "%s%s", tagger->prefix, name);
    const char *value = s3_tags_find(tags, key);
    return value != NULL ? value : "";
}

static const char *date_of(const struct tagger *tagger, const struct s3_tags *tags)
{
    const char *all;

    if (tagger->format == TAG_SEPARATED)
        return find(tagger, tags, "-scan-date");
    all = find(tagger, tags, "-scan");
    return text_starts_with(all, "date=") ? all + strlen("date=") : "";
}

static const char *signatures_of(const struct tagger *tagger, const struct s3_tags *tags,
                                 char text[static SCAN_SIGNATURES_BYTES])
{
    static const char name[] = " signatures=";

    if (tagger->format == TAG_SEPARATED)
        return find(tagger, tags, "-scan-signatures");
    const char *said = strstr(find(tagger, tags, "-scan"), name);
    text[0] = '\0';
    if (said != NULL)
        (void)text_format(text, SCAN_SIGNATURES_BYTES, "%.*s",
                          (int)strcspn(said + strlen(name), " "), said + strlen(name));
    return text;
}

static bool is_young(const struct tagger *tagger, const struct s3_tags *tags,
                     const char *signatures, uint64_t now_ns, uint64_t fresh_ns)
{
    char text[SCAN_SIGNATURES_BYTES];
    uint64_t date_ns;

    if (signatures[0] != '\0' && text_equal(signatures_of(tagger, tags, text), signatures))
        return true;
    /* A little ahead of our clock is young; far ahead is no date of ours. */
    return gate_parse_time(date_of(tagger, tags), &date_ns) == 0 &&
           date_ns < now_ns + 300 * NS_PER_SECOND &&
           (date_ns >= now_ns || now_ns - date_ns <= fresh_ns);
}

enum gate_known gate_tags_judge(const struct tagger *tagger, const struct s3_tags *tags,
                                const char *signatures, uint64_t now_ns, uint64_t fresh_ns)
{
    static const struct {
        enum storage_verdict verdict;
        enum gate_known known;
    } words[] = {{STORAGE_CLEAN, GATE_CLEAN},
                 {STORAGE_INFECTED, GATE_INFECTED},
                 {STORAGE_INCOMPLETE, GATE_NOT_CLEAN},
                 {STORAGE_ERROR, GATE_NOT_CLEAN}};

    if ((tagger->format != TAG_SEPARATED && tagger->format != TAG_MERGED) ||
        !is_young(tagger, tags, signatures, now_ns, fresh_ns))
        return GATE_UNKNOWN;
    const char *status = find(tagger, tags, "-scan-status");
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (text_equal(status, storage_verdict_name(words[i].verdict)))
            return words[i].known;
    return GATE_UNKNOWN;
}
