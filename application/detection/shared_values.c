#include "application/detection/shared_values.h"

/* Values that lead to a place of their own, or mean something to a shell. Others are the ordinary
 * names and words that functions make paths and commands of. */
static bool may_lead(struct span text)
{
    if (text.length < RUNTIME_AREA_SHORTEST || text.length > RUNTIME_AREA_VALUE)
        return false;
    if (text.data[0] == '/' || span_begins_alike(text, "file:") || span_contains(text, SPAN("..")))
        return true;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '\0' && strchr("'\";|&$`<>\n(){} ", text.data[i]) != NULL)
            return true;
    }
    return false;
}

static void add(struct runtime_values *values, struct span text)
{
    char *record = values->records + values->length;
    if (!may_lead(text) || text.length + 2 > sizeof(values->records) - values->length)
        return;
    record[0] = (char)(text.length & 0xff);
    record[1] = (char)(text.length >> 8);
    memcpy(record + 2, text.data, text.length);
    values->length += (uint32_t)text.length + 2;
}

void shared_values_write(const struct request *request, struct runtime_values *values)
{
    static const enum request_list lists[] = {REQUEST_ARGUMENTS_GET, REQUEST_ARGUMENTS_POST,
                                              REQUEST_COOKIES, REQUEST_FILES};
    if (request == NULL && runtime_sequence(&values->sequence) % 2 == 0 && values->length == 0)
        return;
    runtime_write_begin(&values->sequence);
    values->length = 0;
    for (size_t i = 0; request != NULL && i < ARRAY_LENGTH(lists); i++) {
        const struct request_values *list = &request->lists[lists[i]];
        for (size_t j = 0; j < list->count; j++)
            add(values, span_trim(list->values[j].text));
    }
    runtime_write_end(&values->sequence);
}
