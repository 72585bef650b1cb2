/* common/crypto: known answers, and a sealed file that was tampered with in every way. */
#include "common/crypto/aead.h"
#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CHUNK 65536

static int memory_file(const void *bytes, size_t length)
{
    int fd = memfd_create("crypto_test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void digests_are_the_published_ones(void **state)
{
    /* FIPS 180-4 and RFC 1321 examples. */
    static const char sha[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char md5[] = "900150983cd24fb0d6963f7d28e17f72";
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    struct sha256 *pieces;
    int fd = memory_file("abc", 3);

    (void)state;
    assert_int_equal(hash_sha256("abc", 3, digest), 0);
    text_hex(hex, digest, sizeof(digest));
    assert_string_equal(hex, sha);
    assert_int_equal(hash_sha256_fd(fd, 3, digest), 0);
    text_hex(hex, digest, sizeof(digest));
    assert_string_equal(hex, sha);
    assert_int_equal(hash_md5_fd(fd, 3, digest), 0);
    text_hex(hex, digest, MD5_BYTES);
    assert_string_equal(hex, md5);
    assert_int_equal(sha256_new(&pieces), 0);
    assert_int_equal(sha256_update(pieces, "a", 1), 0);
    assert_int_equal(sha256_update(pieces, "bc", 2), 0);
    assert_int_equal(sha256_finish(pieces, digest), 0);
    assert_null(sha256_free(pieces));
    text_hex(hex, digest, sizeof(digest));
    assert_string_equal(hex, sha);
    close(fd);
}

static void a_file_over_the_maximum_is_refused(void **state)
{
    uint8_t digest[SHA256_BYTES];
    int fd = memory_file("abcd", 4);

    (void)state;
    assert_int_equal(hash_sha256_fd(fd, 3, digest), -EFBIG);
    assert_int_equal(hash_sha256_fd(fd, 4, digest), 0);
    assert_int_equal(hash_sha256_fd(-1, 4, digest), -EBADF);
    close(fd);
}

static void uuids_sort_as_they_were_made(void **state)
{
    char before[UUID_TEXT_BYTES] = "", after[UUID_TEXT_BYTES];

    (void)state;
    for (uint64_t ns = 0; ns < 3 * NS_PER_MS; ns += 250) {
        clock_set_fake(1, 0x0123456789abULL * NS_PER_MS + ns);
        assert_int_equal(uuid_new(after), 0);
        assert_true(strcmp(before, after) < 0);
        memcpy(before, after, sizeof(before));
    }
    clock_set_fake(0, 0);
}

static void uuids_carry_time_and_version(void **state)
{
    char first[UUID_TEXT_BYTES], second[UUID_TEXT_BYTES];

    (void)state;
    clock_set_fake(1, 0x0123456789abULL * NS_PER_MS);
    assert_int_equal(uuid_new(first), 0);
    assert_int_equal(uuid_new(second), 0);
    clock_set_fake(0, 0);
    assert_int_equal(strlen(first), 36);
    assert_memory_equal(first, "01234567-89ab-7", 15);
    assert_non_null(strchr("89ab", first[19]));
    assert_string_not_equal(first, second);
}

static void a_file_comes_back(size_t length)
{
    uint8_t key[AEAD_KEY_BYTES] = {1, 2, 3};
    uint8_t *content = malloc(length + 1), *back = malloc(length + 1);
    int source, sealed = memory_file("HEAD", 4), opened = memory_file("", 0);
    uint64_t bytes = 1;

    assert_non_null(content);
    assert_non_null(back);
    assert_int_equal(random_bytes(content, length), 0);
    source = memory_file(content, length);
    assert_int_equal(lseek(sealed, 4, SEEK_SET), 4);
    assert_int_equal(aead_seal_fd(key, "label", source, sealed, length, NULL, &bytes), 0);
    assert_int_equal(bytes, length);
    assert_int_equal(lseek(sealed, 0, SEEK_END), 4 + aead_sealed_size(length));
    assert_int_equal(lseek(sealed, 4, SEEK_SET), 4);
    assert_int_equal(aead_open_fd(key, "label", sealed, opened, NULL, &bytes), 0);
    assert_int_equal(bytes, length);
    assert_int_equal(pread(opened, back, length + 1, 0), (ssize_t)length);
    assert_memory_equal(content, back, length);
    close(source);
    close(sealed);
    close(opened);
    free(content);
    free(back);
}

static void files_of_every_length_come_back(void **state)
{
    static const size_t lengths[] = {0,         1,         15,
                                     16,        CHUNK - 1, CHUNK,
                                     CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 77};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
        a_file_comes_back(lengths[i]);
}

static int open_result(const uint8_t *key, const char *label, const uint8_t *sealed, size_t length)
{
    int fd = memory_file(sealed, length);
    uint64_t bytes;
    int r = aead_open_fd(key, label, fd, -1, NULL, &bytes);

    close(fd);
    return r;
}

static void any_change_is_seen(void **state)
{
    static uint8_t content[2 * CHUNK], sealed[3 * CHUNK];
    const size_t piece = CHUNK + AEAD_TAG_BYTES;
    uint8_t key[AEAD_KEY_BYTES] = {7};
    int source = memory_file(content, sizeof(content)), target = memory_file("", 0);
    uint64_t bytes;
    size_t length;

    (void)state;
    assert_int_equal(aead_seal_fd(key, "a", source, target, UINT64_MAX, NULL, &bytes), 0);
    length = (size_t)pread(target, sealed, sizeof(sealed), 0);
    assert_int_equal(open_result(key, "a", sealed, length), 0);
    /* one bit anywhere */
    for (size_t i = 0; i < length; i += 4099) {
        sealed[i] ^= 1;
        assert_int_equal(open_result(key, "a", sealed, length), -EBADMSG);
        sealed[i] ^= 1;
    }
    /* cut, also between chunks; another label; another key; something behind */
    assert_int_equal(open_result(key, "a", sealed, length - 1), -EBADMSG);
    assert_int_equal(open_result(key, "a", sealed, 16 + 2 * piece), -EBADMSG);
    assert_int_equal(open_result(key, "a", sealed, 16 + piece), -EBADMSG);
    assert_int_equal(open_result(key, "a", sealed, 16), -EBADMSG);
    assert_int_equal(open_result(key, "a", sealed, 3), -EBADMSG);
    assert_int_equal(open_result(key, "b", sealed, length), -EBADMSG);
    key[31] ^= 1;
    assert_int_equal(open_result(key, "a", sealed, length), -EBADMSG);
    key[31] ^= 1;
    assert_int_equal(open_result(key, "a", sealed, length + 1), -EBADMSG);
    /* chunks exchanged (their content is equal, their place is not) */
    for (size_t i = 0; i < piece; i++) {
        uint8_t byte = sealed[16 + i];

        sealed[16 + i] = sealed[16 + piece + i];
        sealed[16 + piece + i] = byte;
    }
    assert_int_equal(open_result(key, "a", sealed, length), -EBADMSG);
    close(source);
    close(target);
}

static void a_source_over_the_maximum_is_not_sealed(void **state)
{
    uint8_t key[AEAD_KEY_BYTES] = {7};
    int source = memory_file("12345", 5), target = memory_file("", 0);
    uint64_t bytes;

    (void)state;
    assert_int_equal(aead_seal_fd(key, "a", source, target, 4, NULL, &bytes), -EFBIG);
    close(source);
    close(target);
}

static void bytes_come_back_and_changes_are_seen(void **state)
{
    uint8_t key[AEAD_KEY_BYTES] = {9};
    uint8_t sealed[5 + AEAD_SEAL_BYTES];
    char back[6] = "";

    (void)state;
    assert_int_equal(aead_seal(key, "L", 1, "hello", 5, sealed), 0);
    assert_int_equal(aead_open(key, "L", 1, sealed, sizeof(sealed), back), 0);
    assert_string_equal(back, "hello");
    assert_int_equal(aead_open(key, "M", 1, sealed, sizeof(sealed), back), -EBADMSG);
    assert_int_equal(aead_open(key, "L", 1, sealed, sizeof(sealed) - 1, back), -EBADMSG);
    assert_int_equal(aead_open(key, "L", 1, sealed, 3, back), -EBADMSG);
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 0x80;
        assert_int_equal(aead_open(key, "L", 1, sealed, sizeof(sealed), back), -EBADMSG);
        sealed[i] ^= 0x80;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_the_published_ones),
        cmocka_unit_test(a_file_over_the_maximum_is_refused),
        cmocka_unit_test(uuids_carry_time_and_version),
        cmocka_unit_test(uuids_sort_as_they_were_made),
        cmocka_unit_test(files_of_every_length_come_back),
        cmocka_unit_test(any_change_is_seen),
        cmocka_unit_test(a_source_over_the_maximum_is_not_sealed),
        cmocka_unit_test(bytes_come_back_and_changes_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
