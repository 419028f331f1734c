#ifndef DEN_STEP_CGAN_H
#define DEN_STEP_CGAN_H

#include "trainer.h"

extern const struct den_method den_method_cgan, den_method_mid3a, den_method_care;

#endif
