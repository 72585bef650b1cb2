#include "application/detection/upload_checks.h"

#include "application/detection/sha256.h"
#include "common/text/text.h"

/* Bytes of a file's beginning that are searched for script. */
#define LOOKED_AT 65536

static void report(struct judgement *judgement, const struct request_upload *upload, uint32_t rule,
                   struct span message, struct span text)
{
    (void)judgement_find(judgement,
                         &(struct judgement_match){.protection = PROTECTION_MALICIOUS_FILE_UPLOAD,
                                                   .rule = rule,
                                                   .score = SCORE_CRITICAL,
                                                   .message = message,
                                                   .list = SPAN("FILES"),
                                                   .name = upload->field,
                                                   .text = text});
}

static bool is_among(struct span word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_alike(word, span_of(list[i])))
            return true;
    }
    return false;
}

/* What servers and runtimes run or obey when they find it among their files. */
static bool runs(struct span extension)
{
    static const char *const known[] = {
        "php", "php3", "php4", "php5",     "php7",     "php8",  "phtml", "phar", "phps", "pht",
        "jsp", "jspx", "jspf", "jsw",      "jsv",      "asp",   "aspx",  "asa",  "ashx", "asmx",
        "cer", "cfm",  "cgi",  "pl",       "pm",       "py",    "rb",    "sh",   "bash", "exe",
        "dll", "com",  "bat",  "cmd",      "msi",      "scr",   "vbs",   "vbe",  "wsf",  "hta",
        "ps1", "jar",  "war",  "htaccess", "htpasswd", "shtml", "stm"};
    return is_among(extension, known, ARRAY_LENGTH(known));
}

/* Any part of a name behind a dot counts: "x.php.jpg", and "x.php" before a NUL or a semicolon. */
static bool name_runs(struct span name)
{
    struct span rest = span_from(name, span_find(name, '.') + 1);
    struct span piece;
    bool first = span_find(name, '.') < name.length;
    while (first && rest.length > 0 && span_next(&rest, '.', &piece)) {
        size_t end = 0;
        while (end < piece.length &&
               (byte_is_letter(piece.data[end]) || byte_is_digit(piece.data[end])))
            end++;
        if (runs(span_first(piece, end)))
            return true;
    }
    return false;
}

static bool name_leads_away(struct span name)
{
    return span_find(name, '/') < name.length || span_contains(name, SPAN("..\\")) ||
           span_contains(name, SPAN("%2f")) || span_contains(name, SPAN("%00")) ||
           memchr(name.length == 0 ? "x" : name.data, '\0', name.length == 0 ? 1 : name.length) !=
               NULL;
}

struct format {
    const char *type;      /* how its MIME type begins */
    const char *extension; /* NULL: any */
    const char *magic;
    size_t length;
    size_t offset;
};

static const struct format formats[] = {
    {"image/png", "png", "\x89PNG", 4, 0},        {"image/jpeg", "jpg", "\xff\xd8\xff", 3, 0},
    {"image/gif", "gif", "GIF8", 4, 0},           {"image/webp", "webp", "WEBP", 4, 8},
    {"application/pdf", "pdf", "%PDF", 4, 0},     {"application/zip", "zip", "PK", 2, 0},
    {"application/gzip", "gz", "\x1f\x8b", 2, 0},
};

/* A format that the type and the extension name, and the content is not of. */
static bool pretends(const struct request_upload *upload)
{
    struct span name = upload->file_name;
    size_t dot = name.length;
    while (dot > 0 && name.data[dot - 1] != '.')
        dot--;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        const struct format *format = &formats[i];
        if (!span_begins_alike(upload->type, format->type) &&
            !(dot > 0 && span_alike(span_from(name, dot), span_of(format->extension))))
            continue;
        struct span magic = span_first(span_from(upload->content, format->offset), format->length);
        return !span_equal(magic, (struct span){format->magic, format->length});
    }
    return false;
}

static bool is_program(struct span content)
{
    static const struct {
        const char *magic;
        size_t length;
    } known[] = {{"\x7f"
                  "ELF",
                  4},
                 {"MZ", 2},
                 {"#!/", 3},
                 {"\xca\xfe\xba\xbe", 4},
                 {"\xcf\xfa\xed\xfe", 4}};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (span_equal(span_first(content, known[i].length),
                       (struct span){known[i].magic, known[i].length}))
            return true;
    }
    return false;
}

/* Code of servers inside of whatever file, and the test file of all scanners. */
static bool has_script(struct span content)
{
    static const char *const marks[] = {
        "<?php", "<?=", "<%@", "<%!", "<jsp:", "<!--#exec", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"};
    content = span_first(content, LOOKED_AT);
    for (size_t i = 0; i < ARRAY_LENGTH(marks); i++) {
        if (span_contains(content, span_of(marks[i])))
            return true;
    }
    return false;
}

static bool is_denied(const struct judgement *judgement, struct span content)
{
    const char *const *hashes = detection_policy_denied_hashes(judgement->policy);
    uint8_t digest[32];
    char hex[65];
    if (hashes[0] == NULL)
        return false;
    sha256_of(content, digest);
    text_hex(hex, digest, sizeof(digest));
    for (; *hashes != NULL; hashes++) {
        if (span_alike(span_of(*hashes), span_of(hex)))
            return true;
    }
    return false;
}

static void check_upload(struct judgement *judgement, const struct request_upload *upload)
{
    struct span head = span_first(upload->content, APPLICATION_LIMIT_EXCERPT);
    if (upload->file_name.length == 0 && upload->content.length == 0)
        return; /* a form's file field that was left empty */
    if (upload->content.length > detection_policy_upload_bytes(judgement->policy))
        report(judgement, upload, RULE_UPLOAD_SIZE, SPAN("File is too large"), upload->file_name);
    if (name_runs(upload->file_name) || name_leads_away(upload->file_name))
        report(judgement, upload, RULE_UPLOAD_NAME, SPAN("File with a dangerous name"),
               upload->file_name);
    if (is_program(upload->content))
        report(judgement, upload, RULE_UPLOAD_CONTENT, SPAN("File is a program"),
               upload->file_name);
    else if (upload->content.length > 0 && pretends(upload))
        report(judgement, upload, RULE_UPLOAD_TYPE, SPAN("File is not what it says"),
               upload->file_name);
    if (has_script(upload->content))
        report(judgement, upload, RULE_UPLOAD_CONTENT, SPAN("File with a server's script in it"),
               head);
    if (is_denied(judgement, upload->content))
        report(judgement, upload, RULE_UPLOAD_HASH, SPAN("File is denied by its hash"),
               upload->file_name);
}

void upload_checks_run(struct judgement *judgement)
{
    const struct request *request = judgement->request;
    if (request->upload_count > detection_policy_upload_count(judgement->policy))
        report(judgement, &request->uploads[0], RULE_UPLOAD_COUNT, SPAN("Too many files"),
               request->uploads[0].file_name);
    for (size_t i = 0; i < request->upload_count && judgement_in_time(judgement); i++)
        check_upload(judgement, &request->uploads[i]);
}
