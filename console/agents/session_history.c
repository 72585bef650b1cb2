/* Owns the two lists. Must not know time: the heartbeat does. */
#include "console/agents/session_history.h"

#include "common/text/text.h"

#define ENTRY_BYTES (UUID_TEXT_BYTES - 1)

/* Where the session stands in the list; NULL when it does not. */
static const char *find(const char *list, const char *session)
{
    size_t length = strlen(session);
    for (const char *at = list; length > 0 && (at = strstr(at, session)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return at;
    return NULL;
}

bool session_list_holds(const char *list, const char *session)
{
    return find(list, session) != NULL;
}

/* The oldest ones make room. */
static void append(char list[static SESSIONS_BYTES], const char *session)
{
    size_t length = strlen(list);
    if (!session[0])
        return;
    while (length + strlen(session) + 2 > SESSIONS_BYTES) {
        const char *next = strchr(list, ' ');
        if (!next) {
            list[0] = '\0';
            length = 0;
            break;
        }
        length = strlen(next + 1);
        memmove(list, next + 1, length + 1);
    }
    (void)text_format(list + length, SESSIONS_BYTES - length, "%s%s", length > 0 ? " " : "",
                      session);
}

void session_history_begin(struct session_history *history, const char *session)
{
    append(history->earlier, history->current);
    (void)text_copy(history->current, sizeof(history->current), session);
}

void session_history_return(struct session_history *history, const char *session)
{
    const char *at = find(history->earlier, session);
    size_t before = at ? (size_t)(at - history->earlier) : 0;
    char later[SESSIONS_BYTES] = "";
    if (at)
        (void)text_copy(later, sizeof(later), at + strlen(session));
    for (char *entry = later; *entry;) {
        char one[UUID_TEXT_BYTES];
        entry += strspn(entry, " ");
        size_t length = strcspn(entry, " ");
        if (length > 0 && length <= ENTRY_BYTES) {
            (void)text_format(one, sizeof(one), "%.*s", (int)length, entry);
            append(history->blocked, one);
        }
        entry += length;
    }
    append(history->blocked, history->current);
    history->earlier[before > 0 ? before - 1 : 0] = '\0';
    (void)text_copy(history->current, sizeof(history->current), session);
}
