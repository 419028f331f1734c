/* What a decoder in the jail may not do: every attempt runs behind the real lock. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "jail_case.h"

/* ---- escapes ------------------------------------------------------------------------
 */

static pid_t tester; /* the process that holds the jail */

/* An attempt gives 0 when it worked, else 1: it was refused. */
static int refused(bool is)
{
    return is ? 1 : 0;
}

static int try_open(int input)
{
    (void)input;
    return refused(syscall(SYS_open, "/etc/passwd", O_RDONLY) < 0);
}

static int try_openat(int input)
{
    (void)input;
    return refused(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0);
}

static int try_create(int input)
{
    (void)input;
    return refused(open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600) < 0);
}

static int try_reopen(int input)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", input);
    return refused(open(path, O_RDWR | O_CLOEXEC) < 0);
}

static int try_socket(int input)
{
    (void)input;
    return refused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0);
}

static int try_unix_socket(int input)
{
    (void)input;
    return refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0);
}

static int try_execve(int input)
{
    char *const argv[] = {NULL};
    (void)input;
    (void)execve("/bin/true", argv, argv);
    return refused(true);
}

static int try_fork(int input)
{
    (void)input;
    return refused(syscall(SYS_fork) < 0);
}

static int try_clone(int input)
{
    (void)input;
    return refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0);
}

static int try_thread(int input)
{
    (void)input;
    return refused(
        syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0) < 0);
}

static int try_ptrace(int input)
{
    (void)input;
    return refused(ptrace(PTRACE_ATTACH, tester, NULL, NULL) < 0);
}

static int try_memory_of_tester(int input)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {&tester, 1};
    (void)input;
    return refused(process_vm_readv(tester, &to, 1, &from, 1, 0) < 0);
}

static int try_kill_tester(int input)
{
    (void)input;
    return refused(kill(tester, SIGKILL) < 0);
}

static int try_kill_nursery(int input)
{
    (void)input;
    return refused(kill(getppid(), SIGKILL) < 0);
}

static int try_write_execute_map(int input)
{
    (void)input;
    return refused(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}

static int try_execute_map(int input)
{
    return refused(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, input, 0) ==
                   MAP_FAILED);
}

static int try_execute_protect(int input)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)input;
    return refused(page == MAP_FAILED || mprotect(page, 4096, PROT_EXEC) != 0);
}

static int try_gigabyte(int input)
{
    void *volatile block = den_calloc(1, (size_t)1 << 30);
    bool none = block == NULL;
    (void)input;
    den_free(block);
    return refused(none);
}

static int try_many_maps(int input)
{
    size_t had = 0;
    (void)input;
    while (had < 1 << 10 && mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        had++;
    return refused(had < 1 << 10);
}

static int try_to_spin(int input)
{
    volatile unsigned turns = 0;
    (void)input;
    for (time_t begin = time(NULL); time(NULL) - begin < 20;)
        turns = turns + 1;
    return 0;
}

static int try_to_write_input(int input)
{
    return refused(pwrite(input, "x", 1, 0) < 0);
}

static int try_to_cut_input(int input)
{
    return refused(ftruncate(input, 0) != 0);
}

static int try_to_map_input(int input)
{
    return refused(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, input, 0) ==
                   MAP_FAILED);
}

static int try_prlimit(int input)
{
    const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    (void)input;
    return refused(prlimit(0, RLIMIT_AS, &more, NULL) != 0);
}

static int try_unlink(int input)
{
    (void)input;
    return refused(unlink("/tmp/denoised-no-such-file") != 0);
}

static int try_mount(int input)
{
    (void)input;
    return refused(mount("none", "/mnt", "tmpfs", 0, NULL) != 0);
}

static int try_chroot(int input)
{
    (void)input;
    return refused(chroot("/") != 0);
}

static int try_new_user(int input)
{
    (void)input;
    return refused(unshare(CLONE_NEWUSER) != 0);
}

static int try_shared_memory(int input)
{
    (void)input;
    return refused(memfd_create("x", 0) < 0);
}

static int try_io_uring(int input)
{
    char parameters[256] = {0};
    (void)input;
    return refused(syscall(SYS_io_uring_setup, 1, parameters) < 0);
}

static int try_to_raise_privileges(int input)
{
    (void)input;
    return refused(setuid(0) != 0);
}

static int try_to_lose_the_parent(int input)
{
    (void)input;
    return refused(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) != 0);
}

static int try_ioctl(int input)
{
    (void)input;
    return refused(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x") < 0);
}

#if defined __x86_64__
static int try_numbers_of_i386(int input)
{
    long result = 20; /* getpid there, writev here */
    (void)input;
    __asm__ volatile("int $0x80" : "+a"(result)::"memory");
    return refused(result < 0);
}

static int try_numbers_of_x32(int input)
{
    (void)input;
    return refused(syscall(0x40000000L + SYS_getpid) < 0);
}
#endif

enum { REFUSED = -1 }; /* a signal otherwise */

static const struct {
    const char *name;
    den_jail_probe attempt;
    int want;
    bool sanitized; /* can be tried under sanitizers */
} escapes[] = {
    {"open a file", try_open, SIGSYS, true},
    {"openat a file", try_openat, SIGSYS, true},
    {"create a file", try_create, SIGSYS, true},
    {"open the input again for writing", try_reopen, SIGSYS, true},
    {"make an internet socket", try_socket, SIGSYS, true},
    {"make a local socket", try_unix_socket, SIGSYS, true},
    {"execute a program", try_execve, SIGSYS, true},
    {"fork", try_fork, SIGSYS, true},
    {"clone", try_clone, SIGSYS, true},
    {"start a thread", try_thread, SIGSYS, true},
    {"trace the daemon", try_ptrace, SIGSYS, true},
    {"read the daemon's memory", try_memory_of_tester, SIGSYS, true},
    {"kill the daemon", try_kill_tester, SIGSYS, true},
    {"kill the nursery", try_kill_nursery, SIGSYS, true},
    {"map memory to write and execute", try_write_execute_map, SIGSYS, true},
    {"map the input to execute", try_execute_map, SIGSYS, true},
    {"make memory executable", try_execute_protect, SIGSYS, true},
    {"allocate 1 GiB", try_gigabyte, REFUSED, false},
    {"map 1 GiB in small pieces", try_many_maps, REFUSED, false},
    {"compute for ever", try_to_spin, SIGXCPU, true},
    {"write to the input", try_to_write_input, REFUSED, true},
    {"cut the input", try_to_cut_input, REFUSED, true},
    {"map the input for writing", try_to_map_input, REFUSED, true},
    {"raise a limit", try_prlimit, SIGSYS, true},
    {"unlink a file", try_unlink, SIGSYS, true},
    {"mount", try_mount, SIGSYS, true},
    {"change the root", try_chroot, SIGSYS, true},
    {"make a name space", try_new_user, SIGSYS, true},
    {"make shared memory", try_shared_memory, SIGSYS, true},
    {"set up io_uring", try_io_uring, SIGSYS, true},
    {"change the user", try_to_raise_privileges, SIGSYS, true},
    {"outlive the nursery", try_to_lose_the_parent, SIGSYS, true},
    {"type into a terminal", try_ioctl, SIGSYS, true},
#if defined __x86_64__
    {"call by 32-bit numbers", try_numbers_of_i386, SIGSYS, true},
    {"call by x32 numbers", try_numbers_of_x32, SIGSYS, true},
#endif
};

START_TEST(every_attempt_to_escape_is_stopped)
{
    struct den_err err = DEN_ERR_INIT;
    size_t stopped = 0, tried = 0, n = sizeof escapes / sizeof *escapes;
    make_scratch();
    write_bytes(scratch("input"), "pixels", 6);
    int input = open(scratch("input"), O_RDONLY | O_CLOEXEC);
    tester = getpid();
    start_jail(0, 0);
    for (size_t i = 0; i < n; i++) {
        int status = 0;
        if (DEN_JAIL_SANITIZED && !escapes[i].sanitized) {
            printf("skipped: %s (under a sanitizer)\n", escapes[i].name);
            continue;
        }
        must(den_jail_try(escapes[i].attempt, input, 1, &status, &err));
        bool good = escapes[i].want == REFUSED
                        ? WIFEXITED(status) && WEXITSTATUS(status) == 1
                        : WIFSIGNALED(status) && WTERMSIG(status) == escapes[i].want;
        ck_assert_msg(good, "%s: status %#x", escapes[i].name, (unsigned)status);
        stopped += good;
        tried++;
    }
    printf("escapes: %zu tried, %zu stopped\n", tried, stopped);
    char bytes[7] = "";
    ck_assert_int_eq(pread(input, bytes, 6, 0), 6);
    ck_assert_str_eq(bytes, "pixels");
    close(input);
    den_jail_stop();
    remove_scratch();
}
END_TEST

static int do_nothing(int input)
{
    (void)input;
    return 42;
}

START_TEST(a_decoder_that_does_nothing_wrong_ends_by_itself)
{
    struct den_err err = DEN_ERR_INIT;
    int status = 0;
    start_jail(0, 0);
    must(den_jail_try(do_nothing, 0, 1, &status, &err));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x",
                  (unsigned)status);
    den_jail_stop();
}
END_TEST

static int ascending(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What libpng, libtiff, libxml2 and our own code ask of the system; exit status 0. */
static int work_as_decoders_do(int input)
{
    enum { MANY = 20000, LARGE = 100 << 20 };
    struct stat st;
    struct timespec now;
    char byte;
    int *numbers = den_calloc(MANY, sizeof *numbers);
    char *block = den_calloc(LARGE, 1), *smaller = den_realloc(block, LARGE / 2, 1);
    if (numbers == NULL || smaller == NULL)
        return 1;
    for (int i = 0; i < MANY; i++)
        numbers[i] = (i * 7919) % MANY;
    qsort(numbers, MANY, sizeof *numbers, ascending); /* asks for the machine's memory */
    memset(smaller, 1, LARGE / 2);
    bool done = numbers[0] == 0 && numbers[MANY - 1] == MANY - 1;
    den_free(smaller);
    den_free(numbers);
    done = done && fstat(input, &st) == 0 && st.st_size == 6;
    done = done && pread(input, &byte, 1, 5) == 1 && byte == 's';
    done = done && lseek(input, 1, SEEK_SET) == 1 && read(input, &byte, 1) == 1;
    void *map = mmap(NULL, 6, PROT_READ, MAP_PRIVATE, input, 0);
    done = done && map != MAP_FAILED && munmap(map, 6) == 0;
    done = done && clock_gettime(CLOCK_MONOTONIC, &now) == 0;
    done = done && clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0;
    return done ? 0 : 2;
}

START_TEST(decoders_can_do_their_work)
{
    struct den_err err = DEN_ERR_INIT;
    int status = 0;
    make_scratch();
    write_bytes(scratch("input"), "pixels", 6);
    int input = open(scratch("input"), O_RDONLY | O_CLOEXEC);
    start_jail(0, 0);
    must(den_jail_try(work_as_decoders_do, input, 10, &status, &err));
    ck_assert_msg(status == 0, "status %#x", (unsigned)status);
    den_jail_stop();
    close(input);
    remove_scratch();
}
END_TEST

/* ---- systems without walls ----------------------------------------------------------
 */

/* From here on these calls fail as in a system that does not know them. */
static bool forget_call(int call, unsigned argument, uint64_t value)
{
    scmp_filter_ctx rules = seccomp_init(SCMP_ACT_ALLOW);
    const struct scmp_arg_cmp condition = {argument, SCMP_CMP_EQ, value, 0};
    bool done = rules != NULL &&
                seccomp_rule_add_array(rules, SCMP_ACT_ERRNO(ENOSYS), call,
                                       argument < 6 ? 1 : 0, &condition) == 0 &&
                seccomp_load(rules) == 0;
    seccomp_release(rules);
    return done;
}

enum { ALWAYS = 6 };

static const struct {
    const char *name;
    int call;
    unsigned argument; /* that must have this value, or ALWAYS */
    uint64_t value;
    const char *words;
} systems[] = {
    {"without Landlock", SCMP_SYS(landlock_create_ruleset), ALWAYS, 0,
     "this system has no Landlock"},
    {"where Landlock is switched off", SCMP_SYS(landlock_restrict_self), ALWAYS, 0,
     "this system has no Landlock"},
    {"without filters of system calls", SCMP_SYS(prctl), 0, PR_SET_SECCOMP,
     "a decoder cannot be locked in"},
    {"without limits", SCMP_SYS(prlimit64), 1, RLIMIT_CPU,
     "a decoder cannot be locked in"},
};

START_TEST(without_a_wall_there_is_no_start)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_jail_options options = {.seconds = 5};
    const char *words = systems[_i].words;
    ck_assert(forget_call(systems[_i].call, systems[_i].argument, systems[_i].value));
    ck_assert(!den_jail_start(&options, &err));
    ck_assert_msg(strstr(err.text, words) != NULL, "%s: %s", systems[_i].name, err.text);
    ck_assert_msg(strstr(err.text, "jail = off") != NULL, "%s", err.text);
    ck_assert_str_eq(err.field, "jail");
    ck_assert_int_eq(den_jail_nursery_pid(), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no process is left */
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

/* The second wall must hold without the first. */
START_TEST(landlock_alone_takes_every_path_away)
{
    struct den_err err = DEN_ERR_INIT;
    make_scratch();
    write_bytes(scratch("file"), "x", 1);
    const char *file = scratch("file"), *other = scratch("other");
    int kept = open(file, O_RDWR | O_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !den_jail_lock_paths(&err))
            _exit(1);
        bool held = open(file, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES;
        held &= open(file, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES;
        held &= open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES;
        held &= open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES;
        held &= unlink(file) != 0 && errno == EACCES;
        held &= mkdir(other, 0700) != 0 && errno == EACCES;
        held &= symlink("x", other) != 0 && errno == EACCES;
        held &= execl("/bin/true", "true", (char *)NULL) != 0 && errno == EACCES;
        held &= write(kept, "y", 1) == 1 && ftruncate(kept, 1) == 0;
        _exit(held ? 0 : 2);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    close(kept);
    remove_scratch();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jail walls");
    TCase *walls = tcase_create("walls");
    tcase_set_timeout(walls, 60);
    tcase_add_test(walls, every_attempt_to_escape_is_stopped);
    tcase_add_test(walls, a_decoder_that_does_nothing_wrong_ends_by_itself);
    tcase_add_test(walls, landlock_alone_takes_every_path_away);
    tcase_add_test(walls, decoders_can_do_their_work);
    tcase_add_loop_test(walls, without_a_wall_there_is_no_start, 0,
                        sizeof systems / sizeof *systems);
    suite_add_tcase(suite, walls);
    return den_check_main(suite);
}
