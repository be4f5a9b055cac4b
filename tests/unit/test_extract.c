/* Where a get puts its files: hostile paths make nothing, nothing is reached through a link, and
 * what was not committed leaves nothing behind. */
#include "controlplane/cmd/extract.h"

#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char work[64];
static char target[128];
static struct haul_extract extract;
static struct haul_extract_file last; /* its descriptor is closed */
static char cid[] = "bafkr4ihkmivrhm5t2u5pwgvp6c5wmlaxnbysmvbqhzyxnmoaqrzo5pfzyq";
static struct haul_error error;

#define LEFT_BYTES (2u << 20) /* enough to be kept */

static void begin(void)
{
    snprintf(work, sizeof work, "/tmp/haul-extract-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(work));
    snprintf(target, sizeof target, "%s/target", work);
    CU_ASSERT_EQUAL_FATAL(haul_extract_open(&extract, target, &error), 0);
}

static void finish(void)
{
    char command[128];

    haul_extract_close(&extract);
    snprintf(command, sizeof command, "rm -r %s", work);
    CU_ASSERT_EQUAL(system(command), 0);
}

static unsigned entries_of(const char *path)
{
    DIR *directory = opendir(path);
    unsigned count = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

static int make(Haul__Ctl__Kind kind, uint64_t id, const char *path, size_t bytes,
                const char *points_to)
{
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    struct haul_extract_file file;
    int made;

    entry.cid = cid;
    entry.size = UINT64_MAX;
    entry.id = id;
    entry.kind = kind;
    entry.path = (ProtobufCBinaryData){ .len = bytes, .data = (uint8_t *)(uintptr_t)path };
    if (points_to != NULL)
        entry.target = (ProtobufCBinaryData){ .len = strlen(points_to),
                                              .data = (uint8_t *)(uintptr_t)points_to };
    made = haul_extract_entry(&extract, &entry, &file, &error);
    last = file;
    if (file.fd >= 0)
        close(file.fd);
    return made;
}

static int directory(const char *path)
{
    return make(HAUL__CTL__KIND__DIRECTORY, 0, path, strlen(path), NULL);
}

static int file(uint64_t id, const char *path)
{
    return make(HAUL__CTL__KIND__FILE, id, path, strlen(path), NULL);
}

static int symbolic(const char *path, const char *points_to)
{
    return make(HAUL__CTL__KIND__LINK, 0, path, strlen(path), points_to);
}

static void a_tree_is_made_and_renamed_at_the_end(void)
{
    char text[256];
    struct stat facts;

    begin();
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(directory("a"), 0);
    CU_ASSERT_EQUAL(file(0, "a/file"), 0);
    CU_ASSERT_EQUAL(symbolic("a/link", "../elsewhere"), 0);
    CU_ASSERT_NOT_EQUAL(stat(target, &facts), 0);
    CU_ASSERT_EQUAL(haul_extract_finished(&extract, 0, &error), 0);
    CU_ASSERT_EQUAL(haul_extract_finished(&extract, 0, &error), -1);
    CU_ASSERT_EQUAL(haul_extract_finished(&extract, HAUL_EXTRACT_FILES_MAX, &error), -1);
    CU_ASSERT_EQUAL(haul_extract_commit(&extract, &error), 0);
    snprintf(text, sizeof text, "%s/a/file", target);
    CU_ASSERT_EQUAL(stat(text, &facts), 0);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    finish();
}

static void hostile_paths_are_refused_and_make_nothing(void)
{
    static const struct {
        const char *path;
        size_t bytes;
    } paths[] = {
        { "..", 2 },      { ".", 1 },         { "../evil", 7 },  { "a/../evil", 9 },
        { "a/..", 4 },    { "/etc/evil", 9 }, { "/evil", 5 },    { "/", 1 },
        { "//", 2 },      { "a//evil", 7 },   { "a/", 2 },       { "a/evil/", 7 },
        { "evil\0x", 6 }, { "a\0/x", 4 },     { "\xff\xfe", 2 }, { "a/./evil", 8 },
    };
    static const Haul__Ctl__Kind kinds[] = { HAUL__CTL__KIND__FILE, HAUL__CTL__KIND__DIRECTORY,
                                             HAUL__CTL__KIND__LINK,
                                             HAUL__CTL__KIND__DIRECTORY_END };
    char part[400];
    char within[420];

    begin();
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(directory("a"), 0);
    snprintf(part, sizeof part, "%s/%s", work, extract.part);
    snprintf(within, sizeof within, "%s/a", part);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            CU_ASSERT_EQUAL(make(kinds[k], 1, paths[i].path, paths[i].bytes, "/tmp"), -1);
            CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_HOSTILE);
        }
    }
    CU_ASSERT_EQUAL(entries_of(work), 1);
    CU_ASSERT_EQUAL(entries_of(part), 1);
    CU_ASSERT_EQUAL(entries_of(within), 0);
    finish();
}

static void names_and_paths_that_are_too_long_are_refused(void)
{
    char path[PATH_MAX + 8];

    begin();
    CU_ASSERT_EQUAL(directory(""), 0);
    memset(path, 'n', 300);
    CU_ASSERT_EQUAL(make(HAUL__CTL__KIND__FILE, 1, path, 300, NULL), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_HOSTILE);
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 == 0 ? 'n' : '/';
    CU_ASSERT_EQUAL(make(HAUL__CTL__KIND__FILE, 1, path, PATH_MAX + 1, NULL), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_HOSTILE);
    finish();
}

static void nothing_is_reached_through_a_link(void)
{
    begin();
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(symbolic("out", work), 0);
    CU_ASSERT_EQUAL(file(1, "out/evil"), -1);
    CU_ASSERT_EQUAL(file(1, "out"), -1);
    CU_ASSERT_EQUAL(directory("out"), -1);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    finish();
}

static void a_link_points_to_what_a_path_can_be(void)
{
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    static uint8_t longer[PATH_MAX + 1];
    struct haul_extract_file out;

    memset(longer, 'x', sizeof longer);
    for (unsigned root = 0; root < 2; root++) {
        begin();
        if (root == 0)
            CU_ASSERT_EQUAL(directory(""), 0);
        entry.kind = HAUL__CTL__KIND__LINK;
        entry.path = (ProtobufCBinaryData){ .len = root == 0 ? 1 : 0, .data = (uint8_t[]){ 'l' } };
        entry.target = (ProtobufCBinaryData){ .len = sizeof longer, .data = longer };
        CU_ASSERT_EQUAL(haul_extract_entry(&extract, &entry, &out, &error), -1);
        CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_HOSTILE);
        entry.target = (ProtobufCBinaryData){ .len = 3, .data = (uint8_t[]){ 'a', 0, 'b' } };
        CU_ASSERT_EQUAL(haul_extract_entry(&extract, &entry, &out, &error), -1);
        CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_HOSTILE);
        finish();
    }
}

static void entries_need_a_root_that_is_a_directory(void)
{
    begin();
    CU_ASSERT_EQUAL(file(1, "file"), -1);
    CU_ASSERT_EQUAL(file(0, ""), 0);
    CU_ASSERT_EQUAL(file(1, "file"), -1);
    CU_ASSERT_EQUAL(file(1, ""), -1);
    finish();
}

static void what_is_not_committed_leaves_nothing(void)
{
    begin();
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(file(3, "file"), 0);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    haul_extract_close(&extract);
    CU_ASSERT_EQUAL(entries_of(work), 0);
    finish();
}

/* So many bytes of an earlier get in file 0 of the part, whose name in there is `name`. */
static void leave(const char *name, char part[PATH_MAX])
{
    static uint8_t bytes[LEFT_BYTES];

    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(file(0, name), 0);
    CU_ASSERT_EQUAL(last.held, 0);
    memset(bytes, 'x', sizeof bytes);
    CU_ASSERT_EQUAL(pwrite(extract.files[0], bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
    CU_ASSERT_TRUE(haul_extract_keep(&extract, part));
    haul_extract_close(&extract);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    CU_ASSERT_EQUAL_FATAL(haul_extract_open(&extract, target, &error), 0);
}

static void a_part_that_is_kept_is_taken_over_by_the_next_get_of_the_same(void)
{
    char part[PATH_MAX];
    char name[PATH_MAX + 8];
    struct stat facts;

    begin();
    leave("file", part);
    snprintf(name, sizeof name, "%s/file", part);
    CU_ASSERT_EQUAL(chmod(name, 0400), 0); /* as if it had been finished */
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(directory("a"), 0);
    CU_ASSERT_EQUAL(file(0, "file"), 0);
    CU_ASSERT_EQUAL(last.held, LEFT_BYTES);
    CU_ASSERT_EQUAL(file(1, "other"), 0);
    CU_ASSERT_EQUAL(last.held, 0);
    CU_ASSERT_TRUE(haul_extract_keep(&extract, part)); /* little came, but what was there counts */
    haul_extract_close(&extract);
    CU_ASSERT_EQUAL_FATAL(haul_extract_open(&extract, target, &error), 0);
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(directory("a"), 0);
    CU_ASSERT_EQUAL(file(0, "file"), 0);
    CU_ASSERT_EQUAL(haul_extract_finished(&extract, 0, &error), 0);
    CU_ASSERT_EQUAL(haul_extract_commit(&extract, &error), 0);
    snprintf(name, sizeof name, "%s/file", target);
    CU_ASSERT_TRUE(stat(name, &facts) == 0 && facts.st_size == LEFT_BYTES);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    finish();
}

static void a_part_of_another_dataset_is_not_looked_at(void)
{
    char part[PATH_MAX];

    begin();
    leave("file", part);
    cid[sizeof cid - 2] ^= 1;
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(file(0, "file"), 0);
    CU_ASSERT_EQUAL(last.held, 0);
    CU_ASSERT_FALSE(haul_extract_keep(&extract, part)); /* less than a mebibyte came */
    cid[sizeof cid - 2] ^= 1;
    haul_extract_close(&extract);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    finish();
}

static void a_part_in_which_another_get_works_is_left_alone(void)
{
    struct haul_extract first;
    char part[PATH_MAX];

    begin();
    leave("file", part);
    CU_ASSERT_EQUAL(directory(""), 0);
    first = extract;
    CU_ASSERT_EQUAL_FATAL(haul_extract_open(&extract, target, &error), 0);
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(file(0, "file"), 0);
    CU_ASSERT_EQUAL(last.held, 0);
    CU_ASSERT_EQUAL(entries_of(work), 2);
    haul_extract_close(&extract);
    CU_ASSERT_EQUAL(entries_of(work), 1);
    extract = first;
    CU_ASSERT_EQUAL(haul_extract_commit(&extract, &error), 0);
    finish();
}

/* Somebody laid other things into the part: what they lead to is not written to. */
static void only_what_is_a_file_of_its_own_is_written_to_again(void)
{
    char part[PATH_MAX];
    char path[PATH_MAX + 8];
    char outside[128];
    struct stat facts;

    begin();
    leave("file", part);
    snprintf(outside, sizeof outside, "%s/outside", work);
    close(open(outside, O_WRONLY | O_CREAT, 0600));
    CU_ASSERT_EQUAL(truncate(outside, 100), 0);
    snprintf(path, sizeof path, "%s/hard", part);
    CU_ASSERT_EQUAL(link(outside, path), 0);
    snprintf(path, sizeof path, "%s/soft", part);
    CU_ASSERT_EQUAL(symlink(outside, path), 0);
    CU_ASSERT_EQUAL(directory(""), 0);
    CU_ASSERT_EQUAL(file(1, "hard"), 0);
    CU_ASSERT_EQUAL(last.held, 0);
    CU_ASSERT_EQUAL(file(2, "soft"), 0);
    CU_ASSERT_EQUAL(last.held, 0);
    CU_ASSERT_EQUAL(symbolic("soft", "elsewhere"), 0);
    CU_ASSERT_TRUE(stat(outside, &facts) == 0 && facts.st_nlink == 1 && facts.st_size == 100);
    CU_ASSERT_EQUAL(unlink(outside), 0);
    finish();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a tree is made, and renamed at the end", a_tree_is_made_and_renamed_at_the_end },
        { "hostile paths are refused and make nothing",
          hostile_paths_are_refused_and_make_nothing },
        { "names and paths that are too long are refused",
          names_and_paths_that_are_too_long_are_refused },
        { "nothing is reached through a link", nothing_is_reached_through_a_link },
        { "a link points to what a path can be", a_link_points_to_what_a_path_can_be },
        { "entries need a root that is a directory", entries_need_a_root_that_is_a_directory },
        { "what is not committed leaves nothing", what_is_not_committed_leaves_nothing },
        { "a part that is kept is taken over by the next get of the same",
          a_part_that_is_kept_is_taken_over_by_the_next_get_of_the_same },
        { "a part of another dataset is not looked at",
          a_part_of_another_dataset_is_not_looked_at },
        { "a part in which another get works is left alone",
          a_part_in_which_another_get_works_is_left_alone },
        { "only what is a file of its own is written to again",
          only_what_is_a_file_of_its_own_is_written_to_again },
    };

    return unit_main("extract", tests, sizeof tests / sizeof tests[0]);
}
