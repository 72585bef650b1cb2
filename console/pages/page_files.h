/* The web page's files, read once at the start and served from memory. What is not in the list of
 * folders below is never served, and no path of a request reaches the file system. */
#ifndef CONSOLE_PAGES_PAGE_FILES_H
#define CONSOLE_PAGES_PAGE_FILES_H

#include "common/attributes.h"
#include "console/http/http_server.h"

struct page_files;

/* Reads index.html, app.css, icon.svg and the files of app/, app/pages/, app/ui/, i18n/ and vendor/
 * below folder. -ENOENT without an index.html, -EFBIG for a file above PAGE_FILE_BYTES, -E2BIG for
 * more than PAGE_FILES files. */
#define PAGE_FILE_BYTES ((size_t)1 << 20)
#define PAGE_FILES      256
int page_files_load(const char *folder, struct page_files **ret_files) MUST_USE;
/* NULL is legal. */
struct page_files *page_files_free(struct page_files *files);

/* Answers with the file of the request's path, or 404. files may be NULL: there is no page. */
void page_files_answer(const struct page_files *files, struct http_request *request);

#endif
