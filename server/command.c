#include "command.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
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

bool den_command_take(char **argv, char *words, size_t size, struct den_err *err)
{
    words[0] = '\0';
    if (argv[0] == NULL || argv[1] == NULL)
        return true;
    if (strcmp(argv[1], "backup") == 0)
        return take_backup(argv, words, size, err);
    if (strcmp(argv[1], "check") != 0)
        return true;
    drop(argv + 1);
    bool gc = take_flag(argv, "--gc", "--gc"),
         dry = take_flag(argv, "--dry-run", "--dry_run");
    if (dry && !gc)
        return den_err_set(err, DEN_E_INVALID, "--dry-run goes with --gc");
    return den_str_copy(words, size, !gc ? "check" : dry ? "check dry-run" : "check gc");
}
