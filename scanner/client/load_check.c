/* Owns: one loader, from its start to its end. Must not: believe it, or wait for it without end. */
#include "scanner/client/load_check.h"

#include "common/files/file.h"
#include "common/messages/message.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/scanner_message.h"
#include "scanner/client/temporary_directory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEMPORARY_BYTES (64ULL << 20)

struct checking {
    pid_t pid;
    int socket;
    char folder[LIMIT_TEMPORARY_PATH_BYTES];
    struct message_writer writer;
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct scanner_configuration configuration;
};

static void end_checking(struct checking **held)
{
    struct checking *checking = *held;

    if (checking == NULL)
        return;
    if (checking->socket >= 0)
        (void)close(checking->socket);
    if (checking->pid > 0) {
        (void)kill(checking->pid, SIGKILL);
        while (waitpid(checking->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    AUTO_CLOSE int parent = -1;
    char *slash = strrchr(checking->folder, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (file_open_directory(checking->folder, true, &parent) == 0)
            (void)!file_remove_tree(parent, slash + 1);
    }
    free(checking);
}

static int start(struct checking *checking, const struct load_check *check)
{
    char *const argv[] = {(char *)"yagura-scanner", NULL};
    int pair[2] = {-1, -1};

    int r = temporary_directory_make(check->temporary_directory, checking->folder,
                                     sizeof checking->folder);
    if (r == 0)
        r = message_pair(false, pair); /* the loader waits for its first message */
    if (r < 0)
        return r;
    checking->socket = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    r = spawn_program(check->program, argv, &theirs, 1, &checking->pid, NULL);
    if (r < 0)
        return r;
    struct scanner_configuration *configuration = &checking->configuration;
    configuration->user = "";
    configuration->directory = checking->folder;
    configuration->databases[0] = check->database;
    configuration->database_count = 1;
    configuration->temporary_bytes = TEMPORARY_BYTES;
    configuration->slots = 1;
    configuration->verify_signed = true;
    configuration->accept_unconfined = true; /* no file is scanned */
    configuration->limits = (struct scanner_limits){.heuristics = true};
    scanner_configuration_write(configuration, &checking->writer);
    return message_writer_send(&checking->writer, checking->socket, SCANNER_CONFIGURE, -1);
}

static int take_answer(const struct message *message, uint64_t *ret_signatures, char *ret_problem)
{
    struct scanner_loaded loaded;
    struct scanner_refused refused;

    if (message->type == SCANNER_LOADED && scanner_loaded_read(message, &loaded) == 0) {
        if (ret_signatures != NULL)
            *ret_signatures = loaded.signatures;
        (void)text_copy(ret_problem, LOAD_CHECK_PROBLEM_BYTES, loaded.problem);
        return loaded.problem[0] != '\0' ? -EINVAL : 0;
    }
    if (message->type != SCANNER_REFUSED || scanner_refused_read(message, &refused) < 0)
        return -EPROTO;
    (void)text_copy(ret_problem, LOAD_CHECK_PROBLEM_BYTES, refused.problem);
    return refused.refusal == SCANNER_REFUSAL_INTERNAL ? -EIO : -EINVAL;
}

static int wait_for_answer(struct checking *checking, const struct load_check *check,
                           uint64_t *ret_signatures, char *ret_problem)
{
    uint64_t until = clock_monotonic_ns() + check->timeout_ns;
    struct message message;

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        struct pollfd socket = {.fd = checking->socket, .events = POLLIN};
        struct timespec rest = timespec_from_ns(until > now ? until - now : 0);
        int ready = ppoll(&socket, 1, &rest, NULL);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? -errno : -ETIMEDOUT;
        int r =
            message_receive(checking->socket, checking->buffer, sizeof checking->buffer, &message);
        if (r == -EAGAIN)
            continue;
        if (r <= 0)
            return r < 0 ? r : -EPIPE;
        r = take_answer(&message, ret_signatures, ret_problem);
        message_release(&message);
        return r;
    }
}

int load_check(const struct load_check *check, uint64_t *ret_signatures,
               char ret_problem[static LOAD_CHECK_PROBLEM_BYTES])
{
    CLEANUP(end_checking) struct checking *checking = calloc(1, sizeof *checking);

    ret_problem[0] = '\0';
    if (checking == NULL)
        return -ENOMEM;
    checking->socket = -1;
    int r = start(checking, check);
    if (r == 0)
        r = wait_for_answer(checking, check, ret_signatures, ret_problem);
    if (r < 0 && ret_problem[0] == '\0')
        (void)text_format(ret_problem, LOAD_CHECK_PROBLEM_BYTES, "%s: %s", check->program,
                          strerrordesc_np(-r));
    return r;
}
