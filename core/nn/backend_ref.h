#ifndef DEN_BACKEND_REF_H
#define DEN_BACKEND_REF_H

/* Private to the files of backend_ref: the convolutions, kept apart from the rest.  They
 * test every coordinate instead of trusting the halo, so they also check that nobody
 * needs more than it.     */

#include "backend.h"

size_t den_ref_conv_scratch(struct den_conv_geom g, struct den_shape x,
                            struct den_shape y, int threads);
void den_ref_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                          const struct den_view *x, const den_real *w,
                          const den_real *bias, const struct den_view *y);
void den_ref_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                const struct den_view *dy, const den_real *w,
                                const den_real *bias, const struct den_view *dx,
                                bool add);
void den_ref_conv_backward_weights(const struct den_exec *ex, struct den_conv_geom g,
                                   const struct den_view *x, const struct den_view *dy,
                                   den_real *dw);

#endif
