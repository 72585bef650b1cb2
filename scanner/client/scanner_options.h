/* Copies and comparisons of struct scanner_options. Internal to scanner/client. */
#ifndef SCANNER_CLIENT_SCANNER_OPTIONS_H
#define SCANNER_CLIENT_SCANNER_OPTIONS_H

#include "common/attributes.h"
#include "scanner/client/scanner_client.h"

#include <stdbool.h>
#include <stddef.h>

/* A copy that owns all its strings, with workers 0 replaced by the number of cores and everything
 * brought within limits. -EINVAL (no program, no folder, too many databases), -ENOMEM. */
int scanner_options_copy(const struct scanner_options *options,
                         struct scanner_options *ret_copy) MUST_USE;
void scanner_options_done(struct scanner_options *copy);
size_t scanner_options_database_count(const struct scanner_options *options);
/* Whether an engine loaded for one serves the other. */
bool scanner_options_same_engine(const struct scanner_options *a, const struct scanner_options *b);

#endif
