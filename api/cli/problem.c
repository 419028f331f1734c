#include "problem.h"

#include <curl/curl.h>
#include <jansson.h>
#include <string.h>

#include "str.h"

bool den_problem_network(struct den_cli *cli, int code, struct den_err *err)
{
    const char *server = cli->shown;
    cli->failure = DEN_EXIT_SERVER;
    cli->status = 0;
    cli->note[0] = '\0';
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return den_err_set(err, DEN_E_IO,
                           "no server answers at %.100s; start one with `denoised`, or "
                           "name another with --server or DENOISE_SERVER",
                           server);
    case CURLE_COULDNT_RESOLVE_HOST:
        return den_err_set(err, DEN_E_IO,
                           "the host in %.100s is unknown; check --server or "
                           "DENOISE_SERVER",
                           server);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        cli->failure = DEN_EXIT_USAGE;
        return den_err_set(err, DEN_E_INVALID,
                           "'%.100s' is not the address of a server; write "
                           "http://HOST:PORT",
                           server);
    case CURLE_OPERATION_TIMEDOUT:
        return den_err_set(err, DEN_E_IO, "%.100s does not answer any more", server);
    case CURLE_WRITE_ERROR:
        cli->failure = DEN_EXIT_USAGE;
        return den_err_set(err, DEN_E_IO,
                           "what the server sent could not be written or is too long");
    default:
        return den_err_set(err, DEN_E_IO, "the connection to %.100s failed: %s", server,
                           curl_easy_strerror((CURLcode)code));
    }
}

bool den_problem_stranger(struct den_cli *cli, struct den_err *err)
{
    cli->failure = DEN_EXIT_SERVER;
    cli->status = 0;
    cli->note[0] = '\0';
    return den_err_set(err, DEN_E_IO, "what answers at %.100s is not denoised",
                       cli->shown);
}

/* What somebody who may not do this can do now: a further line of the note. */
static void add_advice(struct den_cli *cli, long status)
{
    static const char none[] = "give your token with --token-file FILE or DENOISE_TOKEN",
                      wrong[] = "the token that was sent is wrong, expired or revoked; "
                                "ask who runs the server for a new one",
                      weak[] = "your token does not allow this; ask who runs the server "
                               "for one that does";
    size_t used = strlen(cli->note);
    (void)den_str_format(cli->note + used, sizeof cli->note - used, "\n  %s",
                         cli->token[0] == '\0' ? none
                         : status == 401       ? wrong
                                               : weak);
}

/* The note: " (code, HTTP status)" and a line for every pointer. */
static void fill_note(struct den_cli *cli, long status, const json_t *problem)
{
    const char *code = json_string_value(json_object_get(problem, "code"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    (void)den_str_format(cli->note, sizeof cli->note, " (%.40s, HTTP %ld)", code, status);
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(problem, "errors"), i, one)
    {
        const char *pointer = json_string_value(json_object_get(one, "pointer"));
        const char *text = json_string_value(json_object_get(one, "detail"));
        size_t used = strlen(cli->note);
        bool same = text == NULL || (detail != NULL && strcmp(text, detail) == 0);
        if (pointer != NULL)
            (void)den_str_format(cli->note + used, sizeof cli->note - used,
                                 "\n  at %.96s%s%s", pointer, same ? "" : ": ",
                                 same ? "" : text);
    }
}

static const char *first_pointer(const json_t *problem)
{
    const json_t *first = json_array_get(json_object_get(problem, "errors"), 0);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    return pointer != NULL ? pointer : "";
}

bool den_problem_http(struct den_cli *cli, long status, const char *body, size_t length,
                      struct den_err *err)
{
    json_t *problem = length > 0 ? json_loadb(body, length, 0, NULL) : NULL;
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    bool ours = detail != NULL && json_is_string(json_object_get(problem, "code"));
    cli->status = status;
    cli->failure = status == 401 || status == 403 ? DEN_EXIT_AUTH : DEN_EXIT_SERVER;
    enum den_code code = status == 404                    ? DEN_E_NOT_FOUND
                         : status == 503 || status == 429 ? DEN_E_BUSY
                                                          : DEN_E_INVALID;
    if (ours)
        fill_note(cli, status, problem);
    else
        cli->note[0] = '\0';
    if (ours)
        (void)den_err_field(err, code, first_pointer(problem), "%s", detail);
    else
        (void)den_err_set(err, DEN_E_IO,
                          "%.100s answers HTTP %ld without a reason; is it denoised?",
                          cli->shown, status);
    if (cli->failure == DEN_EXIT_AUTH)
        add_advice(cli, status);
    json_decref(problem);
    return false;
}

bool den_problem_for_all(const struct den_cli *cli, const struct den_err *err)
{
    static const char *const members[] = {"/model", "/method", "/config", "/priority"};
    if (cli->failure == DEN_EXIT_AUTH)
        return true;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (den_str_starts(err->field, members[i]))
            return true;
    return false;
}
