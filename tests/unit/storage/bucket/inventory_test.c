#include "common/text/text.h"
#include "storage/bucket/inventory_manifest.h"
#include "storage/bucket/inventory_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define MANIFEST(schema, files)                                                      \
    ("{\"sourceBucket\":\"uploads\",\"fileFormat\":\"CSV\",\"fileSchema\":\"" schema \
     "\",\"files\":[" files "]}")
#define ONE_FILE "{\"key\":\"inventory/a.csv.gz\",\"size\":10,\"MD5checksum\":\"x\"}"

static int read_manifest(const char *json, struct inventory_manifest *manifest)
{
    char problem[128];

    int r = inventory_manifest_read(json, strlen(json), manifest, problem);
    assert_true(r == 0 || problem[0] != '\0');
    return r;
}

static void test_a_manifest(void **state)
{
    (void)state;
    struct inventory_manifest manifest;

    assert_int_equal(read_manifest(MANIFEST("Bucket, Key, VersionId, Weather, ETag",
                                            ONE_FILE "," ONE_FILE),
                                   &manifest),
                     0);
    assert_string_equal(manifest.bucket, "uploads");
    assert_int_equal(manifest.column_count, 5);
    assert_int_equal(manifest.columns[1], INVENTORY_KEY);
    assert_int_equal(manifest.columns[3], INVENTORY_OTHER);
    assert_int_equal(manifest.columns[4], INVENTORY_ETAG);
    assert_int_equal(manifest.file_count, 2);
    assert_string_equal(manifest.files[1].key, "inventory/a.csv.gz");
    inventory_manifest_done(&manifest);
}

static void test_none(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "[]",
        "{",
        "{\"sourceBucket\":\"b\",\"fileFormat\":\"Parquet\",\"fileSchema\":\"Key\",\"files\":[]}",
        MANIFEST("Bucket, Size", ONE_FILE),
        MANIFEST("Key, Key", ONE_FILE),
        MANIFEST("Key", "{\"key\":\"\",\"size\":1}"),
        MANIFEST("Key", "{\"key\":\"x\"}"),
        MANIFEST("Key", "{\"key\":\"x\",\"size\":-1}"),
        MANIFEST("Key", "7"),
        "{\"sourceBucket\":\"b\",\"fileFormat\":\"CSV\",\"fileSchema\":\"Key\"}",
        "{\"fileFormat\":\"CSV\",\"fileSchema\":\"Key\",\"files\":[]}",
    };
    struct inventory_manifest manifest;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(read_manifest(broken[i], &manifest), -EBADMSG);
}

/* ---- rows ---- */

struct rows {
    char text[4096];
    size_t count;
};

static int take_row(void *user, const struct inventory_row *row)
{
    struct rows *rows = user;
    char line[2048];

    rows->count++;
    assert_true(text_format(line, sizeof line, "%s|%s|%s|%s|%llu%s%s%s\n", row->bucket, row->key,
                            row->version, row->etag, (unsigned long long)row->size,
                            row->size_known ? "" : "?", row->is_old ? " old" : "",
                            row->is_delete_marker ? " deleted" : "") > 0);
    size_t length = strlen(rows->text);
    (void)text_copy(rows->text + length, sizeof rows->text - length, line);
    return 0;
}

static size_t pack(const char *text, size_t length, unsigned char *packed, size_t size)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)text,
                       .avail_in = (uInt)length,
                       .next_out = packed,
                       .avail_out = (uInt)size};

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    (void)deflateEnd(&stream);
    return size - stream.avail_out;
}

/* In pieces of step bytes. */
static int read_packed(const unsigned char *packed, size_t length, size_t step, struct rows *rows)
{
    struct inventory_manifest manifest;
    struct inventory_reader *reader;

    assert_int_equal(
        read_manifest(MANIFEST("Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag",
                               ONE_FILE),
                      &manifest),
        0);
    *rows = (struct rows){.count = 0};
    assert_int_equal(inventory_reader_new(&manifest, take_row, rows, &reader), 0);
    int r = 0;
    for (size_t i = 0; r == 0 && i < length; i += step)
        r = inventory_reader_feed(reader, packed + i, MIN(step, length - i));
    if (r == 0)
        r = inventory_reader_end(reader);
    (void)inventory_reader_free(reader);
    inventory_manifest_done(&manifest);
    return r;
}

static int read_text(const char *text, size_t step, struct rows *rows)
{
    unsigned char packed[8192];

    return read_packed(packed, pack(text, strlen(text), packed, sizeof packed), step, rows);
}

static void test_rows(void **state)
{
    (void)state;
    static const char text[] = ("\"uploads\",\"a+b%2Bc%2F%E6%AB%93\",\"v1\",\"true\",\"false\","
                                "\"10\",\"etag\"\n"
                                "uploads,plain,,false,true,,\r\n"
                                "\n"
                                "\"uploads\",\"quo\"\"te\",\"\",\"\",\"\",\"0\",\"\"");
    static const char wanted[] = ("uploads|a b+c/櫓|v1|etag|10\n"
                                  "uploads|plain|||0? old deleted\n"
                                  "uploads|quo\"te|||0\n");
    struct rows rows;
    for (size_t step = 1; step < 40; step += 3) {
        assert_int_equal(read_text(text, step, &rows), 0);
        assert_string_equal(rows.text, wanted);
    }
}

static void test_broken_rows(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "a,b,c\n",
        "a,b,c,d,e,1,g,h\n",
        "a,,v,true,false,1,e\n",       /* no key */
        "a,b,v,true,false,x,e\n",      /* no size */
        "a,%4,v,true,false,1,e\n",     /* a broken escape */
        "a,%00,v,true,false,1,e\n",    /* a NUL */
        "a,\"b\"c,v,true,false,1,e\n", /* behind a quote */
        "a,b\"c\",v,true,false,1,e\n", /* a quote in the middle */
        "a,b,v,true,false,1,\"e",      /* not ended */
        "a,b,v,true,false,1,e\rx\n",
    };
    struct rows rows;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(read_text(broken[i], 1000, &rows), -EBADMSG);
}

static void test_bounds(void **state)
{
    (void)state;
    char *text = malloc(INVENTORY_ROW_BYTES + 2);
    unsigned char packed[8192];
    struct rows rows;

    assert_non_null(text);
    memset(text, 'a', INVENTORY_ROW_BYTES + 2);
    size_t length = pack(text, INVENTORY_ROW_BYTES + 2, packed, sizeof packed);
    assert_int_equal(read_packed(packed, length, length, &rows), -EBADMSG);
    free(text);
    static const char row[] = "a,b,v,true,false,1,e\n";
    length = pack(row, strlen(row), packed, sizeof packed);
    assert_int_equal(read_packed(packed, length - 1, 100, &rows), -EBADMSG); /* cut short */
    assert_int_equal(read_packed(packed, 0, 100, &rows), -EBADMSG);
    assert_int_equal(read_packed((const unsigned char *)row, strlen(row), 100, &rows), -EBADMSG);
    /* Two members, one behind the other. */
    size_t second = pack(row, strlen(row), packed + length, sizeof packed - length);
    assert_int_equal(read_packed(packed, length + second, 7, &rows), 0);
    assert_int_equal(rows.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_manifest), cmocka_unit_test(test_none),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_broken_rows),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
