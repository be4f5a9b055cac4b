/* without_io_uring EPERM|ENOSYS PROGRAM [ARGUMENT...]: runs a program under a seccomp filter that
 * refuses io_uring with that error, as containers and old kernels do. */
#include "tests/lib/refuse_call.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int error = argc > 2 && strcmp(argv[1], "ENOSYS") == 0 ? ENOSYS : EPERM;

    if (argc < 3) {
        fputs("usage: without_io_uring EPERM|ENOSYS PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    if (refuse_io_uring(error) < 0) {
        perror("without_io_uring: seccomp");
        return 77;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
