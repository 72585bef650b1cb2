/* Owns the route table of the API and who may call what. openapi.json says the same to others. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/people/user_store.h"
#include "console/sensors/sensor_service.h"

#include <errno.h>

#define SMALL 16384

#define COOKIE_NAME "__Host-yagura="

const struct http_route API_ROUTES[] = {
    {"GET", "/health", 0, api_health, PERMISSION_NONE},
    {"GET", "/metrics", 0, api_metrics, PERMISSION_READ},
    {"GET", "/api/v1/openapi.json", 0, api_openapi, PERMISSION_NONE},
    {"GET", "/api/v1/sentences/{language}", 0, api_sentences, PERMISSION_NONE},
    {"GET", "/api/v1/about", 0, api_about, PERMISSION_READ},
    {"GET", "/api/v1/deployment-script", 0, api_deployment_script, PERMISSION_READ},
    {"GET", "/api/v1/overview", 0, api_overview, PERMISSION_READ},
    {"GET", "/api/v1/stream", 0, api_stream_listen, PERMISSION_READ},

    {"POST", "/api/v1/session", SMALL, api_session_create, PERMISSION_NONE},
    {"GET", "/api/v1/session", 0, api_session_show, PERMISSION_SELF},
    {"DELETE", "/api/v1/session", 0, api_session_delete, PERMISSION_SELF},
    {"PUT", "/api/v1/session/password", SMALL, api_password_change, PERMISSION_SELF},
    {"POST", "/api/v1/session/totp", SMALL, api_totp_offer, PERMISSION_SELF},
    {"PUT", "/api/v1/session/totp", SMALL, api_totp_set, PERMISSION_SELF},
    {"POST", "/api/v1/session/totp/remove", SMALL, api_totp_remove, PERMISSION_SELF},

    {"GET", "/api/v1/computers", 0, api_computers, PERMISSION_READ},
    {"GET", "/api/v1/computers/{id}", 0, api_computer, PERMISSION_READ},
    {"PATCH", "/api/v1/computers/{id}", SMALL, api_computer_change, PERMISSION_OPERATE},
    {"DELETE", "/api/v1/computers/{id}", 0, api_computer_delete, PERMISSION_OPERATE},
    {"POST", "/api/v1/computers/{id}/deactivate", SMALL, api_computer_deactivate,
     PERMISSION_OPERATE},
    {"GET", "/api/v1/computers/{id}/commands", 0, api_commands, PERMISSION_READ},
    {"POST", "/api/v1/computers/{id}/commands", SMALL, api_command_create, PERMISSION_OPERATE},
    {"POST", "/api/v1/computers/{id}/removal-code", SMALL, api_removal_code_computer,
     PERMISSION_OPERATE},
    {"GET", "/api/v1/computers/{id}/commands/{command}/bundle", 0, api_bundle, PERMISSION_OPERATE},

    {"GET", "/api/v1/events", 0, api_events, PERMISSION_READ},
    {"GET", "/api/v1/events/counts", 0, api_event_counts, PERMISSION_READ},
    {"GET", "/api/v1/events/{number}", 0, api_event, PERMISSION_READ},

    {"GET", "/api/v1/sensors", 0, api_sensors, PERMISSION_READ},
    {"GET", "/api/v1/sensors/{id}", 0, api_sensor, PERMISSION_READ},
    {"PATCH", "/api/v1/sensors/{id}", SMALL, api_sensor_change, PERMISSION_POLICY},
    {"DELETE", "/api/v1/sensors/{id}", 0, api_sensor_delete, PERMISSION_OPERATE},
    {"GET", "/api/v1/sensor-keys", 0, api_sensor_keys, PERMISSION_OPERATE},
    {"POST", "/api/v1/sensor-keys", SMALL, api_sensor_key_create, PERMISSION_OPERATE},
    {"DELETE", "/api/v1/sensor-keys/{id}", 0, api_sensor_key_revoke, PERMISSION_OPERATE},
    /* Of sensors themselves, which show a sensor key. */
    {"POST", "/api/v1/sensor/report", LIMIT_HEARTBEAT_BYTES, sensor_report, PERMISSION_NONE},
    {"GET", "/api/v1/sensor/policy", 0, sensor_policy, PERMISSION_NONE},
    {"GET", "/api/v1/sensor/key", 0, sensor_signing_key, PERMISSION_NONE},

    {"GET", "/api/v1/alerts", 0, api_alerts, PERMISSION_READ},
    {"GET", "/api/v1/alerts/{number}", 0, api_alert, PERMISSION_READ},
    {"POST", "/api/v1/alerts/{number}/acknowledge", SMALL, api_alert_acknowledge,
     PERMISSION_OPERATE},
    {"POST", "/api/v1/alerts/{number}/resolve", SMALL, api_alert_resolve, PERMISSION_OPERATE},
    {"GET", "/api/v1/alert-rules", 0, api_alert_rules, PERMISSION_READ},
    {"POST", "/api/v1/alert-rules", SMALL, api_alert_rule_create, PERMISSION_POLICY},
    {"PATCH", "/api/v1/alert-rules/{id}", SMALL, api_alert_rule_change, PERMISSION_POLICY},
    {"DELETE", "/api/v1/alert-rules/{id}", 0, api_alert_rule_delete, PERMISSION_POLICY},

    {"GET", "/api/v1/tokens", 0, api_tokens, PERMISSION_OPERATE},
    {"POST", "/api/v1/tokens", SMALL, api_token_create, PERMISSION_OPERATE},
    {"DELETE", "/api/v1/tokens/{id}", 0, api_token_revoke, PERMISSION_OPERATE},

    {"GET", "/api/v1/rules", 0, api_rules, PERMISSION_OPERATE},
    {"POST", "/api/v1/rules", SMALL, api_rule_create, PERMISSION_OPERATE},
    {"PUT", "/api/v1/rules/{id}", SMALL, api_rule_change, PERMISSION_OPERATE},
    {"DELETE", "/api/v1/rules/{id}", 0, api_rule_delete, PERMISSION_OPERATE},

    {"GET", "/api/v1/groups", 0, api_groups, PERMISSION_READ},
    {"POST", "/api/v1/groups", SMALL, api_group_create, PERMISSION_OPERATE},
    {"PATCH", "/api/v1/groups/{id}", SMALL, api_group_change, PERMISSION_OPERATE},
    {"DELETE", "/api/v1/groups/{id}", 0, api_group_delete, PERMISSION_OPERATE},
    {"POST", "/api/v1/groups/{id}/removal-code", SMALL, api_removal_code_group, PERMISSION_OPERATE},
    {"POST", "/api/v1/removal-code", SMALL, api_removal_code_all, PERMISSION_OPERATE},

    {"GET", "/api/v1/policies", 0, api_policies, PERMISSION_READ},
    {"GET", "/api/v1/policies/{name}", 0, api_policy, PERMISSION_READ},
    {"PUT", "/api/v1/policies/{name}", LIMIT_SETTINGS_BYTES, api_policy_put, PERMISSION_POLICY},
    {"DELETE", "/api/v1/policies/{name}", 0, api_policy_delete, PERMISSION_POLICY},
    {"POST", "/api/v1/policies/{name}/validate", LIMIT_SETTINGS_BYTES, api_policy_validate,
     PERMISSION_POLICY},
    {"GET", "/api/v1/policies/{name}/effective", 0, api_policy_effective, PERMISSION_READ},
    {"GET", "/api/v1/policies/{name}/revisions", 0, api_policy_revisions, PERMISSION_READ},
    {"GET", "/api/v1/policies/{name}/revisions/{revision}", 0, api_policy_revision,
     PERMISSION_READ},
    {"POST", "/api/v1/policies/{name}/revisions/{revision}/restore", SMALL, api_policy_restore,
     PERMISSION_POLICY},
    {"GET", "/api/v1/policies/{name}/diff", 0, api_policy_diff, PERMISSION_READ},

    {"GET", "/api/v1/signature-lists", 0, api_signature_lists, PERMISSION_READ},
    {"GET", "/api/v1/signature-lists/{name}", 0, api_signature_list, PERMISSION_READ},
    {"PUT", "/api/v1/signature-lists/{name}", 2 * LIMIT_SIGNATURE_LIST_BYTES,
     api_signature_list_put, PERMISSION_POLICY},
    {"DELETE", "/api/v1/signature-lists/{name}", 0, api_signature_list_delete, PERMISSION_POLICY},
    {"POST", "/api/v1/signature-lists/{name}/hashes", SMALL, api_signature_list_add,
     PERMISSION_POLICY},
    {"GET", "/api/v1/signature-files", 0, api_signature_files, PERMISSION_READ},
    {"DELETE", "/api/v1/signature-files/{name}", 0, api_signature_file_delete, PERMISSION_POLICY},

    {"GET", "/api/v1/destinations", 0, api_destinations, PERMISSION_ADMIN},
    {"POST", "/api/v1/destinations", 2 * SMALL, api_destination_create, PERMISSION_ADMIN},
    {"PATCH", "/api/v1/destinations/{id}", 2 * SMALL, api_destination_change, PERMISSION_ADMIN},
    {"DELETE", "/api/v1/destinations/{id}", 0, api_destination_delete, PERMISSION_ADMIN},
    {"POST", "/api/v1/destinations/{id}/test", SMALL, api_destination_test, PERMISSION_ADMIN},
    {"GET", "/api/v1/destinations/{id}/dead-letters", 0, api_dead_letters, PERMISSION_ADMIN},

    {"GET", "/api/v1/users", 0, api_users, PERMISSION_ADMIN},
    {"POST", "/api/v1/users", SMALL, api_user_create, PERMISSION_ADMIN},
    {"PATCH", "/api/v1/users/{id}", SMALL, api_user_change, PERMISSION_ADMIN},
    {"DELETE", "/api/v1/users/{id}", 0, api_user_delete, PERMISSION_ADMIN},

    {"GET", "/api/v1/keys", 0, api_keys, PERMISSION_ADMIN},
    {"POST", "/api/v1/keys", SMALL, api_key_create, PERMISSION_ADMIN},
    {"DELETE", "/api/v1/keys/{id}", 0, api_key_revoke, PERMISSION_ADMIN},

    {"GET", "/api/v1/signing-key", 0, api_signing_key, PERMISSION_READ},
    {"POST", "/api/v1/signing-key/change", SMALL, api_signing_key_change, PERMISSION_ADMIN},

    {"GET", "/api/v1/audit", 0, api_audit_log, PERMISSION_AUDIT},
};
const size_t API_ROUTE_COUNT = ARRAY_LENGTH(API_ROUTES);

int api_check_credentials(struct sql *sql, void *user)
{
    struct api_credentials *credentials = user;
    if (credentials->by_key)
        return key_check(sql, credentials->secret, &credentials->viewer);
    return session_check(sql, credentials->secret, credentials->csrf[0] ? credentials->csrf : NULL,
                         credentials->change, &credentials->viewer);
}

static bool read_cookie(const char *header, char *session)
{
    for (const char *at = header; at && *at;) {
        at += strspn(at, "; ");
        size_t length = strcspn(at, ";");
        size_t name = strlen(COOKIE_NAME);
        if (length > name && strncmp(at, COOKIE_NAME, name) == 0 &&
            length - name < SECRET_TEXT_BYTES) {
            memcpy(session, at + name, length - name);
            session[length - name] = '\0';
            return true;
        }
        at += length;
    }
    return false;
}

/* A text that is too long is none of ours. */
static bool read_credentials(const struct http_request *request,
                             struct api_credentials *credentials)
{
    const char *authorization = http_request_header(request, "Authorization");
    const char *csrf = http_request_header(request, "X-CSRF-Token");
    if (csrf && text_copy(credentials->csrf, sizeof(credentials->csrf), csrf) < 0)
        return false;
    credentials->by_key = authorization && text_starts_with(authorization, "Bearer ");
    if (credentials->by_key)
        return text_copy(credentials->secret, sizeof(credentials->secret),
                         authorization + strlen("Bearer ")) >= 0;
    return read_cookie(http_request_header(request, "Cookie"), credentials->secret);
}

static void ask_to_sign_in(struct http_request *request)
{
    http_response_header(request, "WWW-Authenticate", "Bearer");
    http_respond_problem(request, 401, "not_signed_in",
                         "sign in, or send an API key as \"Authorization: Bearer KEY\"");
}

/* A page of another site may not make this browser change anything here. */
static bool comes_from_elsewhere(const struct http_request *request)
{
    const char *site = http_request_header(request, "Sec-Fetch-Site");
    return site && !text_equal(site, "same-origin") && !text_equal(site, "none");
}

bool api_admit(struct http_request *request, const struct http_route *route, void *user)
{
    struct api_service *service = user;
    bool change = !text_equal(http_request_method(request), "GET");
    if (change && comes_from_elsewhere(request)) {
        http_respond_problem(request, 403, "cross_site", "this request comes from another site");
        return false;
    }
    if (route->permission == PERMISSION_NONE)
        return true;
    struct api_credentials *credentials = calloc(1, sizeof(*credentials));
    if (!credentials) {
        api_respond_error(request, -ENOMEM);
        return false;
    }
    http_request_set_context(request, credentials, free);
    if (!read_credentials(request, credentials)) {
        ask_to_sign_in(request);
        return false;
    }
    credentials->change = change && !credentials->by_key;
    int r = console_store_read(service->store, api_check_credentials, credentials);
    const struct viewer *viewer = &credentials->viewer;
    if (r < 0)
        api_respond_error(request, r);
    else if (r == 0)
        ask_to_sign_in(request);
    else if (viewer->must_change_password && route->permission != PERMISSION_SELF)
        http_respond_problem(request, 403, "password_change_required",
                             "change the one-time password first: PUT /api/v1/session/password");
    else if ((viewer->permissions & route->permission) != route->permission)
        http_respond_problem(request, 403, "not_allowed", "the role %s%s may not do this",
                             viewer->role, viewer->group_count > 0 ? ", limited to groups," : "");
    else
        return true;
    return false;
}

const struct api_credentials *api_credentials_of(const struct http_request *request)
{
    return http_request_context(request);
}

const struct viewer *api_viewer(const struct http_request *request)
{
    return &api_credentials_of(request)->viewer;
}
