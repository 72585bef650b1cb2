/* The console's own HTTP server with an empty handler: what a heartbeat costs when nothing is done
 * with it. The request is read whole, the answer is as long as a heartbeat's.
 *
 *     bare_server DATA
 *
 * DATA: a console's data folder, for its authority and server certificate. Prints its port; ends
 * with standard input. */
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/http/http_server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IDLE_SECONDS 150

static const char ANSWER[] =
    "{\"server_ms\":1795318400000,\"next_seconds\":60,\"acknowledged\":{\"epoch\":"
    "\"01890a5d-ac96-774b-bcce-b302099a8057\",\"number\":1234},\"policy_digest\":"
    "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"renew\":false,"
    "\"commands\":[]}";

static void answer(struct http_request *request, void *user UNUSED)
{
    char digest[65];
    (void)http_request_certificate(request, digest);
    http_respond(request, 200, "application/json", ANSWER, sizeof(ANSWER) - 1);
}

static char *read_whole(const char *folder, const char *name)
{
    char path[4096];
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    if (text_format(path, sizeof(path), "%s/%s", folder, name) < 0 ||
        file_read_all(path, &text) < 0)
        return NULL;
    return buffer_take(&text);
}

int main(int argc, char **argv)
{
    static const struct http_route routes[] = {
        {"POST", "/agent/v1/heartbeat", LIMIT_HEARTBEAT_BYTES, answer, 0}};
    static const char *const hosts[] = {"localhost", NULL};
    struct http_server *server = NULL;
    if (argc != 2)
        return 2;
    AUTO_FREE char *authority = read_whole(argv[1], "authority.crt");
    AUTO_FREE char *chain = read_whole(argv[1], "server.crt");
    AUTO_FREE char *key = read_whole(argv[1], "server.key");
    struct http_server_options options = {.address = "127.0.0.1",
                                          .routes = routes,
                                          .route_count = 1,
                                          .hosts = hosts,
                                          .client_authority_pem = authority,
                                          .threads = 2,
                                          .connections = 20000,
                                          .idle_seconds = IDLE_SECONDS,
                                          .head_bytes = LIMIT_AGENT_HEAD_BYTES};
    if (!authority || !chain || !key || http_identity_load(chain, key) < 0 ||
        http_server_start(&options, &server) < 0)
        return 1;
    (void)printf("%u\n", http_server_port(server));
    (void)fflush(stdout);
    char end;
    while (read(STDIN_FILENO, &end, 1) > 0)
        continue;
    (void)http_server_stop(server);
    return 0;
}
