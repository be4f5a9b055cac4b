/* Loaded before a node (LD_PRELOAD): a disk that lies once. The next read of a whole MiB, while a
 * file named by SPOIL_READ exists, takes that file away and comes with one bit turned. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define BLOCK_BYTES (1u << 20)

typedef ssize_t pread_fn(int fd, void *data, size_t bytes, off_t at);

/* Compiled with 64-bit offsets, as everything is, this is the symbol pread64. */
ssize_t pread(int fd, void *data, size_t bytes, off_t at)
{
    pread_fn *next = (pread_fn *)dlsym(RTLD_NEXT, "pread64");
    const char *flag = getenv("SPOIL_READ");
    ssize_t got = next(fd, data, bytes, at);

    if (got >= (ssize_t)BLOCK_BYTES && flag != NULL && unlink(flag) == 0)
        ((unsigned char *)data)[got / 2] ^= 1;
    return got;
}
