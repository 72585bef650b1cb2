/* Writes a synthetic ClamAV database: the large profile has the size and, as far as is published,
 * the shape of the official one (8.69 million signatures), the small one is what fixed costs are
 * measured with. Owns the output directory's files; the same seed gives the same bytes anywhere.
 *
 * The split by type is an assumption: no published one exists. It was chosen so that memory
 * (1.4 GB), load time and the cost of a small file agree with what is known of the official
 * database. Patterns begin with fragments of code and text like real ones do, because the first
 * bytes decide how often the matcher is entered, and end in random bytes, so that nothing real
 * is ever reported. */
#include "tests/bench/tools/tool.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MD5_BYTES = 16,
    SHA256_BYTES = 32,
    PATTERN_MAX = 64,
    SUBSIGNATURES_MAX = 6,
    WILDCARD_SIZE_PER_MILLE =
        5, /* hashes that name no file size and so cost a hash of every file */
};

enum kind {
    KIND_HDB, /* MD5 of a file */
    KIND_HSB, /* SHA-256 of a file */
    KIND_MDB, /* MD5 of a PE section */
    KIND_MSB, /* SHA-256 of a PE section */
    KIND_NDB, /* pattern */
    KIND_LDB, /* logical expression over patterns */
    KIND_CDB, /* container metadata */
};

struct part {
    const char *file;
    enum kind kind;
    uint32_t count;
};

static const struct part large_parts[] = {
    {"main.mdb", KIND_MDB, 4340000}, {"main.hsb", KIND_HSB, 1930000},
    {"main.hdb", KIND_HDB, 220000},  {"main.msb", KIND_MSB, 40000},
    {"main.ndb", KIND_NDB, 120000},  {"main.ldb", KIND_LDB, 30000},
    {"main.cdb", KIND_CDB, 1300},    {"daily.hsb", KIND_HSB, 1520000},
    {"daily.mdb", KIND_MDB, 240000}, {"daily.hdb", KIND_HDB, 60000},
    {"daily.msb", KIND_MSB, 20000},  {"daily.ndb", KIND_NDB, 80000},
    {"daily.ldb", KIND_LDB, 90000},
};

static const struct part small_parts[] = {
    {"main.hdb", KIND_HDB, 700}, {"main.hsb", KIND_HSB, 500}, {"main.mdb", KIND_MDB, 300},
    {"main.ndb", KIND_NDB, 150}, {"main.ldb", KIND_LDB, 100}, {"main.cdb", KIND_CDB, 4},
};

struct target {
    unsigned number; /* libclamav's target type */
    unsigned percent;
    const char *prefix;
};

/* Logical signatures are mostly about PE files; libclamav pays for every one of a file's type. */
static const struct target logical_targets[] = {
    {1, 84, "Win"}, {2, 4, "Doc"}, {0, 3, "Multios"}, {6, 3, "Unix"},
    {3, 2, "Html"}, {7, 2, "Txt"}, {10, 2, "Pdf"},
};

static const struct target pattern_targets[] = {
    {1, 70, "Win"}, {2, 5, "Doc"}, {0, 12, "Multios"}, {6, 3, "Unix"},
    {3, 5, "Html"}, {7, 2, "Txt"}, {10, 3, "Pdf"},
};

static const char *const families[] = {
    "Agent",  "Downloader", "Emotet", "Generic", "Gandcrab", "Ircbot", "Kryptik",
    "Loader", "Miner",      "Njrat",  "Packed",  "Qakbot",   "Ransom", "Redline",
    "Shell",  "Stealer",    "Tofsee", "Upatre",  "Virut",    "Zbot",
};

static const char *const classes[] = {"Trojan", "Malware", "Worm", "Virus", "Packed", "Ransomware"};

/* Beginnings of 32-bit and 64-bit code. */
static const char *const code_starts[] = {
    "558bec83ec", "558bec6aff68", "6a00e8",   "8b450889",     "ff1500",   "e800000000",   "6068",
    "5b81eb",     "8d8d",         "33c08945", "83c40c",       "c645f0",   "4883ec28",     "488d0d",
    "4889c1",     "b90a0000",     "8bff558b", "6a4068003000", "68ff0000", "64a130000000",
};

static const char *const text_starts[] = {
    "function ",    "document.write", "eval(",       "powershell", "cmd.exe /c",
    "CreateRemote", "VirtualAll",     "<script",     "<iframe",    "unescape(",
    "String.from",  "ActiveXObj",     "/JavaScript", "AutoOpen",   "WScript.",
    "chmod +x",     "/bin/busybox",   "base64 -d",   "<?php @",    "Shell.Appl",
};

struct generator {
    struct tool_random random;
    struct tool_writer out;
    uint32_t serial;
};

static void put_name(struct generator *generator, const char *prefix)
{
    tool_writer_text(&generator->out, prefix);
    tool_writer_text(&generator->out, ".");
    tool_writer_text(
        &generator->out,
        classes[tool_random_below(&generator->random, sizeof(classes) / sizeof(*classes))]);
    tool_writer_text(&generator->out, ".");
    tool_writer_text(
        &generator->out,
        families[tool_random_below(&generator->random, sizeof(families) / sizeof(*families))]);
    tool_writer_text(&generator->out, "-");
    tool_writer_number(&generator->out, 5000000U + generator->serial++);
}

/* File sizes spread evenly over their logarithm, 256 bytes to 16 MB; sections are aligned to 512.
 */
static uint64_t some_size(struct generator *generator, bool is_section)
{
    const unsigned bits = 8 + tool_random_below(&generator->random, 16);
    const uint64_t size =
        ((uint64_t)1 << bits) + tool_random_below(&generator->random, (uint32_t)1 << bits);

    return is_section ? (size + 511) / 512 * 512 : size;
}

static void put_file_hash(struct generator *generator, size_t digest_bytes)
{
    uint8_t digest[SHA256_BYTES];
    const bool wildcard = digest_bytes == SHA256_BYTES &&
                          tool_random_below(&generator->random, 1000) < WILDCARD_SIZE_PER_MILLE;

    tool_random_bytes(&generator->random, digest, digest_bytes);
    tool_writer_hex(&generator->out, digest, digest_bytes);
    tool_writer_text(&generator->out, ":");
    if (wildcard)
        tool_writer_text(&generator->out, "*");
    else
        tool_writer_number(&generator->out, some_size(generator, false));
    tool_writer_text(&generator->out, ":");
    put_name(generator, "Win");
    tool_writer_text(&generator->out, wildcard ? ":73\n" : "\n");
}

static void put_section_hash(struct generator *generator, size_t digest_bytes)
{
    uint8_t digest[SHA256_BYTES];

    tool_random_bytes(&generator->random, digest, digest_bytes);
    tool_writer_number(&generator->out, some_size(generator, true));
    tool_writer_text(&generator->out, ":");
    tool_writer_hex(&generator->out, digest, digest_bytes);
    tool_writer_text(&generator->out, ":");
    put_name(generator, "Win");
    tool_writer_text(&generator->out, "\n");
}

static const struct target *some_target(struct generator *generator, const struct target *targets)
{
    uint32_t draw = tool_random_below(&generator->random, 100);

    while (draw >= targets->percent) {
        draw -= targets->percent;
        targets++;
    }
    return targets;
}

static bool is_text_target(unsigned target)
{
    return target == 3 || target == 7 || target == 10;
}

/* One start in eight is a frequent fragment followed by chance; the rest are rare from the first
 * byte, as good signatures are. */
static void put_start(struct generator *generator, unsigned target)
{
    uint8_t bytes[6];

    if (tool_random_below(&generator->random, 8) == 0) {
        if (is_text_target(target)) {
            const char *text =
                text_starts[tool_random_below(&generator->random,
                                              sizeof(text_starts) / sizeof(*text_starts))];
            tool_writer_hex(&generator->out, (const uint8_t *)text, strlen(text));
        } else {
            tool_writer_text(&generator->out,
                             code_starts[tool_random_below(
                                 &generator->random, sizeof(code_starts) / sizeof(*code_starts))]);
        }
    }
    tool_random_bytes(&generator->random, bytes, sizeof(bytes));
    /* Real starts share their first two bytes: 16,384 pairs, each of which costs the matcher 2 KB.
     */
    bytes[1] = (uint8_t)(bytes[0] * 37 + (bytes[1] & 63) * 3);
    tool_writer_hex(&generator->out, bytes, sizeof(bytes));
}

static void put_pattern(struct generator *generator, unsigned target, bool may_be_wild)
{
    uint8_t bytes[PATTERN_MAX];
    const uint32_t pieces = may_be_wild ? 1 + tool_random_below(&generator->random, 3) : 1;

    put_start(generator, target);
    for (uint32_t piece = 0; piece < pieces; piece++) {
        const size_t count = 6 + tool_random_below(&generator->random, 18);
        if (piece > 0) {
            static const char *const gaps[] = {"??", "????", "{2-16}", "{-64}", "*"};
            tool_writer_text(
                &generator->out,
                gaps[tool_random_below(&generator->random, sizeof(gaps) / sizeof(*gaps))]);
        }
        tool_random_bytes(&generator->random, bytes, count);
        tool_writer_hex(&generator->out, bytes, count);
    }
}

static void put_body(struct generator *generator)
{
    const struct target *target = some_target(generator, pattern_targets);
    const bool is_executable = target->number == 1 || target->number == 6;

    put_name(generator, target->prefix);
    tool_writer_text(&generator->out, ":");
    tool_writer_number(&generator->out, target->number);
    if (is_executable && tool_random_below(&generator->random, 4) == 0) {
        tool_writer_text(&generator->out, ":EP+");
        tool_writer_number(&generator->out, tool_random_below(&generator->random, 512));
        tool_writer_text(&generator->out, ":");
    } else {
        tool_writer_text(&generator->out, ":*:");
    }
    put_pattern(generator, target->number, tool_random_below(&generator->random, 2) == 0);
    tool_writer_text(&generator->out, "\n");
}

static void put_logical(struct generator *generator)
{
    const struct target *target = some_target(generator, logical_targets);
    const uint32_t count = 1 + tool_random_below(&generator->random, SUBSIGNATURES_MAX);

    put_name(generator, target->prefix);
    tool_writer_text(&generator->out, ";Engine:51-255,Target:");
    tool_writer_number(&generator->out, target->number);
    tool_writer_text(&generator->out, ";");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            tool_writer_text(&generator->out, tool_random_below(&generator->random, 4) ? "&" : "|");
        tool_writer_number(&generator->out, i);
        if (tool_random_below(&generator->random, 8) == 0)
            tool_writer_text(&generator->out, ">1");
    }
    for (uint32_t i = 0; i < count; i++) {
        tool_writer_text(&generator->out, ";");
        put_pattern(generator, target->number, tool_random_below(&generator->random, 3) == 0);
    }
    tool_writer_text(&generator->out, "\n");
}

static void put_container(struct generator *generator)
{
    put_name(generator, "Win");
    tool_writer_text(&generator->out, ":CL_TYPE_ZIP:*:invoice_");
    tool_writer_number(&generator->out, tool_random_below(&generator->random, 1000000));
    tool_writer_text(&generator->out, "[a-z]{3}\\.(exe|scr):*:*:0:*:*:*\n");
}

static void put_signature(struct generator *generator, enum kind kind)
{
    switch (kind) {
    case KIND_HDB:
        put_file_hash(generator, MD5_BYTES);
        return;
    case KIND_HSB:
        put_file_hash(generator, SHA256_BYTES);
        return;
    case KIND_MDB:
        put_section_hash(generator, MD5_BYTES);
        return;
    case KIND_MSB:
        put_section_hash(generator, SHA256_BYTES);
        return;
    case KIND_NDB:
        put_body(generator);
        return;
    case KIND_LDB:
        put_logical(generator);
        return;
    case KIND_CDB:
        put_container(generator);
        return;
    }
}

/* EICAR stands at the start of a file (eicar.org); ClamAV-Test-File is clam.exe of ClamAV's own
 * tests. The pattern is written in hex, so that this database is no test virus itself. */
static void write_known_signatures(const char *directory)
{
    struct tool_writer out;
    char path[TOOL_PATH_MAX];

    tool_join(path, directory, "known.ndb");
    tool_writer_open(&out, path);
    tool_writer_text(&out, "Eicar-Test-Signature:0:0:"
                           "58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d53"
                           "54414e444152442d414e544956495255532d544553542d46494c452124482b482a\n");
    tool_writer_close(&out);
    tool_join(path, directory, "known.hdb");
    tool_writer_open(&out, path);
    tool_writer_text(&out, "aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n");
    tool_writer_close(&out);
}

/* Every part draws from its own stream, so that changing one part leaves the others as they were.
 */
static uint64_t write_part(const char *directory, const struct part *part, uint64_t seed,
                           size_t index)
{
    struct generator generator = {.serial = (uint32_t)(index * 5000000U)};
    char path[TOOL_PATH_MAX];

    tool_random_seed(&generator.random, seed * 1000003U + index);
    tool_join(path, directory, part->file);
    tool_writer_open(&generator.out, path);
    for (uint32_t i = 0; i < part->count; i++)
        put_signature(&generator, part->kind);
    tool_writer_close(&generator.out);
    return part->count;
}

int main(int argument_count, char **arguments)
{
    static const char usage[] = "[--profile large|small] [--seed N] DIRECTORY";
    static const struct option options[] = {{"profile", required_argument, NULL, 'p'},
                                            {"seed", required_argument, NULL, 's'},
                                            {0}};
    const struct part *parts = large_parts;
    size_t part_count = sizeof(large_parts) / sizeof(*large_parts);
    uint64_t seed = 1;
    uint64_t total = 2;
    int option;

    while ((option = getopt_long(argument_count, arguments, "", options, NULL)) != -1) {
        if (option == 's') {
            seed = tool_number("seed", optarg, 0, UINT32_MAX);
        } else if (option == 'p' && strcmp(optarg, "small") == 0) {
            parts = small_parts;
            part_count = sizeof(small_parts) / sizeof(*small_parts);
        } else if (option != 'p' || strcmp(optarg, "large") != 0) {
            tool_usage(usage);
        }
    }
    if (optind + 1 != argument_count)
        tool_usage(usage);
    const char *directory = arguments[optind];

    tool_make_directory(directory);
    for (size_t i = 0; i < part_count; i++)
        total += write_part(directory, &parts[i], seed, i);
    write_known_signatures(directory);
    printf("%llu\n", (unsigned long long)total);
    return EXIT_SUCCESS;
}
