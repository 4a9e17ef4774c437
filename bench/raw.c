/* See raw.h. */
#include "raw.h"
#include "bench.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 8 << 20, WRITTEN = 64 << 10, RECORD = 1, OLD_RECORD = 2, KEY = 3 };

void raw_open(raw *r, const char *dir) {
    bench_make_dir(dir);
    r->dir = open(dir, O_DIRECTORY | O_CLOEXEC);
    bench_must_sys(r->dir >= 0, dir);
    r->locks = openat(r->dir, "locks", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    bench_must_sys(r->locks >= 0, "locks");
}

void raw_close(raw *r) {
    close(r->locks);
    close(r->dir);
}

/* One byte, for the open file description. */
static void lock(int file, short type, int64_t at) {
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    bench_must_sys(!fcntl(file, F_OFD_SETLK, &range), "fcntl");
}

static void range(const raw *r, short type, int64_t at) {
    lock(r->locks, type, at);
}

static double map(const raw *r, const char *name, bool lease, void **out,
                  uint64_t *bytes) {
    struct stat status;
    int file = openat(r->dir, name, O_RDONLY | O_CLOEXEC);

    bench_must_sys(file >= 0, name);
    if (lease)
        lock(file, F_RDLCK, 0);
    bench_must_sys(!fstat(file, &status), "fstat");
    *bytes = (uint64_t)status.st_size;
    *out = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, file, 0);
    bench_must_sys(*out != MAP_FAILED, "mmap");
    double first = *(volatile double *)*out;
    close(file);
    return first;
}

double raw_get(const raw *r, const char *manifest, const char *segment, raw_frame *out) {
    *out = (raw_frame){0};
    double first = map(r, manifest, true, &out->manifest, &out->manifest_bytes);
    if (segment)
        first = map(r, segment, false, &out->segment, &out->segment_bytes);
    return first;
}

void raw_unmap(raw_frame *frame) {
    if (frame->segment)
        munmap(frame->segment, frame->segment_bytes);
    munmap(frame->manifest, frame->manifest_bytes);
}

static void write_pieces(int file, const char *bytes, uint64_t size) {
    for (uint64_t at = 0; at < size;) {
        uint64_t left = size - at;
        ssize_t done = pwrite(file, bytes + at, left < PIECE ? left : PIECE, (off_t)at);
        bench_must_sys(done > 0, "pwrite");
        at += (uint64_t)done;
    }
}

void raw_make(const raw *r, const char *name, uint64_t bytes) {
    static const char zeros[WRITTEN];
    int file = openat(r->dir, name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    bench_must_sys(file >= 0, name);
    write_pieces(file, zeros, bytes < WRITTEN ? bytes : WRITTEN);
    bench_must_sys(!ftruncate(file, (off_t)bytes), "ftruncate");
    close(file);
}

static void put(const raw *r, const char *name, int flags, const void *bytes,
                uint64_t size) {
    range(r, F_WRLCK, RECORD);
    int file = openat(r->dir, name, flags | O_RDWR | O_CLOEXEC, 0600);
    bench_must_sys(file >= 0, name);
    lock(file, F_WRLCK, 0);
    range(r, F_WRLCK, KEY);
    bench_must_sys(pwrite(file, bytes, size, 0) == (ssize_t)size, "pwrite");
    lock(file, F_RDLCK, 0);
    range(r, F_UNLCK, KEY);
    range(r, F_UNLCK, RECORD);
    lock(file, F_UNLCK, 0);
    close(file);
}

void raw_put_new(const raw *r, const char *name, const void *bytes, uint64_t size) {
    put(r, name, O_CREAT | O_EXCL, bytes, size);
}

void raw_put_replace(const raw *r, const char *name, const char *old, const void *bytes,
                     uint64_t size) {
    const uint32_t dead = 1;

    put(r, name, 0, bytes, size);
    range(r, F_WRLCK, OLD_RECORD);
    int file = openat(r->dir, old, O_RDWR | O_CLOEXEC);
    bench_must_sys(file >= 0, old);
    lock(file, F_WRLCK, 0);
    bench_must_sys(pwrite(file, &dead, sizeof dead, 8) == sizeof dead, "pwrite");
    range(r, F_UNLCK, OLD_RECORD);
    lock(file, F_UNLCK, 0);
    close(file);
}

void raw_write(const raw *r, const char *name, const void *bytes, uint64_t size) {
    int file = openat(r->dir, name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

    bench_must_sys(file >= 0, name);
    write_pieces(file, bytes, size);
    close(file);
}

void raw_remove(const raw *r, const char *name) {
    bench_must_sys(!unlinkat(r->dir, name, 0), name);
}
