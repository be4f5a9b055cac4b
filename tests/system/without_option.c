/* without_option gro|gso PROGRAM [ARGUMENT...]: runs a program under a seccomp filter that refuses
 * this option of UDP sockets, as kernels before it do. */
#include "tests/lib/refuse_call.h"

#include <linux/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3 || (strcmp(argv[1], "gro") != 0 && strcmp(argv[1], "gso") != 0)) {
        fputs("usage: without_option gro|gso PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    if (refuse_udp_option(strcmp(argv[1], "gro") == 0 ? UDP_GRO : UDP_SEGMENT) < 0) {
        perror("without_option: seccomp");
        return 77;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
