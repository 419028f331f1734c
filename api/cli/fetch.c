#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "follow.h"
#include "fs.h"
#include "http_client.h"
#include "json_get.h"
#include "str.h"

#define PATH_SIZE 4096

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The server proposes a name; it may not choose a folder. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           den_utf8_printable(name);
}

static bool choose_path(const json_t *job, const char *where, char *to,
                        struct den_err *err)
{
    const char *name = den_get_text(json_object_get(job, "result"), "name");
    bool folder = where == NULL || is_folder(where) || den_str_ends(where, "/");
    if (!folder) {
        if (den_str_format(to, PATH_SIZE, "%s", where))
            return true;
        return den_err_set(err, DEN_E_INVALID, "the name given to -o is too long");
    }
    if (!is_plain_name(name))
        return den_err_set(err, DEN_E_INVALID,
                           "the server proposes no usable file name; name one with -o");
    if (where != NULL && !den_fs_mkdirs(where, 0777, err))
        return false;
    const char *slash = where == NULL || den_str_ends(where, "/") ? "" : "/";
    if (den_str_format(to, PATH_SIZE, "%s%s%s", where != NULL ? where : "", slash, name))
        return true;
    return den_err_set(err, DEN_E_INVALID, "the name given to -o is too long");
}

/* Into a file of its own beside the target, which is there whole or not at all. */
bool den_download_file(struct den_cli *cli, const char *href, const char *accept,
                       const char *path, struct den_err *err)
{
    char part[PATH_SIZE + 8];
    if (!den_str_format(part, sizeof part, "%s.XXXXXX", path))
        return den_err_set(err, DEN_E_INVALID, "the name given to -o is too long");
    int fd = mkostemp(part, O_CLOEXEC);
    if (fd < 0)
        return den_err_sys(err, errno, "%.160s cannot be written", path);
    mode_t mask = umask(0);
    (void)umask(mask);
    bool done = den_client_download(cli, href, accept, fd, err);
    if (done && (fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0))
        done = den_err_sys(err, errno, "%.160s cannot be written", path);
    if (close(fd) != 0 && done)
        done = den_err_sys(err, errno, "%.160s cannot be written", path);
    done = done && den_fs_rename_durable(part, path, err);
    if (!done)
        (void)unlink(part);
    return done;
}

bool den_job_fetch(struct den_cli *cli, const json_t *job, const char *where, bool force,
                   struct den_err *err)
{
    char path[PATH_SIZE], href[256];
    const json_t *result = json_object_get(job, "result");
    if (!json_is_string(json_object_get(result, "name")))
        return den_err_set(err, DEN_E_INVALID,
                           "%s is a %s job and has no image; `denoise report %s` shows "
                           "what it found",
                           den_get_text(job, "id"), den_get_text(job, "kind"),
                           den_get_text(job, "id"));
    if (!den_client_path(href, sizeof href, "/v1/jobs", den_get_text(job, "id"),
                         "/result", err))
        return false;
    if (where != NULL && strcmp(where, "-") == 0) {
        (void)fflush(stdout);
        return den_client_download(cli, href, NULL, STDOUT_FILENO, err);
    }
    if (!choose_path(job, where, path, err))
        return false;
    if (!force && den_fs_exists(path))
        return den_err_set(err, DEN_E_CONFLICT,
                           "%.160s exists already; --force replaces it", path);
    if (!den_download_file(cli, href, NULL, path, err))
        return false;
    double clipped = den_get_number(result, "clipped_pixels");
    if (clipped > 0)
        (void)fprintf(stderr,
                      "%s: %.0f pixels were clipped to the range of the pixel "
                      "type\n",
                      path, clipped);
    if (!cli->json)
        (void)puts(path);
    return true;
}
