/* Short texts that clients of the console choose: networks of tokens and rules, times of filters,
 * cursors, secrets. Each is read, and what was accepted must hold what it claims. */
#include "common/crypto/base64.h"
#include "common/text/text.h"
#include "console/agents/tokens.h"
#include "console/api/api_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void read_network(const char *text)
{
    if (!cidr_is_valid(text))
        return;
    check(strlen(text) < 64);
    char address[64];
    (void)text_format(address, sizeof(address), "%.*s", (int)strcspn(text, "/"), text);
    check(cidr_contains(text, address)); /* a network holds the address it is written with */
}

static void read_cursor(const char *text, bool is_text)
{
    char first[LIST_CURSOR_BYTES], second[LIST_CURSOR_BYTES];
    char again[BASE64_TEXT_BYTES(LIST_CURSOR_BYTES)];
    int64_t number = -1, same = -1;
    if (list_cursor_read(text, is_text, first, &number) < 0)
        return;
    check(number >= 0 && text_is_utf8(first));
    base64_url_encode(again, first, strlen(first));
    check(list_cursor_read(again, is_text, second, &same) == 0);
    check(same == number && text_equal(first, second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t time_ms = 0;
    char hash[SHA256_HEX_BYTES] = "";
    char *text = text_new(data, size);
    if (!text)
        return 0;
    read_network(text);
    read_cursor(text, true);
    read_cursor(text, false);
    if (api_parse_time(text, &time_ms) == 0)
        check(strlen(text) >= strlen("2026-11-22T01:02:03Z"));
    if (secret_hash(text, hash) == 0)
        check(strlen(hash) == SHA256_HEX_BYTES - 1);
    (void)api_is_name(text);
    (void)api_is_policy_name(text);
    free(text);
    return 0;
}
