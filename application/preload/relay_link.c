/* A socket for as long as one message takes: a function's process is not to own more of ours. */
#include "application/preload/relay_link.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_PORT "9009"
#define WAIT_US      100000

static int connect_relay(void)
{
    static const char prefix[] = RUNTIME_AREA_SOCKET;
    const struct timeval patience = {.tv_usec = WAIT_US};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *port = getenv("YAGURA_APPLICATION_PORT");

    if (port == NULL || port[0] == '\0')
        port = DEFAULT_PORT;
    size_t length = strlen(port);
    if (length > 5)
        return -1;
    memcpy(address.sun_path + 1, prefix, sizeof prefix - 1);
    memcpy(address.sun_path + sizeof prefix, port, length);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof prefix + length)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int receive_area(int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int area = -1;

    if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(&area, CMSG_DATA(header), sizeof area);
    return area;
}

const struct runtime_area *relay_link_map(void)
{
    void *area = MAP_FAILED;
    int fd = connect_relay();

    if (fd < 0)
        return NULL;
    int shared = receive_area(fd);
    (void)close(fd);
    if (shared < 0)
        return NULL;
    /* Its size is sealed; one that is too small would be a trap. */
    if (lseek(shared, 0, SEEK_END) >= (off_t)sizeof(struct runtime_area))
        area = mmap(NULL, sizeof(struct runtime_area), PROT_READ, MAP_SHARED, shared, 0);
    (void)close(shared);
    return area == MAP_FAILED ? NULL : area;
}

bool relay_link_tell(const struct runtime_finding *finding)
{
    char byte;
    int fd = connect_relay();

    if (fd < 0)
        return false;
    bool sent = send(fd, finding, sizeof *finding, MSG_NOSIGNAL) == (ssize_t)sizeof *finding;
    /* The area, which is nothing here, and the word that it was taken: until then the function's
     * answer would not be known to come after it. */
    for (int i = 0; sent && i < 2 && recv(fd, &byte, 1, 0) == 1; i++)
        continue;
    (void)close(fd);
    return sent;
}
