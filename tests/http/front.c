#include "front.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "fs.h"
#include "mem.h"
#include "str.h"
#include "wire.h"

bool program_exists(const char *name)
{
    static const char *const places[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin",
                                         "/usr/local/sbin"};
    char path[128];
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (den_str_format(path, sizeof path, "%s/%s", places[i], name) &&
            access(path, X_OK) == 0)
            return true;
    return false;
}

/* The site as it is shipped, with the test's ports, and without what TLS needs. */
static void add_site(struct den_buf *out, unsigned port, unsigned behind)
{
    struct den_err err = DEN_ERR_INIT;
    const char *file = getenv("DENOISED_SITE");
    char *text = NULL, *rest, *line;
    size_t length = 0;
    int listens = 0, servers = 0;
    ck_assert_msg(den_fs_read(file != NULL ? file : "deploy/nginx.conf", 1 << 20, &text,
                              &length, &err),
                  "%s", err.text);
    rest = text;
    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *word = line + strspn(line, " ");
        if (den_str_starts(word, "listen ") && listens++ == 0)
            den_buf_printf(out, "listen 127.0.0.1:%u;\n", port);
        else if (den_str_starts(word, "server 127.0.0.1:8080") && servers++ == 0)
            den_buf_printf(out, "server 127.0.0.1:%u;\n", behind);
        else if (!den_str_starts(word, "listen ") && !den_str_starts(word, "ssl_"))
            den_buf_printf(out, "%s\n", line);
    }
    den_free(text);
    ck_assert_msg(listens > 0 && servers == 1, "deploy/nginx.conf is not as expected");
}

/* behind 0: no daemon, the body instead. */
static void write_config(const struct front *front, unsigned behind, const char *body)
{
    static const char *const kinds[] = {"client_body", "proxy", "fastcgi", "uwsgi",
                                        "scgi"};
    struct den_err err = DEN_ERR_INIT;
    struct den_buf out;
    char path[128];
    den_buf_init(&out, 1 << 20);
    den_buf_printf(&out,
                   "daemon off; worker_processes 2; pid %s/pid; error_log %s/error.log;\n"
                   "events { worker_connections 4096; }\nhttp { access_log off;\n",
                   front->folder, front->folder);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        den_buf_printf(&out, "%s_temp_path %s/%s;\n", kinds[i], front->folder, kinds[i]);
    if (behind > 0)
        add_site(&out, front->port, behind);
    else
        den_buf_printf(&out,
                       "keepalive_requests 1000000000; server { listen 127.0.0.1:%u; "
                       "location / { default_type application/json; return 200 '%s'; } "
                       "}\n",
                       front->port, body);
    den_buf_puts(&out, "}\n");
    ck_assert(den_buf_ok(&out, &err));
    ck_assert(den_str_format(path, sizeof path, "%s/nginx.conf", front->folder));
    ck_assert_msg(den_fs_write(path, out.data, out.length, &err), "%s", err.text);
    den_buf_release(&out);
}

/* The socket goes to nginx as from its older self: a port that it opened by itself could
 * be another's by then. */
static void run_nginx(const struct front *front, int listener)
{
    char config[128], errors[128], handed[16];
    (void)den_str_format(config, sizeof config, "%s/nginx.conf", front->folder);
    (void)den_str_format(errors, sizeof errors, "%s/start.log", front->folder);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a failed test leaves nothing behind */
    int log = open(errors, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)dup2(log, STDERR_FILENO);
    (void)den_str_format(handed, sizeof handed, "%d;", listener);
    (void)fcntl(listener, F_SETFD, 0);
    (void)setenv("NGINX", handed, 1);
    (void)setenv("PATH", "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin", 1);
    execlp("nginx", "nginx", "-c", config, "-e", errors, (char *)NULL);
    _exit(127);
}

static bool start(struct front *front, unsigned behind, const char *body)
{
    char started[128];
    *front = (struct front){.pid = 0};
    if (!program_exists("nginx"))
        return false;
    (void)snprintf(front->folder, sizeof front->folder, "/tmp/denoised-front-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(front->folder));
    (void)chmod(front->folder, 0755); /* its worker is another user */
    int listener = wire_listen(&front->port);
    write_config(front, behind, body);
    front->pid = fork();
    ck_assert_int_ge(front->pid, 0);
    if (front->pid == 0)
        run_nginx(front, listener);
    close(listener);
    (void)snprintf(started, sizeof started, "%s/pid", front->folder);
    for (int i = 0; i < 500 && !den_fs_exists(started); i++)
        (void)usleep(20000);
    ck_assert_msg(den_fs_exists(started), "nginx did not start, see %s", front->folder);
    return true;
}

bool front_start(struct front *front, unsigned behind)
{
    return start(front, behind, "");
}

bool front_start_alone(struct front *front, const char *body)
{
    return start(front, 0, body);
}

void front_stop(struct front *front)
{
    struct den_err err = DEN_ERR_INIT;
    if (front->pid == 0)
        return;
    (void)kill(front->pid, SIGTERM);
    while (waitpid(front->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    front->pid = 0;
    ck_assert_msg(den_fs_remove_tree(front->folder, &err), "%s", err.text);
}
