/* Goes through a bucket by its S3 Inventory instead of listing it: cheaper for many millions of
 * objects, and with their versions. A file of it is fetched whole, then read row by row; a page is
 * handed on whole, and only then is its end the place to go on from. What changed since the
 * inventory is told apart by its content, and has an event of its own. One thread. */
#ifndef STORAGE_BUCKET_INVENTORY_SCAN_H
#define STORAGE_BUCKET_INVENTORY_SCAN_H

#include "storage/bucket/bucket_scan.h"

/* place->inventory: "s3://BUCKET/.../manifest.json"; it is that inventory's own bucket that is
 * scanned: -EINVAL when it is of another one. Otherwise as bucket_scan_run. */
int inventory_scan_run(const struct bucket_scan *scan, struct scan_place *place) MUST_USE;

#endif
