#include "experiment_grids.h"

#include <string.h>

#include "str.h"

/* The rows of Table I of the paper, which differ in the terms of the loss, and the
 * controls that it lacks: without a discriminator; with as many steps of the
 * discriminator as the contrastive term takes; with augmentation in its place.  Every
 * cell has equally many steps and ends with its last weights: to choose on validation
 * images would favour rows that scatter.  Sample counts that a data set does not have are
 * left out. */
#define TABLE1                                                                      \
    "{\"preset\": \"cpu_gan\","                                                     \
    " \"common\": {\"iterations\": 2000, \"checkpoint\": \"last\"},"                \
    " \"rows\": ["                                                                  \
    "  {\"name\": \"baseline\", \"set\": {\"lambda_ssim\": 0, \"lambda_tv\": 0}},"  \
    "  {\"name\": \"TV\", \"set\": {\"lambda_ssim\": 0}},"                          \
    "  {\"name\": \"SSIM\", \"set\": {\"lambda_tv\": 0}},"                          \
    "  {\"name\": \"CL\", \"set\": {\"lambda_ssim\": 0, \"lambda_tv\": 0,"          \
    "    \"contrastive\": \"disc-infonce\"}},"                                      \
    "  {\"name\": \"CL+TV+SSIM\", \"set\": {\"contrastive\": \"disc-infonce\"}},"   \
    "  {\"name\": \"L1 only\", \"set\": {\"lambda_gan\": 0, \"lambda_ssim\": 0,"    \
    "    \"lambda_tv\": 0}},"                                                       \
    "  {\"name\": \"two D steps\", \"set\": {\"lambda_ssim\": 0, \"lambda_tv\": 0," \
    "    \"d_steps\": 2}},"                                                         \
    "  {\"name\": \"DiffAugment\", \"set\": {\"lambda_ssim\": 0, \"lambda_tv\": 0," \
    "    \"diff_augment\": \"translation-cutout\"}}],"                              \
    " \"samples\": [0, 32, 16, 8], \"fit_samples\": true,"                          \
    " \"seeds\": [1, 2, 3]}"

#define SAMPLES                                                      \
    "{\"preset\": \"cpu\","                                          \
    " \"common\": {\"iterations\": 2000, \"checkpoint\": \"last\"}," \
    " \"rows\": [{\"name\": \"cpu\"}],"                              \
    " \"samples\": [0, 32, 16, 8, 4, 2, 1], \"fit_samples\": true,"  \
    " \"seeds\": [1, 2, 3]}"

const struct den_ready_grid den_ready_grids[] = {
    {"table1", "which terms of the loss help, with the controls that the paper lacks",
     TABLE1},
    {"samples", "how many images are needed: 1 to 32 and all", SAMPLES},
    {NULL, NULL, NULL},
};

bool den_ready_grid_get(const char *name, json_t **ret, struct den_err *err)
{
    char names[100] = "";
    for (const struct den_ready_grid *g = den_ready_grids; g->name != NULL; g++) {
        size_t used = strlen(names);
        (void)den_str_format(names + used, sizeof names - used, " %s", g->name);
        if (strcmp(g->name, name) != 0)
            continue;
        *ret = json_loads(g->json, JSON_REJECT_DUPLICATES, NULL);
        return *ret != NULL ||
               den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    }
    return den_err_set(err, DEN_E_INVALID, "there is no grid '%.40s'; there are:%s", name,
                       names);
}
