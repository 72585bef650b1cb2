/* Owns the compiled rules. Must not touch any path. */
#include "agent/integrity/integrity_rules.h"

#include "agent/watch/exclusions.h"
#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct place {
    char *path;
    size_t length;
    enum integrity_care care;
};

struct places {
    struct place *entries;
    size_t count, capacity;
};

struct integrity_rules {
    atomic_uint references;
    struct places cared, critical, diff;
    struct exclusions *exclusions, *no_diff;
    const char **roots; /* point into cared */
    char *text;
};

/* What holds secrets on most hosts, whatever the policy says. */
static const char *const secret_names[] = {
    "shadow*",         "gshadow*",     "*.key",      "*.pem",     "*.p12",   "*.pfx",
    "*.jks",           "*.kdbx",       "*.gpg",      "*.asc",     "id_*",    "*_key",
    "*keytab*",        ".htpasswd*",   "htpasswd*",  ".netrc",    ".pgpass", ".my.cnf",
    ".env*",           "*secret*",     "*password*", "*passwd-*", "*token*", "*credential*",
    "authorized_keys", "*.kubeconfig", "kubeconfig", "opasswd",   NULL,
};

static const char *const care_names[] = {"none", "attributes", "log", "content"};

const char *integrity_care_name(enum integrity_care care)
{
    return (size_t)care < ARRAY_LENGTH(care_names) ? care_names[care] : "unknown";
}

/* ---- making ---- */

static void free_places(struct places *places)
{
    for (size_t i = 0; i < places->count; i++)
        free(places->entries[i].path);
    free(places->entries);
}

static int add_place(struct places *places, const char *path, size_t length,
                     enum integrity_care care)
{
    if (places->count == places->capacity) {
        size_t capacity = MAX(places->capacity * 2, (size_t)16);
        struct place *entries = reallocarray(places->entries, capacity, sizeof *entries);
        if (entries == NULL)
            return -ENOMEM;
        places->entries = entries;
        places->capacity = capacity;
    }
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *copy = text_new(path, length);
    if (copy == NULL)
        return -ENOMEM;
    places->entries[places->count++] = (struct place){copy, length, care};
    return 0;
}

static int add_places(struct places *places, const char *const *paths, enum integrity_care care)
{
    int r = 0;

    for (size_t i = 0; paths != NULL && paths[i] != NULL && r == 0; i++)
        r = paths[i][0] == '/' ? add_place(places, paths[i], strlen(paths[i]), care) : -EINVAL;
    return r;
}

static bool covers(const struct place *place, const char *path, size_t length)
{
    if (place->length == 1)
        return true;
    return length >= place->length && memcmp(place->path, path, place->length) == 0 &&
           (length == place->length || path[place->length] == '/');
}

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a, *right = b;

    /* The longest first: it decides. */
    if (left->length != right->length)
        return left->length < right->length ? 1 : -1;
    return strcmp(left->path, right->path);
}

static void sort_places(struct places *places)
{
    if (places->count > 0)
        qsort(places->entries, places->count, sizeof places->entries[0], compare_places);
}

/* A root below another is walked with it, unless it is the same path said twice. */
static bool is_root(const struct places *places, size_t index)
{
    const struct place *place = &places->entries[index];

    for (size_t i = 0; i < places->count; i++) {
        const struct place *other = &places->entries[i];
        if (i == index || !covers(other, place->path, place->length))
            continue;
        if (other->length < place->length || i < index)
            return false;
    }
    return true;
}

static int find_roots(struct integrity_rules *rules)
{
    size_t count = 0;

    rules->roots = calloc(rules->cared.count + 1, sizeof rules->roots[0]);
    if (rules->roots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < rules->cared.count; i++)
        if (is_root(&rules->cared, i))
            rules->roots[count++] = rules->cared.entries[i].path;
    return 0;
}

static void append_list(struct buffer *text, char letter, const char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        AUTO_FREE char *shown = text_escape_new(list[i], strlen(list[i]));
        (void)buffer_append_format(text, "%c%s\n", letter, shown != NULL ? shown : "");
    }
}

static int write_text(struct integrity_rules *rules, const struct integrity_lists *lists)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES * 4);

    append_list(&text, 'p', lists->paths);
    append_list(&text, 'a', lists->attributes);
    append_list(&text, 'l', lists->logs);
    append_list(&text, 'd', lists->exclude_directories);
    append_list(&text, 'f', lists->exclude_files);
    append_list(&text, 'o', lists->own_directories);
    int r = buffer_failed(&text);
    if (r < 0)
        return r;
    rules->text = text.length > 0 ? buffer_take(&text) : strdup("");
    return rules->text != NULL ? 0 : -ENOMEM;
}

static void rules_free(struct integrity_rules *rules)
{
    free_places(&rules->cared);
    free_places(&rules->critical);
    free_places(&rules->diff);
    exclusions_free(rules->exclusions);
    exclusions_free(rules->no_diff);
    free(rules->roots);
    free(rules->text);
    free(rules);
}

static int make_exclusions(struct integrity_rules *rules, const struct integrity_lists *lists)
{
    const struct exclusion_lists excluded = {
        .directories = lists->exclude_directories,
        .files = lists->exclude_files,
        .own_directories = lists->own_directories,
    };
    size_t given = 0, built_in = ARRAY_LENGTH(secret_names) - 1;

    while (lists->no_diff != NULL && lists->no_diff[given] != NULL)
        given++;
    AUTO_FREE const char **names = calloc(given + built_in + 1, sizeof *names);
    if (names == NULL)
        return -ENOMEM;
    memcpy(names, secret_names, built_in * sizeof *names);
    if (given > 0)
        memcpy(names + built_in, lists->no_diff, given * sizeof *names);
    const struct exclusion_lists secret = {.files = names};
    int r = exclusions_new(&excluded, &rules->exclusions);
    return r < 0 ? r : exclusions_new(&secret, &rules->no_diff);
}

int integrity_rules_new(const struct integrity_lists *lists, struct integrity_rules **ret_rules)
{
    struct integrity_rules *rules = calloc(1, sizeof *rules);

    if (rules == NULL)
        return -ENOMEM;
    atomic_init(&rules->references, 1);
    int r = add_places(&rules->cared, lists->logs, CARE_LOG);
    if (r == 0)
        r = add_places(&rules->cared, lists->attributes, CARE_ATTRIBUTES);
    if (r == 0)
        r = add_places(&rules->cared, lists->paths, CARE_CONTENT);
    if (r == 0)
        r = add_places(&rules->critical, lists->critical, CARE_CONTENT);
    if (r == 0)
        r = add_places(&rules->diff, lists->diff, CARE_CONTENT);
    sort_places(&rules->cared);
    if (r == 0)
        r = make_exclusions(rules, lists);
    if (r == 0)
        r = find_roots(rules);
    if (r == 0)
        r = write_text(rules, lists);
    if (r < 0) {
        rules_free(rules);
        return r;
    }
    *ret_rules = rules;
    return 0;
}

struct integrity_rules *integrity_rules_ref(struct integrity_rules *rules)
{
    atomic_fetch_add(&rules->references, 1);
    return rules;
}

struct integrity_rules *integrity_rules_unref(struct integrity_rules *rules)
{
    if (rules != NULL && atomic_fetch_sub(&rules->references, 1) == 1)
        rules_free(rules);
    return NULL;
}

/* ---- from a text ---- */

struct text_lists {
    char **lists[6];
    size_t counts[6];
};

static void free_text_lists(struct text_lists *lists)
{
    for (size_t i = 0; i < ARRAY_LENGTH(lists->lists); i++) {
        for (size_t j = 0; j < lists->counts[i]; j++)
            free(lists->lists[i][j]);
        free(lists->lists[i]);
    }
}

static int add_line(struct text_lists *lists, const char *line, size_t length)
{
    static const char letters[] = "paldfo";
    const char *letter = length > 1 ? strchr(letters, line[0]) : NULL;
    size_t unescaped;

    if (letter == NULL || line[0] == '\0')
        return -EINVAL;
    size_t which = (size_t)(letter - letters);
    AUTO_FREE char *shown = text_new(line + 1, length - 1);
    AUTO_FREE char *path = malloc(length);
    char **list =
        reallocarray(lists->lists[which], lists->counts[which] + 2, sizeof lists->lists[0][0]);
    if (list != NULL)
        lists->lists[which] = list;
    if (shown == NULL || path == NULL || list == NULL)
        return -ENOMEM;
    if (text_unescape(path, length, shown, &unescaped) < 0)
        return -EINVAL;
    list[lists->counts[which]++] = TAKE_POINTER(path);
    list[lists->counts[which]] = NULL;
    return 0;
}

int integrity_rules_from_text(const char *text, struct integrity_rules **ret_rules)
{
    CLEANUP(free_text_lists) struct text_lists lists = {0};

    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        int r = add_line(&lists, text, length);
        if (r < 0)
            return r;
        text += length + (text[length] == '\n');
    }
    const struct integrity_lists given = {
        .paths = (const char *const *)lists.lists[0],
        .attributes = (const char *const *)lists.lists[1],
        .logs = (const char *const *)lists.lists[2],
        .exclude_directories = (const char *const *)lists.lists[3],
        .exclude_files = (const char *const *)lists.lists[4],
        .own_directories = (const char *const *)lists.lists[5],
    };
    return integrity_rules_new(&given, ret_rules);
}

/* ---- answers ---- */

static size_t name_length_of(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);

    return slash == NULL ? length : length - (size_t)(slash + 1 - path);
}

static bool any_covers(const struct places *places, const char *path, size_t length)
{
    for (size_t i = 0; i < places->count; i++)
        if (covers(&places->entries[i], path, length))
            return true;
    return false;
}

enum integrity_care integrity_rules_care_here(const struct integrity_rules *rules, const char *path,
                                              size_t length)
{
    for (size_t i = 0; i < rules->cared.count; i++)
        if (covers(&rules->cared.entries[i], path, length))
            return exclusions_match_file(rules->exclusions, path, length,
                                         name_length_of(path, length))
                       ? CARE_NONE
                       : rules->cared.entries[i].care;
    return CARE_NONE;
}

enum integrity_care integrity_rules_care(const struct integrity_rules *rules, const char *path,
                                         size_t length)
{
    enum integrity_care care = integrity_rules_care_here(rules, path, length);

    return care != CARE_NONE && exclusions_cover_directory(rules->exclusions, path, length)
               ? CARE_NONE
               : care;
}

bool integrity_rules_exclude_directory(const struct integrity_rules *rules, const char *path,
                                       size_t length)
{
    return exclusions_match_directory(rules->exclusions, path, length,
                                      name_length_of(path, length));
}

bool integrity_rules_reach(const struct integrity_rules *rules, const char *path, size_t length)
{
    const struct place here = {(char *)path, length, CARE_NONE};

    if (any_covers(&rules->cared, path, length))
        return true;
    for (size_t i = 0; i < rules->cared.count; i++)
        if (covers(&here, rules->cared.entries[i].path, rules->cared.entries[i].length))
            return true;
    return false;
}

bool integrity_rules_are_critical(const struct integrity_rules *rules, const char *path,
                                  size_t length)
{
    return any_covers(&rules->critical, path, length);
}

bool integrity_rules_allow_text(const struct integrity_rules *rules, const char *path,
                                size_t length)
{
    return any_covers(&rules->diff, path, length) &&
           !exclusions_match_file(rules->no_diff, path, length, name_length_of(path, length));
}

const char *const *integrity_rules_roots(const struct integrity_rules *rules)
{
    return rules->roots;
}

const char *integrity_rules_text(const struct integrity_rules *rules)
{
    return rules->text;
}
