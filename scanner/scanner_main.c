/* yagura-scanner: loads libclamav's engine once and forks confined workers that scan descriptors.
 *
 * Started by scanner/client with a SOCK_SEQPACKET socket as descriptor 3; of no use by hand. It is
 * the only program that links libclamav. Its steps stand in loader.c and worker.c. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "scanner/engine.h"
#include "scanner/loader.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_SOCKET 3

static const char usage[] =
    "Usage: yagura-scanner [--help | --version]\n"
    "\n"
    "Scans file descriptors for yagura-agent, yaguractl and yagura-storage, which start it\n"
    "with a socket as descriptor 3. To scan files by hand use: yaguractl scan PATH...\n";

static bool has_client(void)
{
    int type = 0;
    socklen_t length = sizeof(type);
    return getsockopt(CLIENT_SOCKET, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type == SOCK_SEQPACKET;
}

int main(int argc, char *argv[])
{
    if (argc == 2 && text_equal(argv[1], "--help")) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && text_equal(argv[1], "--version")) {
        (void)printf("yagura-scanner %s (libclamav %s)\n", YAGURA_VERSION, engine_version());
        return 0;
    }
    if (argc > 1 || !has_client()) {
        (void)fputs(usage, stderr);
        return 2;
    }
    log_open("yagura-scanner", LOG_LEVEL_INFO);
    /* Not exit: handlers of the libraries have nothing to save, and freeing an engine takes long.
     */
    _exit(loader_run(CLIENT_SOCKET));
}
