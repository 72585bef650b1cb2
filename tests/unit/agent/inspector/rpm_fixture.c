/* Owns: writing rpm's header format, independently of the code under test. */
#include "tests/unit/agent/inspector/rpm_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void put_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

void rpm_fixture_entry(struct rpm_fixture *fixture, uint32_t tag, uint32_t type, uint32_t offset,
                       uint32_t count)
{
    uint8_t *entry = fixture->index + 16 * fixture->entries;

    assert_true(16 * (fixture->entries + 1) <= RPM_FIXTURE_BYTES);
    put_u32(entry, tag);
    put_u32(entry + 4, type);
    put_u32(entry + 8, offset);
    put_u32(entry + 12, count);
    fixture->entries++;
}

void rpm_fixture_texts(struct rpm_fixture *fixture, uint32_t tag, uint32_t type,
                       const char *const *texts)
{
    size_t offset = fixture->length;
    uint32_t count = 0;

    for (; texts[count]; count++) {
        size_t size = strlen(texts[count]) + 1;

        assert_true(fixture->length + size <= RPM_FIXTURE_BYTES);
        memcpy(fixture->data + fixture->length, texts[count], size);
        fixture->length += size;
    }
    rpm_fixture_entry(fixture, tag, type, (uint32_t)offset, count);
}

void rpm_fixture_numbers(struct rpm_fixture *fixture, uint32_t tag, const uint32_t *numbers,
                         uint32_t count)
{
    size_t offset = (fixture->length + 3) / 4 * 4;

    assert_true(offset + 4 * (size_t)count <= RPM_FIXTURE_BYTES);
    for (uint32_t i = 0; i < count; i++)
        put_u32(fixture->data + offset + 4 * (size_t)i, numbers[i]);
    fixture->length = offset + 4 * (size_t)count;
    rpm_fixture_entry(fixture, tag, 4, (uint32_t)offset, count);
}

void rpm_fixture_finish(struct rpm_fixture *fixture)
{
    size_t index = 16 * fixture->entries;

    put_u32(fixture->header, (uint32_t)fixture->entries);
    put_u32(fixture->header + 4, (uint32_t)fixture->length);
    memcpy(fixture->header + 8, fixture->index, index);
    memcpy(fixture->header + 8 + index, fixture->data, fixture->length);
    fixture->header_length = 8 + index + fixture->length;
}

void rpm_fixture_tool(struct rpm_fixture *fixture)
{
    static const char *const name[] = {"tool", NULL};
    static const char *const base_names[] = {"tool", "tool.conf", "old", "tool.log", "link", NULL};
    static const char *const directories[] = {"/usr/bin/", "/etc/", "/bin/", "/var/log/", NULL};
    static const char *const digests[] = {TOOL_SHA256, CONF_SHA256, OLD_SHA256,
                                          TOOL_SHA256, "",          NULL};
    static const uint32_t directory_indexes[] = {0, 1, 2, 3, 0};
    static const uint32_t flags[] = {0, 1 | 16, 0, 64, 0};
    static const uint32_t sha256 = 8;

    *fixture = (struct rpm_fixture){0};
    rpm_fixture_texts(fixture, RPM_NAME, 6, name);
    rpm_fixture_texts(fixture, RPM_FILEDIGESTS, 8, digests);
    rpm_fixture_numbers(fixture, RPM_FILEFLAGS, flags, 5);
    rpm_fixture_numbers(fixture, RPM_DIRINDEXES, directory_indexes, 5);
    rpm_fixture_texts(fixture, RPM_BASENAMES, 8, base_names);
    rpm_fixture_texts(fixture, RPM_DIRNAMES, 8, directories);
    rpm_fixture_numbers(fixture, RPM_FILEDIGESTALGO, &sha256, 1);
}
