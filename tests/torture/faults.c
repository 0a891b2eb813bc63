/* A disk that fails, for one folder: preloaded, it lets the first FAULT_AT - 1 changes below FAULT_UNDER pass and
 * answers the next one with FAULT_ERRNO; the ones after it too if FAULT_STAYS is 1, as on a disk that is full. A
 * write that is refused has written half. A change is a write, a sync, a rename, or a file or folder made.
 * `faults_arm` sets these, and the count to 0; `faults_aim` has the change fail that is so many from here; `faults_count`
 * tells the count, and `faults_met` the file or folder of the first change that was refused. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char under[PATH_MAX], met[PATH_MAX];
static long at, count;
static int number, stays;

void faults_arm(const char *folder, long when, int error, int sticky) {
    snprintf(under, sizeof under, "%s/", folder);
    at = when, number = error, stays = sticky, count = 0, met[0] = 0;
}

void faults_aim(long more) { at = count + more; }

long faults_count(void) { return count; }

const char *faults_met(void) { return met; }

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int fails(const char *path) {
    if (!under[0] || strncmp(path, under, strlen(under)) != 0) return 0;
    count++;
    if (!at || (stays ? count < at : count != at)) return 0;
    if (!met[0]) snprintf(met, sizeof met, "%s", path);
    errno = number;
    return 1;
}

static int fails_at(const char *path) {
    char whole[PATH_MAX], here[PATH_MAX];
    if (path[0] == '/' || !getcwd(here, sizeof here)) return fails(path);
    snprintf(whole, sizeof whole, "%.2000s/%.2000s", here, path);
    return fails(whole);
}

static int fails_on(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(path);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (!fails_on(fd)) return real(fd, data, size);
    if (size > 1 && real(fd, data, size / 2) < 0) return -1;
    errno = number;
    return -1;
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    return fails_on(fd) ? -1 : real(fd, parts, n);
}

int fsync(int fd) {
    REAL(fsync);
    return fails_on(fd) ? -1 : real(fd);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return fails_at(to) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (!access(path, F_OK)) return real(path, mode); /* it is there: nothing changes */
    return fails_at(path) ? -1 : real(path, mode);
}

static int makes(int flags) { return (flags & O_CREAT) && (flags & O_ACCMODE) != O_RDONLY; }

#define OPENS(name, ...)                                     \
    mode_t mode = 0;                                         \
    if (flags & O_CREAT) {                                   \
        va_list more;                                        \
        va_start(more, flags);                               \
        mode = va_arg(more, mode_t);                         \
        va_end(more);                                        \
    }                                                        \
    REAL(name);                                              \
    return makes(flags) && fails_at(path) ? -1 : real(__VA_ARGS__, flags, mode);

int open(const char *path, int flags, ...) { OPENS(open, path) }
int open64(const char *path, int flags, ...) { OPENS(open64, path) }
int openat(int folder, const char *path, int flags, ...) { OPENS(openat, folder, path) }
int openat64(int folder, const char *path, int flags, ...) { OPENS(openat64, folder, path) }
