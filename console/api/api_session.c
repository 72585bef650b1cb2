/* Owns signing in and out. The session's id lives in a cookie that scripts cannot read; the token
 * against cross-site requests is given once, and goes into a header of every change. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/people/password.h"
#include "console/people/user_store.h"

#include <errno.h>
#include <openssl/crypto.h>

#define COOKIE "__Host-yagura"

struct sign_in {
    const struct http_request *request;
    const struct secret_box *box;
    const char *name, *password, *code;
    struct user_record user;
    int64_t step; /* of the code; 0: the user has no second factor */
    char session[SECRET_TEXT_BYTES], csrf[SECRET_TEXT_BYTES];
    struct viewer viewer;
};

static int find_user(struct sql *sql, void *user)
{
    struct sign_in *sign_in = user;
    return user_find(sql, sign_in->box, sign_in->name, &sign_in->user);
}

static int audit_as(struct sql *sql, const struct sign_in *sign_in, const char *action)
{
    char actor[160];
    (void)text_format(actor, sizeof(actor), "user:%s", sign_in->name);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(sign_in->request),
                                .action = action,
                                .subject = sign_in->name,
                                .detail = ""};
    return audit_append(sql, &entry);
}

static int start_session(struct sql *sql, void *user)
{
    struct sign_in *sign_in = user;
    int r = sign_in->step ? user_use_totp(sql, sign_in->user.id, sign_in->step) : 0;
    if (r == 0)
        r = session_start(sql, sign_in->user.id, http_request_address(sign_in->request),
                          sign_in->session, sign_in->csrf);
    if (r == 0)
        r = audit_as(sql, sign_in, "signed_in");
    if (r == 0)
        r = session_check(sql, sign_in->session, NULL, false, &sign_in->viewer);
    return r;
}

static int note_failure(struct sql *sql, void *user)
{
    return audit_as(sql, user, "sign_in_failed");
}

/* Told to the audit log before it is told to whoever tried. */
static void refuse(struct http_request *request, struct api_service *service,
                   struct sign_in *attempt, const char *why)
{
    int r = console_store_write(service->store, note_failure, attempt);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_problem(request, 401, "wrong_credentials", "%s", why);
}

static void write_viewer(struct json_writer *json, const struct viewer *viewer)
{
    json_write_field_string(json, "actor", viewer->actor);
    json_write_field_string(json, "role", viewer->role);
    json_write_field_bool(json, "must_change_password", viewer->must_change_password);
    json_write_key(json, "groups");
    json_write_array_begin(json);
    for (size_t i = 0; i < viewer->group_count; i++)
        json_write_string(json, viewer->groups[i]);
    json_write_array_end(json);
}

static void answer_session(struct http_request *request, const struct viewer *viewer,
                           const char *csrf, unsigned status)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    write_viewer(&json, viewer);
    if (csrf)
        json_write_field_string(&json, "csrf_token", csrf);
    json_write_object_end(&json);
    http_respond_buffer(request, status, "application/json", &body);
}

static int64_t now_seconds(void)
{
    return console_store_now_ms() / 1000;
}

/* False when it has answered: the code is missing or wrong. */
static bool passes_second_factor(struct http_request *request, struct api_service *service,
                                 struct sign_in *attempt)
{
    const struct user_record *found = &attempt->user;
    if (!found->totp[0])
        return true;
    if (!attempt->code[0]) {
        http_respond_problem(request, 401, "code_required",
                             "send the six digits of your authenticator as code");
        return false;
    }
    if (totp_matches(found->totp, attempt->code, now_seconds(), found->totp_used, &attempt->step))
        return true;
    refuse(request, service, attempt, "wrong name, password or code");
    return false;
}

static void sign_in(struct http_request *request, struct api_service *service,
                    struct sign_in *attempt)
{
    unsigned wait =
        sign_in_limit_try(&service->sign_ins, attempt->name, http_request_address(request));
    if (wait) {
        char text[16];
        (void)text_format(text, sizeof(text), "%u", wait);
        http_response_header(request, "Retry-After", text);
        http_respond_problem(request, 429, "too_many_attempts",
                             "too many failed sign-ins; wait %u seconds", wait);
        return;
    }
    int r = console_store_read(service->store, find_user, attempt);
    if (r < 0) {
        api_respond_error(request, r);
        return;
    }
    if (!password_matches(attempt->password, r == 1 ? attempt->user.password_hash : NULL)) {
        refuse(request, service, attempt, "wrong name or password");
        return;
    }
    if (!passes_second_factor(request, service, attempt))
        return;
    sign_in_limit_good(&service->sign_ins, attempt->name, http_request_address(request));
    r = console_store_write(service->store, start_session, attempt);
    if (r == -EACCES) {
        refuse(request, service, attempt, "this code was used already");
        return;
    }
    if (r != 1) {
        api_respond_error(request, r < 0 ? r : -EIO);
        return;
    }
    char cookie[256];
    (void)text_format(cookie, sizeof(cookie),
                      COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%lld",
                      attempt->session, SESSION_LIFE_MS / 1000);
    http_response_header(request, "Set-Cookie", cookie);
    answer_session(request, &attempt->viewer, attempt->csrf, 201);
}

void api_session_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"name", "password", "code", NULL};
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct sign_in attempt = {.request = request,
                              .box = ((struct api_service *)user)->secrets,
                              .name = wire_read_text(&form.reader, "name", 1, 128, NULL),
                              .password = wire_read_text(&form.reader, "password", 1,
                                                         PASSWORD_MAXIMUM, NULL),
                              .code = wire_read_text(&form.reader, "code", 0, 16, "")};
    if (!api_refused(request, &form.reader))
        sign_in(request, user, &attempt);
    OPENSSL_cleanse(&attempt, sizeof(attempt));
}

void api_session_show(struct http_request *request, void *user UNUSED)
{
    answer_session(request, api_viewer(request), NULL, 200);
}

static int end_session(struct sql *sql, void *user)
{
    const struct http_request *request = user;
    const struct viewer *viewer = api_viewer(request);
    const struct api_credentials *credentials = api_credentials_of(request);
    if (credentials->by_key)
        return 0;
    int r = session_end(sql, credentials->secret);
    return r < 0 ? r : api_audit(sql, request, "signed_out", viewer->actor, "");
}

void api_session_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    int r = console_store_write(service->store, end_session, request);
    if (r < 0) {
        api_respond_error(request, r);
        return;
    }
    http_response_header(request, "Set-Cookie",
                         COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    http_respond(request, 204, NULL, NULL, 0);
    api_rights_changed(service);
}

/* --- own password */

struct password_change {
    struct http_request *request;
    const char *hash;
};

static int change_password(struct sql *sql, void *user)
{
    const struct password_change *change = user;
    const struct viewer *viewer = api_viewer(change->request);
    int r = user_set_password(sql, viewer->user_id, change->hash, false);
    return r < 0 ? r : api_audit(sql, change->request, "password_changed", viewer->actor, "");
}

/* Whoever found an open browser, or stole its cookie, tries here. */
static int note_wrong_password(struct sql *sql, void *user)
{
    return api_audit(sql, user, "password_change_failed", api_viewer(user)->actor, "");
}

/* Every session ends, this one too: sign in with the new password. */
static void replace_password(struct http_request *request, struct api_service *service,
                             const char *old, const char *new)
{
    const struct viewer *viewer = api_viewer(request);
    struct sign_in current = {.request = request,
                              .box = service->secrets,
                              .name = viewer->actor + strlen("user:")};
    char hash[PASSWORD_HASH_BYTES];
    unsigned wait =
        sign_in_limit_try(&service->sign_ins, current.name, http_request_address(request));
    int r = wait ? 0 : console_store_read(service->store, find_user, &current);
    if (wait) {
        http_respond_problem(request, 429, "too_many_attempts",
                             "too many failed attempts; wait %u seconds", wait);
    } else if (r < 0) {
        api_respond_error(request, r);
    } else if (!password_matches(old, r == 1 ? current.user.password_hash : NULL)) {
        r = console_store_write(service->store, note_wrong_password, request);
        if (r < 0)
            api_respond_error(request, r);
        else
            http_respond_problem(request, 403, "wrong_password", "the old password is wrong");
    } else {
        sign_in_limit_good(&service->sign_ins, current.name, http_request_address(request));
        struct password_change change = {request, hash};
        r = password_hash(new, hash);
        if (r == 0)
            r = console_store_write(service->store, change_password, &change);
        if (r < 0)
            api_respond_error(request, r);
        else
            http_respond(request, 204, NULL, NULL, 0);
        api_rights_changed(service);
    }
    OPENSSL_cleanse(&current, sizeof(current));
}

void api_password_change(struct http_request *request, void *user)
{
    static const char *const names[] = {"old", "new", NULL};
    if (!api_viewer(request)->user_id[0]) {
        http_respond_problem(request, 403, "not_allowed", "an API key has no password");
        return;
    }
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    const char *old = wire_read_text(&form.reader, "old", 1, PASSWORD_MAXIMUM, NULL);
    const char *new = wire_read_text(&form.reader, "new", PASSWORD_MINIMUM, PASSWORD_MAXIMUM, NULL);
    if (!form.reader.error && text_equal(old, new))
        wire_fail(&form.reader, "new must differ from old");
    if (!api_refused(request, &form.reader))
        replace_password(request, user, old, new);
}

/* --- second factor */

struct totp_work {
    struct http_request *request;
    const struct secret_box *box;
    struct user_record user;
    char secret[TOTP_TEXT_BYTES];
    int64_t step;
    bool remove;
};

static int find_self(struct sql *sql, void *user)
{
    struct totp_work *work = user;
    return user_find(sql, work->box, api_viewer(work->request)->actor + strlen("user:"),
                     &work->user);
}

static int offer_totp(struct sql *sql, void *user)
{
    const struct totp_work *work = user;
    return user_offer_totp(sql, work->box, api_viewer(work->request)->user_id, work->secret);
}

static int settle_totp(struct sql *sql, void *user)
{
    const struct totp_work *work = user;
    const struct viewer *viewer = api_viewer(work->request);
    int r = user_set_totp(sql, work->box, viewer->user_id,
                          work->remove ? "" : work->user.totp_offered, work->step);
    return r < 0 ? r
                 : api_audit(sql, work->request, work->remove ? "totp_removed" : "totp_set",
                             viewer->actor, "");
}

static bool is_user(struct http_request *request)
{
    if (api_viewer(request)->user_id[0])
        return true;
    http_respond_problem(request, 403, "not_allowed", "an API key has no second factor");
    return false;
}

/* The secret is shown once; it counts from the first right code on. */
void api_totp_offer(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct totp_work work = {.request = request, .box = service->secrets};
    if (!is_user(request))
        return;
    int r = console_store_read(service->store, find_self, &work);
    if (r == 1 && work.user.totp[0]) {
        http_respond_problem(request, 409, "exists", "remove the second factor first");
        return;
    }
    if (r == 1)
        r = totp_new(work.secret);
    if (r == 0)
        r = console_store_write(service->store, offer_totp, &work);
    if (r < 0) {
        api_respond_error(request, r);
        return;
    }
    char uri[256];
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer json;
    (void)text_format(uri, sizeof(uri), "otpauth://totp/Yagura?secret=%s&issuer=Yagura",
                      work.secret);
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "secret", work.secret);
    json_write_field_string(&json, "uri", uri);
    json_write_object_end(&json);
    http_respond_buffer(request, 201, "application/json", &body);
    OPENSSL_cleanse(&work, sizeof(work));
}

static void finish_totp(struct api_service *service, struct totp_work *work)
{
    int r = console_store_write(service->store, settle_totp, work);
    if (r < 0) {
        api_respond_error(work->request, r);
        return;
    }
    sign_in_limit_good(&service->sign_ins, api_viewer(work->request)->actor,
                       http_request_address(work->request));
    http_respond(work->request, 204, NULL, NULL, 0);
}

static void settle_with_code(struct http_request *request, struct api_service *service, bool remove)
{
    static const char *const names[] = {"code", NULL};
    json_t *body = is_user(request) ? api_body(request, names) : NULL;
    if (!body)
        return;
    struct wire_problem problem;
    struct wire_reader reader = wire_reader_of(body, &problem);
    struct totp_work work = {.request = request, .box = service->secrets, .remove = remove};
    const char *code = wire_read_text(&reader, "code", 6, 6, NULL);
    if (!api_refused(request, &reader)) {
        int r = console_store_read(service->store, find_self, &work);
        const char *secret = remove ? work.user.totp : work.user.totp_offered;
        if (r < 0)
            api_respond_error(request, r);
        else if (sign_in_limit_try(&service->sign_ins, api_viewer(request)->actor,
                                   http_request_address(request)))
            http_respond_problem(request, 429, "too_many_attempts", "too many wrong codes; wait");
        else if (!secret[0] ||
                 !totp_matches(secret, code, now_seconds(), work.user.totp_used, &work.step))
            http_respond_problem(request, 403, "wrong_code", "this is not the code of now");
        else
            finish_totp(service, &work);
    }
    OPENSSL_cleanse(&work, sizeof(work));
    json_decref(body);
}

void api_totp_set(struct http_request *request, void *user)
{
    settle_with_code(request, user, false);
}

void api_totp_remove(struct http_request *request, void *user)
{
    settle_with_code(request, user, true);
}
