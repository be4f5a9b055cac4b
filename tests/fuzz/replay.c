/* Runs a fuzz target once for each file of a directory and for the empty input, each in a child of
 * its own, so that one crash is counted and the others still run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input in memory of exactly its size, so that a sanitizer sees one byte too far. */
static void run(const char *path)
{
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    uint8_t *room = malloc(INPUT_BYTES_MAX), *data;
    size_t bytes = 0;

    if (room == NULL || (path != NULL && file == NULL))
        _exit(1);
    if (file != NULL) {
        bytes = fread(room, 1, INPUT_BYTES_MAX, file);
        fclose(file);
    }
    data = malloc(bytes > 0 ? bytes : 1);
    if (data == NULL)
        _exit(1);
    memcpy(data, room, bytes);
    free(room);
    LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    exit(0); /* not _exit: the leak check runs at exit */
}

static int passes(const char *path)
{
    pid_t child = fork();
    int status = 1;

    if (child == 0)
        run(path);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 0;
    if (status != 0)
        fprintf(stderr, "failed: %s\n", path == NULL ? "the empty input" : path);
    return status == 0;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0, files = 0;
    struct dirent *entry;
    DIR *directory;

    if (argc != 2 || (directory = opendir(argv[1])) == NULL) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    if (passes(NULL))
        passed++;
    else
        failed++;
    while ((entry = readdir(directory)) != NULL) {
        char path[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        files++;
        if (passes(path))
            passed++;
        else
            failed++;
    }
    closedir(directory);
    printf("%u passed, %u failed\n", passed, failed);
    if (files == 0)
        fprintf(stderr, "no inputs in %s\n", argv[1]);
    return failed == 0 && files > 0 ? 0 : 1;
}
