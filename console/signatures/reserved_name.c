/* Owns what is reserved. Must not know the formats: fields end at ":", ";" or the line's end in all
 * that name signatures by text. libclamav gives rules of YARA names that begin with "YARA.". */
#include "console/signatures/reserved_name.h"

#include "common/text/text.h"

static const char RESERVED[] = "Yagura.";

bool reserved_name_find(struct reserved_name *reserved, const char *piece, size_t length)
{
    for (size_t i = 0; i < length && reserved->matched < sizeof(RESERVED) - 1; i++) {
        if (piece[i] == ':' || piece[i] == ';' || piece[i] == '\n') {
            reserved->line += piece[i] == '\n';
            reserved->matched = 0;
            reserved->apart = false;
        } else if (!reserved->apart && piece[i] == RESERVED[reserved->matched]) {
            reserved->matched++;
        } else {
            reserved->matched = 0;
            reserved->apart = true;
        }
    }
    return reserved->matched == sizeof(RESERVED) - 1;
}

void reserved_name_tell(const struct reserved_name *reserved, char *ret_problem, size_t size)
{
    (void)text_format(ret_problem, size,
                      "line %zu: names that begin with \"%s\" are the console's own; give another",
                      reserved->line, RESERVED);
}
