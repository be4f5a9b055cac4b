#include "tests/unit/unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MEMORY      "/dev/shm"
#define MEMORY_LEFT (256u << 20) /* bytes: others test at the same time */

int unit_main(const char *suite, const struct unit_test *tests, size_t count)
{
    CU_pSuite added;
    unsigned failed;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    added = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; added != NULL && i < count; i++) {
        if (CU_add_test(added, tests[i].name, tests[i].run) == NULL)
            added = NULL;
    }
    if (added == NULL) {
        fprintf(stderr, "%s: cannot register the tests: %s\n", suite, CU_get_error_msg());
        return 1;
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    failed = CU_get_number_of_tests_failed();
    printf("\n%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
    CU_cleanup_registry();
    return failed == 0 ? 0 : 1;
}

bool unit_directory(char path[UNIT_PATH_BYTES], const char *name)
{
    struct statvfs facts;
    bool memory = access(MEMORY, W_OK | X_OK) == 0 && statvfs(MEMORY, &facts) == 0 &&
                  facts.f_bavail > MEMORY_LEFT / facts.f_frsize;

    snprintf(path, UNIT_PATH_BYTES, "%s/haul-%s-XXXXXX", memory ? MEMORY : "/tmp", name);
    return mkdtemp(path) != NULL;
}
