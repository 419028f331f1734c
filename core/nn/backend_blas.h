#ifndef DEN_BACKEND_BLAS_H
#define DEN_BACKEND_BLAS_H

/* Private to backend_blas and backend_cpu: convolutions as products of unfolded panels
 * (im2col) with OpenBLAS, which stays on one thread; the threads are those of the pool.
 * Contracts as in struct den_backend.  Results depend on shapes alone, never on the
 * number of threads. */

#include "backend.h"

/* Tells OpenBLAS, once, to start no threads of its own.  Before the first kernel. */
void den_blas_init(void);

/* As den_backend_cpu's, after den_blas_init. */
bool den_blas_alloc(size_t count, den_real **ret, struct den_err *err);

size_t den_blas_conv_scratch(struct den_conv_geom g, struct den_shape x,
                             struct den_shape y, int threads);
void den_blas_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                           const struct den_view *x, const den_real *w,
                           const den_real *bias, const struct den_view *y);
void den_blas_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                 const struct den_view *dy, const den_real *w,
                                 const den_real *bias, const struct den_view *dx,
                                 bool add);
void den_blas_conv_backward_weights(const struct den_exec *ex, struct den_conv_geom g,
                                    const struct den_view *x, const struct den_view *dy,
                                    den_real *dw);

#endif
