#include "courier.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "str.h"

enum { SECONDS = 5, ANSWER_MAX = 64 * 1024, WHY = 160, PATIENCE_S = 60 };

struct den_courier {
    int fd;
    pid_t pid;
    uint32_t sent;
    atomic_bool gone;
};

struct parcel {
    uint32_t number;
    struct den_message message;
};

struct receipt {
    uint32_t number;
    bool taken;
    char why[WHY];
};

/* ---- in the process -----------------------------------------------------------------
 */

/* Rules need fds of the folders; a folder that this system has not needs none. */
static bool may_read(int ruleset, const char *path)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return errno == ENOENT;
    struct stat info;
    if (fstat(rule.parent_fd, &info) != 0 || !S_ISDIR(info.st_mode))
        rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
    bool done = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
                        0) == 0;
    close(rule.parent_fd);
    return done;
}

/* Settings of the resolver, certificates, and the libraries that both load. */
static bool lock_paths(const char *ca)
{
    static const char *const readable[] = {
        "/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/dev/urandom"};
    const struct landlock_ruleset_attr all = {
        .handled_access_fs = (UINT64_C(1) << 13) - 1}; /* of the oldest version */
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (ruleset < 0)
        return false;
    bool done = ca[0] == '\0' || may_read(ruleset, ca);
    for (size_t i = 0; i < sizeof readable / sizeof *readable; i++)
        done = done && may_read(ruleset, readable[i]);
    done = done && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close(ruleset);
    return done;
}

static size_t swallow(char *data, size_t size, size_t count, void *context)
{
    size_t *left = context;
    (void)data;
    if (size * count > *left)
        return 0;
    *left -= size * count;
    return size * count;
}

/* The second wall: whatever curl connects to is looked at once more. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    (void)purpose;
    if (!den_webhook_address(&address->addr, context))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* "host:port:address", of the one address that is used: a name that is asked again may
 * answer otherwise. */
static bool resolve(CURLU *url, const struct den_networks *networks, char *to,
                    size_t size, char *why)
{
    char *host = NULL, *port = NULL, name[INET6_ADDRSTRLEN];
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    bool done = false;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        goto out;
    den_str_format(why, WHY, "the host %.80s has no address", host);
    if (getaddrinfo(host, port, &wanted, &found) != 0)
        goto out;
    for (const struct addrinfo *a = found; a != NULL && !done; a = a->ai_next) {
        den_str_format(why, WHY, "the host %.80s has no address that may be called",
                       host);
        done = den_webhook_address(a->ai_addr, networks) &&
               getnameinfo(a->ai_addr, a->ai_addrlen, name, sizeof name, NULL, 0,
                           NI_NUMERICHOST) == 0 &&
               den_str_format(to, size, "%s:%s:%s", host, port, name);
    }
out:
    if (found != NULL)
        freeaddrinfo(found);
    curl_free(host);
    curl_free(port);
    return done;
}

static struct curl_slist *headers_of(const struct den_message *m)
{
    const struct {
        const char *name, *value;
    } rows[] = {{"Content-Type", "application/json"},
                {"webhook-id", m->id},
                {"webhook-timestamp", m->timestamp},
                {"webhook-signature", m->signature}};
    struct curl_slist *list = NULL;
    char line[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        den_str_format(line, sizeof line, "%s: %s", rows[i].name, rows[i].value);
        list = rows[i].value[0] != '\0' ? curl_slist_append(list, line) : list;
    }
    return list;
}

struct settings {
    const struct den_networks *networks;
    const char *ca;
};

static void post(CURL *curl, const struct den_message *m, const struct settings *with,
                 struct receipt *receipt)
{
    size_t left = ANSWER_MAX;
    long status = 0;
    struct curl_slist *headers = headers_of(m);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "denoised/" DEN_VERSION);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)m->length);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, m->body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &left);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, (void *)(uintptr_t)with->networks);
    if (with->ca[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_CAINFO, with->ca);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        den_str_format(receipt->why, WHY, "%.120s", curl_easy_strerror(code));
    else {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        receipt->taken = status >= 200 && status < 300;
        den_str_format(receipt->why, WHY, "status %ld", status);
    }
    curl_slist_free_all(headers);
}

static void deliver(const struct den_message *m, const struct settings *with,
                    struct receipt *receipt)
{
    char place[DEN_WEBHOOK_SIZE + 80];
    CURL *curl = curl_easy_init();
    CURLU *url = curl_url();
    den_str_copy(receipt->why, WHY, "there is not enough memory");
    if (curl != NULL && url != NULL &&
        curl_url_set(url, CURLUPART_URL, m->url, 0) == CURLUE_OK &&
        resolve(url, with->networks, place, sizeof place, receipt->why)) {
        struct curl_slist *places = curl_slist_append(NULL, place);
        curl_easy_setopt(curl, CURLOPT_CURLU, url);
        curl_easy_setopt(curl, CURLOPT_RESOLVE, places);
        post(curl, m, with, receipt);
        curl_easy_reset(curl);
        curl_slist_free_all(places);
    }
    curl_url_cleanup(url);
    curl_easy_cleanup(curl);
}

/* Until the daemon's end of the socket is closed, however it ends. */
static void run(int fd, const struct settings *with)
{
    struct parcel *parcel = den_new(1, sizeof *parcel, NULL);
    while (parcel != NULL) {
        ssize_t got = recv(fd, parcel, sizeof *parcel, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof *parcel)
            break;
        struct receipt receipt = {.number = parcel->number};
        deliver(&parcel->message, with, &receipt);
        if (send(fd, &receipt, sizeof receipt, MSG_NOSIGNAL) < 0)
            break;
    }
    den_free(parcel);
}

/* A signal that is meant for the daemon reaches the whole terminal. */
static void begin(int fd, const struct settings *with)
{
    const struct rlimit none = {0, 0};
    bool ready =
        signal(SIGINT, SIG_IGN) != SIG_ERR && signal(SIGTERM, SIG_IGN) != SIG_ERR &&
        signal(SIGHUP, SIG_IGN) != SIG_ERR && dup2(fd, STDIN_FILENO) >= 0 &&
        close_range(3, ~0U, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
        lock_paths(with->ca) && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    struct receipt receipt = {.taken = ready};
    (void)send(STDIN_FILENO, &receipt, sizeof receipt, MSG_NOSIGNAL);
    if (ready)
        run(STDIN_FILENO, with);
    _exit(0);
}

/* ---- in the daemon ------------------------------------------------------------------
 */

static bool receive(struct den_courier *courier, struct receipt *ret)
{
    for (;;) {
        ssize_t got = recv(courier->fd, ret, sizeof *ret, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            atomic_store(&courier->gone, true);
        if (got != (ssize_t)sizeof *ret)
            return false;
        if (ret->number == courier->sent) /* else of a message that was given up */
            return true;
    }
}

bool den_courier_start(const struct den_networks *networks, const char *ca,
                       struct den_courier **ret, struct den_err *err)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fds[2];
    struct receipt receipt;
    struct den_courier *courier = den_new(1, sizeof *courier, err);
    if (courier == NULL)
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        den_free(courier);
        return den_err_sys(err, errno, "no socket for webhooks can be made");
    }
    courier->pid = fork();
    if (courier->pid == 0)
        begin(fds[1], &(struct settings){networks, ca});
    close(fds[1]);
    courier->fd = fds[0];
    (void)setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (courier->pid > 0 && receive(courier, &receipt) && receipt.taken) {
        *ret = courier;
        return true;
    }
    den_courier_stop(courier);
    return den_err_set(err, DEN_E_UNSUPPORTED,
                       "the process for webhooks cannot be started; it needs Landlock "
                       "(Linux 5.13 or newer, switched on)");
}

bool den_courier_send(struct den_courier *courier, const struct den_message *message,
                      char *why, size_t size)
{
    struct receipt receipt;
    struct parcel *parcel = den_new(1, sizeof *parcel, NULL);
    den_str_copy(why, size, "the process for webhooks does not answer");
    if (parcel == NULL)
        return false;
    parcel->number = ++courier->sent;
    parcel->message = *message;
    bool sent = send(courier->fd, parcel, sizeof *parcel, MSG_NOSIGNAL) ==
                (ssize_t)sizeof *parcel;
    if (!sent && (errno == EPIPE || errno == ECONNRESET))
        atomic_store(&courier->gone, true);
    den_free(parcel);
    if (!sent || !receive(courier, &receipt))
        return false;
    receipt.why[WHY - 1] = '\0';
    den_str_copy(why, size, receipt.why);
    return receipt.taken;
}

bool den_courier_stands(const struct den_courier *courier)
{
    return !atomic_load(&courier->gone);
}

void den_courier_stop(struct den_courier *courier)
{
    if (courier == NULL)
        return;
    close(courier->fd);
    if (courier->pid > 0)
        (void)kill(courier->pid, SIGKILL); /* what is on its way is sent again */
    if (courier->pid > 0)
        (void)waitpid(courier->pid, NULL, 0);
    den_free(courier);
}
