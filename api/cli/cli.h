#ifndef DEN_CLI_H
#define DEN_CLI_H

/* The command-line client: what its commands share.  A command is its own file cmd_x.c
 * and one row in den_commands[].  Data goes to stdout, talk to stderr. */

#include <signal.h>
#include <stdio.h>

#include "args.h"
#include "err.h"

enum {
    DEN_EXIT_OK = 0,
    DEN_EXIT_JOB = 1,    /* a job failed or was cancelled; files differ */
    DEN_EXIT_USAGE = 2,  /* the command line, or a local file that it names */
    DEN_EXIT_GATE = 3,   /* a model was not good enough to be promoted */
    DEN_EXIT_AUTH = 4,   /* the server wants other credentials */
    DEN_EXIT_SERVER = 5, /* the server refused, or could not be reached */
};

struct den_cli {
    void *curl;         /* handle of libcurl, made with the first request */
    const char *server; /* http://HOST:PORT */
    char shown[128];    /* the same without a password, for sentences */
    char token[256];    /* sent with every request, never shown; "" = none */
    const volatile sig_atomic_t *stop; /* requests end when it is set; may be NULL */
    bool reached;                      /* it has answered a request */
    bool json;                         /* print the server's JSON instead of text */
    bool bar;                          /* stderr is a terminal that can redraw a line */
    bool color;                        /* stdout is a terminal and NO_COLOR is not set */
    int failure;    /* exit status if the command fails with what it has in err */
    long status;    /* HTTP status of the refusal in err, 0 = there was no answer */
    char note[640]; /* printed behind err's sentence: code, status, pointers */
};

struct den_command {
    const char *name;
    const char *synopsis;             /* what follows the name */
    const char *doc;                  /* one line for the list of commands */
    const char *more;                 /* further lines of its own help, or NULL */
    const struct den_option *options; /* ends with name NULL */
    size_t least, most;               /* how many arguments besides the options */
    bool (*run)(struct den_cli *cli, const struct den_args *args, struct den_err *err);
};
extern const struct den_command *const den_commands[]; /* ends with NULL */
const struct den_command *den_command_find(const char *name);

extern const struct den_option den_global_options[]; /* --server, --json, ... */
/* `denoise --help` and `denoise COMMAND --help`. */
void den_help(FILE *to);
void den_help_command(FILE *to, const struct den_command *command);

/* err = "subject: cause", keeping the code of cause; returns false. */
bool den_err_about(struct den_err *err, const char *subject, const struct den_err *cause);

extern const struct den_command den_cmd_submit, den_cmd_train, den_cmd_evaluate,
    den_cmd_status, den_cmd_wait, den_cmd_fetch, den_cmd_models, den_cmd_report,
    den_cmd_cancel, den_cmd_methods, den_cmd_simulate, den_cmd_preview, den_cmd_pairs,
    den_cmd_experiment, den_cmd_verify, den_cmd_watch, den_cmd_completion, den_cmd_help,
    den_cmd_promote, den_cmd_rollback, den_cmd_dataset;

#endif
