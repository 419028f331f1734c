/* denoise: the command-line client of denoised. */

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "credentials.h"
#include "http_client.h"

static bool prepare(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    const char *server = den_args_text(args, "server");
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = no_color != NULL && no_color[0] != '\0';
    if (server == NULL)
        server = getenv("DENOISE_SERVER");
    cli->server = server != NULL && server[0] != '\0' ? server : "http://127.0.0.1:8080";
    cli->json = den_args_has(args, "json");
    cli->bar = isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
    cli->color = isatty(STDOUT_FILENO) == 1 && !plain;
    cli->failure = DEN_EXIT_USAGE;
    den_server_show(cli->server, cli->shown, sizeof cli->shown);
    return den_token_read(args, cli->token, sizeof cli->token, err);
}

static bool run(struct den_cli *cli, int argc, char **argv, struct den_args *args,
                struct den_err *err)
{
    if (!den_args_parse(args, argc, argv, err))
        return false;
    if (den_args_has(args, "version")) {
        (void)puts("denoise " DEN_VERSION);
        return true;
    }
    if (den_args_has(args, "help")) {
        if (args->command != NULL)
            den_help_command(stdout, args->command);
        else
            den_help(stdout);
        return true;
    }
    if (args->command == NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "no command is given; `denoise --help` lists them");
    return prepare(cli, args, err) && den_args_check(args, err) &&
           args->command->run(cli, args, err);
}

int main(int argc, char **argv)
{
    struct den_cli cli = {.failure = DEN_EXIT_USAGE};
    struct den_err err = DEN_ERR_INIT;
    struct den_args args = {0};
    /* curl starts itself, and the TLS library, with the first request: what needs no
     * server does not wait for them. */
    bool done = run(&cli, argc, argv, &args, &err);
    if (done && (fflush(stdout) != 0 || ferror(stdout)))
        done = den_err_set(&err, DEN_E_IO, "the output could not be written");
    if (!done)
        (void)fprintf(stderr, "denoise: %s%s\n", err.text, cli.note);
    den_args_release(&args);
    den_client_close(&cli);
    curl_global_cleanup();
    return done ? DEN_EXIT_OK : cli.failure;
}
