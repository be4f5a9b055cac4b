/* Readers of /sys and /proc. */
#include "hw/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False for a path that would be cut short: nothing of ours is that long. */
static bool path_make(char path[PATH_MAX], const char *root, const char *format, va_list arguments)
{
    int at = snprintf(path, PATH_MAX, "%s", root);
    int more;

    if (at < 0 || at >= PATH_MAX)
        return false;
    more = vsnprintf(path + at, (size_t)(PATH_MAX - at), format, arguments);
    return more >= 0 && more < PATH_MAX - at;
}

static size_t file_read(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t got;

    text[0] = '\0';
    if (fd < 0)
        return 0;
    while (have < bytes - 1 && (got = read(fd, text + have, bytes - 1 - have)) > 0)
        have += (size_t)got;
    close(fd);
    text[have] = '\0';
    return have;
}

static size_t formatted_read(const char *root, char *text, size_t bytes, const char *format,
                             va_list arguments)
{
    char path[PATH_MAX];

    text[0] = '\0';
    return path_make(path, root, format, arguments) ? file_read(path, text, bytes) : 0;
}

size_t haul_sysfs_all(const char *root, char *text, size_t bytes, const char *format, ...)
{
    va_list arguments;
    size_t got;

    va_start(arguments, format);
    got = formatted_read(root, text, bytes, format, arguments);
    va_end(arguments);
    return got;
}

bool haul_sysfs_text(const char *root, char *text, size_t bytes, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)formatted_read(root, text, bytes, format, arguments);
    va_end(arguments);
    text[strcspn(text, "\n")] = '\0';
    return text[0] != '\0';
}

int64_t haul_sysfs_number(const char *root, int64_t otherwise, const char *format, ...)
{
    char path[PATH_MAX], text[64];
    va_list arguments;
    char *end;
    int64_t value;
    bool made;

    va_start(arguments, format);
    made = path_make(path, root, format, arguments);
    va_end(arguments);
    if (!made || file_read(path, text, sizeof text) == 0)
        return otherwise;
    value = strtoll(text, &end, 0);
    return end == text ? otherwise : value;
}

bool haul_sysfs_link(const char *root, char *name, size_t bytes, const char *format, ...)
{
    char path[PATH_MAX], target[PATH_MAX];
    va_list arguments;
    const char *slash;
    ssize_t length;
    bool made;

    va_start(arguments, format);
    made = path_make(path, root, format, arguments);
    va_end(arguments);
    name[0] = '\0';
    if (!made)
        return false;
    length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return false;
    target[length] = '\0';
    slash = strrchr(target, '/');
    snprintf(name, bytes, "%s", slash == NULL ? target : slash + 1);
    return true;
}

bool haul_sysfs_exists(const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;
    bool made;

    va_start(arguments, format);
    made = path_make(path, root, format, arguments);
    va_end(arguments);
    return made && access(path, F_OK) == 0;
}

/* NULL when there is no such directory. */
static DIR *directory_open(const char *root, const char *format, va_list arguments)
{
    char path[PATH_MAX];

    return path_make(path, root, format, arguments) ? opendir(path) : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t haul_sysfs_list(const char *root, char (*names)[HAUL_SYSFS_NAME_BYTES], size_t capacity,
                       const char *format, ...)
{
    va_list arguments;
    struct dirent *entry;
    size_t count = 0;
    DIR *directory;

    va_start(arguments, format);
    directory = directory_open(root, format, arguments);
    va_end(arguments);
    if (directory == NULL)
        return 0;
    while (count < capacity && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= HAUL_SYSFS_NAME_BYTES)
            continue;
        snprintf(names[count++], HAUL_SYSFS_NAME_BYTES, "%s", entry->d_name);
    }
    closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    return count;
}

unsigned haul_sysfs_count(const char *root, const char *prefix, const char *format, ...)
{
    va_list arguments;
    struct dirent *entry;
    unsigned count = 0;
    DIR *directory;

    va_start(arguments, format);
    directory = directory_open(root, format, arguments);
    va_end(arguments);
    if (directory == NULL)
        return 0;
    while ((entry = readdir(directory)) != NULL)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(directory);
    return count;
}
