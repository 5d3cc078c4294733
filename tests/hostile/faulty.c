/* Preloaded into a program under test: reads of files whose path holds $FAULTY_READ, and writes of those whose path
   holds $FAULTY_WRITE, fail with the error number $FAULTY_ERRNO, from the call after $FAULTY_AFTER good ones on. Where
   `most_bytes` is set from within, no larger block of memory is given. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

int calls; /* may be set to 0 from within */

static int fails(int file, const char *variable) {
    const char *part = getenv(variable), *after = getenv("FAULTY_AFTER"), *number = getenv("FAULTY_ERRNO");
    char link[64], path[4096];
    ssize_t length;
    if (!part || !number)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if ((length = readlink(link, path, sizeof path - 1)) < 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, part) || calls++ < (after ? atoi(after) : 0))
        return 0;
    errno = atoi(number);
    return 1;
}

#define FAULTY(type, name, variable, arguments, names)                                                                 \
    type name arguments {                                                                                              \
        static type(*real) arguments;                                                                                  \
        if (!real)                                                                                                     \
            real = (type(*) arguments)dlsym(RTLD_NEXT, #name);                                                         \
        return fails(file, variable) ? -1 : real names;                                                                \
    }

FAULTY(ssize_t, read, "FAULTY_READ", (int file, void *to, size_t n), (file, to, n))
FAULTY(ssize_t, pread, "FAULTY_READ", (int file, void *to, size_t n, off_t at), (file, to, n, at))
FAULTY(ssize_t, pread64, "FAULTY_READ", (int file, void *to, size_t n, off64_t at), (file, to, n, at))
FAULTY(ssize_t, readv, "FAULTY_READ", (int file, const struct iovec *to, int n), (file, to, n))
FAULTY(ssize_t, write, "FAULTY_WRITE", (int file, const void *from, size_t n), (file, from, n))
FAULTY(ssize_t, pwrite, "FAULTY_WRITE", (int file, const void *from, size_t n, off_t at), (file, from, n, at))
FAULTY(ssize_t, pwrite64, "FAULTY_WRITE", (int file, const void *from, size_t n, off64_t at), (file, from, n, at))

long most_bytes;

/* dlsym itself asks for memory: glibc's own names are used where there are any. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static int is_too_much(size_t n) {
    if (most_bytes <= 0 || n <= (size_t)most_bytes)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t n) { return is_too_much(n) ? NULL : __libc_malloc(n); }
void *calloc(size_t count, size_t n) { return is_too_much(count * n) ? NULL : __libc_calloc(count, n); }
void *realloc(void *block, size_t n) { return is_too_much(n) ? NULL : __libc_realloc(block, n); }
void *memalign(size_t step, size_t n) { return is_too_much(n) ? NULL : __libc_memalign(step, n); }
void *aligned_alloc(size_t step, size_t n) { return memalign(step, n); }
int posix_memalign(void **block, size_t step, size_t n) { return (*block = memalign(step, n)) ? 0 : ENOMEM; }
void *mmap(void *at, size_t n, int protection, int flags, int file, off_t from) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real)
        real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    return is_too_much(n) ? MAP_FAILED : real(at, n, protection, flags, file, from);
}
