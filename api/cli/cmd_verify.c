/* denoise verify: did only pixels change?  Needs no server. */

#include <inttypes.h>
#include <unistd.h>

#include "cli.h"
#include "follow.h"
#include "json_get.h"
#include "mem.h"
#include "table.h"
#include "verify.h"

static const struct den_option options[] = {
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* What a server may be set to at most: these files are the user's own. */
static const struct den_image_limits limits = {.page_pixels = (uint64_t)1 << 32,
                                               .decoded_bytes = (uint64_t)1 << 44};

static json_t *json_differences(const struct den_verdict *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->kept; i++) {
        const struct den_difference *d = &v->list[i];
        json_t *one =
            json_pack("{ss ss ss}", "where", d->where, "what", d->what, "how", d->how);
        if (json_array_append_new(list, one) != 0)
            break;
    }
    return list;
}

static bool print_as_json(const struct den_verdict *v, struct den_err *err)
{
    const struct den_image_info *info = &v->info;
    json_t *provenance =
        v->provenance[0] != '\0' ? json_string(v->provenance) : json_null();
    json_t *all = json_pack(
        "{sb ss si si si si ss s{sI sI si sf} so sI so}", "same", v->differences == 0,
        "format", info->format, "width", (int)info->width, "height", (int)info->height,
        "pages", (int)info->pages, "channels", (int)info->channels, "dtype",
        den_dtype_name(info->dtype), "changed", "values_compared", (json_int_t)v->values,
        "values", (json_int_t)v->values_changed, "pages", (int)v->pages_changed,
        "largest", v->largest_change, "provenance", provenance, "difference_count",
        (json_int_t)v->differences, "differences", json_differences(v));
    if (all == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "no memory is left for the answer");
    den_print_json(all);
    json_decref(all);
    return true;
}

static bool print_differences(const struct den_verdict *v, struct den_err *err)
{
    const char *heads[] = {"where", "what", "how", NULL};
    struct den_table table;
    if (v->differences == 0)
        return true;
    den_table_init(&table, heads);
    for (size_t i = 0; i < v->kept; i++) {
        den_table_add(&table, "%s", v->list[i].where);
        den_table_add(&table, "%s", v->list[i].what);
        den_table_add(&table, "%s", v->list[i].how);
    }
    bool done = den_table_print(&table, stdout, err);
    den_table_release(&table);
    if (done && v->differences > v->kept)
        (void)printf("and %" PRIu64 " more\n", v->differences - v->kept);
    return done;
}

static bool print(const struct den_verdict *v, struct den_err *err)
{
    const struct den_image_info *info = &v->info;
    (void)printf("%s, %" PRIu32 " x %" PRIu32 ", pages: %" PRIu32 ", channels: %" PRIu32
                 ", %s\n",
                 info->format, info->width, info->height, info->pages, info->channels,
                 den_dtype_name(info->dtype));
    (void)printf("%" PRIu64 " of %" PRIu64 " values changed, on %" PRIu32 " of %" PRIu32
                 " pages, by at most %g\n",
                 v->values_changed, v->values, v->pages_changed, info->pages,
                 v->largest_change);
    if (v->provenance[0] != '\0')
        (void)printf("added: %s\n", v->provenance);
    if (v->differences == 0)
        (void)puts("everything else is the same");
    return print_differences(v, err);
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct den_verdict *v = den_new(1, sizeof *v, err);
    struct den_err cause = DEN_ERR_INIT;
    bool done = false;
    if (v == NULL)
        return false;
    if (!den_verify(args->words[0], args->words[1], &limits, v, &cause)) {
        /* Of the copy only opening it can fail: all else is a verdict. */
        bool copy = access(args->words[0], R_OK) == 0 &&
                    access(args->words[1], R_OK) != 0 && cause.sys != 0;
        den_err_about(err, args->words[copy ? 1 : 0], &cause);
        goto out;
    }
    done = cli->json ? print_as_json(v, err) : print(v, err);
    if (done && v->differences > 0) {
        cli->failure = DEN_EXIT_JOB;
        done =
            den_err_set(err, DEN_E_CONFLICT,
                        "the files differ in more than pixels (%" PRIu64 " difference%s)",
                        v->differences, v->differences == 1 ? "" : "s");
    }
out:
    den_free(v);
    return done;
}

const struct den_command den_cmd_verify = {
    "verify",
    "SOURCE COPY",
    "Tell whether a copy of an image differs in pixels alone (needs no server)",
    "Compares every tag of a TIFF and every chunk of a PNG.  What may differ besides "
    "pixels\nis where they lie in the file, and one added record of where the copy "
    "comes from.\nExit status: 0 only pixels differ, 1 something else does, 2 a file "
    "cannot be read.\n",
    options,
    2,
    2,
    run,
};
