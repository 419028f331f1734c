#include "mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Counted are the bytes that the allocator really set aside (malloc_usable_size), so that
 * blocks need no header of their own and free() can be handed any of them. */
static atomic_size_t live, peak, limit, fail_in;

/* Left alone, glibc learns from each freed block that blocks of its size are not worth a
 * mapping of their own, up to 32 MiB, and keeps them. */
void den_mem_give_back(void)
{
    enum { ARENAS = 4, LARGE = 1 << 20 };
    (void)mallopt(M_ARENA_MAX, ARENAS);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE);
}

bool den_mul_size(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* Counts down to the allocation that a test wants to fail. */
static bool is_told_to_fail(void)
{
    size_t left = atomic_load(&fail_in);
    while (left != 0)
        if (atomic_compare_exchange_weak(&fail_in, &left, left - 1))
            return left == 1;
    return false;
}

static void raise_peak(size_t now)
{
    size_t seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now))
        ;
}

/* Takes bytes from the budget BEFORE they are allocated: a request above the limit must
 * not reach the allocator, and two threads must not both get the last bytes. */
static bool reserve(size_t bytes)
{
    size_t allowed = atomic_load(&limit);
    size_t now = atomic_load(&live);
    do {
        if (bytes > SIZE_MAX / 2 - now)
            return false;
        if (allowed != 0 && (now > allowed || bytes > allowed - now))
            return false;
    } while (!atomic_compare_exchange_weak(&live, &now, now + bytes));
    return true;
}

/* Replaces what was reserved by what is held (unsigned wrap-around does the sign). */
static void settle(size_t reserved, size_t held)
{
    raise_peak(atomic_fetch_add(&live, held - reserved) + held - reserved);
}

/* Bytes of count objects: at least one, so that every success has a pointer, and less
 * than 1 TiB, which only a wrong size reaches (sanitizers end the program above it). */
static bool wanted(size_t count, size_t size, size_t *ret)
{
    if (!den_mul_size(count, size, ret) || *ret >= UINT64_C(1) << 40)
        return false;
    if (*ret == 0)
        *ret = 1;
    return true;
}

static void *finish(void *block, size_t reserved)
{
    settle(reserved, block == NULL ? 0 : malloc_usable_size(block));
    return block;
}

/* Large arrays in pages of 2 MiB where the system has them on request: a page of an image
 * or the weights of a net otherwise begin with thousands of page faults, which on a
 * virtual machine cost more than the copy that they interrupt.  A hint: if it fails, they
 * are small pages. */
static void prefer_large_pages(void *block, size_t bytes)
{
    const uintptr_t page = (uintptr_t)2 << 20, begin = (uintptr_t)block;
    uintptr_t from = (begin + page - 1) / page * page, to = (begin + bytes) / page * page;
    if (block != NULL && from < to)
        madvise((char *)block + (from - begin), to - from, MADV_HUGEPAGE);
}

void *den_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!wanted(count, size, &bytes) || is_told_to_fail() || !reserve(bytes))
        return NULL;
    void *block = calloc(1, bytes);
    prefer_large_pages(block, bytes);
    return finish(block, bytes);
}

/* Large arrays go back to the system when they are freed.  Left to itself, glibc keeps
 * blocks of up to 32 MiB once it has seen some come and go, and the packed weights of a
 * net would then lie beside the holes of the plain ones. */
static void keep_no_holes(void)
{
    enum { LARGE = 1 << 20 };
    mallopt(M_MMAP_THRESHOLD, LARGE);
}

void *den_calloc64(size_t count, size_t size)
{
    enum { ALIGN = 64 };
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, keep_no_holes);
    size_t bytes;
    if (!wanted(count, size, &bytes) || is_told_to_fail())
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!reserve(bytes))
        return NULL;
    void *block = aligned_alloc(ALIGN, bytes);
    prefer_large_pages(block, bytes);
    if (block != NULL)
        memset(block, 0, bytes);
    return finish(block, bytes);
}

void *den_realloc(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (!wanted(count, size, &bytes) || is_told_to_fail())
        return NULL;
    size_t before = old == NULL ? 0 : malloc_usable_size(old);
    size_t growth = bytes > before ? bytes - before : 0;
    if (!reserve(growth))
        return NULL;
    void *block = realloc(old, bytes);
    if (block == NULL)
        settle(growth, 0); /* the old block stays and stays counted */
    else
        settle(before + growth, malloc_usable_size(block));
    return block;
}

void den_free(void *pointer)
{
    if (pointer == NULL)
        return;
    atomic_fetch_sub(&live, malloc_usable_size(pointer));
    free(pointer);
}

char *den_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = den_calloc(size, 1);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void *den_new(size_t count, size_t size, struct den_err *err)
{
    void *block = den_calloc(count, size);
    if (block != NULL)
        return block;
    size_t bytes;
    if (den_mul_size(count, size, &bytes))
        den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory for %zu bytes",
                    bytes);
    else
        den_err_set(err, DEN_E_NO_MEMORY,
                    "there is not enough memory for %zu objects of %zu bytes", count,
                    size);
    return NULL;
}

size_t den_mem_live(void)
{
    return atomic_load(&live);
}

size_t den_mem_peak(void)
{
    return atomic_load(&peak);
}

void den_mem_reset_peak(void)
{
    atomic_store(&peak, atomic_load(&live));
}

void den_mem_set_limit(size_t bytes)
{
    atomic_store(&limit, bytes);
}

void den_mem_fail_at(size_t n)
{
    atomic_store(&fail_in, n);
}
