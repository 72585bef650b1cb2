/* Owns the choice of language. The table is messages_ja.h. */
#include "agent/control/messages.h"

#include "agent/control/messages_ja.h"
#include "common/attributes.h"
#include "common/sentences/sentences.h"
#include "common/text/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct message table[] = {
#define MESSAGE_ROW(english, japanese) {english, japanese},
    MESSAGES_JA(MESSAGE_ROW)
#undef MESSAGE_ROW
};

static bool japanese;

void messages_choose(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *locale = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(names) && (locale == NULL || locale[0] == '\0'); i++)
        locale = getenv(names[i]);
    const char *codeset = locale != NULL ? strchr(locale, '.') : NULL;
    japanese = codeset != NULL && text_starts_with(locale, "ja") &&
               (strncasecmp(codeset, ".utf-8", 6) == 0 || strncasecmp(codeset, ".utf8", 5) == 0);
}

bool messages_japanese(void)
{
    return japanese;
}

const char *say(const char *english)
{
    for (size_t i = 0; japanese && i < ARRAY_LENGTH(table); i++)
        if (text_equal(table[i].english, english))
            return table[i].japanese;
    return english;
}

char *said_new(const char *english)
{
    char *found = japanese ? sentence_in_japanese(english) : NULL;

    return found != NULL ? found : strdup(say(english));
}

size_t messages_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        width += byte < 0x80 ? 1 : byte >= 0xc0 ? 2 : 0;
    }
    return width;
}

const struct message *message_at(size_t position)
{
    return position < ARRAY_LENGTH(table) ? &table[position] : NULL;
}
