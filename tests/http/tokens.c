#include "tokens.h"

#include <check.h>
#include <string.h>

#include "program.h"
#include "str.h"

void make_token(const struct daemon *d, const char *name, const char *owner,
                const char *scopes, char *header)
{
    char program[256];
    const char *const argv[] = {built("denoised", program, sizeof program),
                                "token",
                                "create",
                                name,
                                "--owner",
                                owner,
                                "--scope",
                                scopes,
                                "--state",
                                d->state,
                                NULL};
    struct outcome made = run_program(NULL, NULL, argv);
    must_end(&made, 0, "shown only now");
    ck_assert(den_str_format(header, BEARER_SIZE, "Authorization: Bearer %s",
                             first_line(&made)));
    outcome_free(&made);
}

void revoke_token(const struct daemon *d, const char *name)
{
    char program[256];
    const char *const argv[] = {built("denoised", program, sizeof program),
                                "token",
                                "revoke",
                                name,
                                "--state",
                                d->state,
                                NULL};
    struct outcome done = run_program(NULL, NULL, argv);
    must_end(&done, 0, "");
    outcome_free(&done);
}
