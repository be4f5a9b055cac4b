/* Directory trees of the person who typed the command. */
#pragma once

/* Removes `name` in `parent` with everything below it; follows no link. */
void haul_tree_remove(int parent, const char *name);
