/* Preloaded into a program: its flushes of regular files (FAILING=file) or of directories (FAILING=directory) fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int flushed(long call, int fd)
{
    const char *what = getenv("FAILING");
    struct stat found;
    if (!what || fstat(fd, &found))
        return (int)syscall(call, fd);
    if ((S_ISREG(found.st_mode) && !strcmp(what, "file")) || (S_ISDIR(found.st_mode) && !strcmp(what, "directory"))) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd)
{
    return flushed(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return flushed(SYS_fdatasync, fd);
}
