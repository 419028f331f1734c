#include "stack.h"

#include "den_check.h"
#include "image.h"
#include "mem.h"

enum { PAGE_SIDE = 1024 };

void stack_write(const char *path, unsigned number, unsigned pages)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_image_info info = {.format = "tiff",
                                        .width = PAGE_SIDE,
                                        .height = PAGE_SIDE,
                                        .pages = pages,
                                        .channels = 1,
                                        .dtype = DEN_U16};
    struct den_writer *writer = NULL;
    uint16_t *page = den_calloc((size_t)PAGE_SIDE * PAGE_SIDE, sizeof *page);
    must(den_writer_open(path, &info, &writer, &err));
    for (unsigned p = 0; p < pages; p++) {
        for (size_t i = 0; i < (size_t)PAGE_SIDE * PAGE_SIDE; i++)
            page[i] = (uint16_t)(i * 2654435761U >> 16 ^ (size_t)p * 977 ^
                                 (size_t)number * 31337);
        must(den_writer_page(writer, page, &err));
    }
    must(den_writer_finish(writer, &err));
    den_free(page);
}
