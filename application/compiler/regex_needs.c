#include "application/compiler/regex_needs.h"

#include "common/attributes.h"

#define DEEPEST 64

struct reader {
    const char *at;
    const char *end;
    bool caseless;
    bool lost; /* something is not understood */
    unsigned depth;
};

static void class_add(struct table_class *class, unsigned char byte, bool caseless)
{
    class->bytes[byte >> 6] |= 1ULL << (byte & 63);
    if (caseless && byte_is_letter((char)byte)) {
        unsigned char other = byte ^ 0x20;
        class->bytes[other >> 6] |= 1ULL << (other & 63);
    }
}

static void class_join(struct table_class *class, const struct table_class *other)
{
    for (size_t i = 0; i < 4; i++)
        class->bytes[i] |= other->bytes[i];
}

static void class_invert(struct table_class *class)
{
    for (size_t i = 0; i < 4; i++)
        class->bytes[i] = ~class->bytes[i];
}

/* How often an ordinary value has a byte of the class, roughly: the less, the more telling. */
static unsigned weight_of(const struct table_class *class)
{
    unsigned weight = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        if ((class->bytes[byte >> 6] >> (byte & 63) & 1) == 0)
            continue;
        if (byte_is_letter((char)byte))
            weight += strchr("etaoinsrhldcu", byte_lower((char)byte)) != NULL ? 40 : 15;
        else
            weight += byte_is_digit((char)byte) ? 20 : byte == ' ' ? 60 : byte >= 0x80 ? 1 : 4;
    }
    return weight;
}

/* Keeps the most telling ones, in order; classes nearly every value meets are not kept. */
static void needs_add(struct regex_needs *needs, const struct table_class *class)
{
    unsigned weight = weight_of(class);
    size_t place = needs->count;
    if (weight > 700)
        return;
    for (size_t i = 0; i < needs->count; i++) {
        if (memcmp(&needs->classes[i], class, sizeof(*class)) == 0)
            return;
    }
    while (place > 0 && weight_of(&needs->classes[place - 1]) > weight)
        place--;
    if (place == REGEX_NEEDS_MOST)
        return;
    size_t kept = MIN(needs->count, (size_t)REGEX_NEEDS_MOST - 1) - place;
    memmove(&needs->classes[place + 1], &needs->classes[place], kept * sizeof(*class));
    needs->classes[place] = *class;
    needs->count = MIN(needs->count + 1, (size_t)REGEX_NEEDS_MOST);
}

/* Both are needed. */
static void needs_and(struct regex_needs *needs, const struct regex_needs *other)
{
    for (size_t i = 0; i < other->count; i++)
        needs_add(needs, &other->classes[i]);
    needs->least_length += other->least_length;
}

/* One or the other is: of the most telling of each, one must occur, and so on down. */
static void needs_or(struct regex_needs *needs, const struct regex_needs *other)
{
    struct regex_needs joined = {.least_length = MIN(needs->least_length, other->least_length)};
    for (size_t i = 0; i < MAX(needs->count, other->count); i++) {
        if (needs->count == 0 || other->count == 0)
            break;
        struct table_class class = needs->classes[MIN(i, needs->count - 1)];
        class_join(&class, &other->classes[MIN(i, other->count - 1)]);
        needs_add(&joined, &class);
    }
    *needs = joined;
}

static bool add_shorthand(struct table_class *class, char letter)
{
    struct table_class set = {{0}};
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool in = false;
        if (byte_lower(letter) == 'd')
            in = byte_is_digit(c);
        else if (byte_lower(letter) == 's')
            in = byte_is_space(c);
        else if (byte_lower(letter) == 'w')
            in = byte_is_digit(c) || byte_is_letter(c) || c == '_';
        else if (byte_lower(letter) == 'h')
            in = c == ' ' || c == '\t' || byte == 0xa0;
        else if (byte_lower(letter) == 'v')
            in = (c >= '\n' && c <= '\r') || byte == 0x85;
        else
            return false;
        if (in)
            class_add(&set, (unsigned char)byte, false);
    }
    if (letter < 'a')
        class_invert(&set);
    class_join(class, &set);
    return true;
}

/* Behind a backslash: a byte (returns it), a shorthand (-1, joined to class) or neither (-2). */
static int read_escape(struct reader *reader, struct table_class *class)
{
    static const char letters[] = "aefnrt";
    static const char bytes[] = "\a\x1b\f\n\r\t";
    char letter = reader->at < reader->end ? *reader->at++ : '\\';
    if (letter == 'x') {
        int value = 0;
        if (reader->at < reader->end && *reader->at == '{')
            return -2;
        for (int i = 0; i < 2 && reader->at < reader->end && byte_hex(*reader->at) >= 0; i++)
            value = value * 16 + byte_hex(*reader->at++);
        return value;
    }
    const char *known = strchr(letters, letter);
    if (known != NULL && letter != '\0')
        return (unsigned char)bytes[known - letters];
    if (add_shorthand(class, letter))
        return -1;
    return byte_is_letter(letter) || byte_is_digit(letter) ? -2 : (unsigned char)letter;
}

/* False: not one we know. */
static bool add_posix(struct table_class *class, struct span name)
{
    for (unsigned byte = 0; byte < 128; byte++) {
        char c = (char)byte;
        bool in = (span_is(name, "alpha") && byte_is_letter(c)) ||
                  (span_is(name, "digit") && byte_is_digit(c)) ||
                  (span_is(name, "alnum") && (byte_is_letter(c) || byte_is_digit(c))) ||
                  (span_is(name, "space") && byte_is_space(c)) ||
                  (span_is(name, "xdigit") && byte_hex(c) >= 0);
        if (in)
            class_add(class, (unsigned char)byte, false);
    }
    static const char *const known[] = {"alpha", "digit", "alnum", "space", "xdigit"};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (span_is(name, known[i]))
            return true;
    }
    return false;
}

/* Behind "[:": the name before ":]", as PCRE2 takes it, which knows none with a ']' in it. */
static bool find_posix_name(const struct reader *reader, struct span *ret_name)
{
    const char *begin = reader->at + 2, *at = begin;
    while (at < reader->end && (byte_is_letter(*at) || *at == '^'))
        at++;
    *ret_name = (struct span){begin, (size_t)(at - begin)};
    return reader->end - at >= 2 && at[0] == ':' && at[1] == ']';
}

/* One byte, escape or "[:name:]" inside brackets. The byte, or -1 when a set was joined. */
static int read_set_item(struct reader *reader, struct table_class *class)
{
    if (*reader->at == '[' && reader->end - reader->at > 2 && reader->at[1] == ':') {
        struct span name;
        if (find_posix_name(reader, &name)) {
            if (!add_posix(class, name))
                reader->lost = true;
            reader->at = name.data + name.length + 2;
            return -1;
        }
    }
    if (*reader->at != '\\')
        return (unsigned char)*reader->at++;
    reader->at++;
    if (reader->at < reader->end && *reader->at == 'b') {
        reader->at++;
        return '\b';
    }
    int byte = read_escape(reader, class);
    if (byte == -2)
        reader->lost = true;
    return byte < 0 ? -1 : byte;
}

/* Behind '['. */
static struct table_class read_set(struct reader *reader)
{
    struct table_class class = {{0}};
    bool inverted = reader->at < reader->end && *reader->at == '^';
    reader->at += inverted ? 1 : 0;
    for (bool first = true; reader->at < reader->end && (first || *reader->at != ']');
         first = false) {
        int from = read_set_item(reader, &class);
        int to = from;
        if (from >= 0 && reader->end - reader->at > 1 && reader->at[0] == '-' &&
            reader->at[1] != ']') {
            reader->at++;
            to = read_set_item(reader, &class);
            if (to < 0)
                reader->lost = true;
        }
        for (int byte = from; byte >= 0 && byte <= to; byte++)
            class_add(&class, (unsigned char)byte, reader->caseless);
    }
    if (reader->at < reader->end)
        reader->at++;
    else
        reader->lost = true;
    if (inverted)
        class_invert(&class);
    return class;
}

/* "{2}", "{2,}", "{2,5}": passed over; anything else after '{' is a brace like any other byte. */
static bool read_counts(struct reader *reader, size_t *ret_least)
{
    const char *at = reader->at + 1;
    size_t least = 0;
    if (at == reader->end || !byte_is_digit(*at))
        return false;
    for (; at < reader->end && byte_is_digit(*at); at++)
        least = MIN(least * 10 + (size_t)(*at - '0'), (size_t)10000);
    if (at < reader->end && *at == ',')
        at++;
    while (at < reader->end && byte_is_digit(*at))
        at++;
    if (at == reader->end || *at != '}')
        return false;
    reader->at = at + 1;
    *ret_least = least;
    return true;
}

/* Behind an atom: how often at least; passes over the quantifier. */
static size_t read_quantifier(struct reader *reader)
{
    size_t least = 1;
    if (reader->at == reader->end)
        return least;
    if (*reader->at == '*' || *reader->at == '?') {
        reader->at++;
        least = 0;
    } else if (*reader->at == '+') {
        reader->at++;
    } else if (*reader->at == '{' && read_counts(reader, &least)) {
        /* passed over */
    } else if (*reader->at == '{' && reader->end - reader->at > 1 &&
               (reader->at[1] == ',' || reader->at[1] == ' ')) {
        reader->lost = true; /* a brace to some versions of PCRE2, a quantifier to others */
    } else {
        return least;
    }
    if (reader->at < reader->end && (*reader->at == '?' || *reader->at == '+'))
        reader->at++;
    return least;
}

static struct regex_needs read_alternatives(struct reader *reader);

/* Behind "(?": options, and whether the group's content is part of a match. */
static bool read_group_kind(struct reader *reader)
{
    bool on = true;
    while (reader->at < reader->end) {
        char letter = *reader->at++;
        if (letter == ':')
            return true;
        if (letter == ')') {
            reader->at--; /* "(?i)": an empty group whose options stay */
            return true;
        }
        if (letter == '-') {
            on = false;
        } else if (letter == 'i') {
            reader->caseless = on;
        } else if (letter == '>' || letter == '|') {
            return true;
        } else if (letter == '=' || letter == '!') {
            return false;
        } else if (letter == '<' && reader->at < reader->end &&
                   (*reader->at == '=' || *reader->at == '!')) {
            reader->at++;
            return false;
        } else if (letter == '<' ||
                   (letter == 'P' && reader->at < reader->end && *reader->at == '<')) {
            while (reader->at < reader->end && *reader->at != '>')
                reader->at++;
            reader->at += reader->at < reader->end ? 1 : 0;
            return true;
        } else if (strchr("smxUJ", letter) == NULL) {
            reader->lost = true;
            return true;
        } else if (letter == 'x' && on) {
            reader->lost = true; /* extended syntax is not read */
        }
    }
    reader->lost = true;
    return true;
}

/* Behind '('. */
static struct regex_needs read_group(struct reader *reader)
{
    bool before = reader->caseless;
    bool counts = true;
    bool options_only = false;
    if (reader->at < reader->end && *reader->at == '*') {
        reader->lost = true;
    } else if (reader->at < reader->end && *reader->at == '?') {
        reader->at++;
        counts = read_group_kind(reader);
        options_only =
            reader->at < reader->end && *reader->at == ')' && reader->at[-1] != ':' && counts;
    }
    struct regex_needs needs = read_alternatives(reader);
    if (reader->at < reader->end && *reader->at == ')')
        reader->at++;
    else
        reader->lost = true;
    if (!options_only)
        reader->caseless = before;
    return counts ? needs : (struct regex_needs){.count = 0};
}

/* One byte, set or group, without its quantifier. */
static struct regex_needs read_atom(struct reader *reader)
{
    struct regex_needs needs = {.count = 0};
    struct table_class class = {{0}};
    char byte = *reader->at++;
    if (byte == '(')
        return read_group(reader);
    if (byte == '^' || byte == '$')
        return needs;
    if (byte == '.')
        return (struct regex_needs){.least_length = 1};
    if (byte == '[') {
        class = read_set(reader);
    } else if (byte == '\\') {
        char letter = reader->at < reader->end ? *reader->at : '\0';
        if (letter != '\0' && strchr("bBAzZG", letter) != NULL) {
            reader->at++;
            return needs;
        }
        if (letter >= '1' && letter <= '9' &&
            (reader->end - reader->at < 2 || !byte_is_digit(reader->at[1]))) {
            reader->at++; /* what a group matched, which may be nothing */
            return needs;
        }
        int literal = read_escape(reader, &class);
        if (literal == -2) {
            reader->lost = true;
            return needs;
        }
        if (literal >= 0)
            class_add(&class, (unsigned char)literal, reader->caseless);
    } else {
        class_add(&class, (unsigned char)byte, reader->caseless);
    }
    needs_add(&needs, &class);
    needs.least_length = 1;
    return needs;
}

static struct regex_needs read_sequence(struct reader *reader)
{
    struct regex_needs needs = {.count = 0};
    while (reader->at < reader->end && *reader->at != '|' && *reader->at != ')' && !reader->lost) {
        struct regex_needs atom = read_atom(reader);
        size_t least = read_quantifier(reader);
        if (least == 0)
            continue;
        atom.least_length = MIN(atom.least_length * least, (size_t)10000);
        needs_and(&needs, &atom);
    }
    return needs;
}

static struct regex_needs read_alternatives(struct reader *reader)
{
    if (++reader->depth > DEEPEST)
        reader->lost = true;
    struct regex_needs needs = read_sequence(reader);
    while (!reader->lost && reader->at < reader->end && *reader->at == '|') {
        reader->at++;
        struct regex_needs other = read_sequence(reader);
        needs_or(&needs, &other);
    }
    reader->depth--;
    return needs;
}

void regex_needs_read(struct span expression, struct regex_needs *ret_needs)
{
    struct reader reader = {.at = expression.data, .end = expression.data + expression.length};
    *ret_needs =
        expression.length == 0 ? (struct regex_needs){.count = 0} : read_alternatives(&reader);
    if (reader.lost || reader.at != reader.end)
        *ret_needs = (struct regex_needs){.count = 0};
}
