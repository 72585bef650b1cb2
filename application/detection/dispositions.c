#include "application/detection/dispositions.h"

#include "application/detection/prose.h"
#include "common/attributes.h"

/* What a rule that needs a second signal adds: alone, and with one like it, it stays below the
 * threshold. */
#define WEAK_SCORE 2
/* Two of these do reach it. */
#define HALF_SCORE 3

static const struct disposition_entry entries[] = {
    {910000, 912999, DISPOSITION_LEFT_OUT,
     "reputation, methods and request rates: API Gateway's routes and throttling decide these"},
    {920000, 920999, DISPOSITION_LEFT_OUT,
     "protocol enforcement: the gateway has parsed the request, and events lack what these ask for"},
    {920270, 920270, DISPOSITION_AS_IS, "a NUL byte reaches the function as it was sent"},
    {921110, 921110, DISPOSITION_REQUEST_LINE,
     "\"get\" at the beginning of a line smuggles nothing without the rest of a request line"},
    {930120, 930130, DISPOSITION_PATH, "package.json alone is a name that people write"},
    {931120, 931120, DISPOSITION_SECOND_SIGNAL, "addresses that end in '?' are common in JSON"},
    {932100, 932159, DISPOSITION_NOT_IN_PROSE, "lines of prose begin with words that are commands"},
    {932150, 932150, DISPOSITION_NOT_PLAIN_WORDS, "\"ping pong\""},
    {932160, 932160, DISPOSITION_NOT_IN_PROSE, "\"set ${HOME} in your .bashrc\""},
    {933150, 933199, DISPOSITION_NOT_IN_PROSE, "functions of PHP, in text about programs"},
    {933210, 933210, DISPOSITION_SECOND_SIGNAL, "pairs of parentheses, as in links and formulas"},
    {941130, 941130, DISPOSITION_NOT_A_PICTURE, "editors send pictures as data:image/png;base64"},
    {941170, 941170, DISPOSITION_NOT_A_PICTURE, "editors send pictures as data:image/png;base64"},
    {941180, 941180, DISPOSITION_NOT_IN_PROSE, "\"our window.location\""},
    {941310, 941310, DISPOSITION_NOT_UTF8, "bytes of Japanese text: the attack is on US-ASCII"},
    {941370, 941370, DISPOSITION_NOT_IN_PROSE, "\"this [bug]\""},
    {942100, 942100, DISPOSITION_HALF_IN_PROSE, "some sentences read like SQL to a tokenizer"},
    {942190, 942190, DISPOSITION_HALF_IN_PROSE, "\"union\" after a quotation mark"},
    {942230, 942230, DISPOSITION_HALF_IN_PROSE, "\"having\" at the end of a sentence"},
    {942360, 942360, DISPOSITION_HALF_IN_PROSE, "\"update\" between other words"},
    {949000, 949999, DISPOSITION_LEFT_OUT, "the policy's threshold decides"},
};

static const struct disposition_entry additions[] = {
    {941150, 941150, DISPOSITION_NOT_IN_PROSE, "added: attributes of markup"},
    {941320, 941320, DISPOSITION_WEAK_NOT_IN_PROSE, "tags, which editors of rich text send"},
    {941330, 941340, DISPOSITION_NOT_IN_PROSE, "script in odd places"},
    {942120, 942120, DISPOSITION_WEAK_NOT_IN_PROSE, "operators of SQL"},
    {942130, 942130, DISPOSITION_WEAK_NOT_IN_PROSE, "comparisons that are always true"},
    {942150, 942150, DISPOSITION_WEAK_NOT_IN_PROSE, "names of SQL functions"},
    {942180, 942180, DISPOSITION_WEAK_NOT_IN_PROSE, "ways around a log-in"},
    {942210, 942210, DISPOSITION_NOT_IN_PROSE, "chained SQL"},
    {942260, 942260, DISPOSITION_WEAK_NOT_IN_PROSE, "ways around a log-in"},
    {942300, 942300, DISPOSITION_WEAK_NOT_IN_PROSE, "comments and conditions of MySQL"},
    {942310, 942310, DISPOSITION_NOT_IN_PROSE, "chained SQL"},
    {942330, 942330, DISPOSITION_WEAK_NOT_IN_PROSE, "probing for SQL"},
    {942361, 942361, DISPOSITION_NOT_IN_PROSE, "the beginnings of SQL statements"},
    {942370, 942370, DISPOSITION_WEAK_NOT_IN_PROSE, "probing for SQL"},
    {942380, 942380, DISPOSITION_WEAK_NOT_IN_PROSE, "clauses of SQL"},
    {942390, 942400, DISPOSITION_NOT_IN_PROSE, "conditions of SQL with numbers"},
    {942480, 942480, DISPOSITION_NOT_IN_PROSE, "SQL that reads files or tables of the system"},
};

const struct disposition_entry *disposition_entries(size_t *ret_count)
{
    *ret_count = sizeof(entries) / sizeof(entries[0]);
    return entries;
}

const struct disposition_entry *disposition_additions(size_t *ret_count)
{
    *ret_count = sizeof(additions) / sizeof(additions[0]);
    return additions;
}

static enum disposition find(const struct disposition_entry *list, size_t count, uint32_t rule,
                             enum disposition otherwise)
{
    for (size_t i = count; i > 0; i--) {
        if (rule >= list[i - 1].first_rule && rule <= list[i - 1].last_rule)
            return list[i - 1].disposition;
    }
    return otherwise;
}

enum disposition disposition_of(uint32_t rule, unsigned paranoia)
{
    if (paranoia <= 1)
        return find(entries, sizeof(entries) / sizeof(entries[0]), rule, DISPOSITION_AS_IS);
    return paranoia == 2 ? find(additions, sizeof(additions) / sizeof(additions[0]), rule,
                                DISPOSITION_LEFT_OUT)
                         : DISPOSITION_LEFT_OUT;
}

const char *disposition_name(enum disposition disposition)
{
    static const char *const names[] = {
        [DISPOSITION_AS_IS] = "as it is",
        [DISPOSITION_LEFT_OUT] = "left out",
        [DISPOSITION_SECOND_SIGNAL] = "needs a second signal",
        [DISPOSITION_NOT_IN_PROSE] = "needs a second signal in prose",
        [DISPOSITION_WEAK_NOT_IN_PROSE] = "added as a second signal",
        [DISPOSITION_HALF_IN_PROSE] = "counts half in prose",
        [DISPOSITION_REQUEST_LINE] = "with a request line",
        [DISPOSITION_PATH] = "in a path",
        [DISPOSITION_NOT_UTF8] = "where it is no UTF-8",
        [DISPOSITION_NOT_A_PICTURE] = "needs a second signal in a picture",
        [DISPOSITION_NOT_PLAIN_WORDS] = "needs a second signal in plain words"};
    return names[disposition];
}

static bool has_request_line(struct span text)
{
    for (size_t i = 0; i + 5 <= text.length; i++) {
        if (span_begins_alike(span_from(text, i), "http/"))
            return true;
    }
    return false;
}

/* Every "data:" is an image that no browser runs, and nothing else is a script's address. */
static bool has_only_pictures(struct span text)
{
    static const char *const pictures[] = {"image/png;base64", "image/jpeg;base64",
                                           "image/gif;base64", "image/webp;base64",
                                           "image/bmp;base64"};
    bool any = false;
    for (size_t i = 0; i < text.length; i++) {
        struct span rest = span_from(text, i);
        if (span_begins_alike(rest, "script"))
            return false;
        if (!span_begins_alike(rest, "data:"))
            continue;
        bool picture = false;
        for (size_t j = 0; j < ARRAY_LENGTH(pictures); j++)
            picture = picture || span_begins_alike(span_from(rest, 5), pictures[j]);
        if (!picture)
            return false;
        any = true;
    }
    return any;
}

/* A file's name counts behind a separator, or when it has one in it. */
static bool in_path(struct span text, size_t offset)
{
    return span_find(text, '/') < text.length || span_find(text, '\\') < text.length ||
           (offset > 0 && offset < text.length && text.data[offset - 1] == '%');
}

unsigned disposition_score(enum disposition disposition, unsigned score, struct span text,
                           size_t offset)
{
    switch (disposition) {
    case DISPOSITION_LEFT_OUT:
        return 0;
    case DISPOSITION_SECOND_SIGNAL:
        return WEAK_SCORE;
    case DISPOSITION_NOT_IN_PROSE:
        return ordinary_like(text, offset) ? 1 : score;
    case DISPOSITION_HALF_IN_PROSE:
        return prose_around(text, offset) || plain_words_like(text) ? HALF_SCORE : score;
    case DISPOSITION_WEAK_NOT_IN_PROSE:
        return ordinary_like(text, offset) ? 0 : WEAK_SCORE;
    case DISPOSITION_NOT_UTF8:
        return utf8_like(text) ? 1 : score;
    case DISPOSITION_NOT_A_PICTURE:
        return has_only_pictures(text) ? 1 : score;
    case DISPOSITION_NOT_PLAIN_WORDS:
        return plain_words_like(text) || ordinary_like(text, offset) ? 1 : score;
    case DISPOSITION_REQUEST_LINE:
        return has_request_line(text) ? score : 1;
    case DISPOSITION_PATH:
        return in_path(text, offset) && !prose_around(text, offset) ? score : 1;
    default:
        return score;
    }
}
