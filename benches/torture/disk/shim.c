/* A layer between a program and its files, loaded with LD_PRELOAD: it makes the n-th call fail, or writes down every call
 * with its bytes, so that somebody can tell later what a disk would hold after a power cut. It is C because its work is to
 * stand in place of functions of the C library, which safe Rust cannot; it is compiled where it is used, by the `cc` that
 * Rust links with.
 *
 * ORCH_DISK_ROOT     directories, with ":" between them: only paths below them count
 * ORCH_DISK_CONTROL  a file with `struct control`: which call fails, and how; shared by all processes
 * ORCH_DISK_TRACE    a file to which every call that changed something is appended, in the order of all processes
 * ORCH_DISK_ONLY     only programs whose name begins so are meant
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_DIR, SYNC_ALL, RENAME, EXCHANGE, LINK, UNLINK, MKDIR, RMDIR, SYMLINK, OPEN, OPEN_READ, READ };
static const char *const names[] = {"", "create", "write", "truncate", "sync", "sync directory", "sync all", "rename", "exchange", "link", "unlink", "mkdir", "rmdir", "symlink", "open", "open to read", "read"};

enum { SHORT = 1000, DIE = 2000 };
enum { CHANGES = 1, OPENS = 2, READS = 4 };

struct control {
    uint64_t count;      /* calls so far */
    uint64_t from, to;   /* these fail, counted from 1 */
    uint32_t action;     /* an errno, SHORT or DIE */
    uint32_t mask;       /* which calls are counted */
    uint64_t struck;     /* how many failed */
    char first[1024];    /* the first of them: what, and on which path */
};

struct head {
    uint32_t length;     /* of the whole record */
    uint32_t kind;
    uint64_t inode;
    uint64_t offset;
    uint32_t path, other, bytes;
    uint32_t pid;
};

static char roots[8][PATH_MAX];
static int root_count;
static struct control *control;
static int trace = -1, trace_lock = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int ready;

#define REAL(result, name, ...) \
    static result (*real_##name)(__VA_ARGS__); \
    static void find_##name(void) { if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name); }

REAL(int, open, const char *, int, ...)
REAL(int, openat, int, const char *, int, ...)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(ssize_t, read, int, void *, size_t)
REAL(ssize_t, pread, int, void *, size_t, off_t)
REAL(int, ftruncate, int, off_t)
REAL(int, truncate, const char *, off_t)
REAL(int, fsync, int)
REAL(int, fdatasync, int)
REAL(int, syncfs, int)
REAL(int, renameat2, int, const char *, int, const char *, unsigned)
REAL(int, linkat, int, const char *, int, const char *, int)
REAL(int, unlinkat, int, const char *, int)
REAL(int, mkdirat, int, const char *, mode_t)
REAL(int, symlinkat, const char *, int, const char *)
REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned)
REAL(ssize_t, sendfile, int, int, off_t *, size_t)
REAL(int, fclose, FILE *)

/* High, so that nobody who counts descriptors from the bottom meets it. */
static int high(int fd) {
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 700);
    if (moved < 0) return fd;
    close(fd);
    return moved;
}

__attribute__((constructor)) static void begin(void) {
    find_open(); find_openat(); find_write(); find_pwrite(); find_writev(); find_read(); find_pread(); find_ftruncate();
    find_truncate(); find_fsync(); find_fdatasync(); find_syncfs(); find_renameat2(); find_linkat(); find_unlinkat();
    find_mkdirat(); find_symlinkat(); find_copy_file_range(); find_sendfile(); find_fclose();
    const char *root = getenv("ORCH_DISK_ROOT"), *only = getenv("ORCH_DISK_ONLY");
    const char *file = getenv("ORCH_DISK_CONTROL"), *log = getenv("ORCH_DISK_TRACE");
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (!root || length < 0) return;
    self[length] = 0;
    const char *name = strrchr(self, '/');
    if (only && (!name || strncmp(name + 1, only, strlen(only)))) return;
    while (*root && root_count < 8) {
        size_t size = strcspn(root, ":");
        snprintf(roots[root_count++], PATH_MAX, "%.*s", (int)size, root);
        root += size + (root[size] == ':');
    }
    if (file) {
        int fd = real_open(file, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (map != MAP_FAILED) control = map;
            close(fd);
        }
    }
    if (log) {
        trace = high(real_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
        trace_lock = high(real_open(log, O_RDONLY | O_CLOEXEC));
    }
    ready = 1;
}

static int is_below(const char *path) {
    for (int i = 0; i < root_count; i++) {
        size_t size = strlen(roots[i]);
        if (!strncmp(path, roots[i], size) && (path[size] == '/' || path[size] == 0)) return 1;
    }
    return 0;
}

/* Takes "." and ".." out of an absolute path. */
static void tidy(char *path) {
    char clean[PATH_MAX] = "";
    size_t length = 0;
    for (char *part = path; *part;) {
        while (*part == '/') part++;
        size_t size = strcspn(part, "/");
        if (size == 2 && !strncmp(part, "..", 2)) {
            while (length && clean[length - 1] != '/') length--;
            if (length) length--;
        } else if (size && !(size == 1 && *part == '.')) {
            clean[length++] = '/';
            memcpy(clean + length, part, size);
            length += size;
        }
        part += size;
    }
    clean[length] = 0;
    strcpy(path, length ? clean : "/");
}

/* The absolute path; whether it is one that counts. */
static int place(int dir, const char *path, char *out) {
    if (!ready || !path) return 0;
    char base[PATH_MAX] = "";
    if (path[0] != '/') {
        if (dir == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
    }
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    tidy(out);
    return is_below(out);
}

/* The path of an open file or directory; whether it is one that counts. */
static int of_fd(int fd, char *out) {
    if (!ready || fd == trace || fd == trace_lock) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    if (length <= 0 || out[0] != '/') return 0;
    out[length] = 0;
    if (!is_below(out)) return 0;
    struct stat found;
    return !fstat(fd, &found) && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static uint64_t inode_at(const char *path) {
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

/* What a call of this kind can meet at all. */
static int fitting(int action, enum kind kind) {
    int opens = kind == CREATE || kind == OPEN || kind == OPEN_READ;
    int grows = kind == CREATE || kind == WRITE || kind == TRUNCATE || kind == SYNC || kind == SYNC_DIR || kind == RENAME || kind == EXCHANGE || kind == LINK || kind == MKDIR || kind == SYMLINK;
    int waits = opens || kind == WRITE || kind == READ || kind == SYNC || kind == TRUNCATE;
    switch (action) {
    case ENOSPC: return grows ? action : EIO;
    case EMFILE: return opens ? action : EIO;
    case EINTR: return waits ? action : EIO;
    case SHORT: return kind == WRITE || kind == READ ? action : EIO;
    case EROFS: return kind == OPEN_READ || kind == READ || kind == WRITE || kind == SYNC || kind == SYNC_DIR ? 0 : action;
    default: return action;
    }
}

/* Counts a call. 0: it may go on; else an errno, or SHORT. */
static int fate(enum kind kind, const char *path) {
    if (!control) return 0;
    uint32_t bit = kind == READ ? READS : kind == OPEN_READ ? OPENS : CHANGES;
    if (!(control->mask & bit)) return 0;
    uint64_t n = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    if (n < control->from || n > control->to) return 0;
    int action = fitting((int)control->action, kind);
    if (!action) return 0;
    if (__atomic_add_fetch(&control->struck, 1, __ATOMIC_SEQ_CST) == 1)
        snprintf(control->first, sizeof control->first, "%s %s", names[kind], path);
    if (action == DIE) raise(SIGKILL);
    return action;
}

static void enter(void) {
    if (trace < 0) return;
    pthread_mutex_lock(&mutex);
    while (flock(trace_lock, LOCK_EX) && errno == EINTR) {}
}

static void leave(void) {
    if (trace < 0) return;
    int kept = errno;
    flock(trace_lock, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

/* Between `enter` and `leave`. */
static void note(enum kind kind, uint64_t inode, uint64_t offset, const char *path, const char *other, const void *bytes, size_t count) {
    if (trace < 0) return;
    int kept = errno;
    struct head head = {.kind = kind, .inode = inode, .offset = offset, .pid = (uint32_t)getpid()};
    head.path = path ? strlen(path) : 0;
    head.other = other ? strlen(other) : 0;
    head.bytes = (uint32_t)count;
    head.length = sizeof head + head.path + head.other + head.bytes;
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other}, {(void *)bytes, count}};
    if (real_writev(trace, parts, 4) != (ssize_t)head.length) abort();
    errno = kept;
}

#define REFUSED(fate) (errno = (fate), -1)

static int opened(int dir, const char *path, int flags, mode_t mode) {
    char at[PATH_MAX];
    int wants_mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    if (!place(dir, path, at)) return wants_mode ? real_openat(dir, path, flags, mode) : real_openat(dir, path, flags);
    int changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    int refused = fate(!changes ? OPEN_READ : flags & O_CREAT ? CREATE : OPEN, at);
    if (refused) return REFUSED(refused);
    if (!changes) return real_openat(dir, path, flags);
    enter();
    struct stat before;
    int was_there = !fstatat(dir, path, &before, 0);
    int fd = real_openat(dir, path, flags, mode);
    if (fd >= 0 && !was_there) note(CREATE, inode_of(fd), 0, at, NULL, NULL, 0);
    if (fd >= 0 && was_there && (flags & O_TRUNC)) note(TRUNCATE, inode_of(fd), 0, at, NULL, NULL, 0);
    leave();
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

int openat(int dir, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    find_openat();
    return opened(dir, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    find_openat();
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat(const char *path, mode_t mode) { return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

static ssize_t written(int fd, const void *bytes, size_t count, off_t offset, int has_offset) {
    char at[PATH_MAX];
    int counts = of_fd(fd, at), refused = counts ? fate(WRITE, at) : 0;
    if (refused && refused != SHORT) return REFUSED(refused);
    if (refused == SHORT && count > 1) count /= 2;
    if (!counts) return has_offset ? real_pwrite(fd, bytes, count, offset) : real_write(fd, bytes, count);
    enter();
    ssize_t done = has_offset ? real_pwrite(fd, bytes, count, offset) : real_write(fd, bytes, count);
    if (done > 0) {
        if (!has_offset) offset = lseek(fd, 0, SEEK_CUR) - done;
        note(WRITE, inode_of(fd), (uint64_t)offset, at, NULL, bytes, (size_t)done);
    }
    leave();
    return done;
}

ssize_t write(int fd, const void *bytes, size_t count) { find_write(); return written(fd, bytes, count, 0, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { find_pwrite(); return written(fd, bytes, count, offset, 1); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) __attribute__((alias("pwrite")));

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char at[PATH_MAX];
    find_writev();
    if (!of_fd(fd, at)) return real_writev(fd, parts, count);
    ssize_t done = 0;
    for (int i = 0; i < count; i++) {
        ssize_t one = parts[i].iov_len ? write(fd, parts[i].iov_base, parts[i].iov_len) : 0;
        if (one < 0) return done ? done : one;
        done += one;
        if ((size_t)one < parts[i].iov_len) break;
    }
    return done;
}

ssize_t read(int fd, void *bytes, size_t count) {
    char at[PATH_MAX];
    find_read();
    if (!control || !(control->mask & READS) || !of_fd(fd, at)) return real_read(fd, bytes, count);
    int refused = fate(READ, at);
    if (refused && refused != SHORT) return REFUSED(refused);
    return real_read(fd, bytes, refused && count > 1 ? count / 2 : count);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset) {
    char at[PATH_MAX];
    find_pread();
    if (!control || !(control->mask & READS) || !of_fd(fd, at)) return real_pread(fd, bytes, count, offset);
    int refused = fate(READ, at);
    if (refused && refused != SHORT) return REFUSED(refused);
    return real_pread(fd, bytes, refused && count > 1 ? count / 2 : count, offset);
}
ssize_t pread64(int fd, void *bytes, size_t count, off_t offset) __attribute__((alias("pread")));

int ftruncate(int fd, off_t length) {
    char at[PATH_MAX];
    find_ftruncate();
    if (!of_fd(fd, at)) return real_ftruncate(fd, length);
    int refused = fate(TRUNCATE, at);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_ftruncate(fd, length);
    if (!done) note(TRUNCATE, inode_of(fd), (uint64_t)length, at, NULL, NULL, 0);
    leave();
    return done;
}
int ftruncate64(int fd, off_t length) __attribute__((alias("ftruncate")));

int truncate(const char *path, off_t length) {
    char at[PATH_MAX];
    find_truncate();
    if (!place(AT_FDCWD, path, at)) return real_truncate(path, length);
    int refused = fate(TRUNCATE, at);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_truncate(path, length);
    if (!done) note(TRUNCATE, inode_at(at), (uint64_t)length, at, NULL, NULL, 0);
    leave();
    return done;
}
int truncate64(const char *path, off_t length) __attribute__((alias("truncate")));

static int synced(int fd, int (*real)(int)) {
    char at[PATH_MAX];
    if (!of_fd(fd, at)) return real(fd);
    struct stat found;
    enum kind kind = !fstat(fd, &found) && S_ISDIR(found.st_mode) ? SYNC_DIR : SYNC;
    int refused = fate(kind, at);
    if (refused) return REFUSED(refused);
    if (trace < 0) return control ? 0 : real(fd); /* nobody cuts the power of a trial's real disk */
    enter();
    note(kind, inode_of(fd), 0, at, NULL, NULL, 0);
    leave();
    return 0;
}

int fsync(int fd) { find_fsync(); return synced(fd, real_fsync); }
int fdatasync(int fd) { find_fdatasync(); return synced(fd, real_fdatasync); }

int syncfs(int fd) {
    find_syncfs();
    if (!ready) return real_syncfs(fd);
    int refused = fate(SYNC, "the file system");
    if (refused) return REFUSED(refused);
    enter();
    note(SYNC_ALL, 0, 0, NULL, NULL, NULL, 0);
    leave();
    return 0;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char one[PATH_MAX], other[PATH_MAX];
    find_renameat2();
    int counts = place(from_dir, from, one);
    if (!place(to_dir, to, other) || !counts) return real_renameat2(from_dir, from, to_dir, to, flags);
    enum kind kind = flags & RENAME_EXCHANGE ? EXCHANGE : RENAME;
    int refused = fate(kind, other);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_renameat2(from_dir, from, to_dir, to, flags);
    if (!done) note(kind, inode_at(other), 0, one, other, NULL, 0);
    leave();
    return done;
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) { return renameat2(from_dir, from, to_dir, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char one[PATH_MAX], other[PATH_MAX];
    find_linkat();
    int counts = place(from_dir, from, one);
    if (!place(to_dir, to, other) || !counts) return real_linkat(from_dir, from, to_dir, to, flags);
    int refused = fate(LINK, other);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_linkat(from_dir, from, to_dir, to, flags);
    if (!done) note(LINK, inode_at(other), 0, one, other, NULL, 0);
    leave();
    return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int dir, const char *path, int flags) {
    char at[PATH_MAX];
    find_unlinkat();
    if (!place(dir, path, at)) return real_unlinkat(dir, path, flags);
    enum kind kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    int refused = fate(kind, at);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_unlinkat(dir, path, flags);
    if (!done) note(kind, 0, 0, at, NULL, NULL, 0);
    leave();
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode) {
    char at[PATH_MAX];
    find_mkdirat();
    if (!place(dir, path, at)) return real_mkdirat(dir, path, mode);
    int refused = fate(MKDIR, at);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_mkdirat(dir, path, mode);
    if (!done) note(MKDIR, 0, 0, at, NULL, NULL, 0);
    leave();
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int symlinkat(const char *target, int dir, const char *path) {
    char at[PATH_MAX];
    find_symlinkat();
    if (!place(dir, path, at)) return real_symlinkat(target, dir, path);
    int refused = fate(SYMLINK, at);
    if (refused) return REFUSED(refused);
    enter();
    int done = real_symlinkat(target, dir, path);
    if (!done) note(SYMLINK, 0, 0, at, target, NULL, 0);
    leave();
    return done;
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* What goes through a stream is written inside the C library, where nobody stands in between: it is noted, whole, when the
 * stream is closed. */
int fclose(FILE *stream) {
    char at[PATH_MAX];
    find_fclose();
    int fd = fileno(stream);
    if (trace < 0 || fd < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY || !of_fd(fd, at)) return real_fclose(stream);
    fflush(stream);
    enter();
    static char bytes[1 << 20];
    int reader = real_open(at, O_RDONLY | O_CLOEXEC);
    ssize_t count = reader < 0 ? -1 : real_read(reader, bytes, sizeof bytes);
    if (reader >= 0) close(reader);
    if (count > 0) note(WRITE, inode_of(fd), 0, at, NULL, bytes, (size_t)count);
    leave();
    return real_fclose(stream);
}

/* Whoever copies within the kernel falls back to calls that are seen here. */
ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t count, unsigned flags) {
    char at[PATH_MAX];
    find_copy_file_range();
    if (of_fd(to, at)) return REFUSED(ENOSYS);
    return real_copy_file_range(from, from_at, to, to_at, count, flags);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
    char at[PATH_MAX];
    find_sendfile();
    if (of_fd(to, at)) return REFUSED(ENOSYS);
    return real_sendfile(to, from, offset, count);
}
ssize_t sendfile64(int to, int from, off_t *offset, size_t count) __attribute__((alias("sendfile")));
