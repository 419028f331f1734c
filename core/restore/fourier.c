#include "fourier.h"

#include <fftw3.h>
#include <limits.h>
#include <pthread.h>

/* FFTW's planner has state of its own, and only fftw_execute may run in two threads. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

/* ESTIMATE measures nothing: the same image takes the same way every time, and data are
 * left alone. */
static fftw_plan make_plan(size_t width, size_t height, double *data)
{
    pthread_mutex_lock(&planner);
    fftw_plan plan = fftw_plan_dft_r2c_2d((int)height, (int)width, data,
                                          (fftw_complex *)data, FFTW_ESTIMATE);
    pthread_mutex_unlock(&planner);
    return plan;
}

static void drop_plan(fftw_plan plan)
{
    pthread_mutex_lock(&planner);
    fftw_destroy_plan(plan);
    pthread_mutex_unlock(&planner);
}

bool den_fourier_image(size_t width, size_t height, double *data, struct den_err *err)
{
    if (width > INT_MAX || height > INT_MAX)
        return den_err_set(err, DEN_E_TOO_LARGE,
                           "an image of %zu x %zu is too large for a Fourier transform",
                           width, height);
    fftw_plan plan = make_plan(width, height, data);
    if (plan == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "not enough memory for a Fourier transform");
    fftw_execute(plan);
    drop_plan(plan);
    return true;
}
