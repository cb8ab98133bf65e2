/* rwload: a load generator for RWhois servers on this machine (127.0.0.1 only).
 *
 * One thread and epoll, so that it costs little beside the server it measures. It stops by
 * itself: after the warm-up and the measured time, or by an alarm when something hangs.
 *
 *   -m conn   connect, send one query, read until the server closes (the whois client's way)
 *   -m held   "-holdconnect on", then one query at a time on a connection that stays
 *   -m pipe   the same with -D queries in flight on each connection
 *   -p PORT   -c CONNECTIONS   -w WARM-UP SECONDS   -d MEASURED SECONDS   -q QUERY FILE
 *   -D DEPTH  queries in flight in pipe mode (default 16)
 *   -Q        TCP_QUICKACK after each read: hides the 40 ms stalls of a server that leaves
 *             Nagle's algorithm on and writes an answer in several parts
 *   -s PID    report the CPU time of this process and all below it
 *
 * An answer ends with a line that begins with "%ok" or "%error". One line of JSON goes to
 * standard output; "failed" counts connections that broke or ended without an answer.
 * Compile: cc -O2 -Wall -Wextra -o rwload rwload.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BUFFER 262144
#define DEPTH_MOST 256
#define LINE_MOST 512 /* octets of a query with its CR LF */
#define WORD_MOST 6   /* octets that tell "%ok" and "%error" from other lines */
#define HOLD_LINE "-holdconnect on\r\n"
#define ALARM_SECONDS 20 /* beyond the planned end */

enum mode { CONN, HELD, PIPE };
enum state { CONNECTING, HOLDING, RUNNING };

struct connection {
    int fd;
    enum state state;
    int in_flight;
    unsigned head, tail;              /* ring of the times at which queries were sent */
    uint64_t sent_ns[DEPTH_MOST];
    bool at_line_start;               /* the next octet begins a line */
    size_t carried;                   /* octets of a line start that came too early to judge */
    char carry[WORD_MOST];
};

struct counts {
    uint64_t answers, ok, error, failed, octets;
};

static const char *const mode_names[] = {"conn", "held", "pipe"};
static enum mode mode = CONN;
static int connections = 8, depth = 16;
static bool quick_ack;
static int epoll_fd;
static struct sockaddr_in address;
static struct counts total;

static void die(const char *what)
{
    fprintf(stderr, "rwload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *checked(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- queries: one buffer of lines with CR LF, and where each begins ---- */

static struct {
    char *text;
    size_t *start; /* one more than there are lines: the end of the last */
    size_t count, next;
} queries;

static void load_queries(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[LINE_MOST];
    size_t used = 0, room = 0, lines_room = 0;
    if (!file)
        die(path);
    while (fgets(line, sizeof line - 1, file)) {
        size_t length = strcspn(line, "\r\n");
        if (used + length + 2 > room)
            queries.text = checked(realloc(queries.text, room = 2 * room + LINE_MOST));
        if (queries.count + 2 > lines_room) {
            lines_room = 2 * lines_room + 1024;
            queries.start = checked(realloc(queries.start, lines_room * sizeof *queries.start));
        }
        queries.start[queries.count++] = used;
        memcpy(queries.text + used, line, length);
        memcpy(queries.text + used + length, "\r\n", 2);
        used += length + 2;
        queries.start[queries.count] = used;
    }
    fclose(file);
    if (!queries.count) {
        errno = EINVAL;
        die("no query in the file");
    }
    /* Start anywhere, so that a second run does not ask what the first one did. */
    queries.next = now_ns() / 1000 * 7919 % queries.count;
}

/* ---- latencies: buckets that grow by 1/64, so a percentile is good to 1.6 % ---- */

#define STEPS 64
static uint64_t histogram[STEPS * STEPS];

static void record_latency(uint64_t ns)
{
    int exponent = 63 - __builtin_clzll(ns | STEPS);
    int shift = exponent - 6;
    histogram[shift * STEPS + (int)(ns >> shift & (STEPS - 1))]++;
}

static double percentile_us(double share)
{
    uint64_t all = 0, below = 0;
    for (int i = 0; i < STEPS * STEPS; i++)
        all += histogram[i];
    for (int i = 0; all && i < STEPS * STEPS; i++) {
        below += histogram[i];
        if ((double)below >= share * (double)all)
            return (STEPS + i % STEPS + 0.5) * (double)(1ull << i / STEPS) / 1000.0;
    }
    return 0;
}

/* ---- CPU time of a process and all below it ---- */

#define PROCESSES_MOST 8192
static struct process {
    int pid, parent;
    double cpu_seconds; /* its own, and that of children it has waited for */
    bool counted;
} processes[PROCESSES_MOST];

static bool read_process(const char *pid, struct process *into)
{
    char path[300], text[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false; /* it ended while we looked */
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    long reaped_user, reaped_system;
    clockid_t clock;
    struct timespec own;
    if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld",
                        &into->parent, &reaped_user, &reaped_system) != 3)
        return false;
    into->pid = atoi(pid);
    /* The clock counts nanoseconds; the ticks in stat are too coarse for a server of many
     * processes. Children that were waited for are known in ticks only. */
    if (clock_getcpuclockid(into->pid, &clock) || clock_gettime(clock, &own))
        return false;
    into->cpu_seconds = (double)own.tv_sec + (double)own.tv_nsec / 1e9 +
                        (double)(reaped_user + reaped_system) / (double)sysconf(_SC_CLK_TCK);
    into->counted = false;
    return true;
}

static int list_processes(void)
{
    DIR *proc = opendir("/proc");
    int count = 0;
    if (!proc)
        die("/proc");
    for (struct dirent *entry; count < PROCESSES_MOST && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]))
            count += read_process(entry->d_name, &processes[count]);
    closedir(proc);
    return count;
}

static bool belongs(const struct process *process, int root, int count)
{
    if (process->pid == root)
        return true;
    for (int i = 0; i < count; i++)
        if (processes[i].counted && processes[i].pid == process->parent)
            return true;
    return false;
}

static double tree_cpu_seconds(int root)
{
    int count = list_processes();
    double seconds = 0;
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < count; i++)
            if (!processes[i].counted && belongs(&processes[i], root, count)) {
                processes[i].counted = more = true;
                seconds += processes[i].cpu_seconds;
            }
    }
    return seconds;
}

static double own_cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* ---- connections ---- */

static void watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &event))
        die("epoll_ctl");
}

static void open_connection(struct connection *c)
{
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = CONNECTING;
    c->in_flight = 0;
    c->head = c->tail = 0;
    c->carried = 0;
    c->at_line_start = true;
    c->sent_ns[0] = now_ns(); /* a connection's latency includes the connect */
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        die("connect");
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void reopen(struct connection *c, bool failed)
{
    total.failed += failed;
    close(c->fd);
    open_connection(c);
}

static bool send_queries(struct connection *c, int count)
{
    static char out[DEPTH_MOST * LINE_MOST];
    size_t length = 0;
    uint64_t now = now_ns();
    for (int i = 0; i < count; i++) {
        size_t start = queries.start[queries.next], end = queries.start[queries.next + 1];
        memcpy(out + length, queries.text + start, end - start);
        length += end - start;
        queries.next = queries.next + 1 == queries.count ? 0 : queries.next + 1;
        if (mode != CONN)
            c->sent_ns[c->tail++ % DEPTH_MOST] = now;
    }
    c->in_flight += count;
    return send(c->fd, out, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static void on_connected(struct connection *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    bool sent;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        reopen(c, true);
        return;
    }
    if (mode == CONN) {
        c->state = RUNNING;
        sent = send_queries(c, 1);
    } else {
        c->state = HOLDING;
        sent = send(c->fd, HOLD_LINE, strlen(HOLD_LINE), MSG_NOSIGNAL) == (ssize_t)strlen(HOLD_LINE);
    }
    if (sent)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    else
        reopen(c, true);
}

/* Count the last lines of answers in text, which begins with what was carried over. */
static struct counts scan(struct connection *c, const char *text, size_t length)
{
    struct counts seen = {0};
    const char *at = text, *end = text + length;
    while ((at = memchr(at, '%', (size_t)(end - at)))) {
        bool line_start = at == text ? c->at_line_start : at[-1] == '\n';
        size_t left = (size_t)(end - at);
        if (line_start && left < WORD_MOST && !memchr(at, '\n', left)) {
            memcpy(c->carry, at, c->carried = left);
            c->at_line_start = true;
            return seen;
        }
        seen.ok += line_start && left >= 3 && !memcmp(at, "%ok", 3);
        seen.error += line_start && left >= 6 && !memcmp(at, "%error", 6);
        at++;
    }
    c->carried = 0;
    c->at_line_start = end[-1] == '\n';
    return seen;
}

static void on_end(struct connection *c)
{
    bool complete = mode == CONN && c->state == RUNNING && c->in_flight == 0;
    if (complete) {
        total.answers++;
        record_latency(now_ns() - c->sent_ns[0]);
    }
    reopen(c, !complete);
}

static void on_answers(struct connection *c, uint64_t answers)
{
    uint64_t now = now_ns();
    for (uint64_t i = 0; i < answers; i++)
        record_latency(now - c->sent_ns[c->head++ % DEPTH_MOST]);
    total.answers += answers;
    if (!send_queries(c, (int)answers))
        reopen(c, true);
}

static void on_readable(struct connection *c)
{
    static char buffer[READ_BUFFER + WORD_MOST];
    size_t carried = c->carried;
    memcpy(buffer, c->carry, carried);
    ssize_t got = recv(c->fd, buffer + carried, READ_BUFFER, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        if (got < 0)
            reopen(c, true);
        else
            on_end(c);
        return;
    }
    if (quick_ack) {
        int on = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }
    struct counts seen = scan(c, buffer, (size_t)got + carried);
    uint64_t answers = seen.ok + seen.error;
    if (c->state == HOLDING) {
        if (answers) {
            c->state = RUNNING;
            if (!send_queries(c, depth))
                reopen(c, true);
        }
        return;
    }
    total.octets += (uint64_t)got;
    total.ok += seen.ok;
    total.error += seen.error;
    if (answers > (uint64_t)c->in_flight) { /* more than was asked for */
        reopen(c, true);
        return;
    }
    c->in_flight -= (int)answers;
    if (mode != CONN && answers)
        on_answers(c, answers);
}

/* ---- the run ---- */

static void poll_once(void)
{
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, 256, 50);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->state == CONNECTING)
            on_connected(c);
        else
            on_readable(c);
    }
}

static void run_until(uint64_t end_ns)
{
    while (now_ns() < end_ns)
        poll_once();
}

static void measure(double seconds, int server_pid)
{
    memset(&total, 0, sizeof total);
    memset(histogram, 0, sizeof histogram);
    double own = own_cpu_seconds(), server = server_pid ? tree_cpu_seconds(server_pid) : 0;
    uint64_t start = now_ns();
    run_until(start + (uint64_t)(seconds * 1e9));
    double wall = (double)(now_ns() - start) / 1e9;
    server = server_pid ? tree_cpu_seconds(server_pid) - server : 0;
    own = own_cpu_seconds() - own;
    double answers = total.answers ? (double)total.answers : 1;
    printf("{\"mode\":\"%s\",\"connections\":%d,\"depth\":%d,\"seconds\":%.3f,"
           "\"answers\":%lu,\"answers_per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"ok\":%lu,\"error\":%lu,\"failed\":%lu,\"octets_per_answer\":%.0f,"
           "\"client_cpu\":%.3f,\"server_cpu\":%.3f,\"server_us_per_answer\":%.2f}\n",
           mode_names[mode], connections, depth, wall, total.answers,
           (double)total.answers / wall, percentile_us(0.5), percentile_us(0.99), total.ok,
           total.error, total.failed, (double)total.octets / answers, own / wall, server / wall,
           server / answers * 1e6);
}

static enum mode mode_named(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, mode_names[i]))
            return (enum mode)i;
    errno = EINVAL;
    die("-m needs conn, held or pipe");
    return CONN;
}

static int whole_number(const char *text, int least, int most, const char *option)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < least || value > most) {
        errno = ERANGE;
        die(option);
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    double warm_up = 0.3, seconds = 1.0;
    int option, port = 0, server_pid = 0;
    const char *file = NULL;
    while ((option = getopt(argc, argv, "m:p:c:d:w:q:D:Qs:")) != -1)
        switch (option) {
        case 'm': mode = mode_named(optarg); break;
        case 'p': port = whole_number(optarg, 1, 65535, "-p"); break;
        case 'c': connections = whole_number(optarg, 1, 20000, "-c"); break;
        case 'd': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'q': file = optarg; break;
        case 'D': depth = whole_number(optarg, 1, DEPTH_MOST, "-D"); break;
        case 'Q': quick_ack = true; break;
        case 's': server_pid = whole_number(optarg, 1, 1 << 22, "-s"); break;
        default: return 2;
        }
    if (!port || !file) {
        fprintf(stderr, "rwload: -p PORT and -q FILE are needed\n");
        return 2;
    }
    if (mode != PIPE)
        depth = 1;
    load_queries(file);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    alarm((unsigned)(warm_up + seconds) + ALARM_SECONDS);
    epoll_fd = epoll_create1(0);
    struct connection *all = checked(calloc((size_t)connections, sizeof *all));
    for (int i = 0; i < connections; i++)
        open_connection(&all[i]);
    run_until(now_ns() + (uint64_t)(warm_up * 1e9));
    measure(seconds, server_pid);
    return 0;
}
