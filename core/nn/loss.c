#include "loss.h"

#include <string.h>

#include "loss_rows.h"

const struct den_pixel_loss *const den_losses[] = {&den_loss_l1, &den_loss_dssim,
                                                   &den_loss_tv, NULL};

const struct den_gan_mode *const den_gan_modes[] = {&den_gan_vanilla, &den_gan_lsgan,
                                                    NULL};

const struct den_pixel_loss *den_loss_find(const char *name)
{
    for (size_t i = 0; den_losses[i] != NULL; i++)
        if (strcmp(den_losses[i]->name, name) == 0)
            return den_losses[i];
    return NULL;
}

const struct den_gan_mode *den_gan_find(const char *name)
{
    for (size_t i = 0; den_gan_modes[i] != NULL; i++)
        if (strcmp(den_gan_modes[i]->name, name) == 0)
            return den_gan_modes[i];
    return NULL;
}
