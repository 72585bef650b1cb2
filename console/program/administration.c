/* The subcommands for administrators on the console's own machine. They open the database beside a
 * running console: SQLite lets one of them write at a time. */
#include "common/files/file.h"
#include "common/text/text.h"
#include "console/agents/tokens.h"
#include "console/certificates/console_identity.h"
#include "console/people/audit.h"
#include "console/people/password.h"
#include "console/people/user_store.h"
#include "console/program/console.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <getopt.h>

#define DAY_MS 86400000LL

static int failed(const char *what, int error)
{
    (void)fprintf(stderr, "yagura-console: %s: %s\n", what, strerrordesc_np(-error));
    return 1;
}

static int open_store(const struct console_settings *settings, struct console_store **ret_store)
{
    char place[4096], notice[512] = "";
    int r = console_database(settings, place);
    bool remote = r == 0 && sql_is_postgres_url(place);
    if (r == 0 && !remote && access(place, R_OK | W_OK) < 0)
        r = -errno;
    if (r == 0)
        r = console_store_open(place, ret_store, notice);
    if (r < 0)
        (void)fprintf(
            stderr, "yagura-console: %s: %s%s; start the console once, and run this as its user\n",
            remote ? "database" : place, strerrordesc_np(-r), notice);
    return r < 0 ? r : 0;
}

static int log_action(struct sql *sql, const char *action, const char *subject)
{
    char actor[64];
    (void)text_format(actor, sizeof(actor), "console:uid=%u", getuid());
    struct audit_entry entry = {actor, "", action, subject, ""};
    return audit_append(sql, &entry);
}

int console_pin(const struct console_settings *settings, int argc UNUSED, char **argv UNUSED)
{
    char path[4096], pin[KEY_PIN_BYTES];
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int r = text_format(path, sizeof(path), "%s/authority.crt",
                        console_settings_text(settings, CONSOLE_DATA));
    if (r >= 0)
        r = certificate_load(path, &certificate);
    if (r == 0)
        r = key_pin(X509_get0_pubkey(certificate), pin);
    if (r < 0)
        return failed(path, r);
    return printf("%s\n", pin) < 0;
}

/* --- tokens */

struct token_work {
    struct token_draft draft;
    char id[UUID_TEXT_BYTES], token[SECRET_TEXT_BYTES];
};

static int create_token(struct sql *sql, void *user)
{
    struct token_work *work = user;
    int r = token_create(sql, &work->draft, work->id, work->token);
    return r < 0 ? r : log_action(sql, "token_created", work->draft.name);
}

static int parse_count(const char *text, int64_t most, int64_t *ret_count)
{
    uint64_t count;
    if (text_parse_u64(text, &count) < 0 || count == 0 || count > (uint64_t)most)
        return -EINVAL;
    *ret_count = (int64_t)count;
    return 0;
}

int console_token(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"days", required_argument, NULL, 'd'},
                                            {"uses", required_argument, NULL, 'u'},
                                            {"name", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct token_work work = {.draft = {.name = "command line",
                                        .tags = "[]",
                                        .cidrs = "[]",
                                        .uses = -1,
                                        .created_by = "console"}};
    int64_t days = 7;
    if (argc < 2 || !text_equal(argv[1], "create"))
        return -1;
    optind = 2;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'n')
            work.draft.name = optarg;
        else if ((option != 'd' && option != 'u') ||
                 parse_count(optarg, option == 'd' ? 3650 : 1000000,
                             option == 'd' ? &days : &work.draft.uses) < 0)
            return -1;
    }
    work.draft.expires_ms = console_store_now_ms() + days * DAY_MS;
    struct console_store *store = NULL;
    if (open_store(settings, &store) < 0)
        return 1;
    int r = console_store_write(store, create_token, &work);
    (void)console_store_close(store);
    if (r < 0)
        return failed("cannot make a token", r);
    return printf("%s\n", work.token) < 0;
}

/* --- users */

struct reset_work {
    const char *name, *hash;
};

static int reset_password(struct sql *sql, void *user)
{
    const struct reset_work *work = user;
    struct user_record found;
    int r = user_find(sql, work->name, &found);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = user_set_password(sql, found.id, work->hash, true);
    return r < 0 ? r : log_action(sql, "password_reset", work->name);
}

int console_user(const struct console_settings *settings, int argc, char **argv)
{
    char password[PASSWORD_NEW_BYTES], hash[PASSWORD_HASH_BYTES];
    if (argc != 3 || !text_equal(argv[1], "reset-password"))
        return -1;
    struct console_store *store = NULL;
    if (open_store(settings, &store) < 0)
        return 1;
    struct reset_work work = {argv[2], hash};
    int r = password_new(password);
    if (r == 0)
        r = password_hash(password, hash);
    if (r == 0)
        r = console_store_write(store, reset_password, &work);
    (void)console_store_close(store);
    if (r < 0)
        return failed(argv[2], r);
    return printf("%s\n", password) < 0;
}

/* --- audit */

struct verify_work {
    int64_t count, wrong;
};

static int verify(struct sql *sql, void *user)
{
    struct verify_work *work = user;
    return audit_verify(sql, &work->count, &work->wrong);
}

int console_verify_audit(const struct console_settings *settings, int argc UNUSED,
                         char **argv UNUSED)
{
    struct verify_work work = {0};
    struct console_store *store = NULL;
    if (open_store(settings, &store) < 0)
        return 1;
    int r = console_store_read(store, verify, &work);
    (void)console_store_close(store);
    if (r == -EBADMSG && work.wrong == 0)
        (void)fprintf(stderr, "the end of the audit log is missing, after %lld entries\n",
                      (long long)work.count);
    else if (r == -EBADMSG)
        (void)fprintf(stderr, "the audit log was changed at entry %lld, after %lld good ones\n",
                      (long long)work.wrong, (long long)work.count);
    else if (r < 0)
        return failed("cannot read the audit log", r);
    else
        (void)printf("%lld entries, the chain is whole\n", (long long)work.count);
    return r < 0 ? 1 : 0;
}
