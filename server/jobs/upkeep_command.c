/* Upkeep as a command: by the daemon that has the state folder, else here. */

#include "upkeep.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "fs.h"
#include "str.h"

static void say_to_file(void *context, const char *line)
{
    (void)fprintf(context, "%s\n", line);
}

static bool ask(const char *state, const char *words, FILE *out, size_t *ret_wrong,
                struct den_err *err)
{
    char line[DEN_CONTROL_LINE];
    int fd = -1;
    int64_t wrong = 0;
    bool done = false, ended = false;
    if (!den_control_connect(state, &fd, err))
        return false;
    den_control_line(fd, "", words);
    while (!ended && den_control_read(fd, line, sizeof line)) {
        ended = line[0] != ' ';
        if (line[0] == ' ')
            say_to_file(out, line + 1);
        else if (line[0] == '=')
            done = den_parse_int(line + 1, 0, INT64_MAX, &wrong, err);
        else
            den_err_set(err, DEN_E_IO, "%s", line + 1);
    }
    close(fd);
    if (!ended)
        return den_err_set(err, DEN_E_IO, "the daemon ended before it was done");
    if (done)
        *ret_wrong = (size_t)wrong;
    return done;
}

bool den_upkeep_command(const struct den_service_config *config, const char *words,
                        FILE *out, size_t *ret_wrong, struct den_err *err)
{
    struct den_service_config quiet = *config;
    struct den_service *service = NULL;
    struct den_err why = DEN_ERR_INIT;
    char database[PATH_MAX];
    quiet.with_workers = false;
    quiet.as_it_is = true;
    if (!den_str_format(database, sizeof database, "%s/denoised.db", config->state) ||
        !den_fs_exists(database))
        return den_err_field(err, DEN_E_NOT_FOUND, "state",
                             "there is no database in the state folder");
    if (!den_service_open(&quiet, &service, &why)) {
        if (why.code == DEN_E_CONFLICT)
            return ask(config->state, words, out, ret_wrong, err);
        return den_err_set(err, why.code, "%s", why.text);
    }
    size_t wrong = 0;
    bool done = den_upkeep_do(service, words, say_to_file, out, &wrong, err);
    den_service_close(service);
    if (done)
        *ret_wrong = wrong;
    return done;
}
