/* Shared by the two ways through a bucket. Not for others. */
#ifndef STORAGE_BUCKET_BUCKET_SCAN_PRIVATE_H
#define STORAGE_BUCKET_BUCKET_SCAN_PRIVATE_H

#include "storage/bucket/bucket_scan.h"

struct bucket_page {
    const struct bucket_scan *scan;
    struct scan_place *place;
    struct storage_object *objects; /* BUCKET_PAGE of them */
    size_t count;
};

bool bucket_scan_is_stopped(const struct bucket_scan *scan);
/* Counts the object; it becomes one of the page when it is wanted and can be read. The page must
 * have room. */
void bucket_page_add(struct bucket_page *page, const struct storage_object *object,
                     const char *storage_class);
/* Hands it to the scan's end, which may add to the place's counts; then it is empty. */
int bucket_page_take(struct bucket_page *page) MUST_USE;
/* Tells of the place and keeps it. */
int bucket_scan_remember(const struct bucket_scan *scan, const struct scan_place *place) MUST_USE;

#endif
