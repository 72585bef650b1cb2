/* Source: proc_loadavg(5). */
#include "agent/scan/host_load.h"

#include "agent/scan/scan_pipeline.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "scanner/client/proc_text.h"

#include <string.h>
#include <unistd.h>

enum { LOAD_BYTES = 256, STAT_BYTES = 1 << 20, USER_FIELD = 2, STEAL_FIELD = 9 };

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

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice", two blanks behind the
 * name: so user is field 2. Guests are part of user. */
uint64_t host_steal(struct host_steal *before, const char *stat)
{
    uint64_t all = 0;

    if (!text_starts_with(stat, "cpu  "))
        return 0;
    for (size_t i = USER_FIELD; i <= STEAL_FIELD; i++)
        all += proc_text_field(stat, i);
    uint64_t steal = proc_text_field(stat, STEAL_FIELD);
    uint64_t passed = all - before->all, stolen = steal - before->stolen;
    bool known = before->all != 0 && all > before->all && steal >= before->stolen;
    *before = (struct host_steal){.all = all, .stolen = steal};
    return known ? stolen * 100 / passed : 0;
}

static uint64_t read_steal(struct host_steal *before, const char *load_path)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(STAT_BYTES);
    const char *slash = strrchr(load_path, '/');
    AUTO_FREE char *path =
        slash != NULL ? text_format_new("%.*s/stat", (int)(slash - load_path), load_path) : NULL;

    return path == NULL || file_read_all(path, &text) < 0 ? 0
                                                          : host_steal(before, buffer_text(&text));
}

bool host_is_busy(struct host_steal *before, const char *load_path, uint64_t most_load,
                  const struct scan_pipeline_status *own)
{
    if (most_load == 0)
        return false;
    bool stolen = read_steal(before, load_path) > HOST_STEAL_MOST;
    return stolen || host_load(load_path, own) > most_load;
}
