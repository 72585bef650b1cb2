/* Owns the signing key's files and their order of change: next key, links, key. A crash between
 * them leaves a next key that the last link names, or one that nobody heard of. */
#include "console/certificates/signing_key.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define PATH_BYTES    4096
#define LINKS_MAXIMUM 65536

struct signing_key {
    char directory[PATH_BYTES];
    pthread_mutex_t changing; /* one change of the files at a time */
    pthread_rwlock_t lock;    /* of all below */
    EVP_PKEY *key;
    char *links; /* JSON array; NULL without */
    struct signing_key_facts facts;
};

/* What the files say. */
struct loaded {
    EVP_PKEY *key;
    json_t *links;
};

static int path_of(const struct signing_key *key, const char *name, char path[static PATH_BYTES],
                   char ret_problem[static 256])
{
    (void)text_copy(ret_problem, 256, name);
    int r = text_format(path, PATH_BYTES, "%s/%s", key->directory, name);
    return r < 0 ? r : 0;
}

/* --- the files */

static int read_links(const struct signing_key *key, json_t **ret_links,
                      char ret_problem[static 256])
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LINKS_MAXIMUM);
    char path[PATH_BYTES];
    int r = path_of(key, "signing.links", path, ret_problem);
    if (r == 0)
        r = file_read_all(path, &text);
    if (r == -ENOENT) {
        *ret_links = json_array();
        return *ret_links ? 0 : -ENOMEM;
    }
    if (r < 0)
        return r;
    *ret_links = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(*ret_links)) {
        json_decref(*ret_links);
        *ret_links = NULL;
        return -EBADMSG;
    }
    return 0;
}

/* The public text that the last link announces, "" without links. */
static int read_announced(const json_t *links, char ret_text[static KEY_PUBLIC_TEXT_BYTES])
{
    size_t count = json_array_size(links);
    struct wire_envelope link;
    struct wire_successor successor = {.key = ""};
    struct wire_problem problem;
    ret_text[0] = '\0';
    if (count == 0)
        return 0;
    int r = wire_envelope_read(json_array_get(links, count - 1), &link, &problem);
    if (r == 0)
        r = wire_successor_decode(link.document, &successor, &problem);
    if (r < 0)
        return r;
    r = text_copy(ret_text, KEY_PUBLIC_TEXT_BYTES, successor.key) < 0 ? -EBADMSG : 0;
    wire_successor_done(&successor);
    return r;
}

static int make_first(const char *path, EVP_PKEY **ret_key)
{
    int r = key_new_ed25519(ret_key);
    return r == 0 ? key_save(*ret_key, path) : r;
}

/* The last link names the next key, not the present one: the change was announced, and is done. */
static int finish_change(const struct signing_key *key, const char *announced,
                         struct loaded *loaded, char ret_problem[static 256])
{
    char path[PATH_BYTES], next_path[PATH_BYTES], text[KEY_PUBLIC_TEXT_BYTES];
    int r = key_public_text(loaded->key, text);
    if (r < 0 || !announced[0] || text_equal(text, announced))
        return r;
    AUTO_KEY EVP_PKEY *next = NULL;
    r = path_of(key, "signing.key", path, ret_problem);
    if (r == 0)
        r = path_of(key, "signing.next", next_path, ret_problem);
    if (r == 0)
        r = key_load(next_path, &next);
    if (r == -ENOENT) {
        (void)text_copy(ret_problem, 256, "signing.links (names another key than signing.key)");
        return -EBADMSG;
    }
    if (r == 0)
        r = key_public_text(next, text);
    if (r == 0 && !text_equal(text, announced))
        r = -EBADMSG;
    if (r == 0 && rename(next_path, path) < 0)
        r = -errno;
    if (r < 0)
        return r;
    EVP_PKEY_free(loaded->key);
    loaded->key = TAKE_POINTER(next);
    return 0;
}

static int load(const struct signing_key *key, struct loaded *ret_loaded,
                char ret_problem[static 256])
{
    char path[PATH_BYTES], announced[KEY_PUBLIC_TEXT_BYTES];
    struct loaded loaded = {.key = NULL};
    int r = read_links(key, &loaded.links, ret_problem);
    if (r == 0)
        r = read_announced(loaded.links, announced);
    if (r == 0)
        r = path_of(key, "signing.key", path, ret_problem);
    if (r == 0)
        r = key_load(path, &loaded.key);
    if (r == -ENOENT)
        r = json_array_size(loaded.links) > 0 ? -ENOENT : make_first(path, &loaded.key);
    if (r == 0)
        r = finish_change(key, announced, &loaded, ret_problem);
    if (r < 0) {
        EVP_PKEY_free(loaded.key);
        json_decref(loaded.links);
        return r;
    }
    *ret_loaded = loaded;
    return 0;
}

/* --- what is used */

/* 1 when it is another key than before. Takes what was loaded. */
static int use(struct signing_key *key, struct loaded *loaded)
{
    struct signing_key_facts facts = {.changes = json_array_size(loaded->links)};
    char *links = facts.changes > 0 ? json_dumps(loaded->links, JSON_COMPACT) : NULL;
    json_decref(loaded->links);
    int r = facts.changes > 0 && !links ? -ENOMEM : key_id(loaded->key, facts.id);
    if (r == 0)
        r = key_public_text(loaded->key, facts.text);
    if (r < 0) {
        free(links);
        EVP_PKEY_free(loaded->key);
        return r;
    }
    (void)pthread_rwlock_wrlock(&key->lock);
    bool changed = !text_equal(key->facts.id, facts.id);
    EVP_PKEY_free(key->key);
    free(key->links);
    key->key = loaded->key;
    key->links = links;
    key->facts = facts;
    (void)pthread_rwlock_unlock(&key->lock);
    return changed;
}

int signing_key_reload(struct signing_key *key, char ret_problem[static 256])
{
    struct loaded loaded;
    (void)pthread_mutex_lock(&key->changing);
    int r = load(key, &loaded, ret_problem);
    if (r == 0)
        r = use(key, &loaded);
    (void)pthread_mutex_unlock(&key->changing);
    return r;
}

int signing_key_open(const char *directory, struct signing_key **ret_key,
                     char ret_problem[static 256])
{
    struct signing_key *key = calloc(1, sizeof(*key));
    if (!key)
        return -ENOMEM;
    (void)pthread_mutex_init(&key->changing, NULL);
    (void)pthread_rwlock_init(&key->lock, NULL);
    int r = text_copy(key->directory, sizeof(key->directory), directory);
    if (r >= 0)
        r = signing_key_reload(key, ret_problem);
    if (r < 0) {
        (void)signing_key_close(key);
        return r;
    }
    *ret_key = key;
    return 0;
}

struct signing_key *signing_key_close(struct signing_key *key)
{
    if (!key)
        return NULL;
    EVP_PKEY_free(key->key);
    free(key->links);
    (void)pthread_rwlock_destroy(&key->lock);
    (void)pthread_mutex_destroy(&key->changing);
    free(key);
    return NULL;
}

void signing_key_facts(struct signing_key *key, struct signing_key_facts *ret_facts)
{
    (void)pthread_rwlock_rdlock(&key->lock);
    *ret_facts = key->facts;
    (void)pthread_rwlock_unlock(&key->lock);
}

int signing_key_sign(struct signing_key *key, const char *document, struct buffer *body)
{
    (void)pthread_rwlock_rdlock(&key->lock);
    int r = wire_signed_encode_linked(document, key->key, key->links, body);
    (void)pthread_rwlock_unlock(&key->lock);
    return r;
}

/* --- change */

/* Adds the link from the present key to next. */
static int announce(const struct loaded *present, EVP_PKEY *next, int64_t retire_ms)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(4096);
    AUTO_BUFFER struct buffer link = BUFFER_WITH_MAXIMUM(8192);
    char text[KEY_PUBLIC_TEXT_BYTES];
    uint64_t now = clock_realtime_ns() / NS_PER_MS;
    int r = key_public_text(next, text);
    const struct wire_successor successor = {.key = text,
                                             .issued_ms = now,
                                             .retires_ms = now + (uint64_t)retire_ms};
    if (r == 0)
        r = wire_successor_encode(&successor, &document);
    if (r == 0)
        r = wire_signed_encode(buffer_text(&document), present->key, &link);
    if (r < 0)
        return r;
    json_t *object = json_loadb(link.data, link.length, 0, NULL);
    if (!object || json_array_append_new(present->links, object) < 0)
        return -ENOMEM;
    while (json_array_size(present->links) > WIRE_SUCCESSORS_MAXIMUM)
        (void)json_array_remove(present->links, 0);
    return 0;
}

static int write_links(const struct signing_key *key, const json_t *links,
                       char ret_problem[static 256])
{
    char path[PATH_BYTES];
    AUTO_FREE char *text = json_dumps(links, JSON_INDENT(1));
    int r = path_of(key, "signing.links", path, ret_problem);
    if (r == 0 && !text)
        r = -ENOMEM;
    return r == 0 ? file_replace(path, text, strlen(text), 0600) : r;
}

static int change_files(const struct signing_key *key, struct loaded *loaded, int64_t retire_ms,
                        char ret_problem[static 256])
{
    AUTO_KEY EVP_PKEY *next = NULL;
    char path[PATH_BYTES], text[KEY_PUBLIC_TEXT_BYTES];
    int r = path_of(key, "signing.next", path, ret_problem);
    if (r == 0)
        r = key_new_ed25519(&next);
    if (r == 0)
        r = key_save(next, path);
    if (r == 0)
        r = announce(loaded, next, retire_ms);
    if (r == 0)
        r = write_links(key, loaded->links, ret_problem);
    if (r == 0)
        r = key_public_text(next, text);
    return r == 0 ? finish_change(key, text, loaded, ret_problem) : r;
}

int signing_key_change(struct signing_key *key, int64_t retire_ms, char ret_problem[static 256])
{
    struct loaded loaded;
    (void)pthread_mutex_lock(&key->changing);
    int r = load(key, &loaded, ret_problem);
    if (r == 0) {
        r = change_files(key, &loaded, retire_ms, ret_problem);
        if (r == 0) {
            r = use(key, &loaded);
        } else {
            EVP_PKEY_free(loaded.key);
            json_decref(loaded.links);
        }
    }
    (void)pthread_mutex_unlock(&key->changing);
    return r < 0 ? r : 0;
}
