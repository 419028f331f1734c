#include "loss.h"

double den_linear_decay(size_t step, size_t constant, size_t decay)
{
    if (step <= constant)
        return 1;
    double factor = 1 - (double)(step - constant) / ((double)decay + 1);
    return factor > 0 ? factor : 0;
}
