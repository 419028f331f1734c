#ifndef DEN_COMMAND_CASE_H
#define DEN_COMMAND_CASE_H

/* Commands on the state folder of service_case.h, as an operator gives them. */

#include "service_case.h"
#include "state_command.h"

/* What it wrote into to[size]; how many things it found wrong. */
static inline size_t command(const char *words, char *to, size_t size)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_service_config config = {.state = folder, .threads = 1};
    size_t wrong = 99;
    memset(to, 0, size);
    FILE *out = fmemopen(to, size, "w");
    ck_assert_ptr_nonnull(out);
    must(den_state_command(&config, words, out, &wrong, &err));
    ck_assert_int_eq(fclose(out), 0);
    return wrong;
}

static inline void must_command(const char *words, char *to, size_t size)
{
    ck_assert_uint_eq(command(words, to, size), 0);
}

#endif
