/* An XML body as the two things rules ask for, all its text in one and each attribute's value; and
 * piece by piece, because what begins a text begins no other's.
 * Reads markup, resolves nothing: entities other than the five and character references stay as
 * they are, and document type declarations are passed over. Source: XML 1.0, fifth edition. */
#include "application/events/request.h"

struct xml_walk {
    struct request *request;
    const char *at;
    const char *end;
    char *text; /* as long as the document */
    size_t length;
};

/* Behind '&': the character it stands for, and where to go on; 0 when it stays as it is. */
static uint32_t read_reference(const char *at, const char *end, const char **ret_after)
{
    static const struct {
        const char *name;
        uint32_t code;
    } known[] = {{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}};
    struct span rest = {at, (size_t)(end - at)};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (span_begins(rest, known[i].name)) {
            *ret_after = at + strlen(known[i].name);
            return known[i].code;
        }
    }
    if (rest.length < 3 || at[0] != '#')
        return 0;
    bool hex = at[1] == 'x';
    uint32_t code = 0;
    const char *digit = at + (hex ? 2 : 1);
    for (; digit < end && code <= 0x10ffff; digit++) {
        int value = byte_hex(*digit);
        if (value < 0 || (!hex && value > 9))
            break;
        code = code * (hex ? 16 : 10) + (uint32_t)value;
    }
    if (digit >= end || *digit != ';' || code > 0x10ffff)
        return 0;
    *ret_after = digit + 1;
    return code;
}

/* A reference is never shorter than the UTF-8 of what it stands for. */
static size_t put_code(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

static size_t undo_references(char *to, struct span raw)
{
    size_t length = 0;
    const char *at = raw.data;
    const char *end = at + raw.length;
    while (at < end) {
        const char *after = NULL;
        uint32_t code = *at == '&' ? read_reference(at + 1, end, &after) : 0;
        if (code != 0) {
            length += put_code(to + length, code);
            at = after;
        } else {
            to[length++] = *at++;
        }
    }
    return length;
}

/* Blanks between elements are no text of anybody's. */
static void add_piece(struct xml_walk *walk, struct span piece)
{
    piece = span_trim(piece);
    if (piece.length > 0)
        request_add(walk->request, REQUEST_XML_PIECES, SPAN("xml"), piece);
}

static void add_text(struct xml_walk *walk, struct span raw, bool references)
{
    size_t before = walk->length;
    if (raw.length == 0)
        return;
    if (references) {
        walk->length += undo_references(walk->text + walk->length, raw);
    } else {
        memcpy(walk->text + walk->length, raw.data, raw.length);
        walk->length += raw.length;
    }
    add_piece(walk, (struct span){walk->text + before, walk->length - before});
}

/* Passes over what begins at the cursor and ends with mark. */
static struct span pass_over(struct xml_walk *walk, size_t opening, struct span mark)
{
    const char *first = walk->at + opening;
    const char *found = first <= walk->end
                            ? memmem(first, (size_t)(walk->end - first), mark.data, mark.length)
                            : NULL;
    walk->at = found == NULL ? walk->end : found + mark.length;
    if (found == NULL)
        walk->request->body_malformed = true;
    return found == NULL ? SPAN_NONE : (struct span){first, (size_t)(found - first)};
}

static void pass_doctype(struct xml_walk *walk)
{
    size_t brackets = 0;
    while (walk->at < walk->end) {
        char byte = *walk->at++;
        if (byte == '[') {
            brackets++;
        } else if (byte == ']' && brackets > 0) {
            brackets--;
        } else if (byte == '>' && brackets == 0) {
            return;
        }
    }
    walk->request->body_malformed = true;
}

/* From behind the element's name to behind its '>'. */
static void read_attributes(struct xml_walk *walk)
{
    const char *name = walk->at;
    while (walk->at < walk->end && *walk->at != '>') {
        char byte = *walk->at++;
        if (byte_is_space(byte) || byte == '/')
            name = walk->at;
        if (byte != '"' && byte != '\'')
            continue;
        const char *first = walk->at;
        const char *quote = memchr(first, byte, (size_t)(walk->end - first));
        if (quote == NULL) {
            walk->request->body_malformed = true;
            walk->at = walk->end;
            return;
        }
        struct span raw = {first, (size_t)(quote - first)};
        char *plain = arena_take(walk->request->arena, raw.length);
        if (plain != NULL)
            request_add(walk->request, REQUEST_XML_ATTRIBUTES,
                        (struct span){name, (size_t)(first - 1 - name)},
                        (struct span){plain, undo_references(plain, raw)});
        walk->at = quote + 1;
    }
    if (walk->at < walk->end)
        walk->at++;
    else
        walk->request->body_malformed = true;
}

static void read_markup(struct xml_walk *walk)
{
    struct span rest = {walk->at, (size_t)(walk->end - walk->at)};
    if (span_begins(rest, "<!--")) {
        add_piece(walk, pass_over(walk, 4, SPAN("-->")));
    } else if (span_begins(rest, "<![CDATA[")) {
        add_text(walk, pass_over(walk, 9, SPAN("]]>")), false);
    } else if (span_begins(rest, "<?")) {
        add_piece(walk, pass_over(walk, 2, SPAN("?>")));
    } else if (span_begins(rest, "<!")) {
        pass_doctype(walk);
    } else {
        walk->at++;
        while (walk->at < walk->end && !byte_is_space(*walk->at) && *walk->at != '>' &&
               *walk->at != '/')
            walk->at++;
        read_attributes(walk);
    }
}

void body_xml_read(struct request *request, struct span text)
{
    struct xml_walk walk = {request, text.data, text.data + text.length, NULL, 0};
    walk.text = text.length == 0 ? NULL : arena_take(request->arena, text.length);
    if (walk.text == NULL)
        return;
    while (walk.at < walk.end) {
        const char *markup = memchr(walk.at, '<', (size_t)(walk.end - walk.at));
        const char *until = markup == NULL ? walk.end : markup;
        add_text(&walk, (struct span){walk.at, (size_t)(until - walk.at)}, true);
        walk.at = until;
        if (walk.at < walk.end)
            read_markup(&walk);
    }
    request_add(request, REQUEST_XML_TEXT, SPAN("/*"), (struct span){walk.text, walk.length});
}
