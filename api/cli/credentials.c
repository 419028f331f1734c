#include "credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

#define FILE_MAX ((size_t)4096)

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                              "0123456789-._~+/=";

/* text[length] without white space around it. */
static bool take(const char *text, size_t length, const char *from, char *to, size_t size,
                 struct den_err *err)
{
    static const char space[] = " \t\r\n";
    while (length > 0 && strchr(space, text[0]) != NULL && text[0] != '\0') {
        text++;
        length--;
    }
    while (length > 0 && text[length - 1] != '\0' &&
           strchr(space, text[length - 1]) != NULL)
        length--;
    if (length == 0 || length >= size || strspn(text, letters) < length)
        return den_err_set(err, DEN_E_INVALID,
                           "%.160s holds no token: one word of at most %zu letters, "
                           "digits and -._~+/=",
                           from, size - 1);
    (void)den_str_format(to, size, "%.*s", (int)length, text);
    return true;
}

static bool take_file(const char *path, char *to, size_t size, struct den_err *err)
{
    struct den_err cause = DEN_ERR_INIT;
    struct stat st;
    char *text = NULL;
    size_t length = 0;
    if (!den_fs_read(path, FILE_MAX, &text, &length, &cause))
        return den_err_about(err, path, &cause);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        (st.st_mode & (S_IRGRP | S_IROTH)) != 0)
        (void)fprintf(stderr, "%s: others can read this token; `chmod 600` ends that\n",
                      path);
    bool done = take(text, length, path, to, size, err);
    den_free(text);
    return done;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool den_token_read(const struct den_args *args, char *to, size_t size,
                    struct den_err *err)
{
    const char *token = den_args_text(args, "token");
    const char *file = den_args_text(args, "token-file");
    to[0] = '\0';
    if (token != NULL && file != NULL)
        return den_err_set(err, DEN_E_INVALID, "give either --token or --token-file");
    if (token != NULL)
        return take(token, strlen(token), "--token", to, size, err);
    if (file != NULL)
        return take_file(file, to, size, err);
    token = environment("DENOISE_TOKEN");
    file = environment("DENOISE_TOKEN_FILE");
    if (token != NULL)
        return take(token, strlen(token), "DENOISE_TOKEN", to, size, err);
    return file == NULL || take_file(file, to, size, err);
}

void den_server_show(const char *server, char *to, size_t size)
{
    const char *scheme = strstr(server, "://");
    const char *host = scheme != NULL ? scheme + 3 : server;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    (void)den_str_format(to, size, "%.*s%s", (int)(host - server), server,
                         at != NULL ? at + 1 : host);
    den_utf8_trim(to);
}
