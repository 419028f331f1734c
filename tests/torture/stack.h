#ifndef TEST_STACK_H
#define TEST_STACK_H

/* Large files for tests: stacks of 16-bit pages, no two alike. */

enum { STACK_PAGE_MIB = 2 };

/* number: which stack.  One page has 2 MiB. */
void stack_write(const char *path, unsigned number, unsigned pages);

#endif
