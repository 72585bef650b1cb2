/* XML of AWS. Owns: well-formedness and entities. Must not own: what an element means. */
#include "common/aws/xml_reader.h"

#include <string.h>

void xml_reader_begin(struct xml_reader *reader, const char *text, size_t length)
{
    *reader = (struct xml_reader){.text = BUFFER_WITH_MAXIMUM(XML_TEXT_BYTES),
                                  .at = text,
                                  .end = text + length};
}

void xml_reader_done(struct xml_reader *reader)
{
    buffer_done(&reader->text);
}

static bool begins_with(const struct xml_reader *reader, const char *word)
{
    size_t length = strlen(word);

    return (size_t)(reader->end - reader->at) >= length && memcmp(reader->at, word, length) == 0;
}

/* Past the next occurrence of word. */
static bool skip_past(struct xml_reader *reader, const char *word)
{
    const char *found = memmem(reader->at, (size_t)(reader->end - reader->at), word, strlen(word));

    if (found == NULL)
        return false;
    reader->at = found + strlen(word);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
}

/* ---- text ---- */

static bool append_code_point(struct buffer *text, uint32_t code)
{
    char bytes[4];
    size_t length;

    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return false;
    if (code < 0x80) {
        bytes[0] = (char)code;
        length = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xC0 | (code >> 6));
        bytes[1] = (char)(0x80 | (code & 0x3F));
        length = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | (code >> 12));
        bytes[1] = (char)(0x80 | ((code >> 6) & 0x3F));
        bytes[2] = (char)(0x80 | (code & 0x3F));
        length = 3;
    } else {
        bytes[0] = (char)(0xF0 | (code >> 18));
        bytes[1] = (char)(0x80 | ((code >> 12) & 0x3F));
        bytes[2] = (char)(0x80 | ((code >> 6) & 0x3F));
        bytes[3] = (char)(0x80 | (code & 0x3F));
        length = 4;
    }
    return buffer_append(text, bytes, length) == 0;
}

static int digit_of(char c, unsigned base)
{
    int value = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

    return value < (int)base ? value : -1;
}

/* Between "&#" and ";". */
static bool append_number(struct buffer *text, const char *begin, const char *end)
{
    unsigned base = begin < end && *begin == 'x' ? 16 : 10;
    uint32_t code = 0;

    begin += base == 16;
    if (begin == end)
        return false;
    for (; begin < end; begin++) {
        int digit = digit_of(*begin, base);
        if (digit < 0 || code > 0x10FFFF)
            return false;
        code = code * base + (uint32_t)digit;
    }
    return append_code_point(text, code);
}

static bool append_entity(struct xml_reader *reader)
{
    enum { LONGEST = 12 };
    static const struct {
        const char *word, *meaning;
    } entities[] = {
        {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}};

    for (size_t i = 0; i < ARRAY_LENGTH(entities); i++)
        if (begins_with(reader, entities[i].word)) {
            reader->at += strlen(entities[i].word);
            return buffer_append_text(&reader->text, entities[i].meaning) == 0;
        }
    if (!begins_with(reader, "&#"))
        return false;
    const char *begin = reader->at + 2;
    const char *stop = memchr(begin, ';', MIN((size_t)(reader->end - begin), (size_t)LONGEST));
    if (stop == NULL || !append_number(&reader->text, begin, stop))
        return false;
    reader->at = stop + 1;
    return true;
}

/* Up to the next "<". */
static bool take_text(struct xml_reader *reader)
{
    while (reader->at < reader->end && *reader->at != '<') {
        if (*reader->at == '&') {
            if (!append_entity(reader))
                return false;
            continue;
        }
        const char *stop = reader->at;
        while (stop < reader->end && *stop != '<' && *stop != '&' && *stop != '\0')
            stop++;
        if (stop == reader->at || /* NUL */
            buffer_append(&reader->text, reader->at, (size_t)(stop - reader->at)) < 0)
            return false;
        reader->at = stop;
    }
    return true;
}

/* ---- elements ---- */

static void take_name(struct xml_reader *reader, const struct xml_name *name)
{
    memcpy(reader->name, name->begin, name->length);
    reader->name[name->length] = '\0';
}

static bool read_name(struct xml_reader *reader, struct xml_name *name)
{
    name->begin = reader->at;
    while (reader->at < reader->end && is_name(*reader->at))
        reader->at++;
    name->length = (size_t)(reader->at - name->begin);
    return name->length > 0 && name->length < XML_NAME_BYTES;
}

/* Attributes are passed over: up to the ">" outside quotes. */
static bool skip_attributes(struct xml_reader *reader)
{
    while (reader->at < reader->end && *reader->at != '>' && *reader->at != '/') {
        if (*reader->at == '<' || *reader->at == '\0')
            return false;
        if (*reader->at == '"' || *reader->at == '\'') {
            char quote[2] = {*reader->at++, '\0'};
            if (!skip_past(reader, quote))
                return false;
        } else {
            reader->at++;
        }
    }
    reader->empty_element = begins_with(reader, "/>");
    if (!reader->empty_element && !begins_with(reader, ">"))
        return false;
    reader->at += reader->empty_element ? 2 : 1;
    return true;
}

static enum xml_token open_element(struct xml_reader *reader)
{
    struct xml_name name;

    if (reader->depth == XML_DEPTH || (reader->depth == 0 && reader->root_seen))
        return XML_BROKEN;
    reader->at++;
    if (!read_name(reader, &name) || !skip_attributes(reader))
        return XML_BROKEN;
    reader->root_seen = true;
    reader->open[reader->depth++] = name;
    take_name(reader, &name);
    buffer_clear(&reader->text);
    return XML_OPEN;
}

static enum xml_token close_element(struct xml_reader *reader)
{
    struct xml_name name;

    reader->at += 2;
    if (reader->depth == 0 || !read_name(reader, &name))
        return XML_BROKEN;
    const struct xml_name *open = &reader->open[--reader->depth];
    if (open->length != name.length || memcmp(open->begin, name.begin, name.length) != 0)
        return XML_BROKEN;
    while (reader->at < reader->end && is_blank(*reader->at))
        reader->at++;
    if (!begins_with(reader, ">"))
        return XML_BROKEN;
    reader->at++;
    take_name(reader, &name);
    return XML_CLOSE;
}

static enum xml_token finish(const struct xml_reader *reader)
{
    return reader->depth == 0 && reader->root_seen ? XML_END : XML_BROKEN;
}

/* Outside the root only blanks, comments and the XML declaration stand. */
static bool skip_between(struct xml_reader *reader)
{
    for (;;) {
        while (reader->depth == 0 && reader->at < reader->end && is_blank(*reader->at))
            reader->at++;
        if (begins_with(reader, "<!--")) {
            if (!skip_past(reader, "-->"))
                return false;
        } else if (reader->depth == 0 && !reader->root_seen && begins_with(reader, "<?xml")) {
            if (!skip_past(reader, "?>"))
                return false;
        } else {
            return true;
        }
    }
}

enum xml_token xml_reader_next(struct xml_reader *reader)
{
    if (reader->empty_element) {
        reader->empty_element = false;
        buffer_clear(&reader->text);
        take_name(reader, &reader->open[--reader->depth]);
        return XML_CLOSE;
    }
    for (;;) {
        if (!skip_between(reader))
            return XML_BROKEN;
        if (reader->at == reader->end)
            return finish(reader);
        if (begins_with(reader, "</"))
            return close_element(reader);
        if (*reader->at == '<')
            return open_element(reader);
        if (reader->depth == 0 || !take_text(reader))
            return XML_BROKEN;
    }
}
