#include "state_command.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"
#include "fs.h"
#include "service_accounts.h"
#include "service_audit.h"
#include "str.h"

bool den_state_do(struct den_service *service, const char *words, den_say *say,
                  void *context, size_t *ret_wrong, struct den_err *err)
{
    *ret_wrong = 0;
    if (den_str_starts(words, "token "))
        return den_service_accounts_do(service, words, say, context, err);
    if (den_str_starts(words, "audit "))
        return den_service_audit_do(service, words, say, context, ret_wrong, err);
    return den_upkeep_do(service, words, say, context, ret_wrong, err);
}

static bool say_to_file(void *context, const char *line)
{
    return fprintf(context, "%s\n", line) >= 0;
}

/* In memory, for it may be the text of a token. */
static FILE *open_kept(struct den_err *err)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    FILE *kept = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (kept == NULL) {
        den_err_sys(err, errno, "an answer cannot be kept");
        if (fd >= 0)
            close(fd);
    }
    return kept;
}

/* What was kept, to the reader. */
static bool pass_on(FILE *kept, FILE *out, struct den_err *err)
{
    char block[4096];
    size_t got;
    rewind(kept);
    while ((got = fread(block, 1, sizeof block, kept)) > 0)
        if (fwrite(block, 1, got, out) != got)
            break;
    return (ferror(kept) == 0 && ferror(out) == 0) ||
           den_err_set(err, DEN_E_IO, "the answer cannot be written");
}

/* All is kept first: a pager may stop the writer for an hour, and the daemon, which
 * answers one after the other, waits for nobody. */
static bool ask(const char *state, const char *words, FILE *out, size_t *ret_wrong,
                struct den_err *err)
{
    char line[DEN_CONTROL_LINE];
    int fd = -1;
    int64_t wrong = 0;
    bool done = false, ended = false;
    if (!den_control_connect(state, &fd, err))
        return false;
    FILE *kept = open_kept(err);
    if (kept == NULL) {
        close(fd);
        return false;
    }
    (void)den_control_line(fd, "", words);
    while (!ended && den_control_read(fd, line, sizeof line)) {
        ended = line[0] != ' ';
        if (line[0] == ' ')
            (void)say_to_file(kept, line + 1);
        else if (line[0] == '=')
            done = den_parse_int(line + 1, 0, INT64_MAX, &wrong, err);
        else
            den_err_set(err, DEN_E_IO, "%s", line + 1);
    }
    close(fd);
    if (!pass_on(kept, out, ended && !done ? NULL : err))
        done = false;
    (void)fclose(kept);
    if (!ended)
        return den_err_set(err, DEN_E_IO, "the daemon ended before it was done");
    if (done)
        *ret_wrong = (size_t)wrong;
    return done;
}

/* Backup and check are about what is there; a first token may come before it. */
static bool find_database(const char *state, const char *words, struct den_err *err)
{
    char database[PATH_MAX];
    return den_str_starts(words, "token create ") ||
           (den_str_format(database, sizeof database, "%s/denoised.db", state) &&
            den_fs_exists(database)) ||
           den_err_field(err, DEN_E_NOT_FOUND, "state",
                         "there is no database in the state folder");
}

bool den_state_command(const struct den_service_config *config, const char *words,
                       FILE *out, size_t *ret_wrong, struct den_err *err)
{
    struct den_service_config quiet = *config;
    struct den_service *service = NULL;
    struct den_err why = DEN_ERR_INIT;
    quiet.with_workers = false;
    quiet.as_it_is = true;
    if (!find_database(config->state, words, err))
        return false;
    if (!den_service_open(&quiet, &service, &why)) {
        if (why.code == DEN_E_CONFLICT)
            return ask(config->state, words, out, ret_wrong, err);
        return den_err_set(err, why.code, "%s", why.text);
    }
    size_t wrong = 0;
    bool done = den_state_do(service, words, say_to_file, out, &wrong, err);
    den_service_close(service);
    if (done)
        *ret_wrong = wrong;
    return done;
}
