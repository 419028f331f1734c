#include "checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "fs.h"
#include "mem.h"
#include "rng.h"
#include "str.h"

#define FORMAT "denoised-checkpoint-2" /* 1 had no hash */

enum { KEPT = 3, HASH_SIZE = 2 * SHA256_DIGEST_SIZE + 1 };

/* ---- what the run is made of ----------------------------------------------------- */

static uint64_t mix_text(uint64_t hash, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        hash = den_hash64(hash, (unsigned char)text[i]);
    return den_hash64(hash, length);
}

static uint64_t mix_real(uint64_t hash, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return den_hash64(hash, bits);
}

/* Names, sizes and scenes of the images, which of them are used, and the normalisation,
 * which stands for the grey values. */
static uint64_t fingerprint(const struct den_dataset *dataset,
                            const struct den_train_images *images)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < den_dataset_size(dataset); i++) {
        const struct den_sample *s = den_dataset_at(dataset, i);
        hash = mix_text(hash, s->name);
        hash = den_hash64(hash, s->width);
        hash = den_hash64(hash, s->height);
        hash = den_hash64(hash, s->scene);
    }
    for (size_t i = 0; i < images->train_count; i++)
        hash = den_hash64(hash, images->train[i]);
    hash = mix_real(hash, images->norm.shift);
    hash = mix_real(hash, images->norm.scale);
    hash = mix_real(hash, images->lo);
    return mix_real(hash, images->hi);
}

struct identity {
    size_t count;
    struct den_meta entries[DEN_META_MAX];
};

static void identify(struct identity *identity, const char *prefix, const char *key,
                     const char *value)
{
    struct den_meta *entry = &identity->entries[identity->count++];
    den_str_format(entry->key, sizeof entry->key, "%s%s", prefix, key);
    den_str_copy(entry->value, sizeof entry->value, value);
}

static void make_identity(const struct den_train_job *job,
                          const struct den_train_images *images,
                          struct identity *identity)
{
    char text[64];
    identity->count = 0;
    identify(identity, "", "format", FORMAT);
    identify(identity, "", "method", job->method);
    den_str_format(text, sizeof text, "%" PRIu64, job->seed);
    identify(identity, "", "seed", text);
    den_str_format(text, sizeof text, "%016" PRIx64, fingerprint(job->dataset, images));
    identify(identity, "", "images", text);
    identify(identity, "", "base_model", job->base != NULL ? job->base : "");
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++) {
        den_train_config_get(&job->config, k, text, sizeof text);
        identify(identity, "config.", k->name, text);
    }
}

/* ---- state as text --------------------------------------------------------------- */

static bool put_number(struct den_tensor_writer *writer, const char *key, size_t value,
                       struct den_err *err)
{
    char text[32];
    den_str_format(text, sizeof text, "%zu", value);
    return den_tensor_writer_meta(writer, key, text, err);
}

static bool put_state(struct den_tensor_writer *writer, const struct den_train_job *job,
                      const struct den_checkpoint *state, struct den_err *err)
{
    char psnr[32], machine[sizeof state->machine];
    den_backend_machine(job->backend, den_pool_threads(job->pool), machine,
                        sizeof machine);
    den_str_format(psnr, sizeof psnr, "%.17g", state->best_psnr);
    return put_number(writer, "step", state->step, err) &&
           put_number(writer, "best_step", state->best_step, err) &&
           den_tensor_writer_meta(writer, "has_best", state->has_best ? "true" : "false",
                                  err) &&
           den_tensor_writer_meta(writer, "best_psnr", psnr, err) &&
           den_tensor_writer_meta(writer, "machine", machine, err);
}

static const char *text_of(const struct den_tensor_file *file, const char *key)
{
    const char *text = den_tensor_file_meta(file, key);
    return text != NULL ? text : "";
}

static bool get_state(const struct den_tensor_file *file, struct den_checkpoint *ret,
                      struct den_err *err)
{
    struct den_checkpoint state = {0};
    int64_t step, best_step;
    if (!den_parse_int(text_of(file, "step"), 0, INT64_MAX, &step, err) ||
        !den_parse_int(text_of(file, "best_step"), 0, step, &best_step, err) ||
        !den_parse_bool(text_of(file, "has_best"), &state.has_best, err) ||
        !den_parse_double(text_of(file, "best_psnr"), -1e300, 1e300, &state.best_psnr,
                          err))
        return false;
    state.step = (size_t)step;
    state.best_step = (size_t)best_step;
    (void)den_str_copy(state.machine, sizeof state.machine, text_of(file, "machine"));
    *ret = state;
    return true;
}

/* ---- the hash --------------------------------------------------------------------- */

/* A flipped bit in a weight is a number like any other: only a hash tells. */
static void hash_text(struct sha256_ctx *hash, const char *text)
{
    sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

static void hash_tensor(struct sha256_ctx *hash, const struct den_tensor *t)
{
    size_t each = t->type == DEN_TENSOR_F32 ? sizeof(float) : sizeof(int64_t);
    hash_text(hash, t->name);
    sha256_update(hash, t->count * each, t->data);
}

static void hash_end(struct sha256_ctx *hash, char *ret)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(hash, sizeof digest, digest);
    base16_encode_update(ret, sizeof digest, digest);
    ret[HASH_SIZE - 1] = '\0';
}

/* What put_state writes, in its own words. */
static void hash_state(struct sha256_ctx *hash, const struct den_checkpoint *state)
{
    char text[160];
    sha256_init(hash);
    (void)den_str_format(text, sizeof text, "%zu %zu %d %.17g", state->step,
                         state->best_step, state->has_best, state->best_psnr);
    hash_text(hash, text);
}

static void hash_written(const struct den_tensor_writer *writer,
                         const struct den_checkpoint *state, char *ret)
{
    struct sha256_ctx hash;
    const struct den_tensor *t;
    hash_state(&hash, state);
    for (size_t i = 0; (t = den_tensor_writer_at(writer, i)) != NULL; i++)
        hash_tensor(&hash, t);
    hash_end(&hash, ret);
}

static bool check_hash(const struct den_tensor_file *file,
                       const struct den_checkpoint *state, struct den_err *err)
{
    char have[HASH_SIZE];
    struct sha256_ctx hash;
    hash_state(&hash, state);
    for (size_t i = 0; i < den_tensor_file_size(file); i++) {
        hash_tensor(&hash, den_tensor_file_at(file, i));
        den_tensor_unload(file, den_tensor_file_at(file, i));
    }
    hash_end(&hash, have);
    return strcmp(have, text_of(file, "sha256")) == 0 ||
           den_err_set(err, DEN_E_UNPROCESSABLE,
                       "the checkpoint is damaged: it has another SHA-256 than was "
                       "written");
}

/* ---- three files ------------------------------------------------------------------ */

/* age 0 is the newest.  to[PATH_MAX] */
static bool name_of(const char *path, int age, char *to, struct den_err *err)
{
    if (age == 0 ? den_str_copy(to, PATH_MAX, path)
                 : den_str_format(to, PATH_MAX, "%s.%d", path, age))
        return true;
    return den_err_set(err, DEN_E_INVALID, "the name of the checkpoint is too long");
}

/* Older ones first, the new one last: whenever it ends in between, the newest of those
 * that are there is whole. */
static bool put_in_front(const char *path, const char *fresh, struct den_err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (int age = KEPT - 2; age >= 0; age--) {
        if (!name_of(path, age, from, err) || !name_of(path, age + 1, to, err))
            return false;
        if (rename(from, to) != 0 && errno != ENOENT)
            return den_err_sys(err, errno, "a checkpoint cannot be renamed");
        DEN_FAILPOINT("checkpoint_rotate");
    }
    return den_fs_rename_durable(fresh, path, err);
}

bool den_checkpoint_exists(const char *path)
{
    char name[PATH_MAX];
    for (int age = 0; age < KEPT; age++)
        if (name_of(path, age, name, NULL) && den_fs_exists(name))
            return true;
    return false;
}

bool den_checkpoint_remove(const char *path, struct den_err *err)
{
    char name[PATH_MAX];
    for (int age = KEPT - 1; age >= 0; age--)
        if (!name_of(path, age, name, err) || !den_fs_remove(name, err))
            return false;
    return true;
}

/* ---- save and load ---------------------------------------------------------------- */

bool den_checkpoint_save(const struct den_train_job *job,
                         const struct den_train_images *images,
                         const struct den_method *method, void *method_state,
                         struct den_params *best, const struct den_checkpoint *state,
                         struct den_err *err)
{
    bool ok = false;
    char fresh[PATH_MAX], sha256[HASH_SIZE];
    struct den_tensor_writer *writer = NULL;
    struct identity *identity = den_new(1, sizeof *identity, err);
    if (identity == NULL || !den_tensor_writer_new(&writer, err))
        goto out;
    if (!den_str_format(fresh, sizeof fresh, "%s.new", job->checkpoint_path)) {
        den_err_set(err, DEN_E_INVALID, "the name of the checkpoint is too long");
        goto out;
    }
    make_identity(job, images, identity);
    for (size_t i = 0; i < identity->count; i++)
        if (!den_tensor_writer_meta(writer, identity->entries[i].key,
                                    identity->entries[i].value, err))
            goto out;
    if (!put_state(writer, job, state, err) || !method->save(method_state, writer, err))
        goto out;
    if (state->has_best && !den_params_save(best, "best.", false, writer, err))
        goto out;
    hash_written(writer, state, sha256);
    if (!den_tensor_writer_meta(writer, "sha256", sha256, err) ||
        !den_tensor_writer_save(writer, fresh, err))
        goto out;
    DEN_FAILPOINT("checkpoint_written");
    if (!put_in_front(job->checkpoint_path, fresh, err))
        goto out;
    DEN_FAILPOINT("checkpoint_named");
    ok = true;
out:
    den_tensor_writer_free(writer);
    den_free(identity);
    return ok;
}

static bool check_identity(const struct den_tensor_file *file,
                           const struct identity *identity, struct den_err *err)
{
    for (size_t i = 0; i < identity->count; i++) {
        const struct den_meta *entry = &identity->entries[i];
        if (strcmp(text_of(file, entry->key), entry->value) != 0)
            return den_err_set(err, DEN_E_CONFLICT,
                               "the checkpoint belongs to another training: %s is not %s",
                               entry->key, entry->value);
    }
    return true;
}

/* One of the three, if it is whole and of this run. */
static bool open_one(const char *path, int age, const struct identity *identity,
                     struct den_tensor_file **ret, struct den_checkpoint *ret_state,
                     struct den_err *err)
{
    char name[PATH_MAX];
    struct den_tensor_file *file = NULL;
    if (!name_of(path, age, name, err) ||
        !den_tensor_file_open(name, DEN_CHECKPOINT_MAX, &file, err))
        return false;
    if (!check_identity(file, identity, err) || !get_state(file, ret_state, err) ||
        !check_hash(file, ret_state, err)) {
        den_tensor_file_free(file);
        return false;
    }
    *ret = file;
    return true;
}

bool den_checkpoint_load(const struct den_train_job *job,
                         const struct den_train_images *images,
                         const struct den_method *method, void *method_state,
                         struct den_params *best, struct den_checkpoint *ret,
                         struct den_err *err)
{
    bool ok = false;
    struct den_tensor_file *file = NULL;
    struct den_checkpoint state = {0};
    struct identity *identity = den_new(1, sizeof *identity, err);
    if (identity == NULL)
        goto out;
    make_identity(job, images, identity);
    /* The first error is kept, which is that of the newest. */
    struct den_err why = DEN_ERR_INIT;
    for (int age = 0; file == NULL && age < KEPT; age++)
        (void)open_one(job->checkpoint_path, age, identity, &file, &state, &why);
    if (file == NULL) {
        den_err_set(err, why.code, "%s", why.text);
        goto out;
    }
    if (!method->load(method_state, file, err))
        goto out;
    if (state.has_best && best == NULL) {
        den_err_set(err, DEN_E_CONFLICT, "the checkpoint has a validation, the run not");
        goto out;
    }
    if (state.has_best && !den_params_load(best, "best.", false, file, err))
        goto out;
    *ret = state;
    ok = true;
out:
    den_tensor_file_free(file);
    den_free(identity);
    return ok;
}
