#ifndef DEN_TRAIN_CONFIG_H
#define DEN_TRAIN_CONFIG_H

/* Settings of a training job: ONE table of keys with type, range, meaning and a value per
 * preset. The API, the CLI help and the model's metadata all come from it. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define DEN_WORD 24 /* longest text value with its NUL */

struct den_train_config {
    int64_t iterations,
        epochs; /* epochs > 0 wins: iterations = epochs * ceil(samples / batch) */
    double decay_fraction; /* last part of the run with linearly falling learning rate */
    int64_t batch, crop;
    char net[DEN_WORD]; /* a row of den_nets[] that makes an image of an image */
    int64_t kernel;     /* of nets that have a choice */
    int64_t downs, ngf, ndf, d_layers;
    char norm_layer[DEN_WORD]; /* batch, instance */
    bool dropout;
    double lr, beta1, beta2;
    double lambda_gan, lambda_l1, lambda_ssim, lambda_tv; /* 0 switches a term off */
    double gan_start, gan_ramp; /* parts of the run: D begins; its weight rises */
    double d_lr;                /* learning rate of D over that of the generator */
    int64_t ssim_window;
    char gan_mode[DEN_WORD];
    int64_t d_steps;             /* plain steps of the discriminator per iteration */
    char diff_augment[DEN_WORD]; /* none, or a row of den_diff_augments[] */
    char contrastive[DEN_WORD];  /* none, or a row of den_contrastives[] */
    double contrastive_weight, contrastive_tau;
    bool contrastive_l2norm;
    char contrastive_head[DEN_WORD]; /* auto, fixed, trained */
    double pretrain_fraction;
    char normalisation[DEN_WORD], output[DEN_WORD]; /* output: linear, tanh */
    char winograd[DEN_WORD];                        /* auto, f22, off: as in backend.h */
    bool match_gain;     /* train on a * clean + b, least squares on the noisy image */
    bool augment;        /* flips and quarter turns beside the random crop */
    bool freeze_encoder; /* of a base model: its encoder stays as it is */
    double validation_fraction;
    int64_t validate_every;    /* iterations; 0 = 20 times per run */
    int64_t samples;           /* use only this many noisy images; 0 = all */
    char checkpoint[DEN_WORD]; /* which weights become the model: best, last */
};

enum den_key_type { DEN_KEY_INT, DEN_KEY_REAL, DEN_KEY_BOOL, DEN_KEY_WORD };

#define DEN_PRESETS 7
struct den_train_key {
    const char *name;
    enum den_key_type type;
    size_t offset; /* in struct den_train_config */
    double minimum, maximum;
    const char *words;               /* "a b c": allowed texts of a DEN_KEY_WORD */
    const char *preset[DEN_PRESETS]; /* in the order of den_presets[] */
    const char *doc;
};
struct den_preset {
    const char *name;
    const char *method; /* a name of den_methods[]: what it is made for */
    const char *doc;
};
extern const struct den_preset den_presets[DEN_PRESETS];
#define DEN_PRESET_DEFAULT "care_ssim" /* chosen by measurement, see docs/quality.md */
/* The default preset, if it is made for the method, or else the first that is; the
 * default one when there is none. */
const struct den_preset *den_preset_of_method(const char *method);
extern const struct den_train_key den_train_keys[]; /* ends with name NULL */

bool den_train_config_preset(const char *preset, struct den_train_config *ret,
                             struct den_err *err) DEN_CHECKED;
/* From text ("3", "0.5", "true", "linear"); the error names key, value and what is
 * allowed.  Setting iterations puts epochs to 0: of the two, the last one set counts. */
bool den_train_config_set(struct den_train_config *config, const char *key,
                          const char *value, struct den_err *err) DEN_CHECKED;
/* The value as text, into to[size >= 64]. */
void den_train_config_get(const struct den_train_config *config,
                          const struct den_train_key *key, char *to, size_t size);
/* Values against each other: crop a multiple of 2^downs and large enough for D, ... */
bool den_train_config_check(const struct den_train_config *config,
                            struct den_err *err) DEN_CHECKED;

#endif
