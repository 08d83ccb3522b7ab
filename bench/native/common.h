/* What the fake upstream and the load generator share: clock, buffers, sockets. Linux only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct buffer {
    char *at;
    size_t length, room;
};

static inline void die(const char *what) {
    perror(what);
    exit(2);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void append(struct buffer *buffer, const char *bytes, size_t length) {
    if (buffer->length + length > buffer->room) {
        buffer->room = (buffer->length + length) * 2;
        buffer->at = realloc(buffer->at, buffer->room);
        if (!buffer->at) die("realloc");
    }
    memcpy(buffer->at + buffer->length, bytes, length);
    buffer->length += length;
}

static inline void drop_front(struct buffer *buffer, size_t length) {
    memmove(buffer->at, buffer->at + length, buffer->length - length);
    buffer->length -= length;
}

/* Make a socket ready for many small writes; the loop never blocks on it. */
static inline void tune(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* End with the bench, however that ends, and open as many sockets as the machine allows. */
static inline void begin(void) {
    struct rlimit files;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1) exit(2);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* Value of a header inside a head that ends in \0, or NULL. */
static inline const char *header(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':')
            return line + 3 + length + strspn(line + 3 + length, " ");
    return NULL;
}
