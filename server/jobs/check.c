/* A scrub: every file is read again and held against its name and its rows. */

#include "upkeep.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "service_private.h"
#include "str.h"

struct check {
    struct den_service *service;
    den_say *say;
    void *context;
    size_t wrong, rows, files, unnamed;
};

static void found(struct check *check, const char *what, const char *sha256,
                  const char *fault)
{
    char line[400];
    den_str_format(line, sizeof line, "%s: %s (%.12s)", what, fault, sha256);
    (void)check->say(check->context, line);
    check->wrong++;
}

static bool check_row(void *context, const char *sha256, const char *what, int64_t bytes,
                      struct den_err *err)
{
    struct check *check = context;
    struct stat info;
    char path[PATH_MAX];
    (void)err;
    check->rows++;
    den_blobs_path(check->service->blobs, sha256, path, sizeof path);
    if (stat(path, &info) != 0)
        found(check, what, sha256,
              errno == ENOENT ? "its file is missing" : "its file cannot be read");
    else if (bytes >= 0 && info.st_size != bytes)
        found(check, what, sha256, "its file has another size than was recorded");
    return true;
}

static bool check_file(void *context, const char *sha256, struct den_err *err)
{
    struct check *check = context;
    struct den_service *s = check->service;
    struct den_err why = DEN_ERR_INIT;
    bool same = false, used = true;
    check->files++;
    if (!den_blobs_same(s->blobs, sha256, &same, &why)) {
        if (why.code != DEN_E_NOT_FOUND) /* removed meanwhile */
            found(check, "a file", sha256, "it cannot be read");
    } else if (!same) {
        found(check, "a file", sha256, "its content is damaged");
    }
    if (!s->kind->blob_used(s->store, sha256, &used, err))
        return false;
    check->unnamed += !used;
    return true;
}

bool den_service_check(struct den_service *service, den_say *say, void *context,
                       size_t *ret_wrong, struct den_err *err)
{
    struct check check = {.service = service, .say = say, .context = context};
    char line[200];
    bool done = service->kind->check(service->store, say, context, &check.wrong, err);
    /* Held: what is removed meanwhile would look missing. */
    den_blobs_hold(service->blobs);
    done = done && service->kind->blob_each(service->store, check_row, &check, err) &&
           den_blobs_each(service->blobs, check_file, &check, err);
    den_blobs_release(service->blobs);
    if (!done)
        return false;
    den_str_format(line, sizeof line,
                   "check: %zu rows, %zu files, %zu of them without a row; %zu wrong",
                   check.rows, check.files, check.unnamed, check.wrong);
    (void)say(context, line);
    *ret_wrong = check.wrong;
    return true;
}
