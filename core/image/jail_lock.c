/* What takes a decoder's rights away: Landlock, seccomp and rlimits. */
#include "jail_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"

/* ---- paths ------------------------------------------------------------------------ */

/* The kernel's struct landlock_ruleset_attr in its longest form; the header of Debian 12
 * knows only the first field.  A kernel takes as much of it as its version has. */
struct ruleset {
    uint64_t files, network, scoped;
};

/* Rights that each version of Landlock added, and the size of the struct by then.  What a
 * ruleset handles and no rule allows is forbidden. */
static const struct {
    int version;
    size_t size;
    struct ruleset handles;
} additions[] = {
    {1, 8, {.files = (UINT64_C(1) << 13) - 1}}, /* read, write, make, remove, execute */
    {2, 8, {.files = UINT64_C(1) << 13}},       /* link and rename across folders */
    {3, 8, {.files = UINT64_C(1) << 14}},       /* truncate */
    {4, 16, {.network = 3}},                    /* bind and connect, TCP */
    {5, 16, {.files = UINT64_C(1) << 15}},      /* ioctl of devices */
    {6, 24, {.scoped = 3}},                     /* abstract sockets, signals outside */
};

static bool no_landlock(struct den_err *err)
{
    return den_err_set(err, DEN_E_UNSUPPORTED,
                       "this system has no Landlock (Linux 5.13 or newer, switched on)");
}

bool den_jail_lock_paths(struct den_err *err)
{
    struct ruleset ruleset = {0, 0, 0};
    size_t size = 0;
    long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
                           LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return no_landlock(err);
    for (size_t i = 0; i < sizeof additions / sizeof *additions; i++)
        if (version >= additions[i].version) {
            size = additions[i].size;
            ruleset.files |= additions[i].handles.files;
            ruleset.network |= additions[i].handles.network;
            ruleset.scoped |= additions[i].handles.scoped;
        }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0)
        return no_landlock(err);
    bool locked = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    /* Proof that it holds: for root, too. */
    int root = locked ? open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (root >= 0)
        close(root);
    return locked && root < 0 ? true : no_landlock(err);
}

/* ---- system calls ----------------------------------------------------------------- */

enum { ANY = -1 };

/* All that reading and writing through open descriptors and malloc need.  A call with a
 * mask is allowed only if (argument & mask) == value.  That must be the ONE rule of the
 * call: an allowance without a condition would win over it.
 * newfstatat is glibc's fstat; that its path is empty cannot be seen from here, so that
 * a decoder could learn whether a file exists, and no more. */
static const struct {
    int call, argument;
    uint64_t mask, value;
} allowed[] = {
    {SCMP_SYS(read), ANY, 0, 0},
    {SCMP_SYS(pread64), ANY, 0, 0},
    {SCMP_SYS(write), ANY, 0, 0},
    {SCMP_SYS(pwrite64), ANY, 0, 0},
    {SCMP_SYS(lseek), ANY, 0, 0},
    {SCMP_SYS(copy_file_range), ANY, 0, 0},
    {SCMP_SYS(ftruncate), ANY, 0, 0},
    {SCMP_SYS(sync_file_range), ANY, 0, 0},
    {SCMP_SYS(fadvise64), ANY, 0, 0},
    {SCMP_SYS(fstat), ANY, 0, 0},
    {SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH},
    {SCMP_SYS(close), ANY, 0, 0},
    {SCMP_SYS(recvmsg), ANY, 0, 0},
    {SCMP_SYS(sendmsg), ANY, 0, 0},
    {SCMP_SYS(brk), ANY, 0, 0},
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    {SCMP_SYS(munmap), ANY, 0, 0},
    {SCMP_SYS(mremap), ANY, 0, 0},
    {SCMP_SYS(madvise), ANY, 0, 0},
    {SCMP_SYS(futex), ANY, 0, 0},
    {SCMP_SYS(clock_gettime), ANY, 0, 0},
    {SCMP_SYS(gettimeofday), ANY, 0, 0},
    {SCMP_SYS(getrandom), ANY, 0, 0},
    {SCMP_SYS(sysinfo), ANY, 0, 0}, /* qsort of glibc asks how much memory there is */
    {SCMP_SYS(rt_sigreturn), ANY, 0, 0},
    {SCMP_SYS(restart_syscall), ANY, 0, 0},
    {SCMP_SYS(exit), ANY, 0, 0},
    {SCMP_SYS(exit_group), ANY, 0, 0},
#if DEN_JAIL_SANITIZED
    /* What the sanitizers' own allocators, locks and reports use. */
    {SCMP_SYS(sched_yield), ANY, 0, 0},
    {SCMP_SYS(rt_sigprocmask), ANY, 0, 0},
    {SCMP_SYS(sigaltstack), ANY, 0, 0},
    {SCMP_SYS(getpid), ANY, 0, 0},
    {SCMP_SYS(gettid), ANY, 0, 0},
#endif
};

static struct sock_fprog filter; /* the nursery builds it, decoders inherit it */

static bool add_rules(scmp_filter_ctx rules)
{
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        struct scmp_arg_cmp condition = {
            .arg = allowed[i].argument < 0 ? 0 : (unsigned)allowed[i].argument,
            .op = SCMP_CMP_MASKED_EQ,
            .datum_a = allowed[i].mask,
            .datum_b = allowed[i].value,
        };
        unsigned conditions = allowed[i].argument == ANY ? 0 : 1;
        if (seccomp_rule_add_array(rules, SCMP_ACT_ALLOW, allowed[i].call, conditions,
                                   &condition) != 0)
            return false;
    }
    /* Calls in the numbering of another machine (32-bit). */
    return seccomp_attr_set(rules, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0;
}

/* libseccomp writes its program to a descriptor only. */
static bool export_rules(scmp_filter_ctx rules, int fd)
{
    if (fd < 0 || seccomp_export_bpf(rules, fd) != 0)
        return false;
    off_t bytes = lseek(fd, 0, SEEK_END);
    size_t count = bytes < 0 ? 0 : (size_t)bytes / sizeof *filter.filter;
    if (count == 0 || count > BPF_MAXINSNS)
        return false;
    struct sock_filter *program = den_calloc(count, sizeof *program);
    if (program == NULL ||
        pread(fd, program, count * sizeof *program, 0) != (ssize_t)bytes) {
        den_free(program);
        return false;
    }
    filter = (struct sock_fprog){.len = (unsigned short)count, .filter = program};
    return true;
}

static bool build_filter(struct den_err *err)
{
    scmp_filter_ctx rules = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int fd = memfd_create("filter", MFD_CLOEXEC);
    bool done = rules != NULL && add_rules(rules) && export_rules(rules, fd);
    if (fd >= 0)
        close(fd);
    seccomp_release(rules);
    return done || den_err_set(err, DEN_E_UNSUPPORTED,
                               "the filter of system calls cannot be built");
}

bool den_jail_lock_nursery(struct den_err *err)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return den_err_sys(err, errno, "privileges cannot be given up");
    return build_filter(err) && den_jail_lock_paths(err);
}

/* ---- amounts ---------------------------------------------------------------------- */

/* The soft limit: the daemon has to raise some of them later, which without privileges
 * works only up to the hard one; the filter keeps the decoder from doing so itself. */
static bool limit(__rlimit_resource_t resource, uint64_t amount)
{
    struct rlimit both;
    if (getrlimit(resource, &both) != 0)
        return false;
    if (amount < both.rlim_max)
        both.rlim_cur = amount;
    return setrlimit(resource, &both) == 0;
}

bool den_jail_lock_decoder(const struct den_jail_order *order, uint64_t base_bytes)
{
    enum { DESCRIPTORS = 16 };
    return (DEN_JAIL_SANITIZED || limit(RLIMIT_AS, base_bytes + order->memory)) &&
           limit(RLIMIT_CPU, order->cpu_seconds) &&
           limit(RLIMIT_FSIZE, order->file_bytes) && limit(RLIMIT_NPROC, 0) &&
           limit(RLIMIT_NOFILE, DESCRIPTORS) &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
