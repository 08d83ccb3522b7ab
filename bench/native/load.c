/* Load generator: N keep-alive connections, each sends the same request again as soon as it has the whole answer.
 *
 * usage: load PORT REQUEST_FILE CONNECTIONS SECONDS REQUESTS CHUNKS STATUS RAMP_MS
 * Ends after SECONDS or REQUESTS, whichever comes first, lets what runs finish (10 s at most), prints one JSON line.
 * An answer is good when it has the STATUS and, if that is 200, holds a "usage" (CHUNKS = 0) or exactly CHUNKS events
 * and a [DONE]; any other answer is bad, a broken connection or a missing answer is an error. Served are those with 200.
 */
#include "common.h"

#define LATE_NS 50000000u
#define GRACE_NS 10000000000u
#define STAMP 21 /* @ + 19 digits + @ */

enum part { HEAD, LENGTH, FRAME_SIZE, FRAME, FRAME_END, TRAILER };

struct connection {
    struct buffer head, body;
    uint64_t started, remaining;
    size_t sent;
    enum part part;
    int fd, status, events, saw_end, is_busy, is_first, waits_to_write;
};

struct samples {
    uint32_t *at; /* microseconds */
    size_t count, room;
};

static struct {
    int port, connections, chunks, status;
    uint64_t ramp;
    size_t requests;
} plan;
static struct buffer request;
static struct samples latencies, delays, firsts;
static size_t started, good, bad, errors, served, late, busy;
static int poll_fd, is_over;

static void note(struct samples *samples, uint64_t ns) {
    if (samples->count == samples->room) {
        samples->room = samples->room ? samples->room * 2 : 65536;
        samples->at = realloc(samples->at, samples->room * sizeof *samples->at);
        if (!samples->at) die("realloc");
    }
    samples->at[samples->count++] = (uint32_t)(ns / 1000);
}

static void dial(struct connection *c) {
    struct sockaddr_in address = loopback(plan.port);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    tune(c->fd);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void push(struct connection *c) {
    while (c->sent < request.length) {
        ssize_t n = send(c->fd, request.at + c->sent, request.length - c->sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        c->sent += (size_t)n;
    }
    int waits = c->sent < request.length;
    if (waits == c->waits_to_write) return;
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
    c->waits_to_write = waits;
}

static void start(struct connection *c) {
    if (is_over || started >= plan.requests) return;
    started++, busy++;
    c->head.length = c->body.length = c->sent = 0;
    c->part = HEAD;
    c->status = c->events = c->saw_end = 0;
    c->is_busy = c->is_first = 1;
    c->started = now_ns();
    push(c);
}

static int has_usage(struct buffer *body) {
    return body->length && memmem(body->at, body->length, "\"usage\"", 7) != NULL;
}

static void finish(struct connection *c) {
    int is_good = c->status == plan.status;
    if (is_good && c->status == 200) is_good = plan.chunks ? c->events == plan.chunks && c->saw_end : has_usage(&c->body);
    if (!is_good && !bad) fprintf(stderr, "first bad answer: %d, %d events, end %d: %.*s\n", c->status, c->events,
                                  c->saw_end, (int)(c->body.length < 400 ? c->body.length : 400), c->body.at ? c->body.at : "");
    is_good ? good++ : bad++;
    served += c->status == 200;
    note(&latencies, now_ns() - c->started);
    c->is_busy = 0, busy--;
}

static void fail(struct connection *c) {
    close(c->fd);
    if (c->is_busy) errors++, busy--;
    c->is_busy = c->waits_to_write = 0;
    dial(c);
}

/* Count the events in what arrived and forget them; a stamp cut in two stays for the next time. */
static void count_events(struct connection *c, uint64_t now) {
    char *from = c->body.at, *end = c->body.at + c->body.length, *at;
    if (memmem(from, c->body.length, "[DONE]", 6)) c->saw_end = 1;
    while ((at = memchr(from, '@', (size_t)(end - from))) && end - at >= STAMP) {
        uint64_t sent = strtoull(at + 1, NULL, 10), delay = now > sent ? now - sent : 0;
        c->events++;
        late += delay > LATE_NS;
        note(&delays, delay);
        if (c->is_first) note(&firsts, now - c->started);
        c->is_first = 0;
        from = at + STAMP;
    }
    size_t keep = at ? (size_t)(end - at) : (end - from < 6 ? (size_t)(end - from) : 6);
    drop_front(&c->body, c->body.length - keep);
}

static void read_head(struct connection *c) {
    append(&c->head, "", 1);
    c->status = atoi(c->head.at + 9);
    const char *length = header(c->head.at, "content-length");
    c->remaining = length ? strtoull(length, NULL, 10) : 0;
    c->part = header(c->head.at, "transfer-encoding") ? FRAME_SIZE : LENGTH;
    c->head.length = 0;
}

/* Take body bytes; returns how many were used. */
static size_t take_body(struct connection *c, const char *at, size_t length, uint64_t now) {
    size_t n = length < c->remaining ? length : (size_t)c->remaining;
    append(&c->body, at, n);
    c->remaining -= n;
    if (plan.chunks && c->status == 200) count_events(c, now);
    return n;
}

/* Take one line of the head or of the framing; returns how many bytes were used. */
static size_t take_line(struct connection *c, const char *at, size_t length) {
    const char *end = memchr(at, '\n', length);
    size_t n = end ? (size_t)(end - at) + 1 : length;
    append(&c->head, at, n);
    if (!end) return n;
    if (c->part == HEAD) {
        if (c->head.length >= 4 && !memcmp(c->head.at + c->head.length - 4, "\r\n\r\n", 4)) read_head(c);
        return n;
    }
    if (c->part == FRAME_SIZE) {
        append(&c->head, "", 1);
        c->remaining = strtoull(c->head.at, NULL, 16);
        c->part = c->remaining ? FRAME : TRAILER;
    } else if (c->part == FRAME_END) {
        c->part = FRAME_SIZE;
    } else {
        c->part = LENGTH, c->remaining = 0;
    }
    c->head.length = 0;
    return n;
}

static void feed(struct connection *c, const char *at, size_t length, uint64_t now) {
    while (length && c->is_busy) {
        int in_body = c->part == LENGTH || c->part == FRAME;
        size_t n = in_body ? take_body(c, at, length, now) : take_line(c, at, length);
        at += n, length -= n;
        if (c->part == FRAME && !c->remaining) c->part = FRAME_END;
        if (c->part == LENGTH && !c->remaining) finish(c);
    }
}

static void read_some(struct connection *c) {
    static char piece[1 << 18];
    ssize_t n = recv(c->fd, piece, sizeof piece, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) fail(c);
    else feed(c, piece, (size_t)n, now_ns());
    if (!c->is_busy) start(c);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s) {
    if (s->count) qsort(s->at, s->count, sizeof *s->at, ascending);
    uint32_t p50 = s->count ? s->at[s->count / 2] : 0, p99 = s->count ? s->at[s->count * 99 / 100] : 0;
    printf(", \"%s_us\": {\"count\": %zu, \"p50\": %u, \"p99\": %u, \"max\": %u}", name, s->count, p50, p99,
           s->count ? s->at[s->count - 1] : 0);
}

static void print_result(double seconds) {
    printf("{\"good\": %zu, \"bad\": %zu, \"errors\": %zu, \"served\": %zu, \"late_chunks\": %zu, \"seconds\": %.6f",
           good, bad, errors, served, late, seconds);
    print_samples("latency", &latencies);
    print_samples("chunk_delay", &delays);
    print_samples("first_chunk", &firsts);
    printf("}\n");
}

static void read_request(const char *path) {
    char piece[65536];
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) append(&request, piece, n);
    fclose(file);
}

/* Open and start the connections whose turn has come; returns how many there are now. */
static int ramp_up(struct connection *all, int open, uint64_t elapsed) {
    while (open < plan.connections && elapsed * (uint64_t)plan.connections >= plan.ramp * (uint64_t)open) {
        dial(&all[open]);
        start(&all[open++]);
    }
    return open;
}

static void run(struct connection *all, uint64_t begun, uint64_t end) {
    struct epoll_event ready[512];
    for (int open = 0; busy || open < plan.connections;) {
        uint64_t now = now_ns();
        is_over = now >= end;
        if (now >= end + GRACE_NS || (is_over && !busy)) break;
        open = ramp_up(all, open, now - begun);
        int n = epoll_wait(poll_fd, ready, 512, open < plan.connections ? 1 : 50);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT) push(c);
            if (ready[i].events & ~(uint32_t)EPOLLOUT) read_some(c);
        }
    }
    errors += busy;
}

int main(int count, char **words) {
    if (count != 9) return fprintf(stderr, "usage: load PORT REQUEST_FILE CONNECTIONS SECONDS REQUESTS CHUNKS STATUS RAMP_MS\n"), 2;
    begin();
    plan.port = atoi(words[1]);
    read_request(words[2]);
    plan.connections = atoi(words[3]);
    double seconds = atof(words[4]);
    plan.requests = strtoull(words[5], NULL, 10);
    plan.chunks = atoi(words[6]);
    plan.status = atoi(words[7]);
    plan.ramp = strtoull(words[8], NULL, 10) * 1000000u;
    poll_fd = epoll_create1(0);
    struct connection *all = calloc((size_t)plan.connections, sizeof *all);
    uint64_t begun = now_ns();
    run(all, begun, begun + (uint64_t)(seconds * 1e9));
    print_result((double)(now_ns() - begun) / 1e9);
    return 0;
}
