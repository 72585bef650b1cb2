/* judge_cost TABLE [ROUNDS] <EVENTS: thread CPU of inspection_judge() for each event, in
 * microseconds, the median of the rounds; one number a line. */
#include "application/detection/inspection.h"
#include "application/events/event_line.h"
#include "common/text/text.h"

#include <stdio.h>
#include <time.h>

#define MOST_ROUNDS 1001

static double cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(struct inspection *inspection, struct span event, size_t rounds)
{
    static double taken[MOST_ROUNDS];
    struct inspection_result result;
    for (size_t i = 0; i < rounds; i++) {
        double before = cpu_us();
        (void)inspection_judge(inspection, event.data, event.length, 0, &result);
        taken[i] = cpu_us() - before;
    }
    qsort(taken, rounds, sizeof(*taken), compare);
    (void)printf("%.1f\n", taken[rounds / 2]);
}

int main(int count, char **arguments)
{
    const struct inspection_options options = {.table_path = count > 1 ? arguments[1] : NULL,
                                               .table_fd = -1};
    struct inspection *inspection = NULL;
    struct inspection_error error = {"usage: judge_cost TABLE [ROUNDS] <EVENTS"};
    uint64_t rounds = 101;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    double before = cpu_us();
    if ((count > 2 && text_parse_u64(arguments[2], &rounds) < 0) || rounds > MOST_ROUNDS ||
        inspection_open(&options, &inspection, &error) < 0) {
        (void)fprintf(stderr, "judge_cost: %s\n", error.text);
        return 1;
    }
    (void)fprintf(stderr, "open %.0f us\n", cpu_us() - before);
    while (!inspection_prepare(inspection))
        continue;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        struct span id;
        measure(inspection, event_line_read((struct span){line, (size_t)length}, &id), rounds);
    }
    free(line);
    inspection_free(inspection);
    return 0;
}
