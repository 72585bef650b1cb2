/* Makes file contents in memory. Owns no file; hands bytes to corpus_generator and workload. */
#include "tests/bench/tools/content.h"

#include <elf.h>
#include <string.h>

enum {
    ZIP_LOCAL_BYTES = 30,
    ZIP_CENTRAL_BYTES = 46,
    ZIP_END_BYTES = 22,
    PE_HEADER_OFFSET = 0x80,
    PE_HEADERS_BYTES = 0x200,
};

static const char *const words[] = {
    "server",  "request", "volume",  "handle", "the",    "of",      "remote", "value",  "return",
    "library", "options", "network", "and",    "table",  "number",  "when",   "client", "address",
    "default", "message", "system",  "update", "kernel", "service", "is",     "not",    "packet",
    "memory",  "buffer",  "thread",  "with",   "policy", "signal",  "entry",  "status", "version",
};

enum content_kind content_some_kind(struct tool_random *random)
{
    static const struct {
        enum content_kind kind;
        unsigned per_mille;
    } shares[] = {{CONTENT_TEXT, 330}, {CONTENT_HTML, 120},  {CONTENT_SCRIPT, 230},
                  {CONTENT_JSON, 120}, {CONTENT_ELF, 30},    {CONTENT_PE, 5},
                  {CONTENT_ZIP, 35},   {CONTENT_BINARY, 130}};
    uint32_t draw = tool_random_below(random, 1000);

    for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
        if (draw < shares[i].per_mille)
            return shares[i].kind;
        draw -= shares[i].per_mille;
    }
    return CONTENT_TEXT;
}

const char *content_extension(enum content_kind kind)
{
    static const char *const extensions[] = {
        [CONTENT_TEXT] = ".txt",  [CONTENT_HTML] = ".html", [CONTENT_SCRIPT] = ".sh",
        [CONTENT_JSON] = ".json", [CONTENT_ELF] = ".so",    [CONTENT_PE] = ".exe",
        [CONTENT_ZIP] = ".zip",   [CONTENT_BINARY] = ".db", [CONTENT_EICAR] = ".com",
    };

    return extensions[kind];
}

static void put_16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static void put_32(uint8_t *bytes, uint32_t value)
{
    put_16(bytes, value & 0xffffU);
    put_16(bytes + 2, value >> 16);
}

static size_t put_text(uint8_t *buffer, const char *text)
{
    const size_t length = strlen(text);

    memcpy(buffer, text, length);
    return length;
}

/* Words up to exactly size bytes, a newline every twelve. */
static void fill_words(struct tool_random *random, uint8_t *buffer, size_t size)
{
    size_t used = 0;
    unsigned column = 0;

    while (used < size) {
        const char *word = words[tool_random_below(random, sizeof(words) / sizeof(*words))];
        const size_t length = strlen(word);
        const size_t part = length < size - used ? length : size - used;
        memcpy(buffer + used, word, part);
        used += part;
        if (used < size)
            buffer[used++] = ++column % 12 == 0 ? '\n' : ' ';
    }
}

static size_t fill_document(const char *before, const char *after, struct tool_random *random,
                            uint64_t index, uint8_t *buffer, size_t size)
{
    char line[64];
    size_t used = put_text(buffer, before);

    (void)snprintf(line, sizeof(line), "document %llu\n", (unsigned long long)index);
    used += put_text(buffer + used, line);
    const size_t end = strlen(after);
    const size_t body = size > used + end ? size - used - end : 0;
    fill_words(random, buffer + used, body);
    used += body;
    return used + put_text(buffer + used, after);
}

static size_t fill_elf(struct tool_random *random, uint8_t *buffer, size_t size)
{
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                                     EV_CURRENT},
                         .e_type = ET_DYN,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_entry = 0x1000,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_ehsize = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1};
    Elf64_Phdr segment = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x1000};
    const size_t headers = sizeof(header) + sizeof(segment);

    if (size < headers + 64)
        size = headers + 64;
    segment.p_filesz = size;
    segment.p_memsz = size;
    memcpy(buffer, &header, sizeof(header));
    memcpy(buffer + sizeof(header), &segment, sizeof(segment));
    tool_random_bytes(random, buffer + headers, size - headers);
    return size;
}

/* MZ stub, PE32 header and one section of code. */
static size_t fill_pe(struct tool_random *random, uint8_t *buffer, size_t size)
{
    uint8_t *pe = buffer + PE_HEADER_OFFSET;
    uint8_t *optional = pe + 24;
    uint8_t *section = optional + 224;

    size = size < 2 * PE_HEADERS_BYTES ? 2 * PE_HEADERS_BYTES : (size + 511) / 512 * 512;
    const uint32_t code = (uint32_t)(size - PE_HEADERS_BYTES);
    memset(buffer, 0, PE_HEADERS_BYTES);
    put_text(buffer, "MZ");
    put_32(buffer + 0x3c, PE_HEADER_OFFSET);
    put_text(pe, "PE");
    put_16(pe + 4, 0x14c);
    put_16(pe + 6, 1);
    put_16(pe + 20, 224);
    put_16(pe + 22, 0x102);
    put_16(optional, 0x10b);
    put_32(optional + 4, code);
    put_32(optional + 16, 0x1000);
    put_32(optional + 20, 0x1000);
    put_32(optional + 28, 0x400000);
    put_32(optional + 32, 0x1000);
    put_32(optional + 36, 0x200);
    put_16(optional + 40, 4);
    put_16(optional + 48, 4);
    put_32(optional + 56, 0x1000 + (code + 0xfff) / 0x1000 * 0x1000);
    put_32(optional + 60, PE_HEADERS_BYTES);
    put_16(optional + 68, 3);
    put_32(optional + 92, 16);
    put_text(section, ".text");
    put_32(section + 8, code);
    put_32(section + 12, 0x1000);
    put_32(section + 16, code);
    put_32(section + 20, PE_HEADERS_BYTES);
    put_32(section + 36, 0x60000020);
    tool_random_bytes(random, buffer + PE_HEADERS_BYTES, code);
    return size;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t count)
{
    uint32_t crc = 0xffffffffU;

    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1)));
    }
    return ~crc;
}

/* One stored member, so that no compressor is needed. */
static size_t fill_zip(struct tool_random *random, uint64_t index, uint8_t *buffer, size_t size)
{
    static const char name[] = "member.txt";
    const size_t name_bytes = sizeof(name) - 1;
    const size_t fixed = ZIP_LOCAL_BYTES + ZIP_CENTRAL_BYTES + ZIP_END_BYTES + 2 * name_bytes;
    const size_t body = size > fixed + 64 ? size - fixed : 64;
    uint8_t *local = buffer;
    uint8_t *data = local + ZIP_LOCAL_BYTES + name_bytes;
    uint8_t *central = data + body;
    uint8_t *end = central + ZIP_CENTRAL_BYTES + name_bytes;

    memset(buffer, 0, ZIP_LOCAL_BYTES);
    fill_document("", "", random, index, data, body);
    const uint32_t crc = crc32_of(data, body);
    put_32(local, 0x04034b50);
    put_16(local + 4, 20);
    put_32(local + 14, crc);
    put_32(local + 18, (uint32_t)body);
    put_32(local + 22, (uint32_t)body);
    put_16(local + 26, (uint32_t)name_bytes);
    memcpy(local + ZIP_LOCAL_BYTES, name, name_bytes);
    memset(central, 0, ZIP_CENTRAL_BYTES);
    put_32(central, 0x02014b50);
    put_16(central + 4, 20);
    memcpy(central + 6, local + 4, ZIP_LOCAL_BYTES - 4);
    memcpy(central + ZIP_CENTRAL_BYTES, name, name_bytes);
    memset(end, 0, ZIP_END_BYTES);
    put_32(end, 0x06054b50);
    put_16(end + 8, 1);
    put_16(end + 10, 1);
    put_32(end + 12, (uint32_t)(ZIP_CENTRAL_BYTES + name_bytes));
    put_32(end + 16, (uint32_t)(central - buffer));
    return (size_t)(end + ZIP_END_BYTES - buffer);
}

/* The string is put together here, so that neither this source nor the program is a test virus. */
static size_t fill_eicar(uint64_t index, uint8_t *buffer)
{
    size_t used = put_text(buffer, "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-");

    used += put_text(buffer + used, "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*");
    for (size_t bit = 0; bit < CONTENT_INDEX_BYTES; bit++)
        buffer[used++] = (index >> bit) & 1 ? '\t' : ' ';
    return used;
}

size_t content_fill(enum content_kind kind, struct tool_random *random, uint64_t index,
                    uint8_t *buffer, size_t size)
{
    switch (kind) {
    case CONTENT_TEXT:
        return fill_document("", "\n", random, index, buffer, size);
    case CONTENT_HTML:
        return fill_document("<!DOCTYPE html>\n<html><head><title>page</title></head><body><p>\n",
                             "</p></body></html>\n", random, index, buffer, size);
    case CONTENT_SCRIPT:
        return fill_document("#!/bin/sh\nset -eu\ncat <<'END'\n", "\nEND\n", random, index, buffer,
                             size);
    case CONTENT_JSON:
        return fill_document("{\"version\": 1, \"text\": [\n\"", "\"]}\n", random, index, buffer,
                             size);
    case CONTENT_ELF:
        return fill_elf(random, buffer, size);
    case CONTENT_PE:
        return fill_pe(random, buffer, size);
    case CONTENT_ZIP:
        return fill_zip(random, index, buffer, size);
    case CONTENT_BINARY:
        tool_random_bytes(random, buffer, size);
        return size;
    case CONTENT_EICAR:
        return fill_eicar(index, buffer);
    }
    return 0;
}
