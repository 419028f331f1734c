#include "contrast.h"

#include <string.h>

const struct den_contrastive *const den_contrastives[] = {
    &den_contrast_disc_infonce, &den_contrast_disc_ntxent, &den_contrast_enc_ntxent,
    &den_contrast_enc_pretrain, &den_contrast_patchnce,    NULL,
};

const struct den_contrastive *den_contrastive_find(const char *name)
{
    for (size_t i = 0; den_contrastives[i] != NULL; i++)
        if (strcmp(den_contrastives[i]->name, name) == 0)
            return den_contrastives[i];
    return NULL;
}

bool den_contrastive_check(const struct den_train_config *config, struct den_err *err)
{
    const struct den_contrastive *row = den_contrastive_find(config->contrastive);
    if (row == NULL)
        return true;
    if (row->on_discriminator && config->lambda_gan <= 0)
        return den_err_field(err, DEN_E_INVALID, "contrastive",
                             "contrastive %s works on the discriminator, so lambda_gan "
                             "must be above 0",
                             row->name);
    if (!row->on_discriminator && config->freeze_encoder)
        return den_err_field(err, DEN_E_INVALID, "contrastive",
                             "contrastive %s trains the encoder, which freeze_encoder "
                             "keeps as it is",
                             row->name);
    return row->check == NULL || row->check(config, err);
}
