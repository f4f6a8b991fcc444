/* A disk under test: preloaded into simdeck, it sees every write, sync, truncation, unlink and
 * rename below one folder, and the clock.
 *
 *   DISK_FOLDER   the folder; nothing outside is looked at
 *   DISK_JOURNAL  append there what the folder is told, so that tests/it/disk can build the folder
 *                 as a crash at any point could have left it; syncs then cost nothing
 *   DISK_CONTROL  numbers of 64 bits that the test changes while simdeck runs, see below
 *
 * The wal-index (-shm) is memory, not disk: its writes fail like others and are not in the journal.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The numbers of DISK_CONTROL, in the order of tests/it/disk/mod.rs. */
enum {
    SYNCS,           /* counted here */
    WRITES,          /* counted here */
    SYNC_FAILS_FROM, /* the first that fails, 0 for none */
    SYNC_FAILS_TO,   /* the last that fails */
    WRITE_FAILS_FROM,
    WRITE_FAILS_TO,
    ERRNO,         /* how they fail */
    ROOM_IS_SMALL, /* whether ROOM counts */
    ROOM,          /* bytes by which files may still grow */
    CLOCK_AHEAD_S, /* signed */
    SYNCS_LIE,     /* whether syncs are left out of the journal */
    READ_ONLY,     /* whether nothing can be opened to be written */
    HANGS,         /* whether who opens, makes or syncs there waits until it does not: 1 who writes, too */
    UPTIME_AHEAD_S, /* for how long more the machine has run */
    NUMBERS
};

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, UNLINK, RENAME };
enum { OTHER, STORED, MEMORY, FOLDER };

#define FILES 4096
#define PATH 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char kind; char name[PATH]; } files[FILES];
static char folder[PATH];
static int journal = -1;
static int64_t none[NUMBERS];
static volatile int64_t *control = none;

/* The clocks are asked through the C library, which needs no system call for them. */
#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_FOLDER");
    if (!path) return;
    strncpy(folder, path, PATH - 1);
    if ((path = getenv("DISK_JOURNAL")))
        journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if ((path = getenv("DISK_CONTROL"))) {
        int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || page == MAP_FAILED) abort();
        control = page;
    }
}

/* The name of a path within the folder, NULL for one outside. */
static const char *within(const char *path) {
    size_t length = strlen(folder);
    if (!length || strncmp(path, folder, length)) return NULL;
    return path[length] == '/' ? path + length + 1 : path[length] ? NULL : "";
}

static int is_memory(const char *name) {
    size_t length = strlen(name);
    return length > 4 && !strcmp(name + length - 4, "-shm");
}

static char kind(int fd) { return fd >= 0 && fd < FILES ? files[fd].kind : OTHER; }

/* As a file server that is gone: whoever asks it waits. */
static void hang(int is_meant, int is_write) {
    while (is_meant && control[HANGS] && (!is_write || control[HANGS] == 1)) {
        struct timespec while_ = {0, 5000000};
        syscall(SYS_nanosleep, &while_, NULL);
    }
}

/* One event: five numbers, the name, the data. */
static void note(uint64_t what, const char *name, uint64_t at, const void *data, uint64_t length) {
    if (journal < 0) return;
    uint64_t head[4] = {what, strlen(name), at, length};
    struct iovec parts[3] = {
        {head, sizeof head}, {(void *)name, head[1]}, {(void *)data, data ? length : 0}};
    size_t whole = sizeof head + head[1] + (data ? length : 0);
    if ((size_t)syscall(SYS_writev, journal, parts, 3) != whole) abort();
}

/* Whether the next one of these fails. */
static int fails(int count, int from, int to) {
    int64_t nth = ++control[count];
    if (!control[from] || nth < control[from] || nth > control[to]) return 0;
    errno = (int)control[ERRNO];
    return 1;
}

static int opened(int fd, const char *path, int flags, int is_new) {
    const char *name = within(path);
    if (fd < 0 || fd >= FILES || !name) return fd;
    pthread_mutex_lock(&lock);
    struct stat about;
    int is_folder = !fstat(fd, &about) && S_ISDIR(about.st_mode);
    files[fd].kind = is_folder ? FOLDER : is_memory(name) ? MEMORY : STORED;
    strncpy(files[fd].name, name, PATH - 1);
    if (is_new && files[fd].kind == STORED) note(CREATE, name, 0, NULL, 0);
    if ((flags & O_TRUNC) && files[fd].kind == STORED) note(TRUNCATE, name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

static int open_any(const char *path, int flags, mode_t mode) {
    hang(within(path) != NULL, 0);
    if (control[READ_ONLY] && within(path) && *within(path) && (flags & (O_WRONLY | O_RDWR))
        && strstr(path, ".db")) {
        errno = EROFS;
        return -1;
    }
    int is_new = within(path) && (flags & O_CREAT) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK);
    int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    return opened(fd, path, flags, is_new);
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_any(path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
    if (kind(fd)) {
        pthread_mutex_lock(&lock);
        files[fd].kind = OTHER;
        pthread_mutex_unlock(&lock);
    }
    return syscall(SYS_close, fd);
}

/* A file grows as far as there is room; what only replaces costs nothing. */
static ssize_t within_room(int fd, size_t length, off_t at) {
    struct stat about;
    if (!control[ROOM_IS_SMALL] || fstat(fd, &about)) return length;
    off_t grows = at + (off_t)length - about.st_size;
    if (grows <= 0) return length;
    int64_t lacks = grows - control[ROOM];
    control[ROOM] = lacks > 0 ? 0 : -lacks;
    return lacks > 0 ? (ssize_t)length - lacks : (ssize_t)length;
}

static ssize_t write_at(int fd, const void *data, size_t length, off_t at) {
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (!fails(WRITES, WRITE_FAILS_FROM, WRITE_FAILS_TO)) {
        ssize_t fits = within_room(fd, length, at);
        if (fits <= 0 && length) errno = control[ERRNO] ? (int)control[ERRNO] : ENOSPC;
        else done = syscall(SYS_pwrite64, fd, data, fits, at);
        if (done > 0 && kind(fd) == STORED) note(WRITE, files[fd].name, at, data, done);
    }
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) {
    hang(kind(fd), 1);
    if (kind(fd)) return write_at(fd, data, length, at);
    return syscall(SYS_pwrite64, fd, data, length, at);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return pwrite64(fd, data, length, at);
}

ssize_t write(int fd, const void *data, size_t length) {
    hang(kind(fd), 1);
    if (!kind(fd)) return syscall(SYS_write, fd, data, length);
    off_t at = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t done = write_at(fd, data, length, at);
    if (done > 0) lseek(fd, at + done, SEEK_SET);
    return done;
}

static int sync_any(int fd, long call) {
    hang(kind(fd), 0);
    if (!kind(fd)) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!fails(SYNCS, SYNC_FAILS_FROM, SYNC_FAILS_TO)) {
        done = journal < 0 ? syscall(call, fd) : 0;
        if (!done && !control[SYNCS_LIE] && kind(fd) != MEMORY)
            note(kind(fd) == FOLDER ? SYNC_FOLDER : SYNC, files[fd].name, 0, NULL, 0);
    }
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return done;
}

int fsync(int fd) { return sync_any(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_any(fd, SYS_fdatasync); }

int ftruncate64(int fd, off_t length) {
    if (kind(fd) != STORED) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_ftruncate, fd, length);
    if (!done) note(TRUNCATE, files[fd].name, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int unlink(const char *path) {
    const char *name = within(path);
    if (!name || is_memory(name)) return syscall(SYS_unlink, path);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_unlink, path), saved = errno;
    if (!done) note(UNLINK, name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return done;
}

int rename(const char *from, const char *to) {
    const char *name = within(from), *other = within(to);
    if (!name || !other) return syscall(SYS_rename, from, to);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_rename, from, to), saved = errno;
    if (!done) note(RENAME, name, 0, other, strlen(other));
    pthread_mutex_unlock(&lock);
    errno = saved;
    return done;
}

int mkdir(const char *path, mode_t mode) {
    hang(within(path) != NULL, 0);
    return syscall(SYS_mkdir, path, mode);
}

DIR *opendir(const char *path) {
    REAL(opendir);
    hang(within(path) != NULL, 0);
    return real(path);
}

// As libfaketime's does, it takes memory: an allocator that asks for the time must not wait for itself.
int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime);
    void *volatile memory = malloc(1);
    free(memory);
    int done = real(clock, time);
    if (!done && clock == CLOCK_REALTIME) time->tv_sec += control[CLOCK_AHEAD_S];
    if (!done && clock == CLOCK_MONOTONIC) time->tv_sec += control[UPTIME_AHEAD_S];
    return done;
}

int gettimeofday(struct timeval *time, void *zone) {
    REAL(gettimeofday);
    int done = real(time, zone);
    if (!done) time->tv_sec += control[CLOCK_AHEAD_S];
    return done;
}
