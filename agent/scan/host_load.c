/* Source: proc_loadavg(5). */
#include "agent/scan/host_load.h"

#include "agent/scan/scan_pipeline.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <string.h>
#include <unistd.h>

enum { LOAD_BYTES = 256 };

uint64_t host_load(const char *path, const struct scan_pipeline_status *own)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LOAD_BYTES);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t whole, hundredths;

    if (file_read_all(path, &text) < 0)
        return 0;
    AUTO_FREE char *copy = strdup(buffer_text(&text));
    char *point = copy != NULL ? strchr(copy, '.') : NULL;
    if (point == NULL || strlen(point) < 3)
        return 0;
    *point = '\0';
    point[3] = '\0';
    if (text_parse_u64(copy, &whole) < 0 || text_parse_u64(point + 1, &hundredths) < 0)
        return 0;
    uint64_t all = whole * 100 + hundredths;
    uint64_t ours = 100 * MIN((uint64_t)own->scanner.workers, own->in_flight);
    return (all > ours ? all - ours : 0) / (uint64_t)MAX(cores, 1);
}
