/* denoise watch: what an acquisition PC leaves running. */

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "denoise_request.h"
#include "folder_events.h"
#include "fs.h"
#include "image_files.h"
#include "str.h"
#include "watch_work.h"

static const struct den_option options[] = {
    DEN_DENOISE_OPTIONS,
    {"output", 'o', DEN_OPTION_VALUE, "DIR",
     "results into this folder, under the same paths (default: beside the images)"},
    {"suffix", 0, DEN_OPTION_VALUE, "TEXT",
     "put behind the names of results (default: _denoised)"},
    {"recursive", 'r', DEN_OPTION_FLAG, NULL, "also the folders in it"},
    {"once", 0, DEN_OPTION_FLAG, NULL, "end when what is there is done"},
    {"force", 'f', DEN_OPTION_FLAG, NULL, "replace results that others have written"},
    {"settle", 0, DEN_OPTION_VALUE, "SECONDS",
     "how long size and time of a file stand still before it is sent (default 2)"},
    {"rescan", 0, DEN_OPTION_VALUE, "SECONDS",
     "look at everything that often, whatever the system tells (default 60)"},
    {"jobs", 'j', DEN_OPTION_VALUE, "N", "at most so many at a time (default 4)"},
    {"state", 0, DEN_OPTION_VALUE, "FILE",
     "what is remembered (default: below XDG_STATE_HOME or ~/.local/state)"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* ---- signals ------------------------------------------------------------------------
 */

static volatile sig_atomic_t stop;
static int stop_fd = -1; /* wakes poll, however early the signal comes */

static void on_signal(int which)
{
    const uint64_t one = 1;
    int saved = errno;
    (void)which;
    stop = 1;
    if (write(stop_fd, &one, sizeof one) < 0)
        stop = 1; /* it is seen at the latest when poll ends by itself */
    errno = saved;
}

static bool catch_signals(struct den_err *err)
{
    struct sigaction action = {.sa_handler = on_signal};
    stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (stop_fd < 0 || sigaction(SIGINT, &action, NULL) != 0 ||
        sigaction(SIGTERM, &action, NULL) != 0)
        return den_err_sys(err, errno, "signals cannot be caught");
    return true;
}

/* ---- finding ------------------------------------------------------------------------
 */

struct finder {
    struct den_watch *w;
    struct den_folder_events events;
    char mirror[DEN_PATH_SIZE]; /* seen from the watched folder, if it lies in it */
    double now;
    bool again;         /* look at everything */
    struct den_err err; /* of news, which have no other way */
};

/* Not what we write ourselves. */
static bool is_ours(const struct finder *f, const char *path)
{
    size_t length = strlen(f->mirror);
    if (length > 0)
        return strncmp(path, f->mirror, length) == 0 &&
               (path[length] == '/' || path[length] == '\0');
    return false;
}

static bool on_folder(void *context, const char *path)
{
    struct finder *f = context;
    char whole[DEN_PATH_SIZE];
    if (is_ours(f, path))
        return false;
    (void)den_str_format(whole, sizeof whole, "%s/%s", f->w->folder, path);
    den_folder_events_add(&f->events, whole, path);
    return true;
}

static bool on_file(void *context, const char *path, const struct stat *st,
                    struct den_err *err)
{
    struct finder *f = context;
    if (den_image_is_result(path, f->w->suffix))
        return true;
    struct den_watched *e = den_journal_find(&f->w->journal, path);
    if (e == NULL && !den_utf8_printable(path)) {
        (void)fprintf(stderr, "denoise: the name of an image is not printable UTF-8; "
                              "it is left out\n");
        return true;
    }
    if (e == NULL)
        e = den_journal_add(&f->w->journal, path, err);
    if (e == NULL)
        return false;
    den_watch_saw(f->w, e, st, f->now);
    return true;
}

static bool look_below(struct finder *f, const char *start, struct den_err *err)
{
    const struct den_image_visitor visitor = {f, on_folder, on_file};
    return den_image_walk(f->w->folder, start, f->w->recursive, &visitor, err);
}

static void on_news(void *context, const char *path, const char *name, bool is_folder)
{
    struct finder *f = context;
    char inner[DEN_PATH_SIZE], whole[DEN_PATH_SIZE];
    struct stat st;
    if (path == NULL ||
        !den_str_format(inner, sizeof inner, "%s%s%s", path, path[0] != '\0' ? "/" : "",
                        name) ||
        !den_str_format(whole, sizeof whole, "%s/%s", f->w->folder, inner)) {
        f->again = true;
        return;
    }
    if (name[0] == '.' || is_ours(f, inner) || f->err.code != DEN_OK)
        return;
    if (is_folder && f->w->recursive)
        (void)look_below(f, inner, &f->err);
    else if (!is_folder && den_image_name(name, NULL) && lstat(whole, &st) == 0 &&
             S_ISREG(st.st_mode))
        (void)on_file(f, inner, &st, &f->err);
}

/* ---- the loop -----------------------------------------------------------------------
 */

static void rest(struct finder *f, double seconds)
{
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN},
                           {.fd = f->events.fd, .events = POLLIN}};
    if (seconds > 0)
        (void)poll(fds, 2, (int)ceil(fmin(seconds, 60) * 1000));
}

/* All files once; *ret_next: when there is something to do again. */
static bool step_all(struct den_watch *w, double now, double *ret_next,
                     struct den_err *err)
{
    double next = now + 60;
    size_t open = 0, ready = 0, sent = 0, in_flight = 0;
    for (size_t i = 0; i < w->journal.count; i++)
        in_flight += w->journal.entries[i]->state == DEN_WATCHED_SENT;
    w->in_flight = in_flight;
    for (size_t i = 0; i < w->journal.count && stop == 0; i++) {
        struct den_watched *e = w->journal.entries[i];
        if (e->state > DEN_WATCHED_SENT)
            continue;
        if (!den_watch_step(w, e, now, err))
            return false;
        bool given_up = w->once && e->told && e->state == DEN_WATCHED_SEEN;
        if (e->state > DEN_WATCHED_SENT || given_up)
            continue;
        open++;
        ready += e->state == DEN_WATCHED_READY;
        sent += e->state == DEN_WATCHED_SENT;
        if (e->state == DEN_WATCHED_SEEN)
            next = fmin(next, e->next);
        if (e->state == DEN_WATCHED_SENT)
            next = fmin(next, fmax(e->next, w->away_until));
    }
    if (ready > 0 && sent < (size_t)w->most)
        next = fmin(next, fmax(now, w->away_until));
    w->open = open;
    *ret_next = next;
    return true;
}

static bool find(struct finder *f, double *last_scan, struct den_err *err)
{
    struct den_watch *w = f->w;
    struct den_err cause = DEN_ERR_INIT;
    f->now = den_monotonic_s();
    den_folder_events_read(&f->events, on_news, f);
    if (f->again || f->now - *last_scan >= w->rescan) {
        f->again = false;
        *last_scan = f->now;
        if (!look_below(f, "", &cause) && cause.code != DEN_E_TOO_LARGE) {
            (void)fprintf(stderr, "denoise: %s\n", cause.text);
            cause = DEN_ERR_INIT; /* it may come back, as a network drive does */
        }
    }
    if (cause.code == DEN_OK)
        cause = f->err;
    if (cause.code == DEN_OK)
        return true;
    *err = cause;
    return false;
}

static bool watch(struct den_watch *w, struct finder *f, struct den_err *err)
{
    double last_scan = den_monotonic_s(), next = 0;
    bool known = false;
    f->events = (struct den_folder_events){.fd = -1};
    den_folder_events_open(&f->events);
    f->now = last_scan;
    if (!look_below(f, "", err)) /* a folder that is not there at the start is an error */
        return false;
    while (stop == 0) {
        double now = den_monotonic_s();
        if (!known && now >= w->away_until && !den_watch_check(w, &known, err))
            return false;
        if (known && !step_all(w, now, &next, err))
            return false;
        if (known && w->once && w->open == 0)
            break;
        if (!known)
            next = w->away_until;
        rest(f, fmin(next, last_scan + w->rescan) - den_monotonic_s());
        if (!find(f, &last_scan, err))
            return false;
    }
    return true;
}

/* ---- options ------------------------------------------------------------------------
 */

/* Another model or other places are another journal. */
static bool choose_state(const struct den_watch *w, const struct den_args *args, char *to,
                         struct den_err *err)
{
    const char *state = den_args_text(args, "state"), *base = getenv("XDG_STATE_HOME"),
               *home = getenv("HOME");
    char hash[DEN_SHA256_SIZE], text[3 * DEN_PATH_SIZE];
    if (state != NULL)
        return den_str_format(to, DEN_PATH_SIZE, "%s", state) ||
               den_err_set(err, DEN_E_INVALID, "the name given to --state is too long");
    bool own = base != NULL && base[0] == '/';
    if (!own && (home == NULL || home[0] != '/'))
        return den_err_set(err, DEN_E_INVALID,
                           "there is no home folder; name a file with --state");
    bool fits =
        den_str_format(text, sizeof text, "%s\n%s\n%s\n%s", w->folder,
                       w->mirror != NULL ? w->mirror : "", w->suffix, w->request_text);
    den_text_sha256(text, hash);
    return (fits &&
            den_str_format(to, DEN_PATH_SIZE, "%s%s/denoised/watch-%.16s.jsonl",
                           own ? base : home, own ? "" : "/.local/state", hash)) ||
           den_err_set(err, DEN_E_INVALID, "the name of the folder is too long");
}

static bool read_numbers(struct den_watch *w, const struct den_args *args,
                         struct den_err *err)
{
    w->settle = 2;
    w->rescan = 60;
    w->most = 4;
    return den_args_double(args, "settle", 0.05, 3600, &w->settle, err) &&
           den_args_double(args, "rescan", 0.1, 86400, &w->rescan, err) &&
           den_args_int(args, "jobs", 1, 1000, &w->most, err);
}

static bool real_path(const char *path, char **ret, struct den_err *err)
{
    *ret = realpath(path, NULL);
    return *ret != NULL || den_err_sys(err, errno, "%.160s", path);
}

static bool read_places(struct den_watch *w, struct finder *f,
                        const struct den_args *args, char **folder, char **mirror,
                        struct den_err *err)
{
    const char *output = den_args_text(args, "output");
    struct stat st;
    if (!real_path(args->words[0], folder, err))
        return false;
    if (stat(*folder, &st) != 0 || !S_ISDIR(st.st_mode))
        return den_err_set(err, DEN_E_INVALID, "%.160s is no folder", args->words[0]);
    if (output != NULL &&
        (!den_fs_mkdirs(output, 0777, err) || !real_path(output, mirror, err)))
        return false;
    w->folder = *folder;
    w->mirror = *mirror != NULL && strcmp(*mirror, *folder) != 0 ? *mirror : NULL;
    w->shown = output != NULL ? output : args->words[0];
    if (!den_utf8_printable(w->folder) ||
        (w->mirror != NULL && !den_utf8_printable(w->mirror)))
        return den_err_set(err, DEN_E_INVALID, "names of folders must be UTF-8");
    size_t length = strlen(w->folder);
    if (w->mirror != NULL && strncmp(w->mirror, w->folder, length) == 0 &&
        w->mirror[length] == '/')
        (void)den_str_copy(f->mirror, sizeof f->mirror, w->mirror + length + 1);
    return true;
}

static bool read_suffix(struct den_watch *w, const struct den_args *args,
                        struct den_err *err)
{
    const char *suffix = den_args_text(args, "suffix");
    w->suffix = suffix != NULL ? suffix : "_denoised";
    if (strchr(w->suffix, '/') != NULL || !den_utf8_printable(w->suffix))
        return den_err_set(err, DEN_E_INVALID, "--suffix '%.40s' cannot be in a name",
                           w->suffix);
    if (w->suffix[0] == '\0' && w->mirror == NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "without a --suffix results need a folder of their own: -o");
    return true;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct den_watch w = {.cli = cli, .journal = {.fd = -1, .lock = -1}};
    struct finder f = {.w = &w, .events = {.fd = -1}, .err = DEN_ERR_INIT};
    char *folder = NULL, *mirror = NULL, state[DEN_PATH_SIZE];
    bool done = false;
    w.recursive = den_args_has(args, "recursive");
    w.once = den_args_has(args, "once");
    w.force = den_args_has(args, "force");
    w.request = den_denoise_request(args, err);
    w.request_text =
        w.request != NULL ? json_dumps(w.request, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    if (w.request_text == NULL || !read_numbers(&w, args, err) ||
        !read_places(&w, &f, args, &folder, &mirror, err) ||
        !read_suffix(&w, args, err) || !choose_state(&w, args, state, err) ||
        !den_journal_open(&w.journal, state, err) || !catch_signals(err))
        goto out;
    cli->stop = &stop;
    cli->bar = false; /* lines, not bars: this runs for days */
    done = watch(&w, &f, err);
    if (done && w.once && stop == 0 && w.bad > 0) {
        cli->failure = DEN_EXIT_JOB;
        done = den_err_set(err, DEN_E_CONFLICT, "%zu of %zu images were not denoised",
                           w.bad, w.bad + w.done);
    }
out:
    den_folder_events_close(&f.events);
    den_journal_close(&w.journal);
    json_decref(w.request);
    free(w.request_text);
    free(folder);
    free(mirror);
    return done;
}

const struct den_command den_cmd_watch = {
    "watch",
    "DIR (--model NAME | --method FILTER) [-o DIR] [--recursive] [--once]",
    "Denoise each image that comes into a folder",
    "Prints a line for each image: done, kept (there was a result), refused, failed or\n"
    "incomplete, and why.  Images are only read; what is called like a result\n"
    "(a_denoised.tif) is none.  Goes on where it was after a restart of its own or of "
    "the\n"
    "server, and sends no image twice; one that was refused or failed is sent again "
    "when\n"
    "it changes.  Ctrl-C ends it.\n",
    options,
    1,
    1,
    run,
};
