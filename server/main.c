/* denoised: reads its settings, puts the parts together, serves, and stops in order.
 * The only file that sees the API, HTTP and the job machine at once. */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "command.h"
#include "config.h"
#include "jail.h"
#include "log.h"
#include "machine.h"
#include "mem.h"
#include "notify.h"
#include "service_accounts.h"
#include "state_command.h"
#include "str.h"
#include "tls.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SECOND_SIGNAL = 130 };

/* ---- signals ------------------------------------------------------------------------
 */

static sem_t woken; /* by a signal */
static volatile sig_atomic_t stop_signal, reload_asked;
static struct timespec stop_time; /* of the first signal */

/* The first signal asks for an orderly end, a later one has no patience.  The state on
 * disk stands a sudden end at any time.  Twice the same second is once: a shell and make
 * both pass a signal on. */
static void on_signal(int which)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (stop_signal != 0 && now.tv_sec - stop_time.tv_sec > 1)
        _exit(EXIT_SECOND_SIGNAL);
    if (stop_signal != 0)
        return;
    stop_time = now;
    stop_signal = which;
    (void)sem_post(&woken); /* async-signal-safe */
}

static void on_hangup(int which)
{
    (void)which;
    reload_asked = 1;
    (void)sem_post(&woken);
}

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

/* A handler and no sigwait: a library may have started a thread before main (OpenBLAS
 * does), which blocks no signal and would die of the default action.  Our own threads
 * inherit the block, so that their system calls are not interrupted. */
static bool catch_signals(struct den_err *err)
{
    sigset_t set;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (sem_init(&woken, 0, 0) != 0)
        return den_err_sys(err, errno, "a semaphore cannot be made");
    stop_signals(&set);
    action.sa_mask = set;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_hangup;
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond RLIMIT_FSIZE is an error like others */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return true;
}

/* ---- the log, and SIGHUP --------------------------------------------------------------
 */

static enum den_level level_of(const char *name)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum den_level)i;
    return DEN_INFO;
}

static void set_log(const struct den_config *config)
{
    den_log_set_level(level_of(config->log_level));
    den_log_set_format(strcmp(config->log_format, "json") == 0 ? DEN_LOG_JSON
                                                               : DEN_LOGFMT);
}

/* The settings are read once more, from where they came; those of the log hold at once.
 * So are the tokens.  What is wrong is logged, and all stays as it was. */
static void reload(const struct den_config *running, char *const argv[],
                   struct den_service *service)
{
    struct den_config fresh;
    enum den_config_action action;
    struct den_err err = DEN_ERR_INIT;
    char text[1024];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    den_str_format(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    den_notify(text);
    if (den_service_tokens_load(service, &err) &&
        den_config_load(argv, environ, &fresh, &action, &err)) {
        char later[512];
        set_log(&fresh);
        memcpy(fresh.log_level, running->log_level, sizeof fresh.log_level);
        memcpy(fresh.log_format, running->log_format, sizeof fresh.log_format);
        den_config_changes(running, &fresh, later, sizeof later);
        den_log(DEN_INFO, "reloaded", " after_a_restart=%s",
                den_log_quote(later, text, sizeof text));
    } else {
        den_log(DEN_ERROR, "not_reloaded", " error=%s",
                den_log_quote(err.text, text, sizeof text));
    }
    den_notify("READY=1");
}

static void wait_for_signal(const struct den_config *config, char *const argv[],
                            struct den_service *service)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (stop_signal == 0) {
        while (sem_wait(&woken) != 0 && errno == EINTR)
            ;
        if (stop_signal == 0 && reload_asked) {
            reload_asked = 0;
            reload(config, argv, service);
        }
    }
    den_log(DEN_INFO, "stopping", " signal=%d", (int)stop_signal);
}

/* ---- the machine --------------------------------------------------------------------
 */

static int cores(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > 1024 ? 1024 : (int)count;
}

/* A connection is a file descriptor, and so is an upload. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        den_log(DEN_WARN, "file_limit_kept", " errno=%d", errno);
}

/* ---- parts --------------------------------------------------------------------------
 */

struct parts {
    struct den_service *service;
    struct den_api *api;
    struct den_http *http;
    struct den_watchdog *watchdog;
    struct den_courier *courier; /* NULL: webhooks are off */
    double stall_s;
};

static bool open_service(const struct den_config *c, struct parts *parts,
                         struct den_err *err)
{
    const uint64_t mib = 1 << 20;
    uint64_t memory = c->memory_limit_mib > 0 ? (uint64_t)c->memory_limit_mib * mib
                                              : den_machine_memory("") / 5 * 4;
    const struct den_service_config config = {
        .state = c->state,
        .store = c->store,
        .backend = strcmp(c->backend, "auto") == 0 ? NULL : c->backend,
        .threads = c->threads > 0 ? (int)c->threads : cores(),
        .with_workers = true,
        .queue_limit = (size_t)c->queue_limit,
        .max_attempts = c->max_attempts,
        .workers = (int)c->workers,
        .training_yields = strcmp(c->training_yields, "true") == 0,
        .lease_s = c->lease_seconds,
        .stall_s = (double)c->stall_seconds,
        .retry_s = c->retry_seconds,
        .job_s = c->max_job_seconds,
        .quotas = {.queued_jobs = c->quota_queued_jobs,
                   .running_jobs = c->quota_running_jobs,
                   .stored_bytes = c->quota_stored_mib * (int64_t)mib,
                   .compute_s = c->quota_compute_seconds_per_day},
        .memory_limit = (size_t)memory,
        .image_limits = {.side = (uint32_t)c->max_side,
                         .page_pixels = (uint64_t)c->max_page_mpix * mib,
                         .pages = (uint32_t)c->max_pages,
                         .decoded_bytes = (uint64_t)c->max_decoded_mib * mib,
                         .unpack_ratio = (uint32_t)c->max_unpack_ratio,
                         .part_bytes = (uint64_t)c->max_part_mib * mib,
                         .tags = (uint32_t)c->max_tags},
        .checkpoint_seconds = c->checkpoint_seconds,
        .model_tile = (size_t)c->tile,
        .min_free = (uint64_t)c->min_free_mib * mib,
        .ballast = (uint64_t)c->ballast_mib * mib,
        .retention_days = c->retention_days,
        .auth_required = strcmp(c->auth, "required") == 0,
        .token_per_s = c->max_requests_per_s,
    };
    if (!den_service_open(&config, &parts->service, err) ||
        !den_api_new(parts->service, &parts->api, err))
        return false;
    parts->stall_s = (double)c->stall_seconds;
    den_api_set_stall(parts->api, parts->stall_s);
    return true;
}

/* For the watchdog: a store that does not answer keeps it waiting, which is an answer,
 * too. */
static bool alive(void *context, struct den_err *err)
{
    struct parts *parts = context;
    return den_service_workers_live(parts->service, parts->stall_s, err) &&
           den_service_store_answers(parts->service, err) &&
           (den_jail_stands() ||
            den_err_set(err, DEN_E_INTERNAL, "the jail has ended")) &&
           (parts->courier == NULL || den_courier_stands(parts->courier) ||
            den_err_set(err, DEN_E_INTERNAL, "the process for webhooks has ended"));
}

static void http_started(void *app, struct den_http *http)
{
    den_api_set_http(app, http);
}

static bool start_http(const struct den_config *c, struct parts *parts,
                       struct den_err *err)
{
    const int most = 8;
    int threads = cores() < most ? cores() : most;
    const struct den_http_config config = {
        .address = c->address,
        .port = c->port,
        .threads = c->http_threads > 0 ? (int)c->http_threads : threads,
        .connections = (unsigned)c->max_connections,
        .json_max = (size_t)c->max_json_kib * 1024,
        .upload_max = (uint64_t)c->max_upload_mib << 20,
        .upload_spare = (uint64_t)c->min_free_mib << 20,
        .per_address = (unsigned)c->max_connections_per_ip,
        .timeout_s = (unsigned)c->idle_timeout_s,
        .header_s = (unsigned)c->header_timeout_s,
        .body_s = (unsigned)c->body_timeout_s,
        .rate = (unsigned)c->min_bytes_per_s,
        .streams = (unsigned)c->max_streams,
        .streams_per_client = (unsigned)c->max_streams_per_client,
        .proxies = c->proxies,
        .tls_cert = c->tls_cert,
        .tls_key = c->tls_key,
        .hosts =
            strcmp(c->auth, "required") == 0 && c->hosts[0] == '\0' ? NULL : c->hosts,
        .routes = den_api_routes(),
        .app = parts->api,
        .started = http_started,
        .admit = den_api_admit,
        .busy = den_api_busy,
        .part_begin = den_api_part_begin,
        .part_end = den_api_part_end,
        .temporary = den_api_temporary,
        .problem = den_api_problem,
    };
    return den_http_start(&config, &parts->http, err);
}

/* Requests under way end, running jobs save a checkpoint and go back to the queue. */
static void stop(struct parts *parts, unsigned drain_s)
{
    den_notify("STOPPING=1");
    den_watchdog_stop(parts->watchdog);
    den_http_stop(parts->http, drain_s);
    if (parts->service != NULL)
        den_service_stop(parts->service);
    den_webhooks_stop(parts->api);
    den_api_free(parts->api); /* no event reaches http after this */
    den_http_free(parts->http);
    den_service_close(parts->service);
}

/* Where tokens are needed: nobody else may read what they protect, and there is one to
 * begin with.  token[DEN_TOKEN_TEXT_SIZE]: its text, "" = there is one already. */
static bool open_accounts(const struct parts *parts, char *token, struct den_err *err)
{
    token[0] = '\0';
    return !den_service_auth_required(parts->service) ||
           (den_service_private(parts->service, err) &&
            den_service_first_token(parts->service, token, err));
}

static void tell_first_token(char *token)
{
    if (token[0] != '\0')
        printf("admin token, told only now: %s\n"
               "others: denoised token create NAME --owner OWNER --scope "
               "read,submit,train; then revoke this one: denoised token revoke "
               "first-admin\n",
               token);
    explicit_bzero(token, DEN_TOKEN_TEXT_SIZE);
}

static bool start_webhooks(const struct den_config *c, const struct parts *parts,
                           struct den_err *err)
{
    return parts->courier == NULL ||
           den_webhooks_start(parts->api, parts->courier, c->webhook_hosts,
                              c->webhook_key, err);
}

static bool serve(const struct den_config *config, char *const argv[],
                  struct den_courier *courier, struct den_err *err)
{
    struct parts parts = {.courier = courier};
    char token[DEN_TOKEN_TEXT_SIZE];
    const char *bracket = strchr(config->address, ':') != NULL ? "[" : "";
    bool done = open_service(config, &parts, err) && open_accounts(&parts, token, err) &&
                start_webhooks(config, &parts, err) && start_http(config, &parts, err) &&
                den_service_start(parts.service, err) &&
                den_watchdog_start(alive, &parts, &parts.watchdog, err);
    if (done) {
        printf("listening on http%s://%s%s%s:%u\n", config->tls_cert[0] ? "s" : "",
               bracket, config->address, bracket[0] != '\0' ? "]" : "",
               den_http_port(parts.http));
        tell_first_token(token);
        fflush(stdout);
        den_notify("READY=1");
        wait_for_signal(config, argv, parts.service);
    }
    stop(&parts, (unsigned)config->drain_seconds);
    return done;
}

static int complain(const struct den_err *err, int status)
{
    fprintf(stderr, "denoised: %s\n", err->text);
    return status;
}

static int tell(enum den_config_action what, const struct den_config *config)
{
    struct den_buf out;
    den_buf_init(&out, 1 << 16);
    if (what == DEN_ACTION_SHOW)
        den_config_show(config, &out);
    else if (what == DEN_ACTION_EXAMPLE)
        den_config_example(&out);
    else
        den_config_help(&out);
    bool done = !out.failed && fputs(out.data, stdout) >= 0 && fflush(stdout) == 0;
    den_buf_release(&out);
    return done ? 0 : EXIT_FAILED;
}

/* Webhooks are off where no host is named. */
static bool check_webhooks(const struct den_config *c, struct den_networks *ret,
                           struct den_err *err)
{
    struct den_err why = DEN_ERR_INIT;
    if (c->webhook_hosts[0] == '\0')
        return true;
    if (c->webhook_key[0] == '\0')
        return den_err_set(err, DEN_E_INVALID,
                           "webhook_hosts needs webhook_key, a file with the key that "
                           "signs messages");
    if (!den_networks_read(c->webhook_networks, ret, &why))
        return den_err_set(err, why.code, "webhook_networks: %s", why.text);
    return den_webhooks_key_check(c->webhook_key, err);
}

/* What only the parts know to be wrong. */
static void check_parts(const struct den_config *c, struct den_buf *out, size_t *faults)
{
    enum { PARTS = 4 };
    struct den_err why[PARTS] = {DEN_ERR_INIT, DEN_ERR_INIT, DEN_ERR_INIT, DEN_ERR_INIT};
    struct den_networks networks;
    struct den_tls tls = {NULL, NULL};
    (void)den_service_has_store(c->store, &why[0]);
    if (strcmp(c->backend, "auto") != 0)
        (void)den_service_has_backend(c->backend, &why[1]);
    if (den_tls_load(c->tls_cert, c->tls_key, &tls, &why[2]))
        den_tls_release(&tls);
    (void)check_webhooks(c, &networks, &why[3]);
    for (size_t i = 0; i < PARTS; i++)
        if (why[i].code != DEN_OK) {
            den_buf_printf(out, "%s\n", why[i].text);
            ++*faults;
        }
}

/* `config check`: every fault on a line of its own. */
static int check_config(char *const argv[])
{
    struct den_config config;
    struct den_buf out;
    den_buf_init(&out, 1 << 20);
    size_t faults = den_config_check(argv, environ, &config, &out);
    check_parts(&config, &out, &faults);
    bool told = faults == 0 ? puts("the settings are good") >= 0
                            : !out.failed && fputs(out.data, stderr) >= 0;
    den_buf_release(&out);
    return faults > 0 ? EXIT_USAGE : told && fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

/* First of all: what the jail's processes inherit is what there is by now. */
static bool start_jail(const struct den_config *config, struct den_err *err)
{
    const struct den_jail_options options = {
        .seconds = (uint32_t)config->decode_seconds,
        .memory_bytes = (uint64_t)config->decode_memory_mib << 20,
    };
    if (strcmp(config->jail, "required") == 0)
        return den_jail_start(&options, err);
    den_log(DEN_WARN, "jail_off", " setting=jail");
    return true;
}

/* As early as the jail, and for the same reason. */
static bool start_courier(const struct den_config *c, struct den_courier **ret,
                          struct den_err *err)
{
    struct den_networks networks;
    return c->webhook_hosts[0] == '\0' ||
           (check_webhooks(c, &networks, err) &&
            den_courier_start(&networks, c->webhook_ca, ret, err));
}

static int serve_until_told(const struct den_config *config, char *const argv[])
{
    struct den_err err = DEN_ERR_INIT;
    struct den_courier *courier = NULL;
    umask(0077);
    set_log(config);
    if (!start_jail(config, &err) || !start_courier(config, &courier, &err))
        return complain(&err, EXIT_FAILED);
    raise_file_limit();
    bool served = catch_signals(&err) && serve(config, argv, courier, &err);
    den_courier_stop(courier);
    den_jail_stop();
    if (!served)
        return complain(&err, EXIT_FAILED);
    den_log(DEN_INFO, "stopped", " version=" DEN_VERSION);
    return 0;
}

/* A trial of retention goes by what was said here, else by the settings of the daemon
 * that has the folder. */
static const char *with_days(const struct den_config *c, const char *words, char *to,
                             size_t size)
{
    if (strcmp(words, "check dry-run") != 0 || !den_config_given(c, "retention_days"))
        return words;
    den_str_format(to, size, "%s %lld", words, (long long)c->retention_days);
    return to;
}

/* A command about the state folder; what it found wrong is a failure, too. */
static int keep_up(const struct den_config *c, const char *words)
{
    const struct den_service_config config = {
        .state = c->state, .store = c->store, .threads = 1};
    struct den_err err = DEN_ERR_INIT;
    size_t wrong = 0;
    char trial[64];
    umask(0077);
    words = with_days(c, words, trial, sizeof trial);
    if (!den_state_command(&config, words, stdout, &wrong, &err))
        return complain(&err, EXIT_FAILED);
    if (den_str_starts(words, "token create "))
        fputs("keep the token like a password: it is shown only now\n", stderr);
    return wrong > 0 || fflush(stdout) != 0 ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    char words[PATH_MAX];
    struct den_config config;
    enum den_config_action action;
    struct den_err err = DEN_ERR_INIT;
    if (!den_command_take(argv, words, sizeof words, &err) ||
        !den_config_load(argv, environ, &config, &action, &err))
        return complain(&err, EXIT_USAGE);
    switch (action) {
    case DEN_ACTION_HELP:
    case DEN_ACTION_SHOW:
    case DEN_ACTION_EXAMPLE:
        return tell(action, &config);
    case DEN_ACTION_CHECK:
        return check_config(argv);
    case DEN_ACTION_VERSION:
        return puts("denoised " DEN_VERSION) >= 0 ? 0 : EXIT_FAILED;
    case DEN_ACTION_SERVE:
        break;
    }
    den_mem_give_back();
    return words[0] != '\0' ? keep_up(&config, words) : serve_until_told(&config, argv);
}
