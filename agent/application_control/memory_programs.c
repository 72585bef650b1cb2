/* Owns: finding them. They have no file that the kernel could ask about (since Linux 6.5 it refuses
 * marks on the file system of memfd_create), so that they are found only after their start, and are
 * told, never ended: much that is legitimate runs so. Found are those of users whom we may look at:
 * a process of root with more capabilities than ours shows its program to nobody but
 * CAP_SYS_PTRACE, which we do not have. */
#include "agent/application_control/application_control_private.h"

#include "agent/prevention/process_facts.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>

#define MEMORY_PREFIX "/memfd:"
#define KNOWN_NS      (60 * NS_PER_SECOND)
/* A turn reads so much, and the rest of the last program; package questions wait meanwhile. */
#define TURN_BYTES ((uint64_t)32 * 1024 * 1024)
/* Where one may be in the table: files' numbers are near each other, or far by a round number. */
#define PLACES 8

struct memory_program {
    pid_t pid;
    int fd;
    struct stat status;
    char name[NAME_MAX + 1];
};

static bool is_memory(const char *link, char *name, size_t size)
{
    ssize_t length = readlink(link, name, size - 1);

    name[MAX(length, 0)] = '\0';
    return length > 0 && text_starts_with(name, MEMORY_PREFIX);
}

/* As the process' own user: to him /proc shows it. */
static bool open_as(uid_t user, gid_t group, const char *link, struct memory_program *program)
{
    (void)setfsgid(group);
    (void)setfsuid(user);
    bool found = is_memory(link, program->name, sizeof program->name) &&
                 file_open_following(link, O_RDONLY, 0, &program->fd) == 0;
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    return found;
}

static bool find(pid_t pid, struct memory_program *program)
{
    char folder[32], link[48];
    struct stat owner;

    *program = (struct memory_program){.pid = pid, .fd = -1};
    (void)text_format(folder, sizeof folder, "/proc/%d", (int)pid);
    (void)text_format(link, sizeof link, "%s/exe", folder);
    return stat(folder, &owner) == 0 && open_as(owner.st_uid, owner.st_gid, link, program) &&
           fstat(program->fd, &program->status) == 0;
}

/* One that could not be read, as it is too large, is told by its file. */
static void make_key(const struct known_memory *known, uint8_t key[static SHA256_BYTES])
{
    memset(key, 0, SHA256_BYTES);
    if (known->result == 0)
        memcpy(key, known->sha256, SHA256_BYTES);
    else
        memcpy(key, &known->identity.inode, sizeof known->identity.inode);
}

static void tell(struct application_control *control, const struct memory_program *program,
                 const struct known_memory *known)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    char digest[SHA256_HEX_BYTES];
    uint8_t key[SHA256_BYTES];
    struct process_facts facts;
    struct json_writer json;
    uint64_t more = 0;

    make_key(known, key);
    if (application_answers_told(control, key, false, &more))
        return;
    process_facts_read(program->pid, &facts);
    text_hex(digest, known->sha256, SHA256_BYTES);
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "reason", "from_memory");
    if (known->result == 0)
        json_write_field_string(&json, "sha256", digest);
    json_write_field_unsigned(&json, "size", (uint64_t)program->status.st_size);
    process_facts_write(&facts, &json);
    if (more > 0)
        json_write_field_unsigned(&json, "not_told_before", more);
    json_write_object_end(&json);
    AUTO_FREE char *subject = text_escape_new(program->name, strlen(program->name));
    application_control_record(control, "application_unknown", EVENT_HIGH,
                               subject != NULL ? subject : "", buffer_text(&detail));
}

static bool is_allowed(struct application_control *control, const struct application_rules *rules,
                       const struct known_memory *known)
{
    if (known->result < 0 || digest_table_has(&rules->block, known->sha256))
        return false;
    return digest_table_has(&rules->allow, known->sha256) ||
           inventory_has(control->inventory, known->sha256);
}

/* What runs already while programs are learned is known, as are files. */
static void take_unknown(struct application_control *control, const struct memory_program *found,
                         struct known_memory *known)
{
    struct inventory_program program = {
        .size = (uint64_t)found->status.st_size,
        .path = found->name,
        .package = "",
    };

    if (!application_control_lets_all_run(control, &program.origin)) {
        if (!known->told)
            tell(control, found, known);
        known->told = true;
        return;
    }
    if (known->result < 0)
        return;
    memcpy(program.sha256, known->sha256, SHA256_BYTES);
    (void)application_control_add(control, &program);
}

/* Its own place, or the one that was read longest ago: of one that has ended, if there is any. */
static struct known_memory *find_place(struct memory_programs *memory,
                                       const struct file_identity *identity)
{
    struct known_memory *oldest = NULL;

    for (uint64_t i = 0; i < PLACES; i++) {
        struct known_memory *place = &memory->known[(identity->inode + i) % MEMORY_PROGRAMS];
        if (file_identity_equal(&place->identity, identity))
            return place;
        if (oldest == NULL || place->until_ns < oldest->until_ns)
            oldest = place;
    }
    return oldest;
}

/* NULL: no more is read in this turn. */
static struct known_memory *take_known(struct memory_programs *memory,
                                       const struct memory_program *program, uint64_t most_bytes)
{
    const struct file_identity identity = file_identity_of(&program->status);
    struct known_memory *known = find_place(memory, &identity);
    bool same = file_identity_equal(&known->identity, &identity);
    const struct known_memory before = *known;
    uint64_t now = clock_monotonic_ns();

    if (same && now < known->until_ns)
        return known;
    if (memory->left_bytes == 0)
        return NULL;
    memory->left_bytes -= MIN(memory->left_bytes, MIN(identity.size, most_bytes));
    *known = (struct known_memory){.identity = identity, .until_ns = now + KNOWN_NS};
    known->result = hash_sha256_fd(program->fd, most_bytes, known->sha256);
    known->told =
        same && before.told && memcmp(before.sha256, known->sha256, sizeof before.sha256) == 0;
    return known;
}

/* Container runtimes run themselves from memory: the same content as the file that is known.
 * False: the next turn begins with this one. */
static bool look_at(struct application_control *control, const struct application_rules *rules,
                    pid_t pid)
{
    struct memory_program program;
    bool looked = true;

    if (find(pid, &program)) {
        struct known_memory *known = take_known(&control->memory, &program, rules->most_bytes);
        looked = known != NULL;
        if (looked && !is_allowed(control, rules, known))
            take_unknown(control, &program, known);
    }
    if (program.fd >= 0)
        (void)close(program.fd);
    return looked;
}

/* /proc lists processes by their numbers. */
static void look_at_all(struct application_control *control, const struct application_rules *rules)
{
    struct memory_programs *memory = &control->memory;
    AUTO_CLOSE int fd = -1;

    if (file_open_directory("/proc", true, &fd) < 0)
        return;
    DIR *processes = fdopendir(fd);
    if (processes == NULL)
        return;
    (void)TAKE_FD(fd);
    pid_t last = memory->after;
    memory->after = 0;
    memory->left_bytes = TURN_BYTES;
    for (const struct dirent *entry; (entry = readdir(processes)) != NULL;) {
        uint64_t pid = 0;
        if (text_parse_u64(entry->d_name, &pid) < 0 || (pid_t)pid <= last)
            continue;
        if (!look_at(control, rules, (pid_t)pid)) {
            memory->after = last;
            break;
        }
        last = (pid_t)pid;
    }
    (void)closedir(processes);
}

void memory_programs_look(struct application_control *control)
{
    struct application_rules *rules = application_rules_take(control);

    if (rules->mode != APPLICATION_OFF)
        look_at_all(control, rules);
    application_rules_drop(control, rules);
}
