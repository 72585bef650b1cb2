/* An inventory: the input is a manifest, a line end, and rows, which are packed here. Whatever they
 * are, a row's key is a text of its size, and the pieces in which the file comes do not matter. */
#include "storage/bucket/inventory_manifest.h"
#include "storage/bucket/inventory_reader.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take_row(void *user, const struct inventory_row *row)
{
    if (row->key[0] == '\0' || strlen(row->key) >= sizeof row->key)
        abort();
    ++*(size_t *)user;
    return 0;
}

static int read_rows(const struct inventory_manifest *manifest, const uint8_t *packed,
                     size_t length, size_t step, size_t *ret_rows)
{
    struct inventory_reader *reader;

    *ret_rows = 0;
    if (inventory_reader_new(manifest, take_row, ret_rows, &reader) < 0)
        return 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < length; i += step)
        r = inventory_reader_feed(reader, packed + i, length - i < step ? length - i : step);
    if (r == 0)
        r = inventory_reader_end(reader);
    (void)inventory_reader_free(reader);
    return r;
}

static void check(const struct inventory_manifest *manifest, const uint8_t *packed, size_t length)
{
    size_t whole, pieces;

    int first = read_rows(manifest, packed, length, length + 1, &whole);
    int second = read_rows(manifest, packed, length, 5, &pieces);
    if (first != second || whole != pieces)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *rows = memchr(data, '\n', size);
    struct inventory_manifest manifest;
    char problem[128];

    if (rows == NULL ||
        inventory_manifest_read((const char *)data, (size_t)(rows - data), &manifest, problem) < 0)
        return 0;
    rows++;
    size_t length = size - (size_t)(rows - data);
    check(&manifest, rows, length);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)rows, .avail_in = (uInt)length};
    uint8_t *packed = malloc(length + 1024);
    if (packed != NULL && deflateInit2(&stream, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        stream.next_out = packed;
        stream.avail_out = (uInt)(length + 1024);
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
            check(&manifest, packed, length + 1024 - stream.avail_out);
        (void)deflateEnd(&stream);
    }
    free(packed);
    inventory_manifest_done(&manifest);
    return 0;
}
