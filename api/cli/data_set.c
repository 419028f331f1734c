#include "data_set.h"

#include <string.h>

#include "file_hash.h"
#include "http_client.h"
#include "json_get.h"
#include "progress_bar.h"
#include "str.h"

/* Files that were uploaded: {path: image id}. */
struct uploads {
    struct den_cli *cli;
    json_t *ids;
    size_t files;
    double bytes;
};

static bool upload(struct uploads *up, const char *file, const char **ret_id,
                   struct den_err *err)
{
    json_t *image = NULL;
    const char *known = json_string_value(json_object_get(up->ids, file));
    if (known != NULL) {
        *ret_id = known;
        return true;
    }
    if (!den_client_upload(up->cli, file, &image, err))
        return false;
    up->bytes += den_get_number(image, "bytes");
    up->files++;
    /* nocheck: a path need not be UTF-8 */
    (void)json_object_set_new_nocheck(up->ids, file,
                                      json_incref(json_object_get(image, "id")));
    json_decref(image);
    *ret_id = json_string_value(json_object_get(up->ids, file));
    if (*ret_id == NULL)
        return den_err_set(err, DEN_E_IO, "the server gave %.160s no id", file);
    return true;
}

static bool add_pair(struct uploads *up, json_t *pairs, const char *noisy,
                     const char *clean, struct den_err *err)
{
    const char *noisy_id, *clean_id;
    if (!upload(up, noisy, &noisy_id, err) || !upload(up, clean, &clean_id, err))
        return false;
    (void)json_array_append_new(
        pairs, json_pack("{ss ss}", "noisy", noisy_id, "clean", clean_id));
    return true;
}

/* ---- the ways to name images ------------------------------------------------------- */

bool den_data_pairs(const struct den_args *args, const char *file, struct den_pairs *ret,
                    struct den_err *err)
{
    struct den_pairs pairs = {0};
    bool keep_held = den_args_has(args, "held-out");
    bool divide = keep_held || den_args_has(args, "hold-out");
    double fraction = 0;
    if (keep_held && den_args_has(args, "hold-out"))
        return den_err_set(err, DEN_E_INVALID,
                           "give either --hold-out or --held-out, not both");
    if (!den_args_double(args, keep_held ? "held-out" : "hold-out", 0, 1, &fraction,
                         err) ||
        !den_pairs_read(file, den_args_text(args, "where"), &pairs, err))
        return false;
    if (divide && !den_pairs_hold_out(&pairs, fraction, keep_held, err)) {
        den_pairs_release(&pairs);
        return false;
    }
    *ret = pairs;
    return true;
}

static bool from_csv(struct uploads *up, const struct den_args *args, json_t *body,
                     struct den_err *err)
{
    struct den_pairs pairs = {0};
    json_t *list = json_object_get(body, "pairs");
    bool done = den_data_pairs(args, den_args_text(args, "pairs"), &pairs, err);
    for (size_t i = 0; done && i < pairs.count; i++)
        done = add_pair(up, list, pairs.pairs[i].noisy, pairs.pairs[i].clean, err);
    den_pairs_release(&pairs);
    return done;
}

static bool from_files(struct uploads *up, const struct den_args *args, json_t *body,
                       struct den_err *err)
{
    size_t noisy = den_args_count(args, "noisy"), clean = den_args_count(args, "clean");
    if (noisy == 0 || clean == 0 || (clean != noisy && clean != 1))
        return den_err_set(err, DEN_E_INVALID,
                           "--noisy names %zu files and --clean %zu; give as many clean "
                           "images as noisy ones, or one for all",
                           noisy, clean);
    json_t *list = json_object_get(body, "pairs");
    for (size_t i = 0; i < noisy; i++)
        if (!add_pair(up, list, den_args_at(args, "noisy", i),
                      den_args_at(args, "clean", clean == 1 ? 0 : i), err))
            return false;
    return true;
}

static bool from_repeats(struct uploads *up, const struct den_args *args, json_t *body,
                         struct den_err *err)
{
    json_t *list = json_object_get(body, "images");
    const char *file, *id;
    for (size_t i = 0; (file = den_args_at(args, "repeats", i)) != NULL; i++) {
        if (!upload(up, file, &id, err))
            return false;
        (void)json_array_append_new(list, json_string(id));
    }
    return true;
}

static const struct {
    const char *option, *other; /* which options choose this way */
    const char *kind, *list;
    bool (*fill)(struct uploads *up, const struct den_args *args, json_t *body,
                 struct den_err *err);
} ways[] = {
    {"pairs", "pairs", "pairs", "pairs", from_csv},
    {"noisy", "clean", "pairs", "pairs", from_files},
    {"repeats", "repeats", "repeats", "images", from_repeats},
    {"dataset", "dataset", NULL, NULL, NULL},
};

static const char *const of_pairs[] = {"where", "hold-out", "held-out"};

static bool choose_way(const struct den_args *args, size_t *ret, struct den_err *err)
{
    size_t chosen = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (den_args_has(args, ways[i].option) || den_args_has(args, ways[i].other)) {
            *ret = i;
            chosen++;
        }
    if (chosen != 1)
        return den_err_set(err, DEN_E_INVALID,
                           "%s: give one of --pairs CSV, --noisy FILE... with --clean "
                           "FILE..., --repeats FILE..., or --dataset ID",
                           chosen == 0 ? "no images are named"
                                       : "the images are named in several ways");
    for (size_t i = 0; i < sizeof of_pairs / sizeof of_pairs[0]; i++)
        if (den_args_has(args, of_pairs[i]) && !den_args_has(args, "pairs"))
            return den_err_set(err, DEN_E_INVALID, "--%s needs --pairs", of_pairs[i]);
    return true;
}

/* The data set of a job that is to be made once is made once, too: else its id would make
 * another request of the same one. */
static bool post(struct den_cli *cli, const struct den_args *args, json_t *body,
                 json_t **ret, struct den_err *err)
{
    const char *key = den_args_text(args, "idempotency-key");
    char text[300], own[DEN_SHA256_SIZE];
    (void)den_str_format(text, sizeof text, "data set %s", key != NULL ? key : "");
    den_text_sha256(text, own);
    return den_client_post_once(cli, "/v1/datasets", json_incref(body),
                                key != NULL ? own : NULL, ret, err);
}

bool den_data_set(struct den_cli *cli, const struct den_args *args, const char *name,
                  char *ret_id, struct den_err *err)
{
    struct uploads up = {.cli = cli};
    json_t *body = NULL, *set = NULL;
    size_t way = 0;
    bool done = false;
    if (!choose_way(args, &way, err))
        return false;
    if (ways[way].fill == NULL) {
        if (den_str_copy(ret_id, DEN_DATA_ID, den_args_text(args, "dataset")))
            return true;
        return den_err_set(err, DEN_E_INVALID, "--dataset is no id of a data set");
    }
    up.ids = json_object();
    body = json_pack("{ss ss s[]}", "name", name, "kind", ways[way].kind, ways[way].list);
    if (up.ids == NULL || body == NULL) {
        (void)den_err_set(err, DEN_E_INVALID, "the name '%.60s' is not UTF-8", name);
        goto out;
    }
    if (!ways[way].fill(&up, args, body, err) || !post(cli, args, body, &set, err))
        goto out;
    double samples = den_get_number(set, "samples"),
           scenes = den_get_number(set, "scenes");
    (void)fprintf(stderr, "%s: %.0f noisy image%s, %.0f scene%s (%zu files, %.1f MB)\n",
                  den_get_text(set, "id"), samples, samples > 1 ? "s" : "", scenes,
                  scenes > 1 ? "s" : "", up.files, up.bytes / 1e6);
    done = den_str_copy(ret_id, DEN_DATA_ID, den_get_text(set, "id"));
out:
    json_decref(up.ids);
    json_decref(body);
    json_decref(set);
    return done;
}
