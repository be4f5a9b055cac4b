#!/usr/bin/env python3
"""Cuts the one C example out of a page of docs/, so that it is compiled and run.

example.py PAGE.md OUTPUT.h LINES_MAX
"""
import pathlib
import re
import sys

page, output, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
blocks = re.findall(r"^```c\n(.*?)^```$", pathlib.Path(page).read_text(), re.M | re.S)
if len(blocks) != 1:
    sys.exit(f"{page}: {len(blocks)} examples in C, not one")
lines = blocks[0].count("\n")
if lines >= most:
    sys.exit(f"{page}: the example has {lines} lines, and promises fewer than {most}")
pathlib.Path(output).write_text(blocks[0])
