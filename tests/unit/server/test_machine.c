/* How much memory there is, for trees of files like /proc and /sys. */

#include "machine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "den_check.h"
#include "fs.h"

enum { MIB = 1 << 20, FILES = 4 };

static char root[64];

static void setup(void)
{
    (void)snprintf(root, sizeof root, "/tmp/denoised-machine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(root, &err));
}

static void put(const char *name, const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    char path[256], folder[256];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    (void)snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    must(den_fs_mkdirs(folder, 0700, &err));
    must(den_fs_write(path, text, strlen(text), &err));
}

/* mib 0: as much as the machine has. */
static const struct {
    const char *group; /* of /proc/self/cgroup, NULL = no such file */
    struct {
        const char *folder, *text;
    } limits[FILES];
    uint64_t mib;
} cases[] = {
    {NULL, {{NULL, NULL}}, 0},
    {"0::/\n", {{"", "max\n"}}, 0},
    {"0::/\n", {{"", "67108864\n"}}, 64}, /* a container with a namespace */
    {NULL, {{"", "67108864\n"}}, 64},
    /* MemoryMax= of a service; the root has no such file */
    {"0::/system.slice/denoised.service\n",
     {{"/system.slice/denoised.service", "33554432\n"}, {"/system.slice", "max\n"}},
     32},
    /* of the slice above it, and the least of both */
    {"0::/system.slice/denoised.service\n",
     {{"/system.slice/denoised.service", "max\n"}, {"/system.slice", "16777216\n"}},
     16},
    {"0::/a/b\n", {{"/a/b", "33554432\n"}, {"/a", "16777216\n"}, {"", "67108864\n"}}, 16},
    {"0::/a/b\n", {{"/a/b", "16777216\n"}, {"/a", "33554432\n"}}, 16},
    /* version 1 beside it, and groups of others */
    {"9:name=systemd:/x\n4:memory:/x\n0::/a\n",
     {{"/x", "16777216\n"}, {"/a", "33554432\n"}},
     32},
    {"4:memory:/x\n", {{"/x", "16777216\n"}}, 0},
    /* outside of what can be seen, and nonsense */
    {"0::/../../x\n", {{"", "16777216\n"}}, 16},
    {"0::/a\n", {{"/a", "-5\n"}, {"", "much\n"}}, 0},
    {"0::/a\n", {{"/a", "0\n"}, {"", ""}}, 0},
    {"0::/a\n", {{"/a", "9223372036854775807\n"}}, 0},
    {"0::", {{"/a", "16777216\n"}}, 0},
};

START_TEST(the_least_limit_above_the_process_counts)
{
    uint64_t machine =
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (cases[_i].group != NULL)
        put("proc/self/cgroup", cases[_i].group);
    for (int i = 0; i < FILES && cases[_i].limits[i].folder != NULL; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "sys/fs/cgroup%s/memory.max",
                       cases[_i].limits[i].folder);
        put(name, cases[_i].limits[i].text);
    }
    ck_assert_uint_eq(den_machine_memory(root),
                      cases[_i].mib > 0 ? cases[_i].mib * MIB : machine);
}
END_TEST

START_TEST(this_machine_has_some)
{
    uint64_t machine =
                 (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
             ours = den_machine_memory("");
    ck_assert(ours > 0 && ours <= machine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *tc = tcase_create("machine");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, the_least_limit_above_the_process_counts, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(tc, this_machine_has_some);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
