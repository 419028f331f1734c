/* Model files: metadata that say a net, and its weights. */

#include "fuzz.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct den_model *model = NULL;
    struct den_err err = DEN_ERR_INIT;
    den_mem_set_limit(FUZZ_MEMORY);
    if (size == 0)
        return 0;
    if (den_model_load(den_backend_default(), fuzz_file(0, data, size), &model, &err))
        promise(model->net != NULL && model->norm.scale > 0.0);
    else
        promise(err.code != DEN_OK && err.text[0] != '\0');
    den_model_free(model);
    return 0;
}
