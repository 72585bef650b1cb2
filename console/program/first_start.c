/* Owns the first content of a database. */
#include "console/program/first_start.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "console/people/audit.h"
#include "console/people/password.h"
#include "console/people/user_store.h"
#include "console/policies/policy_store.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <openssl/crypto.h>

#define ADMINISTRATOR "admin"
#define BASE_TEXT     "description = \"What every computer gets\";\n"

struct first {
    char tenant_id[UUID_TEXT_BYTES];
    const char *password_hash; /* NULL: there are users already */
    bool made;
};

static int count_users(struct sql *sql, void *user)
{
    return user_count(sql, user);
}

static int settle_tenant(struct sql *sql, struct first *first)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT value FROM meta WHERE name = 'tenant_id'", &row, "");
    if (r == 1)
        (void)text_copy(first->tenant_id, sizeof(first->tenant_id), sql_text(row, 0));
    if (r != 0)
        return r < 0 ? r : 0;
    r = uuid_new(first->tenant_id);
    if (r == 0)
        r = sql_run(sql, "INSERT INTO meta (name, value) VALUES ('tenant_id', $1)", NULL, "t",
                    first->tenant_id);
    if (r == 0) {
        struct policy_substitute base = {"base", BASE_TEXT, ""};
        int64_t revision;
        r = policy_store_put(sql, &base, "console", -1, &revision);
    }
    return r;
}

static int settle(struct sql *sql, void *user)
{
    struct first *first = user;
    first->made = false;
    int r = settle_tenant(sql, first);
    if (r < 0 || !first->password_hash)
        return r;
    char id[UUID_TEXT_BYTES];
    struct user_draft draft = {.name = ADMINISTRATOR,
                               .role = "administrator",
                               .groups = "[]",
                               .password_hash = first->password_hash,
                               .must_change = true};
    int64_t users = 0;
    r = user_count(sql, &users);
    if (r < 0 || users > 0)
        return r; /* another node was faster */
    r = user_create(sql, &draft, id);
    struct audit_entry entry = {.actor = "console",
                                .address = "",
                                .action = "user_created",
                                .subject = ADMINISTRATOR,
                                .detail = ""};
    if (r == 0)
        r = audit_append(sql, &entry);
    first->made = r == 0;
    return r;
}

/* From the file, without its line end; or a new one. */
static int choose_password(const char *file, struct buffer *password)
{
    if (!file) {
        char text[PASSWORD_NEW_BYTES];
        int r = password_new(text);
        return r < 0 ? r : buffer_append_text(password, text);
    }
    int r = file_read_all(file, password);
    if (r < 0)
        return r;
    while (password->length > 0 && strchr("\r\n", password->data[password->length - 1]))
        password->data[--password->length] = '\0';
    return password->length >= PASSWORD_MINIMUM ? 0 : -EINVAL;
}

int first_start(struct console_store *store, struct console_facts *ret_facts)
{
    struct first first = {.made = false};
    struct buffer password = BUFFER_WITH_MAXIMUM(PASSWORD_MAXIMUM);
    char hash[PASSWORD_HASH_BYTES];
    int64_t users = 0;
    const char *file = getenv("YAGURA_CONSOLE_PASSWORD_FILE");
    int r = console_store_read(store, count_users, &users);
    if (r == 0 && users == 0) {
        r = choose_password(file, &password);
        if (r < 0)
            log_error("password_file_unusable", "path", file ? file : "", "error",
                      log_error_text(r), "cure", "write 12 to 256 characters into it", NULL);
        if (r == 0)
            r = password_hash(buffer_text(&password), hash);
        first.password_hash = hash;
    }
    if (r == 0)
        r = console_store_write(store, settle, &first);
    if (r < 0)
        log_error("first_start_failed", "error", log_error_text(r), NULL);
    if (r == 0 && first.made && !file) {
        (void)printf("The console's administrator is \"%s\", password: %s\n"
                     "It is shown only once, and must be changed at the first sign-in.\n",
                     ADMINISTRATOR, buffer_text(&password));
        (void)fflush(stdout);
    }
    if (password.data)
        OPENSSL_cleanse(password.data, password.capacity);
    buffer_done(&password);
    (void)text_copy(ret_facts->tenant_id, sizeof(ret_facts->tenant_id), first.tenant_id);
    return r < 0 ? r : 0;
}
