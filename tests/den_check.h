#ifndef DEN_CHECK_H
#define DEN_CHECK_H

/* What every Check test of this project shares: a main, error-aware asserts, test data.
 */

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "err.h"

/* Runs the suite; the exit status of main. */
static inline int den_check_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* `call` has a `struct den_err err` in scope and must succeed. */
#define must(call) ck_assert_msg((call), "%s: %s", #call, err.text)

/* `call` must fail with this code and say something that holds `words`. */
#define must_fail(call, want_code, words)                                             \
    do {                                                                              \
        err = DEN_ERR_INIT;                                                           \
        ck_assert_msg(!(call), "%s succeeded", #call);                                \
        ck_assert_msg(err.code == (want_code), "%s: code %s: %s", #call,              \
                      den_code_name(err.code), err.text);                             \
        ck_assert_msg(strstr(err.text, (words)) != NULL, "'%s' lacks '%s'", err.text, \
                      (words));                                                       \
        err = DEN_ERR_INIT;                                                           \
    } while (0)

/* |got - want| <= tolerance * max(1, |want|). */
#define close_to(got, want, tolerance)                                          \
    do {                                                                        \
        double got_ = (got), want_ = (want);                                    \
        double size_ = want_ < 0 ? -want_ : want_;                              \
        double gap_ = got_ > want_ ? got_ - want_ : want_ - got_;               \
        ck_assert_msg(gap_ <= (tolerance) * (size_ > 1 ? size_ : 1),            \
                      "%s = %.12g, want %.12g (%s)", #got, got_, want_, #want); \
    } while (0)

/* Real images lie outside the repository; a test that needs them says when it is skipped.
 */
static inline const char *den_test_data(void)
{
    const char *root = getenv("DENOISED_TEST_DATA");
    if (root == NULL)
        root = "../shared/data";
    return access(root, R_OK) == 0 ? root : NULL;
}

#define need_test_data(root)                                                        \
    const char *root = den_test_data();                                             \
    if ((root) == NULL) {                                                           \
        printf("skipped: %s (no test images; set DENOISED_TEST_DATA)\n", __func__); \
        return;                                                                     \
    }

/* `make test-full` asks for the long form of a test that has two. */
static inline bool test_full(void)
{
    const char *full = getenv("DENOISED_TEST_FULL");
    return full != NULL && full[0] == '1';
}

/* Under sanitizers (DENOISED_TEST_SLOW=0) everything is slower and larger. */
static inline bool test_sanitized(void)
{
    const char *slow = getenv("DENOISED_TEST_SLOW");
    return slow != NULL && slow[0] == '0';
}

/* Slow tests are left out then. */
#define need_slow()                                                   \
    do {                                                              \
        if (test_sanitized()) {                                       \
            printf("skipped: %s (DENOISED_TEST_SLOW=0)\n", __func__); \
            return;                                                   \
        }                                                             \
    } while (0)

#endif
