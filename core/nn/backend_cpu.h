#ifndef DEN_BACKEND_CPU_H
#define DEN_BACKEND_CPU_H

/* Private to the files of backend_cpu.  Include it FIRST: its pragma must come before any
 * function.  It allows a * b + c to become one instruction, which ISO C forbids by
 * default; unlike -ffast-math it changes nothing for infinities and NaN.     */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#define DEN_IVDEP _Pragma("GCC ivdep")
#else
#define DEN_IVDEP
#endif

#include "backend.h"

/* Loops compiled once per instruction set, chosen when the program is loaded.  Not under
 * sanitizers: the choice runs before they are ready. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define DEN_CLONES \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DEN_CLONES
#endif

enum { DEN_CPU_ALONE = 32768 }; /* below so many elements other threads are not woken */

size_t den_cpu_conv_scratch(struct den_conv_geom g, struct den_shape x,
                            struct den_shape y, int threads);
void den_cpu_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                          const struct den_view *x, const den_real *w,
                          const den_real *bias, const struct den_view *y);
void den_cpu_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                const struct den_view *dy, const den_real *w,
                                const den_real *bias, const struct den_view *dx,
                                bool add);
void den_cpu_conv_backward_weights(const struct den_exec *ex, struct den_conv_geom g,
                                   const struct den_view *x, const struct den_view *dy,
                                   den_real *dw);
size_t den_cpu_conv_packed(enum den_winograd winograd, struct den_conv_geom g,
                           struct den_shape x, struct den_shape y, bool transposed,
                           int threads, size_t *ret_scratch);
void den_cpu_conv_pack(const struct den_exec *ex, struct den_conv_geom g,
                       const struct den_view *x, const struct den_view *y,
                       bool transposed, const den_real *w, den_real *to);
/* Backward_weights by plain sums, and its scratch. */
void den_cpu_direct_weights(const struct den_exec *ex, struct den_conv_geom g,
                            const struct den_view *x, const struct den_view *dy,
                            den_real *dw);
size_t den_cpu_direct_weights_scratch(struct den_conv_geom g, struct den_shape x,
                                      struct den_shape y);

void den_cpu_channel_sum(const struct den_exec *ex, const struct den_view *dy,
                         den_real *db);
void den_cpu_moments(const struct den_exec *ex, const struct den_view *x, bool per_image,
                     den_real *mean, den_real *var);
void den_cpu_norm_forward(const struct den_exec *ex, const struct den_view *x,
                          bool per_image, const den_real *mean, const den_real *var,
                          const den_real *gamma, const den_real *beta, double eps,
                          const struct den_view *y);
void den_cpu_norm_backward(const struct den_exec *ex, const struct den_view *x,
                           bool per_image, const den_real *mean, const den_real *var,
                           const den_real *gamma, double eps, const struct den_view *dy,
                           const struct den_view *dx, bool add, den_real *dgamma,
                           den_real *dbeta);

void den_cpu_max_pool_forward(const struct den_exec *ex, const struct den_view *x,
                              const struct den_view *y);
void den_cpu_max_pool_backward(const struct den_exec *ex, const struct den_view *x,
                               const struct den_view *dy, const struct den_view *dx,
                               bool add);
void den_cpu_upsample_forward(const struct den_exec *ex, const struct den_view *x,
                              const struct den_view *y);
void den_cpu_upsample_backward(const struct den_exec *ex, const struct den_view *dy,
                               const struct den_view *dx, bool add);

#endif
