#include "scanner/encrypted_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECTOR 512
#define OLE    "CL_TYPE_MSOLE2"

/* A header, a directory of one sector, the stream. */
struct compound {
    uint8_t bytes[4 * SECTOR];
};

static void put(struct compound *file, size_t place, const void *bytes, size_t length)
{
    memcpy(file->bytes + place, bytes, length);
}

static void begin(struct compound *file, size_t entry, const char *name)
{
    memset(file, 0, sizeof *file);
    put(file, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
    file->bytes[30] = 9;
    uint8_t *place = file->bytes + SECTOR + entry * 128;
    for (size_t i = 0; name[i] != '\0'; i++)
        place[2 * i] = (uint8_t)name[i];
    place[64] = (uint8_t)(2 * (strlen(name) + 1));
    place[66] = 2;
    place[116] = 1; /* the sector behind the directory */
}

static bool is(const struct compound *file)
{
    return encrypted_document_is(OLE, NULL, file->bytes, sizeof file->bytes);
}

static void test_packages(void **state)
{
    (void)state;
    struct compound file;

    begin(&file, 3, "EncryptedPackage");
    assert_true(is(&file));
    assert_false(encrypted_document_is("CL_TYPE_ZIP", NULL, file.bytes, sizeof file.bytes));
    file.bytes[SECTOR + 3 * 128 + 66] = 1; /* a folder of that name is none */
    assert_false(is(&file));
    begin(&file, 0, "encryptedSUMMARY");
    assert_true(is(&file));
    begin(&file, 1, "EncryptedPackages");
    assert_false(is(&file));
    begin(&file, 1, "EncryptedPackage");
    file.bytes[SECTOR + 128 + 1] = 1; /* another alphabet's letter */
    assert_false(is(&file));
}

/* A text that says so is none: the name must be an entry's. */
static void test_a_text_about_it(void **state)
{
    (void)state;
    struct compound file;

    begin(&file, 0, "WordDocument");
    for (size_t i = 0; i < 16; i++)
        file.bytes[2 * SECTOR + 2 * i] = (uint8_t) "EncryptedPackage"[i];
    assert_false(is(&file));
}

static void test_word(void **state)
{
    (void)state;
    struct compound file;

    begin(&file, 2, "WordDocument");
    put(&file, 2 * SECTOR, "\xec\xa5\xc1\0\0\0\0\0\0\0\0\x02", 12);
    assert_false(is(&file));
    file.bytes[2 * SECTOR + 11] = 3;
    assert_true(is(&file));
    file.bytes[2 * SECTOR] = 0;
    assert_false(is(&file));
    memset(file.bytes + SECTOR + 2 * 128 + 116, 0xff, 4); /* beyond the file */
    assert_false(is(&file));
}

static void test_excel(void **state)
{
    (void)state;
    struct compound file;

    begin(&file, 1, "Workbook");
    put(&file, 2 * SECTOR, "\x09\x08\x02\0xx\x2f\0\x04\0", 10);
    assert_true(is(&file));
    put(&file, 2 * SECTOR, "\x09\x08\x02\0xx\x86\0\0\0\x2f\0\x04\0", 14);
    assert_true(is(&file));
    put(&file, 2 * SECTOR, "\x09\x08\x02\0xx\xe1\0\0\0\x2f\0\x04\0", 14);
    assert_false(is(&file));
    begin(&file, 1, "Book");
    put(&file, 2 * SECTOR, "\x09\x08\x02\0xx\x2f\0\x04\0", 10);
    assert_true(is(&file));
}

static void test_open_document(void **state)
{
    (void)state;
    static const char yes[] =
        ("<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'>"
         "<manifest:file-entry><manifest:encryption-data/>");
    static const char no[] = "<manifest><encryption-data/>";
    static const char name[] = "manifest.xml", type[] = "CL_TYPE_TEXT_ASCII";

    assert_true(encrypted_document_is(type, name, yes, sizeof yes));
    assert_false(encrypted_document_is(type, "content.xml", yes, sizeof yes));
    assert_false(encrypted_document_is(type, NULL, yes, sizeof yes));
    assert_false(encrypted_document_is(type, name, yes, sizeof yes - 10));
    assert_false(encrypted_document_is(type, name, no, sizeof no));
    assert_false(encrypted_document_is(OLE, name, NULL, 0));
    /* However long a comment stands before it. */
    const size_t comment = 2U << 20, head = (size_t)(strstr(yes, "<manifest:file") - yes);
    char *padded = malloc(comment + sizeof yes);
    assert_non_null(padded);
    memset(padded, ' ', comment + sizeof yes);
    memcpy(padded, yes, head);
    memcpy(padded + head + comment, yes + head, sizeof yes - head);
    assert_true(encrypted_document_is(type, name, padded, comment + sizeof yes));
    free(padded);
}

/* Read from a block of its own, so that a sanitizer sees a byte too many. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    struct compound file;

    begin(&file, 2, "WordDocument");
    for (size_t size = 0; size <= sizeof file.bytes; size += 13) {
        uint8_t *copy = malloc(size + (size == 0));
        assert_non_null(copy);
        memcpy(copy, file.bytes, size);
        assert_false(encrypted_document_is(OLE, NULL, copy, size));
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packages),      cmocka_unit_test(test_a_text_about_it),
        cmocka_unit_test(test_word),          cmocka_unit_test(test_excel),
        cmocka_unit_test(test_open_document), cmocka_unit_test(test_cut_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
