/* yagura-inspector: reads what others wrote, so that the root process need not. Answers whether a
 * file belongs to an installed package and still has the package's content, and which lines differ
 * between two texts; or, in a process of its own, reads logs (log_reader.h).
 *
 * Started by agent/inspector/client with a SOCK_SEQPACKET socket as descriptor 3. May: read dpkg's
 * and rpm's databases and the descriptors it is handed. Must never: write, open anything else, use
 * the network, keep root. Owns nothing that outlives it. */
#include "agent/inspector/dpkg_database.h"
#include "agent/inspector/inspector_messages.h"
#include "agent/inspector/inspector_sandbox.h"
#include "agent/inspector/line_difference.h"
#include "agent/inspector/log_reader.h"
#include "agent/inspector/package_content.h"
#include "agent/inspector/rpm_database.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENT_SOCKET    3
#define MOST_MEMORY      (1024UL * 1024 * 1024)
#define MOST_DESCRIPTORS 32

#define DPKG_DIRECTORY       "/var/lib/dpkg"
#define RPM_DIRECTORY        "/var/lib/rpm"
#define RPM_SYSTEM_DIRECTORY "/usr/lib/sysimage/rpm"

static const char usage[] =
    "Usage: yagura-inspector [--help | --version | DPKG-DIRECTORY [RPM-DIRECTORY]]\n"
    "       yagura-inspector logs [JOURNAL-DIRECTORY]\n"
    "\n"
    "Tells yagura-agent, which starts it with a socket as descriptor 3, whether a file belongs to\n"
    "an installed package. DPKG-DIRECTORY is " DPKG_DIRECTORY " unless given, RPM-DIRECTORY\n"
    "(which has rpmdb.sqlite) " RPM_DIRECTORY " and " RPM_SYSTEM_DIRECTORY ".\n"
    "With logs it reads the logs that it is handed, and the journal, instead.\n";

/* Where the databases are. Fedora moved rpm's out of /var. */
struct places {
    const char *dpkg, *rpm[2];
};

/* Which directories they are: the sandbox is tied to these, not to their names. */
struct identities {
    struct {
        dev_t device;
        ino_t inode;
    } of[3];
};

struct inspector {
    struct places places;
    struct identities identities;
    struct dpkg_database *packages;
    struct buffer before; /* the first of two texts */
    bool has_before;
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message_writer answer;
};

static int confine(const struct places *places)
{
    const struct privileges_path paths[] = {{places->dpkg, false},
                                            {places->rpm[0], false},
                                            {places->rpm[1], false}};
    const struct inspector_sandbox sandbox = {
        .paths = paths,
        .path_count = places->rpm[1] ? 3 : 2,
        .most_memory = MOST_MEMORY,
        .most_descriptors = MOST_DESCRIPTORS,
    };

    return inspector_confine(&sandbox);
}

/* ---- questions ---- */

static struct identities identify(const struct places *places)
{
    const char *const paths[] = {places->dpkg, places->rpm[0], places->rpm[1]};
    struct identities identities = {0};
    struct stat status;

    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        if (paths[i] && stat(paths[i], &status) == 0) {
            identities.of[i].device = status.st_dev;
            identities.of[i].inode = status.st_ino;
        }
    return identities;
}

/* `rpm --rebuilddb` puts another directory in the place of the one we may read. */
static bool was_replaced(const struct inspector *inspector)
{
    const struct identities now = identify(&inspector->places), *then = &inspector->identities;

    for (size_t i = 0; i < ARRAY_LENGTH(now.of); i++)
        if (now.of[i].device != then->of[i].device || now.of[i].inode != then->of[i].inode)
            return true;
    return false;
}

/* A host of rpm whose database we cannot read. Where dpkg rules, a left-over of rpm says nothing.
 */
static bool is_unreadable(const struct places *places)
{
    AUTO_FREE char *status_path = text_format_new("%s/status", places->dpkg);
    struct stat status;

    if (!status_path || stat(status_path, &status) == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(places->rpm); i++)
        if (places->rpm[i] && rpm_database_is_foreign(places->rpm[i]))
            return true;
    return false;
}

static enum inspector_answer inspect(struct inspector *inspector, const char *path, int fd,
                                     char ret_package[static PACKAGE_TEXT_BYTES])
{
    struct package_content content = {.fd = fd};
    enum inspector_answer answer;

    answer = dpkg_database_check(inspector->packages, path, &content, ret_package);
    for (size_t i = 0; answer == INSPECTOR_NONE && i < ARRAY_LENGTH(inspector->places.rpm); i++)
        if (inspector->places.rpm[i])
            answer = rpm_database_check(inspector->places.rpm[i], path, &content, ret_package);
    if (answer == INSPECTOR_NONE && is_unreadable(&inspector->places))
        answer = INSPECTOR_FAILED;
    return answer;
}

static int answer_question(void *user, struct message *message)
{
    struct inspector *inspector = user;
    struct message_reader reader = message_reader_of(message);
    char package[PACKAGE_TEXT_BYTES];
    enum inspector_answer answer;
    AUTO_FREE char *path = NULL;
    const void *bytes;
    size_t length;

    bytes = message_read_bytes(&reader, &length);
    if (message_reader_end(&reader) < 0 || !bytes || length > LIMIT_PATH_BYTES)
        return -EBADMSG;
    path = text_new(bytes, length);
    if (!path)
        return -ENOMEM;
    answer = inspect(inspector, path, message->fds[0], package);
    inspector->answer = (struct message_writer){.length = 0};
    message_write_u32(&inspector->answer, answer);
    message_write_text(&inspector->answer, package);
    return message_writer_send(&inspector->answer, CLIENT_SOCKET, INSPECTOR_ANSWER, -1);
}

/* ---- texts ---- */

static int read_text(struct message *message, struct buffer *text)
{
    struct message_reader reader = message_reader_of(message);

    if (message_reader_end(&reader) < 0)
        return -EBADMSG;
    buffer_done(text);
    buffer_init(text, LIMIT_INTEGRITY_TEXT);
    return file_read_all_fd(message->fds[0], text);
}

static int take_before(void *user, struct message *message)
{
    struct inspector *inspector = user;
    int r = read_text(message, &inspector->before);

    inspector->has_before = r == 0;
    return r == -EFBIG || r == -EMSGSIZE ? 0 : r;
}

static int answer_difference(void *user, struct message *message)
{
    struct inspector *inspector = user;
    enum inspector_difference outcome = INSPECTOR_TOO_LARGE;
    AUTO_BUFFER struct buffer after = {.data = NULL};
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(LIMIT_MESSAGE_BYTES / 2);
    int r = read_text(message, &after);

    if (r < 0 && r != -EFBIG && r != -EMSGSIZE)
        return r;
    if (r == 0 && inspector->has_before) {
        r = line_difference_write(buffer_text(&inspector->before), inspector->before.length,
                                  buffer_text(&after), after.length, &lines, &outcome);
        if (r < 0)
            return r;
    }
    inspector->has_before = false;
    buffer_done(&inspector->before);
    inspector->answer = (struct message_writer){.length = 0};
    message_write_u32(&inspector->answer, outcome);
    message_write_bytes(&inspector->answer, buffer_text(&lines), lines.length);
    return message_writer_send(&inspector->answer, CLIENT_SOCKET, INSPECTOR_DIFFERENCE, -1);
}

static int serve(struct inspector *inspector)
{
    struct message_route routes[] = {
        {INSPECTOR_QUESTION, "question", .permitted = true, .with_fd = true, answer_question},
        {INSPECTOR_TEXT_BEFORE, "text before", .permitted = true, .with_fd = true, take_before},
        {INSPECTOR_TEXT_AFTER, "text after", .permitted = true, .with_fd = true, answer_difference},
    };

    for (;;) {
        struct message message;
        int r;

        r = message_receive(CLIENT_SOCKET, inspector->buffer, sizeof(inspector->buffer), &message);
        if (r <= 0)
            return r;
        if (was_replaced(inspector)) {
            message_release(&message);
            return 0; /* unanswered: the asker starts another */
        }
        r = message_dispatch(routes, ARRAY_LENGTH(routes), inspector, &message);
        if (r < 0)
            return r;
    }
}

/* What libraries load or allocate once is done before the doors close. */
static int warm_up(void)
{
    uint8_t unused[SHA256_BYTES];

    if (sqlite3_initialize() != SQLITE_OK)
        return -ENOMEM;
    return hash_sha256("", 0, unused);
}

static int run(const struct places *places)
{
    static struct inspector inspector;
    int r;

    inspector.places = *places;
    inspector.identities = identify(places);
    r = warm_up();
    if (r == 0)
        r = dpkg_database_new(places->dpkg, &inspector.packages);
    if (r == 0)
        r = confine(places);
    if (r < 0) {
        log_error("inspector_not_confined", "error", log_error_text(r), NULL);
        return r;
    }
    r = serve(&inspector);
    if (r < 0)
        log_error("inspector_ended", "error", log_error_text(r), NULL);
    dpkg_database_free(inspector.packages);
    return r;
}

static bool has_client(void)
{
    socklen_t length = sizeof(int);
    int type = 0;

    return getsockopt(CLIENT_SOCKET, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type == SOCK_SEQPACKET;
}

int main(int argc, char *argv[])
{
    struct places places = {DPKG_DIRECTORY, {RPM_DIRECTORY, RPM_SYSTEM_DIRECTORY}};
    bool absolute = true;

    if (argc == 2 && text_equal(argv[1], "--help")) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && text_equal(argv[1], "--version")) {
        (void)printf("yagura-inspector %s\n", YAGURA_VERSION);
        return 0;
    }
    bool logs = argc > 1 && text_equal(argv[1], "logs");
    for (int i = 1 + logs; i < argc; i++)
        absolute = absolute && argv[i][0] == '/';
    if (argc > 3 || !absolute || !has_client()) {
        (void)fputs(usage, stderr);
        return 2;
    }
    log_open("yagura-inspector", LOG_LEVEL_INFO);
    if (logs)
        return log_reader_run(CLIENT_SOCKET, argv[2]) < 0 ? 1 : 0;
    if (argc > 1)
        places.dpkg = argv[1];
    if (argc > 2)
        places = (struct places){argv[1], {argv[2], NULL}};
    return run(&places) < 0 ? 1 : 0;
}
