/*
 * Preloaded into a program: one of its calls fails, from there on all of them, or it ends there.
 *
 *   MISFORTUNE          "files" (calls on the project's own files), "memory" (allocations)
 *   MISFORTUNE_AT       the call that fails, counted from 1; 0: none, they are only counted
 *   MISFORTUNE_HOW      errno of a call on files; "kill": the process is killed in its place
 *   MISFORTUNE_REPORT   file for the number of calls counted, written at the end of the program
 *   MISFORTUNE_CONTROL  a file that says all this of a program that goes on: a `struct control`, whatever was said before
 *   MISFORTUNE_RANDOM   errno of getrandom(2), by a filter of the kernel's
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum { NOTHING, FILES, MEMORY } what;
static char report[256];

/* Shared with the test where it is a file's; numbers of the machine's own, in this order. */
static struct control {
    long armed;   /* 0: nothing is counted, and nothing fails */
    long at;
    long how;     /* errno */
    long killing; /* the process is killed */
    long lasting; /* every later call fails too */
    long counted;
} own, *control = &own;

static void keep_from_random(long error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)(error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        abort();
}

static void share_control(const char *path)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        abort();
    syscall(SYS_close, fd);
    control = shared;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("MISFORTUNE");
    if (text)
        what = !strcmp(text, "files") ? FILES : MEMORY;
    if ((text = getenv("MISFORTUNE_AT")))
        own.at = atol(text);
    if ((text = getenv("MISFORTUNE_HOW"))) {
        own.killing = !strcmp(text, "kill");
        own.how = atol(text);
    }
    if ((text = getenv("MISFORTUNE_REPORT"))) {
        snprintf(report, sizeof report, "%s", text);
        own.armed = 1;
    }
    if ((text = getenv("MISFORTUNE_CONTROL")))
        share_control(text);
    if ((text = getenv("MISFORTUNE_RANDOM")))
        keep_from_random(atol(text));
}

__attribute__((destructor)) static void end(void)
{
    char number[32];
    int length = snprintf(number, sizeof number, "%ld\n", control->counted);
    int fd;
    if (!*report || (fd = (int)syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
        return;
    (void)!syscall(SYS_write, fd, number, (size_t)length);
    syscall(SYS_close, fd);
}

/* Whether this call is the one that fails. */
static int strikes(int kind)
{
    long count;
    if (!control->armed || (int)what != kind)
        return 0;
    count = __atomic_add_fetch(&control->counted, 1, __ATOMIC_SEQ_CST);
    if (control->at == 0 || count < control->at || (count > control->at && !control->lasting))
        return 0;
    if (control->killing)
        kill(getpid(), SIGKILL);
    errno = (int)control->how;
    return 1;
}

/* --- allocations ------------------------------------------------------------------------------------------------- */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

void *malloc(size_t size)
{
    return strikes(MEMORY) ? (errno = ENOMEM, NULL) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return strikes(MEMORY) ? (errno = ENOMEM, NULL) : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return strikes(MEMORY) ? (errno = ENOMEM, NULL) : __libc_realloc(old, size);
}

/* --- calls on files ---------------------------------------------------------------------------------------------- */

static int is_ours(const char *path)
{
    static const char *const ours[] = { "/var/lib/pam-totp", "/var/log/pam-totp", "/run/pam-totp", "/etc/pam-totp" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!strncmp(path, ours[i], strlen(ours[i])))
            return 1;
    return 0;
}

static int fd_is_ours(int fd)
{
    char link[64], path[512];
    ssize_t length;
    if (!control->armed || what != FILES)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_ours(path);
}

static int name_is_ours(int directory, const char *name)
{
    if (!control->armed || what != FILES || !name)
        return 0;
    return *name == '/' ? is_ours(name) : directory != AT_FDCWD && fd_is_ours(directory);
}

#define FAILS(ours) ((ours) && strikes(FILES))

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_openat2 && FAILS(name_is_ours((int)a[0], (const char *)a[1])))
        return -1;
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int openat(int directory, const char *name, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list list;
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    return FAILS(name_is_ours(directory, name)) ? -1 : (int)syscall(SYS_openat, directory, name, flags, mode);
}

int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

ssize_t read(int fd, void *to, size_t size)
{
    return FAILS(fd_is_ours(fd)) ? -1 : syscall(SYS_read, fd, to, size);
}

ssize_t pread64(int fd, void *to, size_t size, off_t offset)
{
    return FAILS(fd_is_ours(fd)) ? -1 : syscall(SYS_pread64, fd, to, size, offset);
}

ssize_t write(int fd, const void *from, size_t size)
{
    return FAILS(fd_is_ours(fd)) ? -1 : syscall(SYS_write, fd, from, size);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off_t offset)
{
    return FAILS(fd_is_ours(fd)) ? -1 : syscall(SYS_pwrite64, fd, from, size, offset);
}

/* An empty name is the descriptor itself. */
static int looked_at_is_ours(int directory, const char *name, int flags)
{
    return (flags & AT_EMPTY_PATH) && name && !*name ? fd_is_ours(directory) : name_is_ours(directory, name);
}

int statx(int directory, const char *restrict name, int flags, unsigned mask, struct statx *restrict to)
{
    return FAILS(looked_at_is_ours(directory, name, flags)) ? -1
        : (int)syscall(SYS_statx, directory, name, flags, mask, to);
}

int fstatat(int directory, const char *restrict name, struct stat *restrict to, int flags)
{
    return FAILS(looked_at_is_ours(directory, name, flags)) ? -1
        : (int)syscall(SYS_newfstatat, directory, name, to, flags);
}

int fstat(int fd, struct stat *to)
{
    return FAILS(fd_is_ours(fd)) ? -1 : (int)syscall(SYS_fstat, fd, to);
}

int fstat64(int, struct stat64 *) __attribute__((alias("fstat")));

int ftruncate64(int fd, off_t length)
{
    return FAILS(fd_is_ours(fd)) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int fsync(int fd)
{
    return FAILS(fd_is_ours(fd)) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return FAILS(fd_is_ours(fd)) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    return FAILS(name_is_ours(from_directory, from)) ? -1
        : (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
}

int unlinkat(int directory, const char *name, int flags)
{
    return FAILS(name_is_ours(directory, name)) ? -1 : (int)syscall(SYS_unlinkat, directory, name, flags);
}

int mkdirat(int directory, const char *name, mode_t mode)
{
    return FAILS(name_is_ours(directory, name)) ? -1 : (int)syscall(SYS_mkdirat, directory, name, mode);
}
