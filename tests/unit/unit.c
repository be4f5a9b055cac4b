#include "tests/unit/unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>

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
