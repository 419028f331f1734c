/* denoise promote: a model becomes the champion if the numbers hold. */

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "follow.h"
#include "gate.h"
#include "http_client.h"
#include "json_get.h"
#include "str.h"

static const struct den_option options[] = {
    {"golden", 0, DEN_OPTION_VALUE, "DATASET",
     "the data set to judge on, which nothing was trained on"},
    {"if", 0, DEN_OPTION_REPEAT, "RULE",
     "what must hold, as 'psnr >= champion + 0.1'; may be given again: all must"},
    {"alias", 0, DEN_OPTION_VALUE, "NAME", "what it becomes (default: champion)"},
    {"seed", 0, DEN_OPTION_VALUE, "N", "of the intervals (default 1)"},
    {"junit", 0, DEN_OPTION_VALUE, "FILE", "write the verdicts as JUnit XML"},
    {"markdown", 0, DEN_OPTION_VALUE, "FILE", "write a report as Markdown"},
    {"dry-run", 'n', DEN_OPTION_FLAG, NULL, "judge, but change nothing"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* ---- which models -------------------------------------------------------------------
 */

static bool fill(struct den_gate_model *to, const char *name, const json_t *model,
                 struct den_err *err)
{
    to->version = json_integer_value(json_object_get(model, "version"));
    if (to->version > 0 &&
        den_str_format(to->name, sizeof to->name, "%s@%lld", name,
                       (long long)to->version) &&
        den_str_copy(to->sha256, sizeof to->sha256, den_get_text(model, "sha256")) &&
        den_str_copy(to->dataset, sizeof to->dataset, den_get_text(model, "dataset")))
        return true;
    return den_err_set(err, DEN_E_IO, "what the server says of %.60s is no model", name);
}

static bool get_version(struct den_cli *cli, const char *name, int64_t version,
                        struct den_gate_model *to, struct den_err *err)
{
    char path[256], rest[40];
    json_t *model = NULL;
    (void)den_str_format(rest, sizeof rest, "/versions/%lld", (long long)version);
    bool done = den_client_path(path, sizeof path, "/v1/models", name, rest, err) &&
                den_client_get(cli, path, &model, err) && fill(to, name, model, err);
    json_decref(model);
    return done;
}

static bool get_newest(struct den_cli *cli, const char *name, struct den_gate_model *to,
                       struct den_err *err)
{
    char path[256];
    json_t *list = NULL;
    bool done = den_client_path(path, sizeof path, "/v1/models", name, "", err) &&
                den_client_get(cli, path, &list, err) &&
                fill(to, name, json_array_get(json_object_get(list, "models"), 0), err);
    json_decref(list);
    return done;
}

/* *ret stays 0 when the alias does not exist. */
static bool get_alias(struct den_cli *cli, const char *name, const char *alias,
                      int64_t *ret, struct den_err *err)
{
    char path[256], rest[100];
    json_t *answer = NULL;
    struct den_err cause = DEN_ERR_INIT;
    if (!den_str_format(rest, sizeof rest, "/aliases/%s", alias) ||
        alias[strspn(alias, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                            "0123456789._-")] != '\0')
        return den_err_set(err, DEN_E_INVALID, "--alias '%.60s' is no name of an alias",
                           alias);
    if (!den_client_path(path, sizeof path, "/v1/models", name, rest, err))
        return false;
    if (den_client_get(cli, path, &answer, &cause)) {
        *ret = json_integer_value(json_object_get(answer, "version"));
        json_decref(answer);
        return true;
    }
    if (cli->status == 404 && cause.code == DEN_E_NOT_FOUND) {
        cli->failure = DEN_EXIT_USAGE; /* what comes is not about this any more */
        cli->note[0] = '\0';
        return true;
    }
    *err = cause;
    return false;
}

/* "nuclei" is its newest version, "nuclei@3" that one. */
static bool find_models(struct den_cli *cli, const char *word, char *name, size_t size,
                        struct den_gate *gate, struct den_err *err)
{
    const char *at = strchr(word, '@');
    int64_t version = 0, champion = 0;
    if (!den_str_format(name, size, "%.*s", (int)strcspn(word, "@"), word) ||
        (at != NULL && !den_parse_int(at + 1, 1, INT32_MAX, &version, NULL)))
        return den_err_set(err, DEN_E_INVALID, "'%.80s' is neither NAME nor NAME@VERSION",
                           word);
    gate->model = name;
    if (!(version > 0 ? get_version(cli, name, version, &gate->candidate, err)
                      : get_newest(cli, name, &gate->candidate, err)) ||
        !get_alias(cli, name, gate->alias, &champion, err))
        return false;
    return champion == 0 || get_version(cli, name, champion, &gate->champion, err);
}

/* ---- the data set -------------------------------------------------------------------
 */

static bool get_dataset(struct den_cli *cli, const char *id, json_t **ret,
                        struct den_err *err)
{
    char path[256];
    return den_client_path(path, sizeof path, "/v1/datasets", id, "", err) &&
           den_client_get(cli, path, ret, err);
}

static size_t add_ids(const json_t *dataset, json_t *seen, bool count)
{
    size_t i, known = 0;
    json_t *one;
    json_array_foreach(json_object_get(dataset, "images"), i, one)
    {
        known += json_object_get(seen, json_string_value(one)) != NULL;
        if (!count)
            (void)json_object_set_new(seen, json_string_value(one), json_true());
    }
    json_array_foreach(json_object_get(dataset, "pairs"), i, one)
    {
        const char *noisy = den_get_text(one, "noisy");
        known += json_object_get(seen, noisy) != NULL;
        if (!count)
            (void)json_object_set_new(seen, noisy, json_true());
    }
    return known;
}

/* Who judges on what was trained on promotes what has learnt by heart. */
static bool is_unseen(struct den_cli *cli, const struct den_gate *gate,
                      struct den_err *err)
{
    json_t *golden = NULL, *trained = NULL, *seen = json_object();
    struct den_err cause = DEN_ERR_INIT;
    bool done = get_dataset(cli, gate->golden, &golden, err);
    if (done && get_dataset(cli, gate->candidate.dataset, &trained, &cause)) {
        (void)add_ids(trained, seen, false);
        size_t known = add_ids(golden, seen, true);
        if (known > 0)
            done = den_err_set(err, DEN_E_INVALID,
                               "%s was trained on %zu of the images of %s; judge it on "
                               "others",
                               gate->candidate.name, known, gate->golden);
    } else if (done && cli->status != 404) { /* a removed data set tells nothing */
        *err = cause;
        done = false;
    }
    json_decref(golden);
    json_decref(trained);
    json_decref(seen);
    return done;
}

/* ---- the outcome --------------------------------------------------------------------
 */

/* Only if nobody has promoted another meanwhile. */
static bool set_alias(struct den_cli *cli, struct den_gate *gate, struct den_err *err)
{
    char path[256], rest[100];
    json_t *answer = NULL;
    (void)den_str_format(rest, sizeof rest, "/aliases/%s", gate->alias);
    if (!den_client_path(path, sizeof path, "/v1/models", gate->model, rest, err) ||
        !den_client_put(cli, path,
                        json_pack("{sI sI}", "version",
                                  (json_int_t)gate->candidate.version, "if_version",
                                  (json_int_t)gate->champion.version),
                        &answer, err))
        return false;
    json_decref(answer);
    gate->promoted = true;
    return true;
}

static bool write_markdown(const struct den_gate *gate, const char *path,
                           struct den_err *err)
{
    FILE *to = fopen(path, "we");
    if (to == NULL)
        return den_err_sys(err, errno, "%.160s cannot be written", path);
    den_gate_print_markdown(gate, to);
    bool done = ferror(to) == 0;
    if (fclose(to) != 0 || !done)
        return den_err_set(err, DEN_E_IO, "%.160s cannot be written", path);
    return true;
}

static bool tell(struct den_cli *cli, const struct den_args *args,
                 const struct den_gate *gate, struct den_err *err)
{
    const char *junit = den_args_text(args, "junit"),
               *markdown = den_args_text(args, "markdown");
    if (cli->json) {
        json_t *all = den_gate_json(gate);
        den_print_json(all);
        json_decref(all);
    } else if (gate->count > 0) {
        den_gate_print(gate, stdout);
    } else {
        (void)printf("%s@%s is %s\n", gate->model, gate->alias, gate->candidate.name);
    }
    return (markdown == NULL || write_markdown(gate, markdown, err)) &&
           (junit == NULL || den_gate_write_junit(gate, junit, err));
}

static bool read_rules(const struct den_args *args, struct den_gate *gate,
                       struct den_err *err)
{
    const char *text;
    for (size_t i = 0; (text = den_args_at(args, "if", i)) != NULL; i++) {
        if (i == DEN_GATE_RULES)
            return den_err_set(err, DEN_E_INVALID, "--if is given more than %d times",
                               DEN_GATE_RULES);
        if (!den_gate_rule_read(text, &gate->rules[i], err))
            return false;
        gate->count = i + 1;
    }
    if ((gate->count > 0) != (gate->golden != NULL))
        return den_err_set(err, DEN_E_INVALID,
                           "--if and --golden go together: what must hold, and on which "
                           "data set");
    return true;
}

static bool judge(struct den_cli *cli, struct den_gate *gate, struct den_err *err)
{
    if (gate->count == 0)
        return true;
    return is_unseen(cli, gate, err) && den_gate_evaluate(cli, gate, err) &&
           den_gate_decide(gate, err);
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct den_gate gate = {.alias = "champion", .golden = den_args_text(args, "golden")};
    char name[80];
    int64_t seed = 1;
    double begun = den_monotonic_s();
    bool done = false;
    if (den_args_has(args, "alias"))
        gate.alias = den_args_text(args, "alias");
    if (!den_args_int(args, "seed", 0, INT64_MAX, &seed, err) ||
        !read_rules(args, &gate, err) ||
        !find_models(cli, args->words[0], name, sizeof name, &gate, err))
        goto out;
    gate.seed = (uint64_t)seed;
    if (gate.champion.version == gate.candidate.version) {
        (void)fprintf(stderr, "%s is %s@%s already\n", gate.candidate.name, name,
                      gate.alias);
        gate.promoted = true;
        gate.count = 0;
        done = tell(cli, args, &gate, err);
        goto out;
    }
    done = judge(cli, &gate, err) && (gate.failed > 0 || den_args_has(args, "dry-run") ||
                                      set_alias(cli, &gate, err));
    gate.seconds = den_monotonic_s() - begun;
    done = done && tell(cli, args, &gate, err);
    if (done && gate.failed > 0) {
        cli->failure = DEN_EXIT_GATE;
        done = den_err_set(err, DEN_E_CONFLICT,
                           "%s is not promoted: %zu of %zu rules do not hold",
                           gate.candidate.name, gate.failed, gate.count);
    }
out:
    den_gate_release(&gate);
    return done;
}

const struct den_command den_cmd_promote = {
    "promote",
    "MODEL[@VERSION] [--golden DATASET --if RULE...] [--alias NAME]",
    "Make a model the champion, if the numbers hold",
    "Jobs that say MODEL@champion then use it.  A rule is METRIC >= NUMBER or METRIC >=\n"
    "champion [+|- NUMBER] (also > <= <).  Both models are evaluated on the golden data\n"
    "set; of the differences image by image, the 95 % interval of the mean is found by\n"
    "resampling, and the end of it that speaks against the candidate decides (for >= "
    "the\n"
    "lower one).  Where there is no champion yet, rules about it hold.  Exit status 3: "
    "a\n"
    "rule does not hold, and nothing was changed.\n"
    "  denoise promote nuclei --golden set_01J... --if 'psnr >= champion + 0.1' \\\n"
    "      --if 'ssim >= 0.9' --junit gate.xml --markdown gate.md\n",
    options,
    1,
    1,
    run,
};
