#include "command.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "str.h"

static void drop(char **at)
{
    do
        at[0] = at[1];
    while (*at++ != NULL);
}

/* The flag may stand anywhere, in both spellings. */
static bool take_flag(char **argv, const char *name, const char *other)
{
    for (char **at = argv; *at != NULL; at++) {
        if (strcmp(*at, name) != 0 && strcmp(*at, other) != 0)
            continue;
        drop(at);
        return true;
    }
    return false;
}

/* A flag with a value, "--owner x" or "--owner=x"; NULL when it is not there.  The value
 * stays the command line's. */
static const char *take_value(char **argv, const char *name)
{
    size_t length = strlen(name);
    for (char **at = argv; *at != NULL; at++) {
        if (strncmp(*at, name, length) != 0)
            continue;
        const char *value = *at + length + 1;
        if ((*at)[length] == '=') {
            drop(at);
            return value;
        }
        if ((*at)[length] != '\0' || at[1] == NULL)
            continue;
        value = at[1];
        drop(at);
        drop(at);
        return value;
    }
    return NULL;
}

/* The daemon has another working directory. */
static bool take_backup(char **argv, char *words, size_t size, struct den_err *err)
{
    char here[PATH_MAX] = "";
    const char *folder = argv[2];
    if (folder == NULL || den_str_starts(folder, "--"))
        return den_err_set(err, DEN_E_INVALID,
                           "backup needs a folder: denoised backup DIR");
    if (folder[0] != '/' && getcwd(here, sizeof here) == NULL)
        return den_err_sys(err, errno, "the current folder has no name");
    if (!den_str_format(words, size, "backup %s%s%s", here, here[0] != '\0' ? "/" : "",
                        folder) ||
        strchr(words, '\n') != NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "the name of the folder for the backup is too long or has "
                           "more than one line");
    drop(argv + 2);
    drop(argv + 1);
    return true;
}

static bool plain_word(const char *word)
{
    return word != NULL && word[0] != '\0' && !den_str_starts(word, "--") &&
           strpbrk(word, " \n") == NULL;
}

/* argv[1] is "token" still. */
static bool take_token_create(char **argv, char *words, size_t size, struct den_err *err)
{
    const char *owner = take_value(argv, "--owner"),
               *days = take_value(argv, "--expires"),
               *scopes = take_value(argv, "--scope");
    int64_t count;
    if (!plain_word(argv[3]) || !plain_word(owner) || !plain_word(scopes) ||
        (days != NULL && !plain_word(days)))
        return den_err_set(err, DEN_E_INVALID,
                           "a token needs a name, an owner and scopes: denoised token "
                           "create NAME --owner OWNER --scope read,submit,train,admin "
                           "[--expires DAYS]");
    /* In the word for the service 0 is never, which nobody asks for by a number. */
    if (days != NULL && !den_parse_int(days, 1, INT64_MAX, &count, NULL))
        return den_err_set(err, DEN_E_INVALID,
                           "--expires takes days, 1 or more, not '%.40s'; without it a "
                           "token does not expire",
                           days);
    return den_str_format(words, size, "token create %s %s %s %s", argv[3], owner, scopes,
                          days != NULL ? days : "0") ||
           den_err_set(err, DEN_E_INVALID, "these words are too long");
}

static bool take_token(char **argv, char *words, size_t size, struct den_err *err)
{
    const char *verb = argv[2] != NULL ? argv[2] : "";
    bool done = false;
    size_t used = 3; /* words of the command */
    if (strcmp(verb, "create") == 0) {
        done = take_token_create(argv, words, size, err);
        used = 4;
    } else if (strcmp(verb, "list") == 0) {
        done = den_str_copy(words, size,
                            take_flag(argv, "--json", "--json") ? "token list json"
                                                                : "token list");
    } else if (strcmp(verb, "revoke") == 0) {
        done = plain_word(argv[3])
                   ? den_str_format(words, size, "token revoke %s", argv[3])
                   : den_err_set(err, DEN_E_INVALID,
                                 "which token?  denoised token revoke ID or NAME");
        used = 4;
    } else
        den_err_set(err, DEN_E_INVALID, "token needs the word create, list or revoke");
    for (; done && used > 1; used--)
        drop(argv + used - 1);
    return done;
}

/* "2026-11-23" or "2026-11-23T09:30:00Z", UTC, in milliseconds since 1970. */
static bool read_time(const char *text, int64_t *ret)
{
    struct tm tm = {.tm_mday = 1};
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest != NULL && *rest != '\0')
        rest = strptime(rest, "T%H:%M:%SZ", &tm);
    if (rest == NULL || *rest != '\0')
        return false;
    *ret = (int64_t)timegm(&tm) * 1000;
    return *ret >= 0;
}

static bool take_audit(char **argv, char *words, size_t size, struct den_err *err)
{
    const char *verb = argv[2] != NULL ? argv[2] : "", *since = NULL;
    int64_t since_ms = 0;
    bool done = true;
    if (strcmp(verb, "verify") == 0)
        done = den_str_copy(words, size, "audit verify");
    else if (strcmp(verb, "show") != 0)
        return den_err_set(err, DEN_E_INVALID, "audit needs the word show or verify");
    else if ((since = take_value(argv, "--since")) != NULL &&
             !read_time(since, &since_ms))
        return den_err_set(err, DEN_E_INVALID,
                           "--since needs a day such as 2026-11-23, or a time such as "
                           "2026-11-23T09:30:00Z");
    else
        done = den_str_format(words, size, "audit show %lld%s", (long long)since_ms,
                              take_flag(argv, "--json", "--json") ? " json" : "");
    drop(argv + 2);
    drop(argv + 1);
    return done;
}

bool den_command_take(char **argv, char *words, size_t size, struct den_err *err)
{
    words[0] = '\0';
    if (argv[0] == NULL || argv[1] == NULL)
        return true;
    if (strcmp(argv[1], "backup") == 0)
        return take_backup(argv, words, size, err);
    if (strcmp(argv[1], "token") == 0)
        return take_token(argv, words, size, err);
    if (strcmp(argv[1], "audit") == 0)
        return take_audit(argv, words, size, err);
    if (strcmp(argv[1], "check") != 0)
        return true;
    drop(argv + 1);
    bool gc = take_flag(argv, "--gc", "--gc"),
         dry = take_flag(argv, "--dry-run", "--dry_run");
    if (dry && !gc)
        return den_err_set(err, DEN_E_INVALID, "--dry-run goes with --gc");
    return den_str_copy(words, size, !gc ? "check" : dry ? "check dry-run" : "check gc");
}
