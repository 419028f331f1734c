/* Counted memory. */

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "den_check.h"
#include "mem.h"

static bool is_zero(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

START_TEST(memory_is_zeroed_and_counted)
{
    ck_assert_uint_eq(den_mem_live(), 0);
    char *dirty = den_calloc(1000, 3);
    memset(dirty, 0xff, 3000);
    den_free(dirty);
    char *block = den_calloc(1000, 3);
    ck_assert(is_zero(block, 3000));
    ck_assert_uint_ge(den_mem_live(), 3000);
    ck_assert_uint_lt(den_mem_live(), 3200);
    den_free(block);
    ck_assert_uint_eq(den_mem_live(), 0);
    ck_assert_uint_ge(den_mem_peak(), 3000);
    den_mem_reset_peak();
    ck_assert_uint_eq(den_mem_peak(), 0);
    den_free(NULL);
}
END_TEST

START_TEST(vector_memory_is_aligned_and_zeroed)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *dirty = den_calloc64(sizes[i] + 1, 1);
        memset(dirty, 0xff, sizes[i] + 1);
        den_free(dirty);
        char *block = den_calloc64(sizes[i], 1);
        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq((uintptr_t)block % 64, 0);
        ck_assert(is_zero(block, sizes[i]));
        den_free(block);
    }
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(nothing_is_a_valid_pointer)
{
    void *block = den_calloc(0, 8), *vector = den_calloc64(8, 0);
    ck_assert_ptr_nonnull(block);
    ck_assert_ptr_nonnull(vector);
    block = den_realloc(block, 0, 1);
    ck_assert_ptr_nonnull(block);
    den_free(block);
    den_free(vector);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

static const struct {
    size_t count, size;
} huge_cases[] = {
    {SIZE_MAX, 2}, {SIZE_MAX / 2 + 1, 2}, {(size_t)1 << 32, (size_t)1 << 32},
    {SIZE_MAX, 1}, {SIZE_MAX / 2, 1},     {SIZE_MAX - 62, 1},
};

START_TEST(a_product_that_overflows_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    size_t count = huge_cases[_i].count, size = huge_cases[_i].size;
    ck_assert_ptr_null(den_calloc(count, size));
    ck_assert_ptr_null(den_calloc64(count, size));
    ck_assert_ptr_null(den_new(count, size, &err));
    ck_assert_int_eq(err.code, DEN_E_NO_MEMORY);
    char *block = den_strdup("kept");
    ck_assert_ptr_null(den_realloc(block, count, size));
    ck_assert_str_eq(block, "kept");
    den_free(block);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(a_product_is_computed_or_refused)
{
    size_t got = 5;
    ck_assert(den_mul_size(6, 7, &got));
    ck_assert_uint_eq(got, 42);
    ck_assert(den_mul_size(SIZE_MAX, 1, &got));
    ck_assert_uint_eq(got, SIZE_MAX);
    ck_assert(den_mul_size(SIZE_MAX, 0, &got));
    ck_assert_uint_eq(got, 0);
    ck_assert(!den_mul_size(SIZE_MAX / 2 + 1, 2, &got));
    ck_assert_uint_eq(got, 0);
}
END_TEST

START_TEST(a_block_keeps_its_content_as_it_grows_and_shrinks)
{
    char *block = NULL;
    for (size_t n = 1; n < 100000; n *= 3) {
        block = den_realloc(block, n, 1);
        block[n - 1] = (char)('a' + n % 7);
        ck_assert_uint_ge(den_mem_live(), n);
        ck_assert_int_eq(block[0], 'a' + 1);
    }
    block = den_realloc(block, 10, 1);
    ck_assert_uint_lt(den_mem_live(), 100);
    ck_assert_int_eq(block[8], 'a' + 9 % 7);
    den_free(block);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(the_limit_holds_and_is_reported)
{
    struct den_err err = DEN_ERR_INIT;
    den_mem_set_limit(10000);
    char *block = den_new(6000, 1, &err);
    ck_assert_ptr_nonnull(block);
    ck_assert_ptr_null(den_new(6000, 1, &err));
    ck_assert_int_eq(err.code, DEN_E_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.text, "6000 bytes"));
    ck_assert_ptr_null(den_calloc64(6000, 1));
    ck_assert_ptr_null(den_realloc(block, 20000, 1));
    ck_assert_uint_le(den_mem_peak(), 10000);
    block = den_realloc(block, 9000, 1);
    ck_assert_ptr_nonnull(block);
    den_free(block);
    ck_assert_uint_eq(den_mem_live(), 0);
    den_mem_set_limit(0);
    block = den_calloc(20000, 1);
    ck_assert_ptr_nonnull(block);
    den_free(block);
}
END_TEST

START_TEST(a_refusal_by_the_system_is_not_counted)
{
    need_slow(); /* sanitizers end the program where malloc would return NULL */
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = 1 << 28;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    char *block = den_strdup("kept");
    size_t before = den_mem_live();
    ck_assert_ptr_null(den_calloc(1 << 29, 1));
    ck_assert_ptr_null(den_calloc64(1 << 29, 1));
    ck_assert_ptr_null(den_realloc(block, 1 << 29, 1));
    ck_assert_str_eq(block, "kept");
    ck_assert_uint_eq(den_mem_live(), before);
    den_free(block);
}
END_TEST

START_TEST(the_nth_allocation_fails_once)
{
    struct den_err err = DEN_ERR_INIT;
    den_mem_fail_at(3);
    char *a = den_calloc(1, 1), *b = den_strdup("b");
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_null(den_new(7, 3, &err));
    ck_assert_int_eq(err.code, DEN_E_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.text, "21 bytes"));
    char *c = den_calloc64(1, 1);
    ck_assert_ptr_nonnull(c);
    den_mem_fail_at(1);
    ck_assert_ptr_null(den_realloc(b, 100, 1));
    ck_assert_str_eq(b, "b");
    den_mem_fail_at(1);
    den_mem_fail_at(0);
    b = den_realloc(b, 100, 1);
    ck_assert_ptr_nonnull(b);
    den_free(a);
    den_free(b);
    den_free(c);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

enum { THREADS = 4, ROUNDS = 2000, BLOCKS = 8, LIMIT = 100000 };

static void *churn(void *seed)
{
    unsigned state = *(unsigned *)seed;
    void *blocks[BLOCKS] = {NULL};
    for (int i = 0; i < ROUNDS; i++) {
        state = state * 1103515245u + 12345u;
        void **block = &blocks[state >> 16 & (BLOCKS - 1)];
        size_t size = state >> 8 & 0x1fff;
        void *fresh = den_realloc(*block, size, 1);
        if (fresh != NULL)
            *block = fresh;
        if (i % 3 == 0) {
            den_free(*block);
            *block = NULL;
        }
    }
    for (int i = 0; i < BLOCKS; i++)
        den_free(blocks[i]);
    return NULL;
}

START_TEST(threads_do_not_lose_count)
{
    pthread_t ids[THREADS];
    unsigned seeds[THREADS];
    den_mem_set_limit(LIMIT);
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        ck_assert_int_eq(pthread_create(&ids[i], NULL, churn, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    ck_assert_uint_eq(den_mem_live(), 0);
    ck_assert_uint_gt(den_mem_peak(), 8192);
    /* The allocator may round the last blocks up by a few bytes. */
    ck_assert_uint_lt(den_mem_peak(), LIMIT + THREADS * BLOCKS * 64);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *all = tcase_create("mem");
    tcase_add_test(all, memory_is_zeroed_and_counted);
    tcase_add_test(all, vector_memory_is_aligned_and_zeroed);
    tcase_add_test(all, nothing_is_a_valid_pointer);
    tcase_add_loop_test(all, a_product_that_overflows_is_refused, 0,
                        (int)(sizeof huge_cases / sizeof *huge_cases));
    tcase_add_test(all, a_product_is_computed_or_refused);
    tcase_add_test(all, a_block_keeps_its_content_as_it_grows_and_shrinks);
    tcase_add_test(all, the_limit_holds_and_is_reported);
    tcase_add_test(all, a_refusal_by_the_system_is_not_counted);
    tcase_add_test(all, the_nth_allocation_fails_once);
    tcase_add_test(all, threads_do_not_lose_count);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
