/* Rule sets as anybody might write them: refused with a place and a reason, or made into a table
 * that the loader accepts. */
#include "application/compiler/seclang.h"
#include "application/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer file = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_TABLE);
    struct seclang_error error = {""};
    struct rule_table table;
    struct seclang *seclang = seclang_new();
    require(seclang != NULL);
    int r =
        seclang_add_text(seclang, "fuzz", NULL, (struct span){(const char *)data, size}, &error);
    if (r < 0)
        require(error.text[0] != '\0');
    else if (seclang_finish(seclang, &file, &error) == 0)
        require(rule_table_check(file.data, file.length, &table) == 0);
    seclang_free(seclang);
    return 0;
}
