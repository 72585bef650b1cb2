/* Owns: the row being read. Its fields stand one behind the other in text, each with a NUL. */
#include "storage/bucket/inventory_reader.h"

#include "common/text/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define GZIP_WINDOW  (15 + 16) /* the largest, with gzip's head */
#define OUTPUT_BYTES 32768

enum place {
    PLACE_FIELD_BEGIN,
    PLACE_PLAIN,
    PLACE_QUOTED,
    PLACE_QUOTE_IN_QUOTED, /* its end, or the first of two */
    PLACE_CARRIAGE_RETURN,
};

struct inventory_reader {
    const struct inventory_manifest *manifest;
    int (*each)(void *user, const struct inventory_row *row);
    void *user;
    z_stream stream;
    bool ended; /* the gzip member; another one may follow */
    uint64_t unpacked;
    enum place place;
    char text[INVENTORY_ROW_BYTES];
    size_t length, fields;
    size_t begin[INVENTORY_MOST_COLUMNS];
    struct inventory_row row;
};

int inventory_reader_new(const struct inventory_manifest *manifest,
                         int (*each)(void *user, const struct inventory_row *row), void *user,
                         struct inventory_reader **ret_reader)
{
    struct inventory_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return -ENOMEM;
    reader->manifest = manifest;
    reader->each = each;
    reader->user = user;
    if (inflateInit2(&reader->stream, GZIP_WINDOW) != Z_OK) {
        free(reader);
        return -ENOMEM;
    }
    *ret_reader = reader;
    return 0;
}

struct inventory_reader *inventory_reader_free(struct inventory_reader *reader)
{
    if (reader == NULL)
        return NULL;
    (void)inflateEnd(&reader->stream);
    free(reader);
    return NULL;
}

/* ---- a row ---- */

static int take_field(struct inventory_row *row, enum inventory_column column, const char *text)
{
    switch (column) {
    case INVENTORY_BUCKET:
        return text_copy(row->bucket, sizeof row->bucket, text);
    case INVENTORY_KEY:
        return text[0] != '\0' ? s3_decode_key(text, true, row->key, sizeof row->key) : -EBADMSG;
    case INVENTORY_VERSION:
        return text_copy(row->version, sizeof row->version, text);
    case INVENTORY_IS_LATEST:
        row->is_old = text_equal(text, "false");
        return 0;
    case INVENTORY_IS_DELETE_MARKER:
        row->is_delete_marker = text_equal(text, "true");
        return 0;
    case INVENTORY_SIZE:
        row->size_known = text[0] != '\0'; /* a delete marker has none */
        return row->size_known ? text_parse_u64(text, &row->size) : 0;
    case INVENTORY_ETAG:
        return text_copy(row->etag, sizeof row->etag, text);
    case INVENTORY_STORAGE_CLASS:
        return text_copy(row->storage_class, sizeof row->storage_class, text);
    case INVENTORY_OTHER:
    case INVENTORY_COLUMNS:
        break;
    }
    return 0;
}

static int end_field(struct inventory_reader *reader)
{
    if (reader->length == sizeof reader->text)
        return -EBADMSG;
    reader->text[reader->length++] = '\0';
    reader->place = PLACE_FIELD_BEGIN;
    return 0;
}

static int begin_field(struct inventory_reader *reader)
{
    if (reader->fields == reader->manifest->column_count)
        return -EBADMSG;
    reader->begin[reader->fields++] = reader->length;
    return 0;
}

static int end_row(struct inventory_reader *reader)
{
    const struct inventory_manifest *manifest = reader->manifest;
    int r = end_field(reader);

    if (r == 0 && reader->fields != manifest->column_count)
        r = -EBADMSG;
    memset(&reader->row, 0, sizeof reader->row);
    for (size_t i = 0; r == 0 && i < reader->fields; i++)
        if (take_field(&reader->row, manifest->columns[i], reader->text + reader->begin[i]) < 0)
            r = -EBADMSG;
    reader->length = reader->fields = 0;
    return r < 0 ? r : reader->each(reader->user, &reader->row);
}

/* ---- its bytes ---- */

static int append(struct inventory_reader *reader, char byte)
{
    if (reader->length == sizeof reader->text || byte == '\0')
        return -EBADMSG;
    reader->text[reader->length++] = byte;
    return 0;
}

/* What stands behind a field. */
static int take_end(struct inventory_reader *reader, char byte)
{
    if (byte == ',') {
        int r = end_field(reader);
        return r == 0 ? begin_field(reader) : r;
    }
    if (byte == '\n')
        return end_row(reader);
    if (byte != '\r')
        return -EBADMSG;
    reader->place = PLACE_CARRIAGE_RETURN;
    return 0;
}

static int take_plain(struct inventory_reader *reader, char byte)
{
    if (byte == ',' || byte == '\n' || byte == '\r')
        return take_end(reader, byte);
    reader->place = PLACE_PLAIN;
    return byte == '"' ? -EBADMSG : append(reader, byte);
}

static int take_first(struct inventory_reader *reader, char byte)
{
    if (reader->fields == 0) {
        if (byte == '\n' || byte == '\r') /* an empty line is no row */
            return 0;
        int r = begin_field(reader);
        if (r < 0)
            return r;
    }
    if (byte != '"')
        return take_plain(reader, byte);
    reader->place = PLACE_QUOTED;
    return 0;
}

static int take_byte(struct inventory_reader *reader, char byte)
{
    switch (reader->place) {
    case PLACE_FIELD_BEGIN:
        return take_first(reader, byte);
    case PLACE_PLAIN:
        return take_plain(reader, byte);
    case PLACE_QUOTED:
        if (byte != '"')
            return append(reader, byte);
        reader->place = PLACE_QUOTE_IN_QUOTED;
        return 0;
    case PLACE_QUOTE_IN_QUOTED:
        if (byte != '"')
            return take_end(reader, byte);
        reader->place = PLACE_QUOTED;
        return append(reader, byte);
    case PLACE_CARRIAGE_RETURN:
        return byte == '\n' ? end_row(reader) : -EBADMSG;
    }
    return -EBADMSG;
}

static int take_bytes(struct inventory_reader *reader, const char *bytes, size_t length)
{
    int r = 0;

    reader->unpacked += length;
    if (reader->unpacked > INVENTORY_FILE_BYTES)
        return -EFBIG;
    for (size_t i = 0; r == 0 && i < length; i++)
        r = take_byte(reader, bytes[i]);
    return r;
}

/* ---- the file ---- */

int inventory_reader_feed(struct inventory_reader *reader, const void *bytes, size_t length)
{
    char output[OUTPUT_BYTES];
    z_stream *stream = &reader->stream;
    int r = 0;

    stream->next_in = (Bytef *)(uintptr_t)bytes;
    stream->avail_in = (uInt)MIN(length, (size_t)UINT32_MAX);
    while (r == 0 && stream->avail_in > 0) {
        if (reader->ended && inflateReset(stream) != Z_OK) /* one member behind the other */
            return -EBADMSG;
        reader->ended = false;
        do {
            stream->next_out = (Bytef *)output;
            stream->avail_out = sizeof output;
            int status = inflate(stream, Z_NO_FLUSH);
            if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
                return status == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
            reader->ended = status == Z_STREAM_END;
            r = take_bytes(reader, output, sizeof output - stream->avail_out);
        } while (r == 0 && !reader->ended && stream->avail_out == 0);
    }
    return r;
}

int inventory_reader_end(struct inventory_reader *reader)
{
    if (!reader->ended)
        return -EBADMSG;
    if (reader->fields == 0)
        return 0;
    /* The last row needs no end of line. */
    return reader->place == PLACE_QUOTED ? -EBADMSG : end_row(reader);
}
