/* Owns: looking at a file, and what makes two looks differ. Must not own: what a difference means.
 */
#include "agent/integrity/file_facts.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>

enum { LOG_BEGINNING_BYTES = 4096, ATTRIBUTE_BYTES = 65536, DIGEST_SHOWN = 16 };

/* ---- content ---- */

static int hash_beginning(int fd, uint64_t length, uint8_t digest[static SHA256_BYTES])
{
    uint8_t bytes[LOG_BEGINNING_BYTES];
    ssize_t got = file_read_at(fd, bytes, length, 0);

    if (got < 0)
        return (int)got;
    return (uint64_t)got == length ? hash_sha256(bytes, length, digest) : -EAGAIN;
}

/* A log is compared over what both looks saw of it. */
static int take_beginning(int fd, const struct file_facts *known, struct facts_state *state)
{
    uint64_t length = MIN(state->size, (uint64_t)LOG_BEGINNING_BYTES);

    if (known != NULL && known->state.content == FACTS_BEGINNING && known->state.covered > 0)
        length = MIN(length, known->state.covered);
    int r = hash_beginning(fd, length, state->digest);
    if (r < 0)
        return r;
    state->content = FACTS_BEGINNING;
    state->covered = length;
    return 0;
}

static int take_content(int fd, enum integrity_care care, uint64_t most_bytes,
                        const struct file_facts *known, struct facts_state *state)
{
    if (care == CARE_ATTRIBUTES)
        return 0;
    if (care == CARE_LOG)
        return take_beginning(fd, known, state);
    if (state->size > most_bytes) {
        state->content = FACTS_TOO_LARGE;
        return 0;
    }
    int r = hash_sha256_fd(fd, most_bytes, state->digest);
    if (r == -EFBIG) {
        state->content = FACTS_TOO_LARGE;
        return 0;
    }
    state->content = FACTS_HASHED;
    state->covered = state->size;
    return r;
}

/* ---- extended attributes ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Access times of the security modules and the like are no business of ours. */
static bool is_telling(const char *name)
{
    return !text_starts_with(name, "security.ima") && !text_starts_with(name, "security.evm");
}

static int append_attribute(struct buffer *text, const char *link, const char *name)
{
    static __thread uint8_t value[ATTRIBUTE_BYTES];
    uint8_t digest[SHA256_BYTES];
    char shown[2 * SHA256_BYTES + 1];
    ssize_t length = lgetxattr(link, name, value, sizeof value);

    if (length < 0)
        return errno == ENODATA ? 0 : -errno;
    int r = hash_sha256(value, (size_t)length, digest);
    if (r < 0)
        return r;
    text_hex(shown, digest, DIGEST_SHOWN / 2);
    AUTO_FREE char *escaped = text_escape_new(name, strlen(name));
    if (escaped == NULL)
        return -ENOMEM;
    return buffer_append_format(text, "%s=%s\n", escaped, shown);
}

static int write_attributes(struct buffer *text, const char *link, char *names, size_t length)
{
    const char *sorted[256];
    size_t count = 0;

    for (size_t at = 0; at < length && count < ARRAY_LENGTH(sorted); at += strlen(names + at) + 1)
        if (is_telling(names + at))
            sorted[count++] = names + at;
    qsort(sorted, count, sizeof sorted[0], compare_names);
    for (size_t i = 0; i < count; i++) {
        int r = append_attribute(text, link, sorted[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_attributes(int directory_fd, const char *name, char **ret_attributes)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_ATTRIBUTES);
    char folder[FILE_LINK_BYTES], link[FILE_LINK_BYTES + NAME_MAX + 2], names[ATTRIBUTE_BYTES];

    file_link_of(directory_fd, folder);
    int r = text_format(link, sizeof link, "%s/%s", folder, name);
    if (r < 0)
        return r;
    ssize_t length = llistxattr(link, names, sizeof names);
    if (length < 0)
        return errno == ENOTSUP || errno == ENOENT ? 0 : -errno;
    if (length == 0)
        return 0;
    r = write_attributes(&text, link, names, (size_t)length);
    if (r == 0)
        r = buffer_failed(&text);
    if (r == 0 && text.length > 0)
        *ret_attributes = buffer_take(&text);
    return r == -ENOENT ? 0 : r;
}

/* ---- one look ---- */

/* Two of the longest ticks (CONFIG_HZ=100). Source: current_time() in Linux' fs/inode.c. */
static const uint64_t YOUNG_NS = 20 * NS_PER_MS;

/* Before any content is read: whoever writes after this moment moves ctime, or the file is young.
 */
static void take_status(struct facts_state *state, const struct stat *status)
{
    *state = (struct facts_state){
        .size = (uint64_t)status->st_size,
        .mtime_ns = timespec_to_ns(status->st_mtim),
        .ctime_ns = timespec_to_ns(status->st_ctim),
        .inode = status->st_ino,
        .device = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode) ? status->st_rdev : 0,
        .mode = status->st_mode,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .links = (uint32_t)MIN(status->st_nlink, (nlink_t)UINT32_MAX),
        .young = timespec_to_ns(status->st_ctim) + YOUNG_NS > clock_realtime_ns(),
    };
}

static int take_target(int directory_fd, const char *name, char **ret_target)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(directory_fd, name, target, sizeof target);

    if (length < 0)
        return -errno;
    *ret_target = text_new(target, (size_t)length);
    return *ret_target != NULL ? 0 : -ENOMEM;
}

/* The status of what was opened counts, not of what stood there before. */
static int take_regular(int directory_fd, const char *name, enum integrity_care care,
                        uint64_t most_bytes, const struct file_facts *known,
                        struct file_facts *facts, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;
    int r = file_open_regular(directory_fd, name, &fd, &status);

    if (r == -ENOENT || r == -EISDIR || r == -ENXIO || r == -ELOOP)
        return -ENOENT; /* replaced meanwhile: another event tells */
    if (r == 0) {
        take_status(&facts->state, &status);
        r = take_content(fd, care, most_bytes, known, &facts->state);
    }
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        facts->state.content = FACTS_UNREADABLE;
    if (ret_fd != NULL)
        *ret_fd = TAKE_FD(fd);
    return 0;
}

int file_facts_collect(int directory_fd, const char *name, enum integrity_care care,
                       uint64_t most_bytes, const struct file_facts *known,
                       struct file_facts *ret_facts, int *ret_fd)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    AUTO_CLOSE int fd = -1;
    struct stat status;
    int r = 0;

    if (ret_fd != NULL)
        *ret_fd = -1;
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return -errno;
    take_status(&facts.state, &status);
    if (S_ISREG(status.st_mode))
        r = take_regular(directory_fd, name, care, most_bytes, known, &facts, &fd);
    else if (S_ISLNK(status.st_mode))
        r = take_target(directory_fd, name, &facts.target);
    if (r == 0)
        r = take_attributes(directory_fd, name, &facts.attributes);
    if (r < 0)
        return r;
    *ret_facts = facts;
    facts = (struct file_facts){.target = NULL};
    if (ret_fd != NULL)
        *ret_fd = TAKE_FD(fd);
    return 0;
}

void file_facts_done(struct file_facts *facts)
{
    free(facts->target);
    free(facts->attributes);
    facts->target = facts->attributes = NULL;
}

int file_facts_copy(const struct file_facts *facts, struct file_facts *ret_copy)
{
    AUTO_FACTS struct file_facts copy = {.state = facts->state};

    if (facts->target != NULL)
        copy.target = strdup(facts->target);
    if (facts->attributes != NULL)
        copy.attributes = strdup(facts->attributes);
    if ((facts->target != NULL && copy.target == NULL) ||
        (facts->attributes != NULL && copy.attributes == NULL))
        return -ENOMEM;
    *ret_copy = copy;
    copy = (struct file_facts){.target = NULL};
    return 0;
}

/* ---- comparing ---- */

bool facts_state_holds(const struct facts_state *state, const struct stat *status)
{
    if (state->young != 0 || state->mode != status->st_mode || state->uid != status->st_uid ||
        state->gid != status->st_gid)
        return false;
    /* What happens in a directory moves its times and is told by itself. */
    if (S_ISDIR(status->st_mode))
        return state->ctime_ns == timespec_to_ns(status->st_ctim);
    return state->ctime_ns == timespec_to_ns(status->st_ctim) &&
           state->mtime_ns == timespec_to_ns(status->st_mtim) &&
           state->size == (uint64_t)status->st_size && state->inode == status->st_ino &&
           state->links == status->st_nlink;
}

static bool texts_differ(const char *a, const char *b)
{
    return a != b && (a == NULL || b == NULL || strcmp(a, b) != 0);
}

static uint32_t compare_logs(const struct facts_state *before, const struct facts_state *after)
{
    /* Rotation puts another file in its place. */
    if (before->inode != after->inode)
        return 0;
    if (after->size < before->size)
        return FACTS_DIFFER_SHRUNK;
    return before->content == FACTS_BEGINNING && after->content == FACTS_BEGINNING &&
                   before->covered == after->covered &&
                   memcmp(before->digest, after->digest, SHA256_BYTES) != 0
               ? FACTS_DIFFER_REWRITTEN
               : 0;
}

static uint32_t compare_content(const struct facts_state *before, const struct facts_state *after,
                                enum integrity_care care)
{
    if (care == CARE_LOG)
        return compare_logs(before, after);
    if (care != CARE_CONTENT)
        return 0;
    if (before->content == FACTS_HASHED && after->content == FACTS_HASHED)
        return memcmp(before->digest, after->digest, SHA256_BYTES) != 0 ? FACTS_DIFFER_CONTENT : 0;
    return before->size != after->size || before->mtime_ns != after->mtime_ns ? FACTS_DIFFER_CONTENT
                                                                              : 0;
}

uint32_t file_facts_compare(const struct file_facts *before, const struct file_facts *after,
                            enum integrity_care care)
{
    const struct facts_state *old = &before->state, *new = &after->state;
    uint32_t difference = 0;

    if ((old->mode & S_IFMT) != (new->mode &S_IFMT))
        return FACTS_DIFFER_TYPE;
    if ((old->mode & 07777) != (new->mode & 07777))
        difference |= FACTS_DIFFER_MODE;
    if (old->uid != new->uid)
        difference |= FACTS_DIFFER_OWNER;
    if (old->gid != new->gid)
        difference |= FACTS_DIFFER_GROUP;
    if (old->device != new->device)
        difference |= FACTS_DIFFER_DEVICE;
    if (texts_differ(before->target, after->target))
        difference |= FACTS_DIFFER_TARGET;
    if (texts_differ(before->attributes, after->attributes))
        difference |= FACTS_DIFFER_ATTRIBUTES;
    if (!S_ISREG(new->mode))
        return difference;
    if (old->links != new->links && care != CARE_LOG)
        difference |= FACTS_DIFFER_LINKS;
    return difference | compare_content(old, new, care);
}

static bool has_capability(const struct file_facts *facts)
{
    return facts->attributes != NULL && strstr(facts->attributes, "security.capability=") != NULL;
}

bool file_facts_gain_privilege(const struct file_facts *before, const struct file_facts *after)
{
    if (!S_ISREG(after->state.mode))
        return false;
    uint32_t gained = after->state.mode & ~(before != NULL ? before->state.mode : 0U);

    return (gained & (S_ISUID | S_ISGID)) != 0 ||
           (has_capability(after) && (before == NULL || !has_capability(before)));
}

/* ---- as bytes ---- */

static void append_text(struct buffer *bytes, const char *text)
{
    uint32_t length = text != NULL ? (uint32_t)strlen(text) : 0;

    (void)buffer_append(bytes, &length, sizeof length);
    if (length > 0)
        (void)buffer_append(bytes, text, length);
}

void file_facts_encode(const struct file_facts *facts, struct buffer *bytes)
{
    (void)buffer_append(bytes, &facts->state, sizeof facts->state);
    append_text(bytes, facts->target);
    append_text(bytes, facts->attributes);
}

bool file_facts_peek(const void *bytes, size_t length, struct facts_state *ret_state)
{
    if (bytes == NULL || length < sizeof *ret_state + 2 * sizeof(uint32_t))
        return false;
    memcpy(ret_state, bytes, sizeof *ret_state);
    return true;
}

static int read_text(const uint8_t **at, const uint8_t *end, char **ret_text)
{
    uint32_t length;

    if ((size_t)(end - *at) < sizeof length)
        return -EBADMSG;
    memcpy(&length, *at, sizeof length);
    *at += sizeof length;
    if ((size_t)(end - *at) < length)
        return -EBADMSG;
    if (length > 0) {
        *ret_text = text_new(*at, length);
        if (*ret_text == NULL)
            return -ENOMEM;
    }
    *at += length;
    return 0;
}

int file_facts_decode(const void *bytes, size_t length, struct file_facts *ret_facts)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    const uint8_t *at = bytes;

    if (!file_facts_peek(bytes, length, &facts.state))
        return -EBADMSG;
    const uint8_t *end = at + length;
    at += sizeof facts.state;
    int r = read_text(&at, end, &facts.target);
    if (r == 0)
        r = read_text(&at, end, &facts.attributes);
    if (r == 0 && at != end)
        r = -EBADMSG;
    if (r < 0)
        return r;
    *ret_facts = facts;
    facts = (struct file_facts){.target = NULL};
    return 0;
}

/* ---- as JSON ---- */

static const char *type_name(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "link";
    case S_IFIFO:
        return "pipe";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "character-device";
    case S_IFBLK:
        return "block-device";
    default:
        return "unknown";
    }
}

static void write_content(struct json_writer *json, const struct facts_state *state)
{
    char digest[SHA256_HEX_BYTES];

    if (state->content == FACTS_HASHED) {
        text_hex(digest, state->digest, SHA256_BYTES);
        json_write_field_string(json, "sha256", digest);
    } else if (state->content == FACTS_TOO_LARGE) {
        json_write_field_string(json, "content", "too-large");
    } else if (state->content == FACTS_UNREADABLE) {
        json_write_field_string(json, "content", "unreadable");
    }
}

static void write_attributes_object(struct json_writer *json, const char *attributes)
{
    json_write_key(json, "attributes");
    json_write_object_begin(json);
    while (*attributes != '\0') {
        size_t length = strcspn(attributes, "\n");
        const char *equals = memrchr(attributes, '=', length);
        size_t name_length = equals != NULL ? (size_t)(equals - attributes) : length;
        AUTO_FREE char *name = text_new(attributes, name_length);
        json_write_key(json, name != NULL ? name : "");
        json_write_string_length(json, attributes + name_length + (equals != NULL),
                                 length - name_length - (equals != NULL));
        attributes += length + (attributes[length] == '\n');
    }
    json_write_object_end(json);
}

void file_facts_write(struct json_writer *json, const struct file_facts *facts)
{
    const struct facts_state *state = &facts->state;
    char mode[16], modified[CLOCK_TEXT_BYTES];

    (void)text_format(mode, sizeof mode, "%04o", state->mode & 07777);
    clock_format(modified, state->mtime_ns);
    json_write_object_begin(json);
    json_write_field_string(json, "type", type_name(state->mode));
    json_write_field_string(json, "mode", mode);
    json_write_field_unsigned(json, "uid", state->uid);
    json_write_field_unsigned(json, "gid", state->gid);
    if (S_ISREG(state->mode)) {
        json_write_field_unsigned(json, "size", state->size);
        json_write_field_unsigned(json, "links", state->links);
    }
    if (state->device != 0)
        json_write_field_hex(json, "device", state->device);
    json_write_field_string(json, "modified", modified);
    json_write_field_unsigned(json, "inode", state->inode);
    write_content(json, state);
    if (facts->target != NULL) {
        AUTO_FREE char *shown = text_escape_new(facts->target, strlen(facts->target));
        json_write_field_string(json, "target", shown != NULL ? shown : "");
    }
    if (facts->attributes != NULL)
        write_attributes_object(json, facts->attributes);
    json_write_object_end(json);
}

void file_facts_write_difference(struct json_writer *json, uint32_t difference)
{
    static const char *const names[] = {"type",    "mode",   "owner",      "group",
                                        "content", "target", "attributes", "links",
                                        "device",  "shrunk", "rewritten"};

    json_write_array_begin(json);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if ((difference & (1U << i)) != 0)
            json_write_string(json, names[i]);
    json_write_array_end(json);
}
