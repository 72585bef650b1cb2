/* Where this system keeps the certificates that it trusts. A program that brings its libcurl from
 * another distribution cannot rely on what that was built with. */
#ifndef COMMON_HTTP_CLIENT_TRUST_STORE_H
#define COMMON_HTTP_CLIENT_TRUST_STORE_H

#include "common/attributes.h"

/* The first that is there and can be read: preferred (libcurl's own; NULL = none), then the places
 * of the distributions we support. Below root ("" outside tests), which the answer does not
 * contain. NULL: none of them. */
const char *trust_store_find(const char *preferred, const char *root);

#endif
