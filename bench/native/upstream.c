/* Fake OpenAI-compatible upstream for measurements: constant replies, as cheap as they get.
 *
 * usage: upstream PORT_FILE
 * Listens on a free loopback port and writes its number to PORT_FILE. A request whose body holds "stream": true is
 * answered by events, any other by one reply. The prompt may say [chunks=N spacing_us=M]; streams with a spacing begin
 * out of step with each other, as real ones do. Every event carries the moment it was sent (@CLOCK_MONOTONIC in ns@),
 * so that the reader can tell how long it was held back.
 */
#include "common.h"
#include <sys/timerfd.h>

#define CHUNKS 100
#define MAX_BODY (64u << 20)
#define STEP_NS 618033u

static const char REPLY[] =
    "{\"id\":\"chatcmpl-bench00000000000000000000000\",\"object\":\"chat.completion\",\"created\":1764000000,"
    "\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"An anchor holds a ship in place. A gateway does the same for a program.\",\"refusal\":null,"
    "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":57,"
    "\"completion_tokens\":100,\"total_tokens\":157,\"prompt_tokens_details\":{\"cached_tokens\":0,"
    "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\","
    "\"system_fingerprint\":\"fp_bench00000\"}";
static const char MODELS[] =
    "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o\",\"object\":\"model\",\"created\":1764000000,"
    "\"owned_by\":\"bench\"}]}";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "transfer-encoding: chunked\r\n\r\n";
#define EVENT_START \
    "data: {\"id\":\"chatcmpl-bench00000000000000000000000\",\"object\":\"chat.completion.chunk\"," \
    "\"created\":1764000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\"," \
    "\"system_fingerprint\":\"fp_bench00000\",\"choices\":["

struct stream {
    struct buffer in, out;
    uint64_t due, spacing;
    int fd, left, is_open, asked_usage, waits_to_write;
};

static struct stream *streams;
static int highest, poll_fd, alarm_fd;

static void flush(struct stream *s) {
    size_t done = 0;
    while (done < s->out.length) {
        ssize_t n = send(s->fd, s->out.at + done, s->out.length - done, MSG_NOSIGNAL);
        if (n <= 0) break;
        done += (size_t)n;
    }
    if (done) drop_front(&s->out, done);
    int waits = s->out.length > 0;
    if (waits == s->waits_to_write) return;
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.fd = s->fd};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, s->fd, &event);
    s->waits_to_write = waits;
}

static void put_chunk(struct stream *s, const char *bytes, size_t length) {
    char frame[16];
    append(&s->out, frame, (size_t)sprintf(frame, "%zx\r\n", length));
    append(&s->out, bytes, length);
    append(&s->out, "\r\n", 2);
}

/* One event of about 290 bytes. */
static void put_event(struct stream *s) {
    char event[512];
    const char *usage = s->asked_usage ? "\"usage\":null," : "";
    const char *padding = s->asked_usage ? "aB3" : "aB3dE5fG7hJ9kL1m";
    int n = sprintf(event, EVENT_START "{\"index\":0,\"delta\":{\"content\":\"@%019llu@\"},\"logprobs\":null,"
                    "\"finish_reason\":null}],%s\"obfuscation\":\"%s\"}\n\n",
                    (unsigned long long)now_ns(), usage, padding);
    put_chunk(s, event, (size_t)n);
}

static void put_end(struct stream *s) {
    const char *usage = s->asked_usage ? ",\"usage\":null" : "";
    char event[1024];
    int n = sprintf(event, EVENT_START "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]%s}\n\n", usage);
    put_chunk(s, event, (size_t)n);
    if (s->asked_usage) {
        n = sprintf(event, EVENT_START "],\"usage\":{\"prompt_tokens\":57,\"completion_tokens\":100,\"total_tokens\":157,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":0},"
                    "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\n");
        put_chunk(s, event, (size_t)n);
    }
    put_chunk(s, "data: [DONE]\n\n", 14);
    append(&s->out, "0\r\n\r\n", 5);
}

static void put_reply(struct stream *s, const char *status, const char *body) {
    char head[256];
    int n = sprintf(head, "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", status, strlen(body));
    append(&s->out, head, (size_t)n);
    append(&s->out, body, strlen(body));
}

static int says_true(const char *body, const char *name) {
    const char *at = strstr(body, name);
    if (!at) return 0;
    at += strlen(name);
    return at[strspn(at, " :")] == 't';
}

static void answer(struct stream *s, const char *head, const char *body) {
    if (!strncmp(head, "GET ", 4)) return put_reply(s, "200 OK", MODELS);
    if (!says_true(body, "\"stream\"")) return put_reply(s, "200 OK", REPLY);
    const char *chunks = strstr(body, "[chunks="), *spacing = strstr(body, "spacing_us=");
    append(&s->out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    s->left = chunks ? atoi(chunks + 8) : CHUNKS;
    s->spacing = (spacing ? strtoull(spacing + 11, NULL, 10) : 0) * 1000;
    s->due = now_ns() + (s->spacing ? (uint64_t)s->fd * STEP_NS % s->spacing : 0);
    s->asked_usage = says_true(body, "\"include_usage\"");
}

/* Answer the request at the front of the buffer once it is whole; returns 0 when it never can be. */
static int take_request(struct stream *s) {
    append(&s->in, "", 1);
    s->in.length--;
    char *end = strstr(s->in.at, "\r\n\r\n");
    if (!end) return s->in.length < 65536;
    char first = end[2];
    end[2] = 0;
    const char *length = header(s->in.at, "content-length");
    size_t body = length ? strtoull(length, NULL, 10) : 0;
    int is_chunked = header(s->in.at, "transfer-encoding") != NULL;
    size_t whole = (size_t)(end + 4 - s->in.at) + body;
    if (is_chunked || body > MAX_BODY) return 0;
    if (s->in.length < whole) return end[2] = first, 1;
    char after = s->in.at[whole];
    s->in.at[whole] = 0;
    answer(s, s->in.at, end + 4);
    s->in.at[whole] = after;
    drop_front(&s->in, whole);
    return 1;
}

static void hang_up(struct stream *s) {
    close(s->fd);
    s->in.length = s->out.length = 0;
    s->is_open = s->left = s->waits_to_write = 0;
}

static void read_some(struct stream *s) {
    static char piece[1 << 18];
    ssize_t n = recv(s->fd, piece, sizeof piece, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return hang_up(s);
    append(&s->in, piece, (size_t)n);
    if (s->left) return;
    if (!take_request(s)) return hang_up(s);
    if (!s->left) flush(s);
}

/* Send what is due: at most one event a stream and turn, one write each. Returns the next moment anything is due. */
static uint64_t send_due(void) {
    uint64_t next = UINT64_MAX, now = now_ns();
    for (int fd = 0; fd <= highest; fd++) {
        struct stream *s = &streams[fd];
        if (!s->left || s->waits_to_write) continue;
        if (s->due <= now) {
            put_event(s);
            s->due += s->spacing;
            if (!--s->left) put_end(s);
            flush(s);
        }
        if (s->left && !s->waits_to_write && s->due < next) next = s->due;
    }
    return next;
}

/* Wait for sockets, or until the next event is due. */
static int wait_until(uint64_t next, struct epoll_event *ready, int room) {
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(next / 1000000000u), .tv_nsec = (long)(next % 1000000000u)}};
    if (next <= now_ns()) return epoll_wait(poll_fd, ready, room, 0);
    if (next != UINT64_MAX) timerfd_settime(alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
    return epoll_wait(poll_fd, ready, room, 1000);
}

static void welcome(int listener, int limit) {
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        if (fd >= limit) { close(fd); continue; }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        tune(fd);
        streams[fd].fd = fd;
        streams[fd].is_open = 1;
        if (fd > highest) highest = fd;
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_somewhere(const char *port_file) {
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    FILE *file = fopen(port_file, "w");
    if (!file) die(port_file);
    fprintf(file, "%d\n", ntohs(address.sin_port));
    fclose(file);
    return listener;
}

int main(int count, char **words) {
    if (count != 2) return fprintf(stderr, "usage: upstream PORT_FILE\n"), 2;
    begin();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    int limit = files.rlim_cur < 20000 ? (int)files.rlim_cur : 20000;
    streams = calloc((size_t)limit, sizeof *streams);
    poll_fd = epoll_create1(0);
    alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int listener = listen_somewhere(words[1]);
    struct epoll_event ready[512], event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = alarm_fd};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, alarm_fd, &event);
    for (uint64_t next = UINT64_MAX;; next = send_due()) {
        int n = wait_until(next, ready, 512);
        for (int i = 0; i < n; i++) {
            struct stream *s = &streams[ready[i].data.fd];
            if (ready[i].data.fd == listener) welcome(listener, limit);
            if (ready[i].data.fd == listener || ready[i].data.fd == alarm_fd) continue;
            if (ready[i].events & EPOLLOUT) flush(s);
            if (s->is_open && ready[i].events & ~(uint32_t)EPOLLOUT) read_some(s);
        }
    }
}
