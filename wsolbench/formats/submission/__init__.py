"""The submission file: its rules, reader and writer, and the part of an unfinished one."""
