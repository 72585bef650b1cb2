/* What yaguractl says to people, in the language of the locale. The English text itself is the key:
 * it stands where it is said, and a text without a translation is said in English. Japanese so far,
 * where the locale is UTF-8. What the agent sends is looked up in common/sentences. JSON, exit
 * codes and logs are never translated. */
#ifndef AGENT_CONTROL_MESSAGES_H
#define AGENT_CONTROL_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

/* The translation, which takes the same arguments in the same order; or english itself. */
const char *say(const char *english) __attribute__((format_arg(1)));

/* The same for a sentence of the agent, with its values; to be freed, NULL when out of memory. */
char *said_new(const char *english);

/* Chooses by LC_ALL, LC_MESSAGES, LANG, the first that is set. Before say; once. */
void messages_choose(void);
/* Whether Japanese was chosen. */
bool messages_japanese(void);
/* Columns of a terminal that text takes; those of East Asian letters are two. */
size_t messages_width(const char *text);

/* The table, for tests: NULL beyond its end. */
struct message {
    const char *english, *japanese;
};
const struct message *message_at(size_t position);

#endif
