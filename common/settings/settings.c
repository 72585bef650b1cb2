/* Owns the strict reading of libconfig text: what libconfig itself would let through (@include, any
 * depth, NUL bytes) is refused before its parser sees the text.
 * Must not own the meaning of a key; schema.c and the programs' own checks do.
 * Hands off the parsed tree, which lives as long as the struct settings. */
#include "common/settings/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"

struct settings {
    config_t tree;
    char *name; /* as shown in errors: escaped */
};

static int fail_at_line(struct settings_error *ret_error, const char *name, unsigned line,
                        const char *what)
{
    AUTO_FREE char *shown = text_escape_new(name, strlen(name));
    (void)text_format(ret_error->text, sizeof(ret_error->text), "%s:%u: %s",
                      shown ? shown : "settings", line, what);
    return -EINVAL;
}

/* What the first look at a text found: where it is in the lexical structure. */
struct scan_state {
    enum { IN_CODE, IN_STRING, IN_LINE_COMMENT, IN_BLOCK_COMMENT } where;
    unsigned line;
    unsigned depth;
    bool line_start; /* only blanks so far in this line */
};

/* In a string: skips escapes, and refuses one that would cut the string short. */
static const char *scan_string(struct scan_state *state, const char *at, const char **ret_problem)
{
    if (*at == '"') {
        state->where = IN_CODE;
    } else if (*at == '\\' && at[1] != '\0') {
        if (at[1] == 'x' && at[2] == '0' && at[3] == '0')
            *ret_problem = "\\x00 cannot stand in a text; remove it";
        if (at[1] != '\n')
            at++;
    }
    return at + 1;
}

static const char *scan_code(struct scan_state *state, const char *at, const char **ret_problem)
{
    switch (*at) {
    case '"':
        state->where = IN_STRING;
        break;
    case '#':
        state->where = IN_LINE_COMMENT;
        break;
    case '/':
        if (at[1] == '/' || at[1] == '*') {
            state->where = at[1] == '/' ? IN_LINE_COMMENT : IN_BLOCK_COMMENT;
            at++;
        }
        break;
    case '{':
    case '(':
    case '[':
        if (++state->depth > LIMIT_SETTINGS_DEPTH)
            *ret_problem = "nested too deeply; write it flatter";
        break;
    case '}':
    case ')':
    case ']':
        if (state->depth > 0)
            state->depth--;
        break;
    default:
        break;
    }
    return at + 1;
}

/* libconfig 1.5 opens @include files by itself and has no limit of depth: look first. The directive
 * counts at the start of a line wherever that line stands, which is stricter than libconfig. */
static int scan_text(const char *name, const char *text, struct settings_error *ret_error)
{
    struct scan_state state = {.where = IN_CODE, .line = 1, .line_start = true};
    const char *problem = NULL;
    for (const char *at = text; *at != '\0' && problem == NULL;) {
        if (state.line_start && text_starts_with(at, "@include"))
            return fail_at_line(ret_error, name, state.line,
                                "@include is not allowed; put everything into one file");
        const char *next = at + 1;
        if (state.where == IN_STRING) {
            next = scan_string(&state, at, &problem);
        } else if (state.where == IN_CODE) {
            next = scan_code(&state, at, &problem);
        } else if (state.where == IN_BLOCK_COMMENT && at[0] == '*' && at[1] == '/') {
            state.where = IN_CODE;
            next = at + 2;
        }
        if (*at == '\n') {
            if (state.where == IN_LINE_COMMENT)
                state.where = IN_CODE;
            state.line++;
            state.line_start = true;
        } else if (!isspace((unsigned char)*at)) {
            state.line_start = false;
        }
        at = next;
    }
    return problem != NULL ? fail_at_line(ret_error, name, state.line, problem) : 0;
}

int settings_parse(const char *name, const char *text, struct settings **ret_settings,
                   struct settings_error *ret_error)
{
    ret_error->text[0] = '\0';
    if (strnlen(text, LIMIT_SETTINGS_BYTES + 1) > LIMIT_SETTINGS_BYTES)
        return fail_at_line(ret_error, name, 1, "larger than a configuration may be (1 MiB)");
    int r = scan_text(name, text, ret_error);
    if (r < 0)
        return r;
    struct settings *settings = calloc(1, sizeof(*settings));
    if (settings == NULL)
        return -ENOMEM;
    config_init(&settings->tree);
    settings->name = text_escape_new(name, strlen(name));
    if (settings->name == NULL) {
        settings_free(settings);
        return -ENOMEM;
    }
    if (config_read_string(&settings->tree, text) != CONFIG_TRUE) {
        int line = config_error_line(&settings->tree);
        const char *what = config_error_text(&settings->tree);
        r = fail_at_line(ret_error, name, line > 0 ? (unsigned)line : 1, what ? what : "not valid");
        settings_free(settings);
        return r;
    }
    *ret_settings = settings;
    return 0;
}

int settings_load(const char *path, struct settings **ret_settings,
                  struct settings_error *ret_error)
{
    ret_error->text[0] = '\0';
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    int r = file_read_all(path, &text);
    if (r < 0) {
        AUTO_FREE char *shown = text_escape_new(path, strlen(path));
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: cannot be read: %s",
                          shown ? shown : "settings",
                          r == -EFBIG || r == -EMSGSIZE
                              ? "larger than a configuration may be (1 MiB)"
                              : log_error_text(r));
        return r;
    }
    if (memchr(buffer_text(&text), '\0', text.length) != NULL)
        return fail_at_line(ret_error, path, 1, "holds a NUL byte; it must be plain text");
    return settings_parse(path, buffer_text(&text), ret_settings, ret_error);
}

static int check_owner_of(const char *path, int flags, struct settings_error *ret_error)
{
    AUTO_CLOSE int fd = -1;
    AUTO_FREE char *shown = text_escape_new(path, strlen(path));
    struct stat status = {.st_mode = 0};
    int r = file_open_following(path, flags, 0, &fd);
    if (r == 0 && fstat(fd, &status) < 0)
        r = -errno;
    if (shown == NULL)
        return -ENOMEM;
    if (r < 0) {
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: cannot be read: %s", shown,
                          log_error_text(r));
        return r;
    }
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        (void)text_format(ret_error->text, sizeof(ret_error->text),
                          "%s: belongs to user %u, who could change it; chown root it", shown,
                          status.st_uid);
        return -EPERM;
    }
    bool shared_folder = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !shared_folder) {
        (void)text_format(ret_error->text, sizeof(ret_error->text),
                          "%s: can be changed by others (mode %o); chmod go-w it", shown,
                          status.st_mode & 07777);
        return -EPERM;
    }
    return 0;
}

int settings_check_owner(const char *path, struct settings_error *ret_error)
{
    ret_error->text[0] = '\0';
    int r = check_owner_of(path, O_RDONLY | O_NONBLOCK, ret_error);
    if (r < 0)
        return r;
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *folder = slash == NULL   ? strdup(".")
                             : slash == path ? strdup("/")
                                             : strndup(path, (size_t)(slash - path));
    if (folder == NULL)
        return -ENOMEM;
    return check_owner_of(folder, O_RDONLY | O_DIRECTORY, ret_error);
}

struct settings *settings_free(struct settings *settings)
{
    if (settings == NULL)
        return NULL;
    config_destroy(&settings->tree);
    free(settings->name);
    free(settings);
    return NULL;
}

config_setting_t *settings_root(const struct settings *settings)
{
    return config_root_setting(&settings->tree);
}

const char *settings_name(const struct settings *settings)
{
    return settings->name;
}

void settings_key(const config_setting_t *setting, struct buffer *key)
{
    config_setting_t *parent = config_setting_parent(setting);
    if (parent == NULL)
        return;
    settings_key(parent, key);
    const char *name = config_setting_name(setting);
    if (name != NULL)
        (void)buffer_append_format(key, "%s%s", key->length > 0 ? "." : "", name);
    else
        (void)buffer_append_format(key, "[%d]", config_setting_index(setting));
}

int settings_fail(struct settings_error *ret_error, const struct settings *settings,
                  const config_setting_t *setting, const char *format, ...)
{
    AUTO_BUFFER struct buffer key = BUFFER_WITH_MAXIMUM(256);
    char what[sizeof(ret_error->text)];
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(what, sizeof(what), format, arguments);
    va_end(arguments);
    if (setting == NULL) {
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: %s", settings->name, what);
        return -EINVAL;
    }
    settings_key(setting, &key);
    (void)text_format(ret_error->text, sizeof(ret_error->text), "%s:%u: %s%s%s", settings->name,
                      config_setting_source_line(setting),
                      buffer_failed(&key) != 0 ? "(long key)" : buffer_text(&key),
                      config_setting_is_root(setting) ? "" : ": ", what);
    return -EINVAL;
}
