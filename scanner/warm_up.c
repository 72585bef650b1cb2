/* Lazy loading, done early.
 *
 * Owns: the list of what libclamav's text code may ask glibc for after we are confined. Must not
 * own: the sandbox. The converters stay open for the life of the process, so that glibc does not
 * unload their modules. */
#include "scanner/warm_up.h"

#include "common/attributes.h"
#include "common/crypto/hash.h"
#include "common/time/clock.h"

#include <iconv.h>
#include <string.h>
#include <time.h>

/* Encodings that libclamav's entconv.c finds or is told by a document, and code pages of mail and
 * Office documents that are in real use. */
static const char *const encodings[] = {
    "UTF-8",       "UTF-16",      "UTF-16BE",    "UTF-16LE",    "UTF-32",      "UTF-32BE",
    "UTF-32LE",    "UCS-4",       "UCS-4BE",     "UCS-4LE",     "UCS4",        "UCS-2",
    "UCS-2BE",     "UCS-2LE",     "UTF-7",       "ASCII",       "ISO-8859-1",  "ISO-8859-2",
    "ISO-8859-3",  "ISO-8859-4",  "ISO-8859-5",  "ISO-8859-6",  "ISO-8859-7",  "ISO-8859-8",
    "ISO-8859-9",  "ISO-8859-10", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16",
    "CP1250",      "CP1251",      "CP1252",      "CP1253",      "CP1254",      "CP1255",
    "CP1256",      "CP1257",      "CP1258",      "CP437",       "CP850",       "CP852",
    "CP866",       "CP874",       "CP932",       "CP936",       "CP949",       "CP950",
    "KOI8-R",      "KOI8-U",      "SHIFT_JIS",   "SJIS",        "EUC-JP",      "ISO-2022-JP",
    "GB2312",      "GBK",         "GB18030",     "BIG5",        "EUC-TW",      "EUC-KR",
    "ISO-2022-KR", "JOHAB",       "TIS-620",     "MACINTOSH",   "IBM037",      "IBM500",
};

/* libclamav converts to one of these two. */
static const char *const targets[] = {"UTF-16BE", "UTF-8"};

/* Never closed: see above. */
static iconv_t converters[ARRAY_LENGTH(encodings) * ARRAY_LENGTH(targets)];
static size_t converter_count;

static void open_converter(const char *target, const char *encoding)
{
    iconv_t converter = iconv_open(target, encoding);
    if (converter == (iconv_t)-1)
        return;
    converters[converter_count++] = converter;
    char input[] = "a";
    char output[16];
    char *from = input;
    char *to = output;
    size_t from_left = 1;
    size_t to_left = sizeof(output);
    (void)iconv(converter, &from, &from_left, &to, &to_left);
    (void)iconv(converter, NULL, NULL, NULL, NULL);
}

void warm_up_libraries(void)
{
    converter_count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(encodings); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(targets); j++)
            open_converter(targets[j], encodings[i]);
    }
    tzset();
    time_t now = (time_t)(clock_realtime_ns() / NS_PER_SECOND);
    struct tm local;
    (void)localtime_r(&now, &local);
    uint8_t digest[SHA256_BYTES];
    (void)!hash_sha256("", 0, digest);
}
