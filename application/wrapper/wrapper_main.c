/* yagura-wrapper: what AWS_LAMBDA_EXEC_WRAPPER names. Starts the runtime with its Runtime API
 * re-pointed at the extension, when that answers; otherwise as it would have started without us,
 * and says so. As "bootstrap" of an OS-only function, it starts the bootstrap.wrapped beside
 * itself.
 *
 * It stands in every cold start, so it is small and static and reads no file. */
#include "application/relay/endpoint.h"
#include "common/text/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define DEFAULT_PORT   9009
#define DEFAULT_HOME   "/opt/yagura"
#define PRELOAD_NAME   "lib/yagura-preload.so"
#define WRAPPED_SUFFIX ".wrapped"
/* Both names of the C library's own loader that our preload object is made for. */
#define LOADER_X86 "/lib64/ld-linux-x86-64.so.2"
#define LOADER_ARM "/lib/ld-linux-aarch64.so.1"

static void say(const char *event, const char *what, const char *effect)
{
    (void)fprintf(stderr, "warning yagura-wrapper %s %s effect=\"%s\"\n", event, what, effect);
}

static uint16_t port_of(const char *text)
{
    uint64_t port = 0;

    return text != NULL && text_parse_u64(text, &port) == 0 && port > 0 && port <= UINT16_MAX
               ? (uint16_t)port
               : DEFAULT_PORT;
}

/* Whether the relay, and nobody else, listens there. */
static bool relay_answers(uint16_t port)
{
    static const char question[] = "GET " ENDPOINT_HELLO_PATH " HTTP/1.1\r\nHost: relay\r\n\r\n";
    const struct timeval patience = {.tv_sec = 1};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[256] = "";
    size_t length = 0;
    ssize_t n = 0;

    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        send(fd, question, sizeof question - 1, MSG_NOSIGNAL) < 0)
        return false;
    do {
        length += (size_t)n;
        n = recv(fd, answer + length, sizeof answer - 1 - length, 0);
    } while (n > 0);
    return text_ends_with(answer, ENDPOINT_HELLO_WORD);
}

/* When it is asked for; before what is preloaded already; never where the C library is another one.
 */
static int set_preload(void)
{
    const char *home = getenv("YAGURA_APPLICATION_HOME");
    const char *mode = getenv("YAGURA_APPLICATION_RUNTIME");
    const char *others = getenv("LD_PRELOAD");
    char object[PATH_MAX], list[2 * PATH_MAX];

    if (mode == NULL || mode[0] == '\0' || text_equal(mode, "off"))
        return 0;
    if (text_format(object, sizeof object, "%s/" PRELOAD_NAME, home != NULL ? home : DEFAULT_HOME) <
            0 ||
        access(object, R_OK) < 0 || (access(LOADER_X86, X_OK) < 0 && access(LOADER_ARM, X_OK) < 0))
        return 0;
    int r = others != NULL && others[0] != '\0'
                ? text_format(list, sizeof list, "%s:%s", object, others)
                : text_format(list, sizeof list, "%s", object);
    return r < 0 || setenv("LD_PRELOAD", list, 1) < 0 ? -errno : 0;
}

static int point_at_relay(uint16_t port)
{
    char address[32];

    (void)text_format(address, sizeof address, "127.0.0.1:%u", port);
    return setenv("AWS_LAMBDA_RUNTIME_API", address, 1) < 0 ? -errno : 0;
}

/* "/var/task/bootstrap" -> "/var/task/bootstrap.wrapped", when that exists. */
static bool find_wrapped(const char *self, char path[static PATH_MAX])
{
    return text_format(path, PATH_MAX, "%s" WRAPPED_SUFFIX, self) > 0 && access(path, X_OK) == 0;
}

int main(int argc, char **argv)
{
    static const char usage[] = "Usage: AWS_LAMBDA_EXEC_WRAPPER=/opt/yagura-wrapper, or\n"
                                "       yagura-wrapper PROGRAM [ARGUMENT...]\n";
    uint16_t port = port_of(getenv("YAGURA_APPLICATION_PORT"));
    char wrapped[PATH_MAX];
    char **command = argv + 1;

    if (argc == 2 && text_equal(argv[1], "--version"))
        return puts("yagura-wrapper " YAGURA_VERSION) < 0;
    if (argc > 0 && find_wrapped(argv[0], wrapped)) {
        command = argv;
        command[0] = wrapped;
    } else if (argc < 2) {
        return (void)fputs(usage, stderr), 2;
    }
    if (!relay_answers(port))
        say("relay_absent", "cure=\"add the layer, or see the extension's log\"",
            "the function runs unprotected");
    else if (point_at_relay(port) < 0 || set_preload() < 0)
        say("environment_full", "", "the function runs unprotected");
    (void)execv(command[0], command);
    (void)fprintf(stderr, "error yagura-wrapper program_does_not_start program=%s error=%s\n",
                  command[0], strerrordesc_np(errno));
    return 127;
}
