/* What S3 answers in XML. Owns: the names of its elements. */
#include "common/aws/s3.h"
#include "common/aws/xml_reader.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

/* ---- tags ---- */

const char *s3_tags_find(const struct s3_tags *tags, const char *key)
{
    for (size_t i = 0; i < tags->count; i++)
        if (text_equal(tags->tags[i].key, key))
            return tags->tags[i].value;
    return NULL;
}

int s3_tags_set(struct s3_tags *tags, const char *key, const char *value)
{
    size_t i = 0;

    while (i < tags->count && !text_equal(tags->tags[i].key, key))
        i++;
    if (i == S3_MOST_TAGS)
        return -E2BIG;
    int r = text_copy(tags->tags[i].key, sizeof tags->tags[i].key, key);
    if (r >= 0)
        r = text_copy(tags->tags[i].value, sizeof tags->tags[i].value, value);
    if (r < 0)
        return r;
    tags->count = MAX(tags->count, i + 1);
    return 0;
}

static int take_tag(struct xml_reader *reader, struct s3_tag *tag, struct s3_tags *tags)
{
    const char *text = buffer_text(&reader->text);

    if (text_equal(reader->name, "Key"))
        return text_copy(tag->key, sizeof tag->key, text);
    if (text_equal(reader->name, "Value"))
        return text_copy(tag->value, sizeof tag->value, text);
    if (!text_equal(reader->name, "Tag"))
        return 0;
    if (tag->key[0] == '\0' || s3_tags_find(tags, tag->key) != NULL)
        return -EBADMSG;
    return s3_tags_set(tags, tag->key, tag->value);
}

int s3_tags_read(const char *xml, size_t length, struct s3_tags *ret_tags)
{
    struct xml_reader reader;
    struct s3_tag tag = {.key = ""};
    bool is_tagging = false;
    int r = 0;

    *ret_tags = (struct s3_tags){.count = 0};
    xml_reader_begin(&reader, xml, length);
    enum xml_token token = xml_reader_next(&reader);
    for (; r >= 0 && (token == XML_OPEN || token == XML_CLOSE); token = xml_reader_next(&reader)) {
        is_tagging |= text_equal(reader.name, "TagSet");
        if (token == XML_OPEN && text_equal(reader.name, "Tag"))
            tag = (struct s3_tag){.key = ""};
        else if (token == XML_CLOSE)
            r = take_tag(&reader, &tag, ret_tags);
    }
    xml_reader_done(&reader);
    return r < 0 || token == XML_BROKEN || !is_tagging ? -EBADMSG : 0;
}

/* ---- listings ---- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int s3_decode_key(const char *text, bool form, char *key, size_t size)
{
    size_t length = 0;

    for (; *text != '\0'; text++) {
        char byte = *text;
        if (byte == '+' && form) {
            byte = ' ';
        } else if (byte == '%') {
            int high = hex_of(text[1]), low = high >= 0 ? hex_of(text[2]) : -1;
            if (low < 0 || (high == 0 && low == 0))
                return -EBADMSG;
            byte = (char)(high * 16 + low);
            text += 2;
        }
        if (length + 1 >= size)
            return -ENAMETOOLONG;
        key[length++] = byte;
    }
    if (length >= size)
        return -ENAMETOOLONG;
    key[length] = '\0';
    return 0;
}

static void take_etag(char etag[static S3_ETAG_BYTES], const char *text)
{
    size_t length = strlen(text);
    bool quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';

    (void)text_format(etag, S3_ETAG_BYTES, "%.*s", (int)(quoted ? length - 2 : length),
                      quoted ? text + 1 : text);
}

struct listing {
    const struct s3_list *list;
    struct s3_listed listed;
    bool inside, encoded, is_list;
    char *token;
    char raw_key[S3_KEY_BYTES * 3];
};

static int finish_entry(struct listing *listing)
{
    struct s3_listed *listed = &listing->listed;

    listing->inside = false;
    int r = listing->encoded
                ? s3_decode_key(listing->raw_key, true, listed->key, sizeof listed->key)
                : text_copy(listed->key, sizeof listed->key, listing->raw_key);
    if (r < 0 || listed->key[0] == '\0')
        return -EBADMSG;
    return listing->list->each(listing->list->user, listed);
}

static int take_inside(struct listing *listing, const char *name, const char *text)
{
    struct s3_listed *listed = &listing->listed;
    int r = 0;

    if (text_equal(name, "Key"))
        r = text_copy(listing->raw_key, sizeof listing->raw_key, text) < 0 ? -EBADMSG : 0;
    else if (text_equal(name, "ETag"))
        take_etag(listed->etag, text);
    else if (text_equal(name, "Size"))
        r = text_parse_u64(text, &listed->size) < 0 ? -EBADMSG : 0;
    else if (text_equal(name, "LastModified"))
        (void)text_copy(listed->modified, sizeof listed->modified, text);
    else if (text_equal(name, "StorageClass"))
        (void)text_copy(listed->storage_class, sizeof listed->storage_class, text);
    else if (text_equal(name, "Contents"))
        r = finish_entry(listing);
    return r;
}

static int take_close(struct listing *listing, const char *name, const char *text)
{
    if (listing->inside)
        return take_inside(listing, name, text);
    if (text_equal(name, "NextContinuationToken"))
        return text_copy(listing->token, S3_TOKEN_BYTES, text) < 0 ? -EBADMSG : 0;
    return 0;
}

/* The encoding is said before or after the entries: it is found first. */
static int read_pass(struct listing *listing, const char *xml, size_t length, bool first)
{
    struct xml_reader reader;
    int r = 0;

    xml_reader_begin(&reader, xml, length);
    enum xml_token token = xml_reader_next(&reader);
    for (; r == 0 && (token == XML_OPEN || token == XML_CLOSE); token = xml_reader_next(&reader)) {
        const char *text = buffer_text(&reader.text);
        listing->is_list |= text_equal(reader.name, "ListBucketResult");
        if (first) {
            listing->encoded |= token == XML_CLOSE && text_equal(reader.name, "EncodingType") &&
                                text_equal(text, "url");
        } else if (token == XML_OPEN && text_equal(reader.name, "Contents")) {
            listing->inside = true;
            listing->raw_key[0] = '\0';
            listing->listed = (struct s3_listed){.key = ""};
        } else if (token == XML_CLOSE) {
            r = take_close(listing, reader.name, text);
        }
    }
    xml_reader_done(&reader);
    if (r < 0)
        return r;
    return token == XML_BROKEN || !listing->is_list ? -EBADMSG : 0;
}

int s3_list_read(const char *xml, size_t length, const struct s3_list *list,
                 char ret_token[static S3_TOKEN_BYTES])
{
    struct listing listing = {.list = list, .token = ret_token};

    int r = read_pass(&listing, xml, length, true);
    ret_token[0] = '\0';
    if (r == 0)
        r = read_pass(&listing, xml, length, false);
    return r;
}
