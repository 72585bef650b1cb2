/* Owns: which process belongs to which group, and what each group may take. Must not own: the files
 * of a group (control_group.c). */
#include "agent/resources/resources.h"

#include "agent/resources/control_group.h"
#include "common/log/log.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define PERIOD_US 100000ULL

/* The helpers parse package databases of any host: the bound is against a runaway, not a budget. */
static const uint64_t MESSENGER_MEMORY = 256ULL << 20;
static const uint64_t HELPERS_MEMORY = 1024ULL << 20;
static const uint64_t OUR_WEIGHT = 100;

static const struct {
    const char *name;    /* of the group */
    const char *program; /* NULL: whatever no other row names */
} groups[RESOURCE_GROUPS] = {
    [RESOURCE_AGENT] = {"agent", "yagura-agent"},
    [RESOURCE_SCANNER] = {"scanner", "yagura-scanner"},
    [RESOURCE_MESSENGER] = {"messenger", "yagura-messenger"},
    [RESOURCE_HELPERS] = {"helpers", NULL},
};

struct resources {
    pthread_mutex_t lock;     /* of all below */
    int fds[RESOURCE_GROUPS]; /* directories of the groups; -1: there is none */
    struct resources_status status;
};

static void say_problem(struct resources *resources, const char *what, int error)
{
    if (resources->status.problem[0] == '\0')
        (void)text_format(resources->status.problem, sizeof resources->status.problem, "%s: %s",
                          what, log_error_text(error));
}

/* ---- what each may take --------------------------------------------------------------------- */

static void write_value(struct resources *resources, int fd, const char *file, uint64_t value,
                        uint64_t *ret_in_force)
{
    int r = control_group_write(fd, file, value);

    *ret_in_force = r == 0 ? value : 0;
    if (r < 0)
        say_problem(resources, file, r);
}

static void limit_cpu(struct resources *resources, enum resource_group group, uint64_t weight,
                      uint64_t quota_us)
{
    struct resource_use *use = &resources->status.groups[group];
    int fd = resources->fds[group];

    write_value(resources, fd, "cpu.weight", weight, &use->weight);
    int r = control_group_write_quota(fd, quota_us, PERIOD_US);
    use->quota = r == 0 ? quota_us : 0;
    if (r < 0 && quota_us > 0)
        say_problem(resources, "cpu.max", r);
}

/* Slowed down at nine tenths, before processes are ended at the whole. */
static void limit_memory(struct resources *resources, enum resource_group group, uint64_t bytes)
{
    struct resource_use *use = &resources->status.groups[group];
    uint64_t high = bytes / 10 * 9;

    write_value(resources, resources->fds[group], "memory.high", high, &use->memory_high);
    write_value(resources, resources->fds[group], "memory.max", bytes, &use->memory_max);
}

static uint64_t host_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

/* With the lock. No limit of memory for this process: the kernel counts its watches there, and
 * ending it would end the protection. */
static void apply(struct resources *resources, const struct resources_options *options)
{
    uint64_t cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);

    resources->status.problem[0] = '\0';
    limit_cpu(resources, RESOURCE_AGENT, OUR_WEIGHT, 0);
    limit_cpu(resources, RESOURCE_MESSENGER, OUR_WEIGHT, 0);
    limit_cpu(resources, RESOURCE_HELPERS, OUR_WEIGHT, 0);
    limit_cpu(resources, RESOURCE_SCANNER, options->scanner_weight,
              options->scanner_quota * cores * PERIOD_US / 100);
    limit_memory(resources, RESOURCE_SCANNER, host_memory() / 100 * options->scanner_memory);
    limit_memory(resources, RESOURCE_MESSENGER, MESSENGER_MEMORY);
    limit_memory(resources, RESOURCE_HELPERS, HELPERS_MEMORY);
}

/* ---- who belongs where ---------------------------------------------------------------------- */

static enum resource_group group_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    /* Beside us: files are opened only as fast as it answers. */
    if (text_equal(name, "yagura-guard"))
        return RESOURCE_AGENT;
    for (int i = 0; i < RESOURCE_GROUPS; i++)
        if (groups[i].program != NULL && text_equal(name, groups[i].program))
            return (enum resource_group)i;
    return RESOURCE_HELPERS;
}

/* A spawn_observer, in whatever thread starts a child. */
static void place_child(void *user, const char *path, pid_t pid)
{
    struct resources *resources = user;

    (void)pthread_mutex_lock(&resources->lock);
    int r = control_group_add(resources->fds[group_of(path)], pid);
    if (r < 0 && r != -ESRCH)
        say_problem(resources, "a process could not be moved into its group", r);
    (void)pthread_mutex_unlock(&resources->lock);
}

/* This process first: a group with processes of its own passes no controller on. */
static int divide(struct resources *resources, int top_fd)
{
    for (int i = 0; i < RESOURCE_GROUPS; i++) {
        int r = control_group_make(top_fd, groups[i].name, &resources->fds[i]);
        if (r < 0)
            return r;
    }
    int r = control_group_add(resources->fds[RESOURCE_AGENT], getpid());
    return r < 0 ? r : control_group_enable(top_fd);
}

/* ---- life ----------------------------------------------------------------------------------- */

int resources_start(const struct resources_options *options, struct resources **ret_resources)
{
    struct resources *resources = calloc(1, sizeof *resources);
    AUTO_CLOSE int top_fd = -1;

    if (resources == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&resources->lock, NULL);
    for (int i = 0; i < RESOURCE_GROUPS; i++) {
        resources->fds[i] = -1;
        resources->status.groups[i].name = groups[i].name;
    }
    *ret_resources = resources;
    int r = control_group_find(options->directory, resources->status.directory,
                               sizeof resources->status.directory, &top_fd);
    if (r == 0)
        r = divide(resources, top_fd);
    if (r < 0) {
        say_problem(resources,
                    r == -EACCES ? "no control group is delegated to the agent (Delegate=yes)"
                                 : "the control group cannot be divided",
                    r);
        log_info("resource_groups_missing", "problem", resources->status.problem, NULL);
    } else {
        apply(resources, options);
    }
    if (resources->fds[RESOURCE_HELPERS] >= 0)
        spawn_observe(place_child, resources);
    return 0;
}

struct resources *resources_stop(struct resources *resources)
{
    if (resources == NULL)
        return NULL;
    spawn_observe(NULL, NULL);
    for (int i = 0; i < RESOURCE_GROUPS; i++)
        if (resources->fds[i] >= 0)
            (void)close(resources->fds[i]);
    (void)pthread_mutex_destroy(&resources->lock);
    free(resources);
    return NULL;
}

void resources_reconfigure(struct resources *resources, const struct resources_options *options)
{
    (void)pthread_mutex_lock(&resources->lock);
    if (resources->fds[RESOURCE_HELPERS] >= 0)
        apply(resources, options);
    (void)pthread_mutex_unlock(&resources->lock);
}

void resources_status(struct resources *resources, struct resources_status *ret_status)
{
    (void)pthread_mutex_lock(&resources->lock);
    *ret_status = resources->status;
    for (int i = 0; i < RESOURCE_GROUPS; i++) {
        struct resource_use *use = &ret_status->groups[i];
        int fd = resources->fds[i];
        use->memory_now = control_group_read(fd, "memory.current", NULL);
        use->cpu_us = control_group_read(fd, "cpu.stat", "usage_usec");
        use->throttled = control_group_read(fd, "cpu.stat", "nr_throttled");
        use->memory_met = control_group_read(fd, "memory.events", "high");
        use->memory_killed = control_group_read(fd, "memory.events", "oom_kill");
    }
    (void)pthread_mutex_unlock(&resources->lock);
}
